"""What a fit of LMRec minimises: L = L1 + lambda * L2, or one of the two alone.

Two loaders with batch sizes of their own feed a step: rows of tokens for L1, pairs of a history and the item
after it for L2. Lambda falls with half a cosine to a tenth, as the learning rate does.

L1 is a mean over tokens, L2 a sum over the pairs of the batch. The paper does not say so of L2; but then its
table's lambda times batch is 2.6 to 8.2 for every size, and with a mean, one or two orders of magnitude less,
L1 takes the decoder over: features of all items become alike and L2 stays at that of a coin (measured).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from malmoi.core.stage import Progress
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.schedule import ScheduleSettings, rate_at
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs
from malmoi.users.sequences.lmrec_corpora import Rows
from malmoi.users.sequences.lmrec_network import LMRecNetwork
from malmoi.users.sequences.lmrec_pairs import PairLoader, Pairs, pair_loss
from malmoi.users.sequences.lmrec_settings import LMRecSettings
from malmoi.users.sequences.lmrec_texts import Renderer, Texts

_FALL = ScheduleSettings(kind="cosine", warmup_steps=0, final_share=0.1)
_ITEMS = 2000  # that a validation case is judged against
_AT_ONCE = 512  # rows without a gradient


@dataclass(frozen=True)
class Reading:
    """How this fit's logs are read.

    Attributes:
        renderer: makes the token rows.
        logs: what may be learned from.
        texts: tokens of the logs' items.
    """

    renderer: Renderer
    logs: Logs
    texts: Texts

    def history(self, logs: Logs, start: int, end: int) -> NDArray[np.int32]:
        """Tokens of the events from start to end; `logs` have the same items."""
        return self.renderer.history(self.texts, np.asarray(logs.events[max(start, end - 4096) : end]))

    def item(self, number: int) -> NDArray[np.int32]:
        """Tokens of an item."""
        return self.renderer.item(self.texts, number)


@dataclass(frozen=True)
class Step:
    """What one step learns from."""

    pairs: Pairs | None
    rows: Batch | None
    rec_weight: float


class LMRecTraining:
    """The loop's `Trainable`.

    Args:
        network: what is trained.
        settings: objective, sizes and weights.
        reading: the logs as tokens.
        rows: of the language model.
        pairs: of the recommendation.
        cases: to validate by.
        seed: of the items that validation cases are judged against.
    """

    def __init__(
        self,
        network: LMRecNetwork,
        settings: LMRecSettings,
        reading: Reading,
        rows: Rows,
        pairs: PairLoader,
        cases: Cases,
        seed: int,
    ) -> None:
        self.module = network
        self.batch_size = settings.chosen("batch_size")
        self._settings, self._reading, self._rows, self._pairs = settings, reading, rows, pairs
        self._validation = _Validation(reading, cases, seed)

    def parts(self, step: int) -> Sequence[Step]:
        """One part: the pairs and rows of the step, as far as the objective asks for them."""
        objective = self._settings.objective
        weight = self._settings.chosen("rec_weight") * rate_at(step, self._settings.num_steps, _FALL)
        return [
            Step(
                pairs=None if objective == "lm" else self._pairs.batch(step),
                rows=None if objective == "rec" else self._rows.batch(step),
                rec_weight=weight * self.batch_size if objective == "joint" else 1.0,
            )
        ]

    def loss(self, part: Step) -> Mapping[str, Tensor]:
        """L, and of it L1 as "language" and L2 as "recommendation"."""
        terms: dict[str, Tensor] = {}
        total = torch.zeros(())
        if part.rows is not None:
            terms["language"] = self.module.language_loss(part.rows)
            total = total + terms["language"]
        if part.pairs is not None:
            terms["recommendation"] = self._pair_loss(part.pairs)  # a mean; the weight makes it the sum
            total = total + part.rec_weight * terms["recommendation"]
        return {"loss": total, **terms}

    def validate(self) -> Mapping[str, float]:
        """L2 on the validation cases."""
        users = _encode(self.module, self._validation.histories)
        items = _encode(self.module, self._validation.items)
        return {"loss": self._validation.loss(self.module, users, items)}

    def _pair_loss(self, pairs: Pairs) -> Tensor:
        logs = self._reading.logs
        spans = zip(pairs.starts.tolist(), pairs.ends.tolist(), strict=True)
        histories = [self._reading.history(logs, start, end) for start, end in spans]
        counts = [1] * len(histories)
        if self._settings.separator == "end":  # each event that was read foretells the one after it
            counts = [int((row == self._reading.renderer.end).sum()) for row in histories]
        positives = [
            np.asarray(logs.events[end + 1 - count : end + 1])
            for end, count in zip(pairs.ends.tolist(), counts, strict=True)
        ]
        numbers, places = np.unique(
            np.concatenate([*positives, pairs.negatives]), return_inverse=True
        )  # each item is encoded once
        found = self.module.features(
            [*histories, *map(self._reading.item, numbers.tolist())], [*counts, *(1 for _ in numbers)]
        )
        total = sum(counts)
        allowed = np.repeat(pairs.allowed, counts, axis=0)
        items = found[total:][torch.from_numpy(places)]
        return _products_loss(self.module, found[:total], items, allowed)


class LinearsTraining(LMRecTraining):
    """Learns W_u and W_i alone, over features that are computed once (the paper's TL)."""

    def prepare(self, progress: Progress) -> None:
        """Compute the features of all pairs' histories, of all items and of the validation."""
        starts, ends = self._pairs.all()
        logs = self._reading.logs
        histories = [
            self._reading.history(logs, start, end)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        items = [self._reading.item(number) for number in range(len(logs.items))]
        with progress.task("Encode", total=len(histories) + len(items), unit="rows") as task:
            parts = []
            for rows in (histories, items):
                found = [torch.empty(0, self.module.size)]
                for start in range(0, len(rows), _AT_ONCE):
                    found.append(_encode(self.module, rows[start : start + _AT_ONCE]))
                    task.advance(len(found[-1]))
                parts.append(torch.cat(found))
        self._users, self._items = parts
        self._asked = _encode(self.module, self._validation.histories)
        self._judged = _encode(self.module, self._validation.items)

    def validate(self) -> Mapping[str, float]:
        """L2 on the validation cases."""
        return {"loss": self._validation.loss(self.module, self._asked, self._judged)}

    def _pair_loss(self, pairs: Pairs) -> Tensor:
        positives = self._reading.logs.events[pairs.ends].astype(np.int64)
        numbers = torch.from_numpy(np.concatenate([positives, pairs.negatives]))
        users = self._users[torch.from_numpy(pairs.rows)]
        return _products_loss(self.module, users, self._items[numbers], pairs.allowed)


class _Validation:
    """Validation cases with a fixed set of items to judge them against."""

    def __init__(self, reading: Reading, cases: Cases, seed: int) -> None:
        logs = cases.logs
        truth = np.asarray(cases.truth, dtype=np.int64)
        count = min(_ITEMS, len(logs.items))
        drawn = np.random.default_rng(seed).choice(len(logs.items), size=count, replace=False)
        judged = np.unique(np.concatenate([drawn, truth]))
        spans = zip(logs.offsets[cases.user].tolist(), cases.at.tolist(), strict=True)
        self.histories = [reading.history(logs, start, end) for start, end in spans]
        self.items = [reading.item(number) for number in judged.tolist()]
        self._place = torch.from_numpy(np.searchsorted(judged, truth))
        self._allowed = torch.from_numpy(
            np.stack([~np.isin(judged, logs.sequence(user)) for user in cases.user.tolist()])
        )

    def loss(self, network: LMRecNetwork, users: Tensor, items: Tensor) -> float:
        """L2 where all judged items that the user has not touched are negatives."""
        with torch.autocast("cpu", enabled=False):
            products = network.user(users) @ network.item(items).T  # (C, judged)
            own = products.gather(1, self._place[:, None]).squeeze(1)
            return float(pair_loss(own, products, self._allowed))


def _products_loss(network: LMRecNetwork, users: Tensor, items: Tensor, allowed: NDArray[np.bool_]) -> Tensor:
    """L2 of users (P, D) with items (P + K, D), first the positives and then the negatives."""
    count = len(users)
    with torch.autocast(users.device.type, enabled=False):
        wanted, given = network.user(users), network.item(items)
        own = (wanted * given[:count]).sum(1)
        return pair_loss(own, wanted @ given[count:].T, torch.from_numpy(allowed))


@torch.no_grad()
def _encode(network: LMRecNetwork, rows: Sequence[NDArray[np.int32]]) -> Tensor:
    return network.features(rows) if rows else torch.empty(0, network.size)
