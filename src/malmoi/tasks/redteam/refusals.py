"""Telling a refusal from an answer, in Korean and English, by how it begins.

It serves two ends: a rewritten answer should not be a bare refusal, and a model that refuses harmless
questions is too careful. It is a rule, not a model: what it finds are the usual phrases.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from malmoi.core.config import read_toml
from malmoi.core.hangul import nfc


@dataclass(frozen=True, slots=True)
class _Phrases:
    openings: re.Pattern[str]
    helping: re.Pattern[str]
    longest: int
    opening: int


def is_refusal(text: str) -> bool:
    """Whether a reply begins by declining to answer."""
    phrases = _phrases()
    return phrases.openings.search(nfc(text).strip()[: phrases.opening]) is not None


def is_bare_refusal(text: str) -> bool:
    """Whether a reply declines and offers nothing: no information, no alternative, nobody to turn to."""
    phrases = _phrases()
    text = nfc(text).strip()
    return len(text) <= phrases.longest and is_refusal(text) and phrases.helping.search(text) is None


def load_harmless_questions(language: str) -> tuple[str, ...]:
    """Questions that sound dangerous and are not, in `ko` or `en`."""
    return tuple(read_toml(_data("harmless.toml"))[language])


@cache
def _phrases() -> _Phrases:
    data = read_toml(_data("refusals.toml"))
    return _Phrases(
        openings=re.compile("|".join(data["openings"]), re.IGNORECASE),
        helping=re.compile("|".join(data["helping"]), re.IGNORECASE),
        longest=int(data["longest"]),
        opening=int(data["opening"]),
    )


def _data(name: str) -> Path:
    return Path(str(files("malmoi") / "tasks" / "redteam" / "data" / name))
