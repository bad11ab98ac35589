"""Engines whose behaviour in context is known, so that the study's figures can be computed by hand.

They read prompts of the minimal wording: demonstrations are blocks of two lines, parted by an empty line; the
question is a word such as `red7`, whose letters are its kind.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from malmoi.engine.base import EngineInfo, Score

Read = tuple[list[tuple[str, str]], str, str]
"""Demonstrations (question, label), the question, and the label that is scored."""


def read_direct(context: str, continuation: str) -> Read:
    *shown, question = context.split("\n\n")
    shots = [(line.split("\n")[0], line.split("\n")[1]) for line in shown]
    return shots, question, continuation.strip()


def read_channel(context: str, continuation: str) -> Read:
    *shown, label = context.split("\n\n")
    shots = [(line.split("\n")[1], line.split("\n")[0]) for line in shown]
    return shots, continuation.strip(), label


def kind(question: str) -> str:
    return question.rstrip("0123456789")


class ToyEngine:
    """Scores by a function of what it has read; it can do nothing else, as `info` says."""

    def __init__(self, probability: Callable[[Read], float], *, channel: bool = False) -> None:
        self._probability = probability
        self._read = read_channel if channel else read_direct
        self.pairs: list[tuple[str, str]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("toy", "toy", frozenset({"score"}), 10_000)

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        self.pairs += pairs
        values = [math.log(max(self._probability(self._read(*pair)), 1e-9)) for pair in pairs]
        return [Score(value, (value,), False) for value in values]


def copy_majority(read: Read) -> float:
    """The share of the demonstrations that have this label, whatever they ask."""
    shots, _, label = read
    return sum(given == label for _, given in shots) / len(shots) if shots else 0.5


def copy_nearest(read: Read) -> float:
    """The label of the demonstration that asks the very same."""
    shots, question, label = read
    return 0.9 if any(asked == question and given == label for asked, given in shots) else 0.1


def learn_mapping(read: Read) -> float:
    """The label that demonstrations of the same kind have most often: what the mapping says."""
    shots, question, label = read
    own = Counter(given for asked, given in shots if kind(asked) == kind(question))
    return (own[label] + 0.01) / (sum(own.values()) + 0.02)


def know_already(right: Mapping[str, str]) -> Callable[[Read], float]:
    """The right label from before, without a look at the demonstrations."""
    return lambda read: 0.8 if right.get(kind(read[1])) == read[2] else 0.2
