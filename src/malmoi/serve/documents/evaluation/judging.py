"""Which passages answer a question, and how good a ranking is. Pure functions.

A passage answers when it has at least half of the words quoted. The same words may stand in another document
as well (a page that was copied); what stands there answers as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

RECALL_AT = 5
NDCG_AT = 10
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Some characters of a document."""

    document: str
    start: int
    end: int


def fold_text(text: str) -> str:
    """The letters and digits of a text without their case: marks and spaces do not matter."""
    return "".join(char.casefold() for char in text if char.isalnum())


def find_answer(texts: Mapping[str, str], folded: Mapping[str, str], answer: str) -> list[Span]:
    """Where the words of an answer stand.

    Args:
        texts: the texts of the documents by name.
        folded: the same after `fold_text`.
        answer: the words.
    """
    wanted = fold_text(answer)
    found: list[Span] = []
    for name, inside in folded.items():
        at = inside.find(wanted)
        if at < 0:
            continue
        places = [place for place, char in enumerate(texts[name]) if char.isalnum() for _ in char.casefold()]
        while at >= 0:
            found.append(Span(name, places[at], places[at + len(wanted) - 1] + 1))
            at = inside.find(wanted, at + len(wanted))
    return found


def answers(passage: Span, spans: Sequence[Span]) -> bool:
    """Whether a passage has at least half of one of the spans."""
    return any(
        passage.document == span.document
        and min(passage.end, span.end) - max(passage.start, span.start) >= _SHARE * (span.end - span.start)
        for span in spans
    )


def recall(hits: Sequence[bool], at: int = RECALL_AT) -> float:
    """1 when one of the first `at` hits answers, else 0."""
    return float(any(hits[:at]))


def ndcg(hits: Sequence[bool], relevant: int, at: int = NDCG_AT) -> float:
    """Normalised discounted cumulative gain of the first `at` hits (Järvelin and Kekäläinen 2002).

    Args:
        hits: whether each hit answers, best first.
        relevant: how many passages of the collection answer.
        at: how many hits are looked at.
    """
    gained = sum(1 / log2(place + 2) for place, hit in enumerate(hits[:at]) if hit)
    ideal = sum(1 / log2(place + 2) for place in range(min(relevant, at)))
    return gained / ideal if ideal else 0.0
