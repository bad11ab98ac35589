"""The words of flows: what they say to people, and what they ask of models. Files under `texts/`, read once.

A file is a TOML table of `key = { ko = "...", en = "..." }`; tables may be in tables, then keys have dots.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.templates.template import Language

_PLACE = re.compile(r"\{(\w+)\}")


class Texts:
    """The words of one file in one language.

    Args:
        name: of the file, without its suffix.
        language: ko or en.
    """

    def __init__(self, name: str, language: Language) -> None:
        self.language = language
        self._table = read_table("texts", f"{name}.toml")

    def __call__(self, key: str, /, **values: object) -> str:
        """The words under a key; `{name}` becomes the value, once: what a value holds stays as it is."""
        return fill(str(self._entry(key)[self.language]).strip(), **values)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of words, of both languages: people mix them."""
        entry = self._entry(key)
        return (*entry["ko"], *entry["en"])

    def listed(self, key: str) -> tuple[str, ...]:
        """A list of texts in the language."""
        return tuple(self._entry(key)[self.language])

    def _entry(self, key: str) -> Mapping[str, Any]:
        entry: Any = self._table
        for part in key.split("."):
            entry = entry[part]
        return dict(entry)


def fill(text: str, /, **values: object) -> str:
    """A text with its `{places}` filled; places without a value stay."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), text)


def read_text(*path: str) -> str:
    """A file of the templates' data."""
    return files("malmoi.assist.templates").joinpath(*path).read_text(encoding="utf-8")


@lru_cache
def read_table(*path: str) -> Mapping[str, Any]:
    """A TOML file of the templates' data."""
    return tomllib.loads(read_text(*path))


def names_in(folder: str, suffix: str) -> list[str]:
    """The names of the files of a folder of data, without their suffix, sorted."""
    entries = files("malmoi.assist.templates").joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(suffix) for entry in entries if entry.name.endswith(suffix))
