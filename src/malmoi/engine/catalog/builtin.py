"""The built-in entries of the catalog, from the data file beside this module."""

import tomllib
from importlib.resources import files

from malmoi.engine.catalog.card import ModelCard


def builtin_cards() -> dict[str, ModelCard]:
    """Name -> card, in the order of the file (the default model first)."""
    text = files("malmoi.engine.catalog").joinpath("builtin.toml").read_text(encoding="utf-8")
    return {name: ModelCard(name=name, **entry) for name, entry in tomllib.loads(text).items()}
