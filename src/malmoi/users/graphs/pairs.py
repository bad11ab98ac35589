"""Batches of (user, item) pairs, and the loop's settings for models that learn from them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from malmoi.core.errors import InvalidInput
from malmoi.factory.train.loop import hash_numbers
from malmoi.factory.train.schedule import ScheduleSettings
from malmoi.users.base import UserModelSettings
from malmoi.users.logs import UNKNOWN, History, Logs
from malmoi.users.sequences.batches import Order
from malmoi.users.sequences.training import TrainingSettings


class PairSettings(UserModelSettings):
    """How a model learns from pairs."""

    batch_size: int = Field(1024, ge=1)
    """Pairs of a step."""
    num_epochs: int = Field(50, ge=1)
    """Passes over all pairs at most."""
    validate_epochs: int = Field(2, ge=1)
    """Passes between two validations."""
    patience_epochs: int = Field(10, ge=1)
    """Stop when so many passes have brought no better NDCG@10."""
    validation_cases: int = Field(2000, ge=1)
    """Validation cases that are looked at."""
    learning_rate: float = Field(5e-3, gt=0)
    """Of AdamW."""
    weight_decay: float = Field(0.0, ge=0)
    """Of AdamW, on the tables."""

    def training(self, steps_per_epoch: int) -> TrainingSettings:
        """The loop's settings for logs of so many steps."""
        return TrainingSettings(
            num_steps=self.num_epochs * steps_per_epoch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            betas=(0.9, 0.999),
            eps=1e-8,
            max_norm=0.0,
            schedule=ScheduleSettings(kind="constant", warmup_steps=0),
            precision="fp32",
            validate_every=self.validate_epochs * steps_per_epoch,
            patience=self.patience_epochs * steps_per_epoch,
        )


class Pairs:
    """Who did what, each pair once, in batches that are a function of the seed and the step.

    Args:
        logs: what users did.
        size: pairs of a batch.
        seed: of order and negatives.

    Raises:
        InvalidInput: there are no events, or only one item.
    """

    def __init__(self, logs: Logs, size: int, seed: int) -> None:
        if logs.num_events == 0 or len(logs.items) < 2:
            raise InvalidInput(
                f"the logs are too small to fit: {logs.num_events} events with {len(logs.items)} items.",
                fix="Give events with at least two items.",
            )
        users = np.repeat(np.arange(len(logs)), logs.lengths)
        both = np.unique(np.stack([users, np.asarray(logs.events, dtype=np.int64)]), axis=1)
        self.user, self.item = both[0], both[1]
        self.num_items = len(logs.items)
        self.order = Order(len(self.user), size, seed)
        self._seed = seed

    def batch(self, step: int, negatives: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Users (B,), items (B,) and drawn items (B, negatives) of a step.

        A drawn item may be one that the user knows: among many items that is rare, and the loss forgives it.
        """
        rows = self.order.rows(step)
        random = np.random.default_rng([hash_numbers(self._seed, step), 1])
        drawn = random.integers(0, self.num_items, (len(rows), negatives))
        return torch.from_numpy(self.user[rows]), torch.from_numpy(self.item[rows]), torch.from_numpy(drawn)


def known_items(history: History) -> NDArray[np.int64]:
    """The items of a history that the model knows, each once."""
    return np.unique(history.items[history.items != UNKNOWN]).astype(np.int64)


def sum_of_items(table: Tensor, histories: Sequence[History]) -> tuple[Tensor, Tensor]:
    """Of each history the sum of its items' rows, (B, D), and their number, (B,)."""
    rows = [known_items(history) for history in histories]
    counts = torch.tensor([len(row) for row in rows])
    which = torch.repeat_interleave(torch.arange(len(rows)), counts)
    every = torch.from_numpy(np.concatenate(rows)) if rows else torch.zeros(0, dtype=torch.int64)
    return table.new_zeros(len(rows), table.shape[1]).index_add_(0, which, table[every]), counts
