"""Fences: texts of tools and documents between marks that whoever wrote them cannot know.

    [[[c41f9a2b7d305e88
    ... what the tool said ...
    c41f9a2b7d305e88]]]

The number is random in each request. What looks like a mark inside is taken apart, and lines that give the
model orders are scored (`rules/injection.toml`); a policy may have them cut out. A fence is no proof that a
model does not obey: it is told not to, and the cutting works whatever the model does.
"""

import re
from functools import lru_cache
from secrets import token_hex

from malmoi.assist.guard.data import read_table, read_text
from malmoi.assist.guard.lists import fold
from malmoi.assist.guard.verdict import Reason

CUT = "[지시문 삭제됨 / instruction removed]"
_MARK = re.compile(r"(?<=\[)(?=\[)|(?<=\])(?=\])")
_LINE = re.compile(r"[^\n]*\n?")
_LONGEST = 2000  # characters of a line that are looked at


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
    """Lines of `text` that give the model orders, with their scores in [0, 1]."""
    found: list[Reason] = []
    for line in _LINE.finditer(text):
        score = order_score(line.group())
        if line.group() and score >= threshold:
            found.append(Reason("injection", score, "rule:injection", line.start(), line.end()))
    return found


def order_score(text: str) -> float:
    """How much a text looks like orders to the model: 1 - the product of (1 - weight) of what is found."""
    folded = fold(text)[0]
    doubt = 1.0
    for start in range(0, max(1, len(folded)), _LONGEST):
        part = folded[start : start + _LONGEST + 200]
        for pattern, weight in _phrases():
            if pattern.search(part) is not None:
                doubt *= 1 - weight
    return round(1 - doubt, 4)


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
    return tuple((re.compile(one["pattern"], re.IGNORECASE), float(one["weight"])) for one in phrases)
