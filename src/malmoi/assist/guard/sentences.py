"""Sentences: where one ends, in a whole text and in one that grows; and the language of a text."""

import re
from collections.abc import Iterator

from malmoi.assist.guard.data import Language
from malmoi.core.hangul import is_hangul

# A sentence ends behind its mark when white space follows, or at a line's end.
_END = re.compile(r"[.!?…。！？]+[\"'”’」』)\]]*\s+|\n+")
_ENDS = re.compile(r"(?:[.!?…。！？][\"'”’」』)\]]*\s|\n)\Z")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """`(start, end)` of each sentence, with the white space behind it; they make up the whole text."""
    start = 0
    for mark in _END.finditer(text):
        yield start, mark.end()
        start = mark.end()
    if start < len(text):
        yield start, len(text)


def ends_sentence(text: str) -> bool:
    """Whether `text`, which ends in white space, ends a sentence."""
    return _ENDS.search(text) is not None


def language_of(text: str) -> Language:
    """Korean when any Hangul is in it, else English."""
    return "ko" if any(is_hangul(char) for char in text) or not text.strip() else "en"
