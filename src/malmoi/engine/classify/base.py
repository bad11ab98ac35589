"""What a classifier of text looks like to those who use one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """From which probability on a text counts as flagged, and what that was chosen for and measured to give.

    Attributes:
        name: such as `precision_0.9` or `false_positives_0.05`.
        flagged: the labels whose probabilities are added up.
        threshold: in [0, 1].
        precision: share of the flagged that should be, on texts held out; None: nothing was flagged.
        recall: share of those that should be flagged that are.
        false_positive_rate: share of the harmless that are flagged.
    """

    name: str
    flagged: tuple[str, ...]
    threshold: float
    precision: float | None
    recall: float
    false_positive_rate: float


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """Labels of which exactly one is right: their probabilities sum to one.

    Attributes:
        name: of the question that is answered, such as `safe`.
        labels: in the order of the columns.
        harmless: the label that asks for nothing to be done; None: all labels are kinds of the same.
        points: operating points.
        decision: the greatest `probability * decision` chooses the label; it gives rare labels their due.
    """

    name: str
    labels: tuple[str, ...]
    harmless: str | None
    points: tuple[OperatingPoint, ...] = ()
    decision: tuple[float, ...] = ()

    def choose(self, chances: Sequence[float]) -> str:
        """The label that one text gets, from its probabilities of this group's labels."""
        factors = self.decision or (1.0,) * len(self.labels)
        weighed = [chance * factor for chance, factor in zip(chances, factors, strict=True)]
        return self.labels[weighed.index(max(weighed))]


@runtime_checkable
class TextClassifier(Protocol):
    """Gives each text calibrated probabilities. Safe for use by several threads.

    One classifier may answer several questions at once, a `LabelGroup` for each; no two share a label.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, L of them: the columns of `predict`."""
        ...

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The questions, in the order of their labels."""
        ...

    def predict(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Probabilities: (N, L) in [0, 1], those of a group summing to one.

        Args:
            texts: what is judged: sentences, or passages, of which the riskiest piece counts.
            contexts: what was said before each text, "" for nothing; None: nothing before any.

        Raises:
            InvalidInput: the numbers of texts and contexts differ.
        """
        ...
