"""Fences: texts of tools and documents between marks that whoever wrote them cannot know.

    [[[c41f9a2b7d305e88
    ... what the tool said ...
    c41f9a2b7d305e88]]]

The number is random in each request. What looks like a mark inside is taken apart, and lines that give the
model orders are scored (`rules/injection.toml`); a policy may have them cut out. A fence is no proof that a
model does not obey: it is told not to, and the cutting works whatever the model does.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Set
from functools import lru_cache
from secrets import token_hex

from malmoi.assist.guard.data import read_table, read_text
from malmoi.assist.guard.lists import fold
from malmoi.assist.guard.verdict import Reason

CUT = "[지시문 삭제됨 / instruction removed]"
_MARK = re.compile(r"(?<=\[)(?=\[)|(?<=\])(?=\])")
_LINE = re.compile(r"[^\n]*\n?")
_RUN = re.compile(r"\s+|\S+")
_LONGEST = 2000  # characters that are looked at together
_OVERLAP = 400  # of them again with the next


class Fence:
    """Sets texts of one request between its marks."""

    def __init__(self) -> None:
        self.nonce = token_hex(8)

    def instruction(self) -> str:
        """What the model is told about the marks."""
        return read_text("prompts", "fence.txt").strip().replace("{nonce}", self.nonce)

    def around(self, text: str) -> str:
        """The text between marks; marks inside are taken apart, so that it cannot leave the fence."""
        inside = _MARK.sub(" ", text).replace(self.nonce, "")
        return f"[[[{self.nonce}\n{inside}\n{self.nonce}]]]"


def find_orders(text: str, threshold: float) -> list[Reason]:
    """Lines of `text` that give the model orders, with their scores in [0, 1]; an order may go over lines."""
    starts = [line.start() for line in _LINE.finditer(text) if line.group()]
    told: dict[int, set[int]] = {}
    for number, start, end in _matches(text):
        for line in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
            told.setdefault(line, set()).add(number)
    found: list[Reason] = []
    for line, numbers in sorted(told.items()):
        start, end = starts[line], starts[line + 1] if line + 1 < len(starts) else len(text)
        score = _score(numbers)
        if score >= threshold and not text[start:end].isspace():
            found.append(Reason("injection", score, "rule:injection", start, end))
    return found


def order_score(text: str) -> float:
    """How much a text looks like orders to the model: 1 - the product of (1 - weight) of what is found."""
    return _score({number for number, _, _ in _matches(text)})


def _score(numbers: Set[int]) -> float:
    doubt = 1.0
    for number in sorted(numbers):
        doubt *= 1 - _phrases()[number][1]
    return round(1 - doubt, 4)


def _matches(text: str) -> Iterator[tuple[int, int, int]]:
    """`(phrase, start, end)` of what is found; some of it twice."""
    for begin in range(0, len(text), _LONGEST):
        folded, places = fold(text[begin : begin + _LONGEST + _OVERLAP])
        # Runs of white space are one sign: phrases are read over them, in linear time.
        parts: list[str] = []
        at: list[int] = []
        for run in _RUN.finditer(folded):
            part = run.group()
            if part.isspace():
                part = "\n" if "\n" in part else " "
            parts.append(part)
            at += range(run.start(), run.start() + len(part))
        plain = "".join(parts)
        for number, (pattern, _) in enumerate(_phrases()):
            for match in pattern.finditer(plain):
                start, end = places[at[match.start()]], places[at[match.end() - 1]] + 1
                yield number, begin + start, begin + end


def cut_orders(text: str, found: list[Reason]) -> str:
    """The text without the lines that give orders."""
    parts: list[str] = []
    last = 0
    for reason in found:
        end = "\n" if text[reason.start : reason.end].endswith("\n") else ""
        parts += [text[last : reason.start], CUT, end]
        last = reason.end
    return "".join([*parts, text[last:]])


@lru_cache
def _phrases() -> tuple[tuple[re.Pattern[str], float], ...]:
    phrases = read_table("rules", "injection.toml")["phrases"]
    return tuple((re.compile(one["pattern"], re.MULTILINE), float(one["weight"])) for one in phrases)
