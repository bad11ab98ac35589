"""What models are told about the tools and the server (`tools.toml`)."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def instructions() -> str:
    """What a client's model is told about the server as a whole."""
    return " ".join(str(_read()["instructions"]).split())


def words_of(name: str) -> tuple[str, str]:
    """The title and the description of a tool."""
    told = _read()[name]
    return told["title"], " ".join(told["description"].split())


def _read() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("tools.toml").read_text(encoding="utf-8"))
