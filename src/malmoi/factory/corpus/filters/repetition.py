"""Text that says the same again and again: lines, paragraphs, n-grams.

The shares follow Gopher (Rae et al. 2021, table A1), but n-grams are of characters and not of words: Korean
words end in particles, so that a repeated phrase is seldom the same row of words, and no word limits are
needed for Japanese or Chinese. An n-gram of 12 characters is three to four eojeols. Of a long text three
windows are looked at. Cost: one sort of the n-grams' hashes.
"""

import re
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings

_HANGUL = re.compile("[가-힣ㄱ-ㅣ]")
WINDOW = 16_384
SHORT = 300
"""Below this many characters a Python set of strings is faster than arrays."""


class RepetitionSettings(FilterSettings):
    """How much of a text may be repetition."""

    max_duplicate_line_share: float = Field(0.3, ge=0, le=1)
    """Of the lines, those that were there before."""
    max_duplicate_line_characters: float = Field(0.3, ge=0, le=1)
    """Of the characters, those in such lines."""
    max_duplicate_paragraph_share: float = Field(0.3, ge=0, le=1)
    """Of the paragraphs, those that were there before."""
    max_duplicate_lines_in_code: float = Field(0.6, ge=0, le=1)
    """The share of characters in repeated lines for code, which repeats itself by nature."""
    ngram: int = Field(12, ge=2, le=64)
    """Characters of an n-gram."""
    max_duplicate_ngram_share: float = Field(0.45, ge=0, le=1)
    """Of the n-grams, those that were there before in the same window."""
    max_top_ngram_share: float = Field(0.2, ge=0, le=1)
    """Of the characters, those of the most frequent n-gram that is not only spaces."""
    min_lines: int = Field(4, ge=2)
    """Texts of fewer lines (or paragraphs) are judged by n-grams alone."""
    min_characters: int = Field(30, ge=1)
    """Shorter texts are not judged by n-grams."""


class RepetitionFilter(Filter[RepetitionSettings]):
    """Reasons: `duplicate_lines`, `duplicate_paragraphs`, `duplicate_ngrams`, `top_ngram`."""

    Settings = RepetitionSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        text, settings = document.text, self.settings
        code = document.language == "code"
        lines = _parts(text, "\n", document.language)
        if len(lines) >= settings.min_lines:
            share, characters = _duplicates(lines)
            if code:
                # Braces and `end` alone on a line say nothing: in code only characters count.
                return "duplicate_lines" if characters > settings.max_duplicate_lines_in_code else None
            if characters > settings.max_duplicate_line_characters or (
                share > settings.max_duplicate_line_share
                and characters > settings.max_duplicate_line_characters / 3
            ):
                return "duplicate_lines"
            if "\n\n" in text:
                paragraphs = _parts(text, "\n\n", document.language)
                if len(paragraphs) >= settings.min_lines and (
                    _duplicates(paragraphs)[0] > settings.max_duplicate_paragraph_share
                ):
                    return "duplicate_paragraphs"
        prose = "\n".join(lines)
        if code or len(prose) < settings.min_characters:
            return None
        for window in _windows(prose):
            duplicate, top = ngram_shares(window, settings.ngram)
            if duplicate > settings.max_duplicate_ngram_share:
                return "duplicate_ngrams"
            if top > settings.max_top_ngram_share:
                return "top_ngram"
        return None


def _parts(text: str, separator: str, language: str) -> list[str]:
    """Lines or paragraphs to compare: prose, without the code and rulers that a tutorial repeats."""
    parts = text.split(separator)
    if language == "ko":
        return [part for part in parts if _HANGUL.search(part)]
    if language == "code":
        return [part for part in parts if part and not part.isspace()]
    return [part for part in parts if part and not part.isspace() and part[-1] not in ";{}()<>,=-~#*_"]


def _duplicates(parts: list[str]) -> tuple[float, float]:
    """Share of the parts that were there before, and of their characters."""
    once = set(parts)
    if len(once) == len(parts):
        return 0.0, 0.0
    total = sum(map(len, parts))
    return 1 - len(once) / len(parts), 1 - sum(map(len, once)) / total


def _windows(text: str) -> list[str]:
    if len(text) <= 3 * WINDOW:
        return [text]
    middle = len(text) // 2
    return [text[:WINDOW], text[middle : middle + WINDOW], text[-WINDOW:]]


def ngram_shares(text: str, n: int) -> tuple[float, float]:
    """Share of the character n-grams that were there before, and of the characters in the most frequent one.

    An n-gram that occurs once or twice is no top: its share is 0.
    """
    total = len(text) - n + 1
    if total < 2:
        return 0.0, 0.0
    if len(text) < SHORT:
        grams = [text[start : start + n] for start in range(total)]
        distinct = len(set(grams))
        if distinct == total:
            return 0.0, 0.0
        gram, count = Counter(grams).most_common(1)[0]
        return 1 - distinct / total, _covered(gram, count, len(text))
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(total, dtype=np.uint64)
    for place, factor in enumerate(_factors(n)):
        hashes += codes[place : place + total] * factor
    ordered = np.sort(hashes)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(starts, total))
    most = int(counts.argmax())
    place = int(np.argmax(hashes == ordered[starts[most]]))
    return 1 - len(starts) / total, _covered(text[place : place + n], int(counts[most]), len(text))


def _covered(gram: str, count: int, characters: int) -> float:
    """Share of a text's characters that `count` times `gram` make up; spaces, or twice, are 0."""
    if count < 3 or gram.isspace():
        return 0.0
    # "ㅋㅋㅋㅋ" overlaps with itself: each further one adds a period and not its length.
    period = next(step for step in range(1, len(gram) + 1) if gram[step:] == gram[: len(gram) - step])
    return min(1.0, ((count - 1) * period + len(gram)) / characters)


@cache
def _factors(n: int) -> Any:
    """One odd 64-bit factor for each place, from a fixed seed."""
    draws = np.random.default_rng(20211208).integers(0, 1 << 63, size=n, dtype=np.uint64)
    return draws * np.uint64(2) + np.uint64(1)
