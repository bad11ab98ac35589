"""Statements: what of a source is compared and cited as one; a sentence, or a part of a very long one."""

import re

from malmoi.assist.retrieval.sentences import sentence_spans

LONGEST = 400
"""Characters; a longer sentence, such as a list in one line, is cut where it pauses."""

_LEAST = 120  # characters of a part of a long sentence
_PAUSE = re.compile(r"[,;:]\s+|\s+(?=[①-⑳])")


def statements(text: str) -> list[tuple[int, int]]:
    """`(start, end)` of each statement, in order, without the white space around it."""
    return [part for start, end in sentence_spans(text) for part in _cut(text, start, end)]


def _cut(text: str, start: int, end: int) -> list[tuple[int, int]]:
    parts: list[tuple[int, int]] = []
    while end - start > LONGEST:
        pauses = list(_PAUSE.finditer(text, start + _LEAST, start + LONGEST))
        if pauses:
            stop, following = pauses[-1].start(), pauses[-1].end()
        else:
            space = text.rfind(" ", start + _LEAST, start + LONGEST)
            stop = following = space if space > 0 else start + LONGEST
        parts.append((start, stop + len(text[stop:following].rstrip())))
        start = following
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        parts.append((start, end))
    return parts
