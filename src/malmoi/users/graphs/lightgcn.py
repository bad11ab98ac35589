"""LightGCN: vectors of users and items that are averaged over their neighbourhoods.

N users, M items, D numbers, K layers, R_ui = 1 / sqrt(d_u d_i) where u did i.

    u^(k+1) = R i^(k);   i^(k+1) = R^T u^(k);   final = mean of layers 0..K;   score = u . i

Source: He et al. 2020, "LightGCN", arXiv 2002.02126, equations 3, 4 and 6 (layer weights 1 / (K + 1)); the
loss is theirs, BPR (Rendle et al. 2009, arXiv 1205.2618), or full softmax over all items, which is better.
Hop sampling (arXiv 2006.14897, after the published description) draws the number of layers at each step.

Ours: a person is always scored by folding in, whether the logs held them or not. It is the vector that the
equations give to a user who did these things and has no vector of their own: u = 1 / (K + 1) times the sum
over layers k < K and items i of i^(k) / sqrt(d_u d_i). So `score` works for anybody, and validation judges
what will be used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.factory.train.loss import chunked_cross_entropy
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.cases import Cases
from malmoi.users.graphs.folder import load_model, save_model
from malmoi.users.graphs.hop_modes import HopMode
from malmoi.users.graphs.hops import HopSampler
from malmoi.users.graphs.pairs import Pairs, PairSettings, sum_of_items
from malmoi.users.graphs.walk import bipartite_walk, transposed
from malmoi.users.logs import History, Items, Logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.sequences.batches import hold_out_last, some_cases
from malmoi.users.sequences.digest import digest_of
from malmoi.users.sequences.training import Watch, fit


class LightGCNSettings(PairSettings):
    """Shape and training of a LightGCN."""

    size: int = Field(64, ge=1)
    """Numbers of a vector, D."""
    depth: int = Field(2, ge=1)
    """Layers, K."""
    hops: HopMode = "fixed"
    """Whether the number of layers is drawn at each step of training."""
    loss: Literal["softmax", "bpr"] = "softmax"
    """softmax: against all items; bpr: against one drawn item."""
    l2: float = Field(1e-4, ge=0)
    """Weight of the squares of a batch's own vectors (layer 0), a pair."""


class Network(nn.Module):
    """Vectors of layer 0 and the graph that spreads them."""

    def __init__(self, settings: LightGCNSettings, pairs: Pairs, num_users: int) -> None:
        super().__init__()
        self.sampler = HopSampler(settings.depth, settings.hops)
        self.user = nn.Parameter(torch.randn(num_users, settings.size) * 0.1)
        self.item = nn.Parameter(torch.randn(pairs.num_items, settings.size) * 0.1)
        self.walk = bipartite_walk(pairs.user, pairs.item, (num_users, pairs.num_items))
        self.back = transposed(self.walk)
        degrees = np.bincount(pairs.item, minlength=pairs.num_items)
        self.degrees = torch.from_numpy(degrees).float()

    def layers(self, hops: int) -> tuple[list[Tensor], list[Tensor]]:
        """Vectors of users (N, D) and of items (M, D) at layers 0..hops."""
        users, items = [self.user + 0], [self.item + 0]
        for _ in range(hops):
            user, item = self.walk @ items[-1], self.back @ users[-1]
            users.append(user)
            items.append(item)
        return users, items

    def forward(self) -> tuple[Tensor, Tensor]:
        """Final vectors of users and of items: means over the layers."""
        users, items = self.layers(self.sampler(self.training))
        return torch.stack(users).mean(0), torch.stack(items).mean(0)

    def tables(self) -> dict[str, Tensor]:
        """What scoring needs: final items, their part in a folded-in user, and the mean of such users."""
        with torch.no_grad():
            _, items = self.layers(self.sampler.depth)
            scale = self.degrees.clamp(min=1).rsqrt()[:, None] / len(items)
            fold = torch.stack(items[:-1]).sum(0) * scale
            # An empty history is the average person: every item as often as it is done.
            mean = (fold * self.degrees[:, None]).sum(0) / self.degrees.sum()
            return {"item_final": torch.stack(items).mean(0), "item_fold": fold, "mean": mean}


class LightGCN:
    """A fitted LightGCN."""

    kind: ClassVar[str] = "lightgcn"
    settings_type: ClassVar[type[UserModelSettings]] = LightGCNSettings

    def __init__(self, settings: LightGCNSettings, items: Items, tables: Mapping[str, Tensor]) -> None:
        self._settings = settings
        self._items = items
        self._tables = tables

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @classmethod
    def fit(cls, settings: LightGCNSettings, logs: Logs, context: FitContext) -> Self:
        """Learn from the logs; validation is `context.validation`, else some users' last events.

        Raises:
            InvalidInput: the logs are too small.
        """
        whole, cases = logs, context.validation
        if cases is None:
            logs, cases = hold_out_last(logs, share=0.1, most=settings.validation_cases, seed=context.seed)
        cases = some_cases(cases, settings.validation_cases, context.seed)
        pairs = Pairs(logs, settings.batch_size, context.seed)
        torch.manual_seed(context.seed)
        network = Network(settings, pairs, len(logs))
        training = _Training(network, settings, pairs, cases, whole.items)
        identity = {"logs": digest_of(whole), "lightgcn": settings.model_dump(mode="json")}
        steps = settings.training(pairs.order.steps)
        fit(training, steps, context, watch=Watch("ndcg@10"), identity=identity, title="Train LightGCN")
        return cls(settings, whole.items, network.tables())

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Folded-in vectors, (B, D)."""
        total, counts = sum_of_items(self._tables["item_fold"], histories)
        folded = total / counts.clamp(min=1).float().sqrt()[:, None]
        vectors: NDArray[np.float32] = torch.where(counts[:, None] > 0, folded, self._tables["mean"]).numpy()
        return vectors

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Products with all items' vectors, (B, M)."""
        return self.encode(histories) @ self._tables["item_final"].numpy().T

    def save(self, folder: Path) -> None:
        """Write settings, items and vectors."""
        save_model(folder, self.kind, self._settings, self._items, self._tables)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken.
        """
        shapes = {"item_final": 2, "item_fold": 2, "mean": 1}
        return cls(*load_model(folder, cls.kind, LightGCNSettings, shapes))


class _Training:
    """What the loop trains."""

    def __init__(
        self, network: Network, settings: LightGCNSettings, pairs: Pairs, cases: Cases, items: Items
    ) -> None:
        self.module = network
        self.batch_size = settings.batch_size
        self._settings, self._pairs, self._cases, self._items = settings, pairs, cases, items

    def parts(self, step: int) -> Sequence[tuple[Tensor, Tensor, Tensor]]:
        """One part: users, items and drawn items."""
        return [self._pairs.batch(step, 1 if self._settings.loss == "bpr" else 0)]

    def loss(self, part: tuple[Tensor, Tensor, Tensor]) -> Mapping[str, Tensor]:
        """Softmax over all items, or BPR, and the squares of the batch's own vectors."""
        user, item, drawn = part
        users, items = self.module()
        own = [self.module.user[user], self.module.item[item]]
        if self._settings.loss == "softmax":
            total = chunked_cross_entropy(users[user], items, item)
            loss = total.loss / total.num_targets
        else:
            better = (users[user] * (items[item] - items[drawn[:, 0]])).sum(1)
            loss = functional.softplus(-better).mean()
            own.append(self.module.item[drawn[:, 0]])
        squares = torch.stack([vectors.square().sum() for vectors in own]).sum() / len(user)
        return {"loss": loss + self._settings.l2 / 2 * squares}

    def validate(self) -> Mapping[str, float]:
        """Full ranking of the validation cases by folded-in users."""
        model = LightGCN(self._settings, self._items, self.module.tables())
        return {"ndcg@10": ndcg(rank_cases(model, self._cases))}
