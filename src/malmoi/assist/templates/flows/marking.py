"""A question of a quiz with its key, and whether an answer is right. Pure functions."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from malmoi.assist.templates.flows.wording import figures, squeezed

_NOTE = "quiz"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨"
_NUMBER = re.compile(r"^\(?\s*([1-9])\s*(?:번|[.)]|$)(?![0-9])")
_LETTER = re.compile(r"^\(?\s*([a-dA-D])\s*(?:[.)]|$)")
_CLOSE = 0.85  # of the letters of a short answer that must be the same
_LONGEST = 120  # characters of a short answer that are compared


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked.

    Attributes:
        key: the number of the right choice from 1 on, or the short answer.
        is_over: the round has ended with this message.
    """

    number: int
    count: int
    question: str
    key: str
    explanation: str
    choices: tuple[str, ...] = ()
    is_over: bool = False

    def ended(self) -> "Asked":
        """The mark of the end of a round."""
        return replace(self, is_over=True)

    def to_notes(self) -> dict[str, Any]:
        """For the notes of the message."""
        return {_NOTE: {**asdict(self), "choices": list(self.choices)}}

    @classmethod
    def read(cls, notes: Mapping[str, Any] | None) -> "Asked | None":
        """Out of the notes of a message; None: it asks nothing."""
        held = (notes or {}).get(_NOTE)
        if not isinstance(held, Mapping):
            return None
        return cls(**{**held, "choices": tuple(held["choices"])})


def shown_choices(asked: Asked) -> str:
    """The choices as a numbered list."""
    return "\n".join(f"{number}. {choice}" for number, choice in enumerate(asked.choices, 1))


def chosen(asked: Asked, said: str) -> int | None:
    """The number of the choice that an answer names by number, letter or words; None: none, or several."""
    text = said.strip()
    if text[:1] and text[0] in _CIRCLED:
        number = _CIRCLED.index(text[0]) + 1
    elif found := _NUMBER.match(text):
        number = int(found[1])
    elif found := _LETTER.match(text):
        number = "abcd".index(found[1].lower()) + 1
    else:
        same = [
            place
            for place, choice in enumerate(asked.choices, 1)
            if squeezed(choice) and squeezed(choice) == squeezed(text)
        ]
        return same[0] if len(same) == 1 else None
    return number if number <= len(asked.choices) else None


def is_readable(asked: Asked, said: str) -> bool:
    """Whether an answer can be marked."""
    return chosen(asked, said) is not None if asked.choices else bool(squeezed(said))


def is_right(asked: Asked, said: str) -> bool:
    """Whether an answer is right; short answers are compared by their letters, with room for a slip."""
    if asked.choices:
        return chosen(asked, said) == int(asked.key)
    key, text = squeezed(asked.key), squeezed(said[:_LONGEST])
    if not key or not text:
        return False
    if figures(asked.key) and figures(asked.key) != figures(said):
        return False
    if key == text or (len(key) >= 2 and key in text and len(text) <= len(key) + 12):
        return True
    if len(key) < 4:
        return False  # a slip in a short word makes another one
    return SequenceMatcher(None, key, text).ratio() >= _CLOSE
