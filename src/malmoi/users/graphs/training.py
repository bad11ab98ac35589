"""Training of node models: one step an epoch over the whole graph, stopped by validation, resumable.

The loss is cross-entropy of the labelled nodes + l2 / 2 sum |W|^2 + the structure regulariser

    mean over drawn edges (u, v) of max(0, beta (1 - sigma(z_u . z_v)) - (1 - beta) (1 - sigma(z_u . z_n)))

with one node n drawn for each edge (Shin et al. 2020, arXiv 2005.08485, section 3.4). Stopping is that of its
authors' program: training ends when for `patience` epochs neither validation accuracy nor validation loss
reached its best, and the scores that are judged are those of the last epoch in which both did.

Random numbers are seeded by (seed, epoch), so a run that was killed goes on to the same result.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import Task
from malmoi.factory.train.loop import hash_numbers
from malmoi.users.graphs.checkpoint import read_checkpoint, write_checkpoint
from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.kinds import NodeSettings, Outcome, build_node_models
from malmoi.users.graphs.nodes import Scored

CHECKPOINT = "nodes.safetensors"
_FIXED = -1
"""Stands for the epoch where the drawn edges of evaluation are meant: always the same ones."""


class _Progress(BaseModel):
    """The counts of a run that is under way."""

    model_config = ConfigDict(extra="forbid")
    key: str
    epoch: int = 0
    best_epoch: int = 0
    highest: float = 0.0
    lowest: float | None = None
    idle: int = 0
    finished: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """An outcome with what it was made of.

    Attributes:
        outcome: the figures.
        scores: class scores of all nodes at the best epoch, (N, C).
        weights: the module's weights at that epoch.
    """

    outcome: Outcome
    scores: Tensor
    weights: dict[str, Tensor]

    def save(self, path: Path) -> None:
        """Scores of all nodes and weights as one safetensors file.

        Raises:
            DiskFull: there is no room.
        """
        tensors = {"scores": self.scores} | {f"weights.{n}": t for n, t in self.weights.items()}
        write_checkpoint(path, tensors, {"seed": self.outcome.seed})


def train_nodes(
    kind: str,
    settings: NodeSettings,
    graph: Graph,
    *,
    seed: int,
    work: Path,
    key: str = "",
    task: Task | None = None,
    save_seconds: float = 10.0,
) -> Trained:
    """Train one model with one seed, going on from the checkpoint in `work` if there is one.

    Args:
        kind: a name in `kinds.KINDS`.
        settings: its settings.
        graph: with features, labels and a split.
        seed: of weights, dropout, hops and drawn edges.
        work: an existing folder of this run alone.
        key: names what the checkpoint belongs to, such as a digest of the graph's file.
        task: is told of every epoch.
        save_seconds: between two checkpoints.

    Raises:
        MalmoiError: the loss is not finite.
        Conflict: the checkpoint belongs to another run.
    """
    torch.manual_seed(hash_numbers(seed, 0))
    module = build_node_models().get(kind)(settings, graph)
    fit = _Fit(module, settings, graph, seed)
    whole = json.dumps([key, kind, settings.model_dump(mode="json"), seed, len(graph)], sort_keys=True)
    state = _Progress(key=whole)
    path = work / CHECKPOINT
    if (facts := read_checkpoint(path, fit.tensors, key=whole)) is not None:
        state = _Progress.model_validate(facts)
    saved = time.monotonic()
    clock, processor = saved - state.seconds, time.process_time() - state.cpu_seconds
    while not state.finished:
        fit.step(state)
        fit.validate(state)
        state.finished = state.epoch >= settings.num_epochs or state.idle >= settings.patience
        state.seconds = time.monotonic() - clock
        state.cpu_seconds = time.process_time() - processor
        if task is not None:
            task.advance(1, epoch=state.epoch, validation=100 * state.highest)
        if state.finished or time.monotonic() - saved >= save_seconds:
            write_checkpoint(path, fit.tensors, state.model_dump())
            saved = time.monotonic()
    return fit.result(state)


class _Fit:
    """Module, optimizer and the best so far, as tensors with names that a checkpoint can hold."""

    def __init__(self, module: nn.Module, settings: NodeSettings, graph: Graph, seed: int) -> None:
        self.module, self.settings, self.seed = module, settings, seed
        self.rows = {
            name: torch.from_numpy(part)
            for name, part in (("train", graph.train), ("val", graph.validation), ("test", graph.test))
        }
        self.labels = torch.from_numpy(graph.labels)
        # The walk's edges: the authors draw from those with self-loops.
        loops = torch.arange(len(graph)).expand(2, -1)
        self.edges = torch.cat([torch.from_numpy(graph.edges), loops], dim=1)
        weights = dict(module.named_parameters())
        self.optimizer = torch.optim.Adam(weights.values(), lr=settings.learning_rate, fused=True)
        self.tensors: dict[str, Tensor] = {}
        for name, parameter in weights.items():
            memory = {
                "step": torch.zeros((), dtype=torch.float32),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
            self.optimizer.state[parameter] = memory
            self.tensors[f"model.{name}"] = parameter.data
            self.tensors[f"best.{name}"] = parameter.detach().clone()
            self.tensors |= {f"optimizer.{name}.{what}": tensor for what, tensor in memory.items()}
        self.scores = torch.zeros(len(graph), graph.num_classes)
        self.tensors["scores"] = self.scores

    def step(self, state: _Progress) -> None:
        """One step over the whole graph."""
        torch.manual_seed(hash_numbers(self.seed, state.epoch + 1))
        self.module.train()
        scored: Scored = self.module(self.rows["train"])
        loss = self._loss(scored.logits, "train") + self._rest(scored, state.epoch)
        if not torch.isfinite(loss):
            raise MalmoiError(
                f"epoch {state.epoch + 1} with seed {self.seed} cannot be taken: its loss is {loss.item()}.",
                fix="Lower learning_rate.",
            )
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.epoch += 1

    def validate(self, state: _Progress) -> None:
        """Accuracy and loss of the validation nodes, and the best where both are."""
        self.module.eval()
        with torch.no_grad():
            scored: Scored = self.module(None)
            loss = float(self._loss(scored.logits[self.rows["val"]], "val") + self._rest(scored, _FIXED))
        accuracy = self._accuracy(scored.logits, "val")
        lowest = loss if state.lowest is None else min(state.lowest, loss)
        if accuracy >= state.highest or loss <= lowest:
            if accuracy >= state.highest and loss <= lowest:
                state.best_epoch = state.epoch
                self.scores.copy_(scored.logits)
                for name, parameter in self.module.named_parameters():
                    self.tensors[f"best.{name}"].copy_(parameter.data)
            state.highest, state.lowest, state.idle = max(state.highest, accuracy), lowest, 0
        else:
            state.idle += 1

    def result(self, state: _Progress) -> Trained:
        """The judged epoch's figures."""
        outcome = Outcome(
            seed=self.seed,
            test_accuracy=self._accuracy(self.scores, "test"),
            validation_accuracy=self._accuracy(self.scores, "val"),
            best_epoch=state.best_epoch,
            epochs=state.epoch,
            seconds=round(state.seconds, 2),
            cpu_seconds=round(state.cpu_seconds, 2),
        )
        weights = {name: self.tensors[f"best.{name}"] for name, _ in self.module.named_parameters()}
        return Trained(outcome, self.scores, weights)

    def _loss(self, logits: Tensor, part: str) -> Tensor:
        return functional.cross_entropy(logits, self.labels[self.rows[part]])

    def _accuracy(self, logits: Tensor, part: str) -> float:
        rows = self.rows[part]
        return int((logits[rows].argmax(1) == self.labels[rows]).sum()) / len(rows)

    def _rest(self, scored: Scored, epoch: int) -> Tensor:
        """The parts of the loss that need no label."""
        penalised: list[nn.Parameter] = list(self.module.penalised())
        squares = torch.stack([weight.square().sum() for weight in penalised]).sum()
        rest = 0.5 * self.settings.l2 * squares
        if self.settings.structure and scored.hidden is not None:
            random = torch.Generator().manual_seed(hash_numbers(self.seed, epoch + 1, 1))
            rest = rest + self.settings.structure * structure_loss(
                scored.hidden,
                self.edges,
                share=self.settings.edge_share,
                beta=self.settings.beta,
                random=random,
            )
        return rest


def structure_loss(
    hidden: Tensor, edges: Tensor, *, share: float, beta: float, random: torch.Generator
) -> Tensor:
    """The structure regulariser on drawn edges.

    Args:
        hidden: z, (N, D).
        edges: (2, E) with self-loops.
        share: of the edges that are drawn, without replacement.
        beta: see the module.
        random: draws edges and nodes.
    """
    count = max(int(share * edges.shape[1]), 1)
    u, v = edges[:, torch.randperm(edges.shape[1], generator=random)[:count]]
    near = torch.sigmoid((hidden[u] * hidden[v]).sum(1))
    loss = beta * (1 - near)
    if beta < 1:
        stranger = torch.randint(len(hidden), (count,), generator=random)
        far = torch.sigmoid((hidden[u] * hidden[stranger]).sum(1))
        loss = loss - (1 - beta) * (1 - far)
    return loss.clamp(min=0).mean()
