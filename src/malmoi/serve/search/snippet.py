"""The piece of a text around what was searched, and where in it the matches stand. Pure functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from malmoi.core.hangul import fold, is_cjk
from malmoi.serve.search.terms import QueryWord

_LENGTH = 160  # characters of a snippet
_BEFORE = 40  # of these, before the first match
_MAX_MATCHES = 50


@dataclass(frozen=True, slots=True)
class Snippet:
    """Plain text in one line; `ranges` are UTF-16 offsets in it, in order, not overlapping."""

    text: str
    ranges: list[tuple[int, int]]


def make_snippet(text: str, query: Sequence[QueryWord]) -> Snippet:
    """The surroundings of the first match in `text` (its beginning when nothing stands there literally)."""
    matches = find_matches(text, query)
    first = matches[0][0] if matches else 0
    start = max(0, first - _BEFORE)
    if start:  # begin at a word
        space = text.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    end = min(len(text), start + _LENGTH)
    before = "…" if start else ""
    after = "…" if end < len(text) else ""
    shown = before + re.sub(r"\s", " ", text[start:end]) + after
    shift = len(before) - start
    inside = [(max(a, start) + shift, min(b, end) + shift) for a, b in matches if a < end and b > start]
    return Snippet(shown, [(_utf16(shown, a), _utf16(shown, b)) for a, b in inside])


def find_matches(text: str, query: Sequence[QueryWord]) -> list[tuple[int, int]]:
    """Where the words of a query stand in `text`, as `(start, end)`, in order, merged where they touch."""
    folded, places = _folded(text)
    found: list[tuple[int, int]] = []
    for word in query:
        literal = [span for part in word.literals for span in _occurrences(folded, part)]
        if not all(part in folded for part in word.literals):
            literal = [span for part in word.morphemes for span in _occurrences(folded, part)]
        found.extend(literal)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found)[:_MAX_MATCHES]:
        a, b = places[start], places[end - 1] + 1
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def _folded(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the place in `text` that it comes from."""
    pieces: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        piece = fold(char)
        pieces.append(piece)
        places.extend([place] * len(piece))
    return "".join(pieces), places


def _occurrences(folded: str, literal: str) -> list[tuple[int, int]]:
    # Words of other scripts are found by their beginning, as the index finds them.
    pattern = re.escape(literal) if is_cjk(literal) else rf"(?<![^\W_]){re.escape(literal)}"
    spans = [match.span() for match in re.finditer(pattern, folded)]
    return spans[:_MAX_MATCHES]


def _utf16(text: str, place: int) -> int:
    return len(text[:place].encode("utf-16-le")) // 2
