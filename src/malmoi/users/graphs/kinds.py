"""The kinds of node models by name, and what they share that needs no torch: settings and outcomes.

model = build_node_models().get("gesm")      # imports torch
settings = model.settings_type(depth=20)
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.registry import Registry
from malmoi.core.stage import Task
from malmoi.users.base import UserModelSettings
from malmoi.users.graphs.graph import Graph


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


class Outcome(BaseModel):
    """What one seed came to; accuracies are shares of nodes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int
    test_accuracy: float
    validation_accuracy: float
    best_epoch: int
    """Epoch (from 1) whose scores were judged."""
    epochs: int
    """Epochs done."""
    seconds: float
    """Of training and validation, over all processes that worked on it."""
    cpu_seconds: float
    """The same in seconds of computing: what it takes where nobody else uses the processor."""


class NodeModelType(Protocol):
    """A class of node models: `model(settings, graph)` is a torch module (`nodes.NodeModel`)."""

    settings_type: ClassVar[type[NodeSettings]]

    def __call__(self, settings: Any, graph: Graph) -> Any:
        """A module over the graph."""
        ...


class Trained(Protocol):
    """A trained model with its figures."""

    outcome: Outcome

    def save(self, path: Path) -> None:
        """Scores of all nodes and weights as one safetensors file."""
        ...


KINDS = {
    "gsm": "malmoi.users.graphs.gsm:GSM",
    "gesm": "malmoi.users.graphs.gesm:GESM",
    "propagate": "malmoi.users.graphs.propagation:Propagation",
}


def build_node_models() -> Registry[NodeModelType]:
    """All kinds, each imported (and torch with it) when it is first asked for."""
    registry: Registry[NodeModelType] = Registry("node_model")
    for name, target in KINDS.items():
        registry.add(name, target)
    return registry


def train_model(
    kind: str, settings: NodeSettings, graph: Graph, *, seed: int, work: Path, key: str, task: Task | None
) -> Trained:
    """`training.train_nodes`, with torch imported only now."""
    train: Callable[..., Trained] = import_module("malmoi.users.graphs.training").train_nodes
    return train(kind, settings, graph, seed=seed, work=work, key=key, task=task)
