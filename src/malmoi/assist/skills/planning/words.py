"""The words of `words.toml`, and patterns made of them."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Words:
    """Word lists by name, as the file has them."""

    told: dict[str, dict[str, Any]]

    def of(self, name: str) -> dict[str, Any]:
        """One list."""
        return self.told[name]

    def pattern(self, name: str) -> str:
        """A pattern for any word of a list; the longest first."""
        return any_of(self.told[name])

    def units(self) -> dict[str, str]:
        """What is counted, by every word for it."""
        return {word: unit for unit, words in self.told["units"].items() for word in words}


@lru_cache
def load_words() -> Words:
    """Read the lists once."""
    return Words(tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8")))


def any_of(words: Iterable[str]) -> str:
    """A pattern for any of these words; English ones only where they stand alone."""
    parts = [
        # Digits may stand before a word ("2km"), letters may not.
        rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z\d])"
        if word.isascii() and word.replace(" ", "").isalpha()
        else re.escape(word)
        for word in sorted(words, key=len, reverse=True)
    ]
    return "(?:" + "|".join(parts) + ")"
