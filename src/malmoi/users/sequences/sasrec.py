"""SASRec with the loss over all items: the neural reference among the recommenders of known items.

The network is that of Kang and McAuley 2018 (sasrec_network.py); the loss is full softmax cross-entropy at
every position, with which it beats BERT4Rec (Klenitskiy and Vasilev 2023, "Turning Dross Into Gold Loss",
arXiv 2309.07602). Training stops by NDCG@10 over all items on the validation cases.

M items, D width. A step costs about 6 N D (M + 12 D layers) operations for N positions; the (N, M) logits
are never held whole (factory/train/loss.py).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.files import write_json
from malmoi.factory.train.loss import chunked_cross_entropy
from malmoi.factory.train.precision import PrecisionName
from malmoi.factory.train.schedule import ScheduleSettings
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.cases import Cases
from malmoi.users.logs import UNKNOWN, History, Items, Logs, load_items, save_items
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.sequences.batches import Order, hold_out_last, some_cases, windows
from malmoi.users.sequences.digest import digest_of
from malmoi.users.sequences.sasrec_network import SequenceNetwork, pack
from malmoi.users.sequences.training import TrainingSettings, Watch, fit

_WEIGHTS, _FACTS, _COUNTS = "weights.safetensors", "sasrec.json", "counts.npy"


class SASRecSettings(UserModelSettings):
    """Shape and training of a SASRec."""

    hidden_size: int = Field(64, ge=4)
    """Width of the item embedding and of the blocks."""
    num_layers: int = Field(2, ge=1)
    """Blocks of attention and feed-forward."""
    num_heads: int = Field(2, ge=1)
    """Attention heads of a block."""
    dropout: float = Field(0.4, ge=0, lt=1)
    """Of embeddings and of both branches of a block."""
    max_length: int = Field(50, ge=2)
    """Events of a history that are read, the newest."""
    batch_size: int = Field(256, ge=1)
    """Sequences of a step."""
    num_epochs: int = Field(100, ge=1)
    """Passes over the logs at most."""
    validate_epochs: int = Field(2, ge=1)
    """Passes between two validations."""
    patience_epochs: int = Field(12, ge=1)
    """Stop when so many passes have brought no better NDCG@10."""
    validation_cases: int = Field(5000, ge=1)
    """Validation cases that are looked at."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the rate goes after a warm-up of 100 steps; cosine gets further in few epochs, and ends at 0."""
    weight_decay: float = Field(0.0, ge=0)
    """Of AdamW, on matrices."""
    precision: PrecisionName = "auto"
    """Of the products in training."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}; change one"
            )
        return self

    def training(self, steps_per_epoch: int) -> TrainingSettings:
        """The loop's settings for logs of so many steps."""
        return TrainingSettings(
            num_steps=self.num_epochs * steps_per_epoch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            max_norm=5.0,
            schedule=ScheduleSettings(kind=self.schedule, warmup_steps=min(100, steps_per_epoch)),
            precision=self.precision,
            validate_every=self.validate_epochs * steps_per_epoch,
            patience=self.patience_epochs * steps_per_epoch,
        )


class SASRec:
    """A fitted SASRec."""

    kind: ClassVar[str] = "sasrec"
    settings_type: ClassVar[type[UserModelSettings]] = SASRecSettings

    def __init__(
        self, settings: SASRecSettings, items: Items, network: SequenceNetwork, counts: NDArray[np.int64]
    ) -> None:
        self._settings = settings
        self._items = items
        self._network = network
        self._counts = counts

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @classmethod
    def fit(cls, settings: SASRecSettings, logs: Logs, context: FitContext) -> Self:
        """Learn from the logs.

        Raises:
            InvalidInput: no user has two events.
        """
        whole, cases = logs, context.validation
        if cases is None:
            logs, cases = hold_out_last(logs, share=0.1, most=settings.validation_cases, seed=context.seed)
        cases = some_cases(cases, settings.validation_cases, context.seed)
        torch.manual_seed(context.seed)
        counts = np.bincount(logs.events, minlength=len(logs.items)).astype(np.int64)
        model = cls(settings, logs.items, _network(settings, len(logs.items)), counts)
        training = _Training(model, logs, cases, context.seed)
        fit(
            training,
            settings.training(training.order.steps),
            context,
            watch=Watch("ndcg@10"),
            identity={"logs": digest_of(whole), "sasrec": settings.model_dump(mode="json")},
            title="Train SASRec",
        )
        return model

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Logits of all items, (B, M); log counts where nothing of a history is known."""
        length = self._settings.max_length
        known = [history.items[history.items != UNKNOWN][-length:] for history in histories]
        scores = np.empty((len(histories), len(self._items)), np.float32)
        scores[:] = np.log1p(self._counts)
        rows = [row for row, sequence in enumerate(known) if len(sequence)]
        if rows:
            batch = pack([known[row] for row in rows])
            self._network.eval()
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                states = self._network(batch)[batch.last]  # (B, D)
                scores[rows] = (states @ self._network.item.weight.T).numpy()
        return scores

    def save(self, folder: Path) -> None:
        """Write settings, items, counts and weights."""
        from safetensors.torch import save_file

        write_json(folder / _FACTS, self._settings.model_dump(mode="json"))
        save_items(self._items, folder)
        np.save(folder / _COUNTS, self._counts, allow_pickle=False)
        save_file({name: w.contiguous() for name, w in self._network.state_dict().items()}, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken, or they do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            settings = SASRecSettings.model_validate(json.loads((folder / _FACTS).read_bytes()))
            counts = np.load(folder / _COUNTS, allow_pickle=False)
            items = load_items(folder)
            network = _network(settings, len(items))
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
            # torch raises RuntimeError for weights of other names or shapes.
            reason = str(error).splitlines()[0]
            raise ModelFileInvalid(
                f"{folder} holds no SASRec: {reason}", fix="Fit it again: malmoi users fit."
            ) from error
        return cls(settings, items, network.eval(), counts)


class _Training:
    """What the loop trains."""

    def __init__(self, model: SASRec, logs: Logs, cases: Cases, seed: int) -> None:
        settings = model._settings
        self.module = model._network
        self.batch_size = settings.batch_size
        self._model, self._logs, self._cases = model, logs, cases
        self._starts, self._stops = windows(logs, settings.max_length + 1)
        if not len(self._starts):
            raise InvalidInput("the logs are too small to fit: no user has two events.")
        self.order = Order(len(self._starts), settings.batch_size, seed)

    def parts(self, step: int) -> Sequence[list[NDArray[np.int32]]]:
        """One part: the sequences of the step, in the order of `pack`."""
        starts, stops = (side[self.order.rows(step)] for side in (self._starts, self._stops))
        by_length = np.argsort(stops - starts, kind="stable")
        stretches = zip(starts[by_length].tolist(), stops[by_length].tolist(), strict=True)
        return [[np.asarray(self._logs.events[start:stop]) for start, stop in stretches]]

    def loss(self, part: list[NDArray[np.int32]]) -> Mapping[str, Tensor]:
        """Mean cross-entropy of all items at every position."""
        batch = pack([sequence[:-1] for sequence in part])
        targets = torch.from_numpy(np.concatenate([s[1:] for s in part]).astype(np.int64))
        total = chunked_cross_entropy(self.module(batch), self.module.item.weight, targets)
        return {"loss": total.loss / total.num_targets}

    def validate(self) -> Mapping[str, float]:
        """Full ranking of the validation cases."""
        return {"ndcg@10": ndcg(rank_cases(self._model, self._cases), 10)}


def _network(settings: SASRecSettings, num_items: int) -> Any:
    return SequenceNetwork(
        num_items,
        size=settings.hidden_size,
        layers=settings.num_layers,
        heads=settings.num_heads,
        length=settings.max_length,
        dropout=settings.dropout,
    )
