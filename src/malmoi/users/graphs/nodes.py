"""What a model of a graph's nodes is: class scores of all nodes, and what its loss must know.

N nodes, C classes, R of them in a loss, D numbers of a hidden vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field
from torch import Tensor, nn

from malmoi.users.base import UserModelSettings


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


class NodeSettings(UserModelSettings):
    """How a model of nodes is trained."""

    learning_rate: float = Field(3e-3, gt=0)
    """Of Adam."""
    l2: float = Field(3e-3, ge=0)
    """The loss has l2 / 2 times the sum of the squares of the penalised weights."""
    structure: float = Field(0.0, ge=0)
    """Weight of the structure regulariser; 0: none."""
    beta: float = Field(1.0, ge=0, le=1)
    """Of the structure regulariser: 1 pulls neighbours together, less also pushes strangers apart."""
    edge_share: float = Field(0.05, gt=0, le=1)
    """Share of the edges that the structure regulariser draws at each step."""
    num_epochs: int = Field(300, ge=1)
    """At most; an epoch is one step over the whole graph."""
    patience: int = Field(20, ge=1)
    """Stop after so many epochs in which neither validation accuracy nor validation loss was the best."""
