"""Trainings whose cost is known: what the equations are held against."""

import tomllib
from importlib.resources import files

from pydantic import BaseModel, ConfigDict


class Anchor(BaseModel):
    """A reported training; None: not reported."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    parameters: float
    device: str
    tokens: float | None = None
    count: int | None = None
    days: float | None = None
    hours: float | None = None
    """Device-hours of the whole training."""
    cost: float | None = None
    layers: int | None = None
    width: int | None = None
    context_length: int | None = None
    tokens_per_second_per_device: float | None = None
    mfu: float | None = None
    source: str
    note: str = ""


def anchors() -> dict[str, Anchor]:
    """All of them by name."""
    raw = files("malmoi.factory.plan").joinpath("anchors.toml").read_text(encoding="utf-8")
    return {name: Anchor(**entry) for name, entry in tomllib.loads(raw).items()}
