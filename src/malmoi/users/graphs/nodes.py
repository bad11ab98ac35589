"""What a model of a graph's nodes is: class scores of all nodes, and what its loss must know.

N nodes, C classes, R of them in a loss, D numbers of a hidden vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Scored:
    """One pass over the graph.

    Attributes:
        logits: class scores of the nodes that were asked for, (R, C).
        hidden: of all nodes before attention, (N, D), for the structure regulariser; None: it has none.
    """

    logits: Tensor
    hidden: Tensor | None = None


class NodeModel(Protocol):
    """A module over one graph, which it holds as constants."""

    def __call__(self, rows: Tensor | None) -> Scored:
        """Scores of the nodes `rows`, (R,); None: of all nodes. Dropout as the module's mode has it."""
        ...

    def penalised(self) -> Sequence[nn.Parameter]:
        """The weights whose squares are part of the loss."""
        ...
