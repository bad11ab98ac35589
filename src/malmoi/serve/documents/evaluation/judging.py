"""Which passages answer a question, and how good a ranking is. Pure functions.

A passage answers when it has at least half of the words quoted. The same words may stand in another document
as well (a page that was copied); what stands there answers as well. Where passages were judged (`judgments`),
one that holds the whole of what was judged has its grade, and the words quoted have the best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2

RECALL_AT = 5
NDCG_AT = 10
BEST = 2
"""The grade of what alone answers a question; 1 helps, 0 does not."""
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Some characters of a document."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Graded:
    """Some characters of a document, and how well they answer a question."""

    span: Span
    grade: int


def fold_text(text: str) -> str:
    """The letters and digits of a text without their case: marks and spaces do not matter."""
    return "".join(char.casefold() for char in text if char.isalnum())


def places_of(text: str) -> list[int]:
    """Where each letter of `fold_text` stands in the text."""
    return [place for place, char in enumerate(text) if char.isalnum() for _ in char.casefold()]


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
        places = places_of(texts[name])
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


def grade(passage: Span, spans: Sequence[Span], graded: Sequence[Graded]) -> int:
    """How well a passage answers: `BEST`, 1 or 0.

    Args:
        passage: that was found.
        spans: where the words of the answer stand.
        graded: what was judged.
    """
    if answers(passage, spans):
        return BEST
    return max((one.grade for one in graded if _holds(passage, one.span)), default=0)


def _holds(passage: Span, span: Span) -> bool:
    return passage.document == span.document and passage.start <= span.start and span.end <= passage.end


def recall(hits: Sequence[bool], at: int = RECALL_AT) -> float:
    """1 when one of the first `at` hits answers, else 0."""
    return float(any(hits[:at]))


def ndcg(gains: Sequence[int], best: Sequence[int], at: int = NDCG_AT) -> float:
    """Normalised discounted cumulative gain of the first `at` hits (Järvelin and Kekäläinen 2002).

    Args:
        gains: of each hit, best hit first.
        best: the gains of all passages of the collection. Hits of several passages may together gain more
            than these would; that is 1.
        at: how many hits are looked at.
    """

    def discounted(some: Sequence[int]) -> float:
        return sum(gain / log2(place + 2) for place, gain in enumerate(some[:at]))

    ideal = discounted(sorted(best, reverse=True))
    return min(1.0, discounted(gains) / ideal) if ideal else 0.0
