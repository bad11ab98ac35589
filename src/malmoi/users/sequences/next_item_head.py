"""From frozen features to the next item: two small networks whose results are multiplied.

C cases, M items, F and G features of a user and of an item, D numbers a vector.

    score(u, i) = <f(x_u), g(x_i)>,   -log softmax_i score(u, truth) over all M items

The encoder stays as contrast left it: this is the transfer by features of CLUE (arXiv 2111.11294; Shin et al.
2023, arXiv 2212.03760, appendix B: an MLP over frozen user vectors). Ours: the second network over the item's
own features, so that items are ranked by their texts and new ones need no training, and the softmax over all
items.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.base import UserModelSettings
from malmoi.users.sequences.training import TrainingSettings

SketchKind = Literal["tokens", "sentences"]


class HeadSettings(UserModelSettings):
    """How frozen features become a ranking."""

    kind: Literal["mlp", "linear", "none"] = "mlp"
    """mlp: two networks with one hidden layer; linear: two matrices; none: the contrasted vectors as they
    are, so that nothing is learned for ranking."""
    hidden: int = Field(256, ge=1)
    """Width of the hidden layer."""
    size: int = Field(128, ge=1)
    """Length of the vectors that are multiplied."""
    sketch: int = Field(128, ge=0)
    """Numbers of a text's sketch, which knows the words that the encoder has let go; 0: only its vectors."""
    sketch_of: SketchKind = "tokens"
    """tokens: of the vocabulary, all unlike; sentences: the engine's sentence encoder, by which words that no
    text of the logs has, such as those of a new shop, have neighbours."""
    encoder: bool = True
    """Whether the encoder's vectors are read; false: the sketch alone, to see what the encoder gives."""
    dropout: float = Field(0.2, ge=0.0, lt=1.0)
    """Of features and hidden values."""
    cases_per_user: int = Field(16, ge=1)
    """Events of a user that are foretold in training at most: the newest and, behind them, some at random."""
    negatives: int = Field(16384, ge=1)
    """Items in the softmax at most; more are drawn anew in each step."""
    batch_size: int = Field(256, ge=1)
    """Cases of a step."""
    training: TrainingSettings = TrainingSettings(
        num_steps=4000, learning_rate=1e-3, weight_decay=0.05, patience=500, validate_every=100
    )
    """How it is trained."""

    @model_validator(mode="after")
    def _reads_something(self) -> Self:
        if not self.encoder and not self.sketch:
            raise ValueError("a head without the encoder needs a sketch: head.sketch is 0")
        return self


_LEAST_VARIANCE = 1e-4
"""Of the largest: axes with less are noise."""


class NextItemHead(nn.Module):
    """The two networks, each behind a whitening of its features.

    Args:
        settings: kind and sizes.
        width: of the encoder, d.
    """

    def __init__(self, settings: HeadSettings, width: int) -> None:
        super().__init__()
        read = width * settings.encoder
        self.user = _network(settings, 3 * read + 2 * settings.sketch)
        self.item = _network(settings, read + settings.sketch)

    def measure(self, users: Tensor, items: Tensor) -> None:
        """Let the whitenings learn what is usual. Shapes: (C, F) and (M, G)."""
        for network, features in ((self.user, users), (self.item, items)):
            first = network[0]
            assert isinstance(first, Whitening)
            first.measure(features)


class Whitening(nn.Module):
    """Features turned to their principal axes, each of mean 0 and variance about 1.

    Frozen vectors share one large direction and differ in many small ones; a network with one rate for all
    would take very long to hear the small ones.
    """

    mean: Tensor
    turn: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("turn", torch.eye(size))

    @torch.no_grad()
    def measure(self, features: Tensor) -> None:
        """Take mean and covariance of these rows, (C, F)."""
        self.mean.copy_(features.mean(0))
        away = (features - self.mean).double()
        values, axes = torch.linalg.eigh(away.T @ away / len(features))
        least = _LEAST_VARIANCE * float(values[-1].clamp(min=1e-12))  # noise is not blown up
        self.turn.copy_(axes / (values.clamp(min=0) + least).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, F) to (B, F)."""
        return (x - self.mean) @ self.turn


def _network(settings: HeadSettings, inputs: int) -> nn.Sequential:
    if settings.kind == "linear":
        return nn.Sequential(Whitening(inputs), nn.Linear(inputs, settings.size))
    return nn.Sequential(
        Whitening(inputs),
        nn.Dropout(settings.dropout),
        nn.Linear(inputs, settings.hidden),
        nn.GELU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.hidden, settings.size),
    )


class HeadTraining:
    """A `Trainable` over features that are computed once.

    Args:
        head: what is trained.
        users: features of the cases, (C, F).
        truth: what came next, (C,) int64.
        items: features of all items, (M, G).
        validation: features and truths of other users' cases; their mean loss decides when to stop.
        settings: batch size and negatives.
        seed: of batches and negatives.
    """

    def __init__(
        self,
        head: NextItemHead,
        users: Tensor,
        truth: Tensor,
        items: Tensor,
        validation: tuple[Tensor, Tensor] | None,
        settings: HeadSettings,
        seed: int,
    ) -> None:
        self.module: nn.Module = head
        self.batch_size = min(settings.batch_size, len(users))
        self._head = head
        self._users, self._truth, self._items = users, truth, items
        self._validation = validation
        self._settings = settings
        self._seed = seed

    def parts(self, step: int) -> Sequence[tuple[Tensor, Tensor]]:
        """Cases of a step and, where there are too many items for the softmax, those that are in it."""
        random = np.random.default_rng([self._seed, 2, step])
        rows = torch.from_numpy(random.integers(0, len(self._users), self.batch_size))
        if len(self._items) <= self._settings.negatives:
            return [(rows, torch.arange(len(self._items)))]
        drawn = torch.from_numpy(random.choice(len(self._items), self._settings.negatives, replace=False))
        return [(rows, torch.cat([drawn, self._truth[rows]]).unique())]

    def loss(self, part: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        """Cross-entropy over the part's items."""
        rows, items = part
        truth = torch.searchsorted(items, self._truth[rows])
        return {"loss": self._cross_entropy(self._users[rows], self._items[items], truth)}

    def validate(self) -> Mapping[str, float]:
        """The mean loss of other users, over all items."""
        if self._validation is None:
            return {}
        users, truth = self._validation
        vectors = self._head.item(self._items)
        losses = [
            functional.cross_entropy(
                self._head.user(users[at]).float() @ vectors.float().T, truth[at], reduction="sum"
            )
            for at in torch.arange(len(users)).split(512)
        ]
        return {"loss": float(torch.stack(losses).sum()) / len(users)}

    def _cross_entropy(self, users: Tensor, items: Tensor, truth: Tensor) -> Tensor:
        logits = self._head.user(users) @ self._head.item(items).T
        return functional.cross_entropy(logits.float(), truth)
