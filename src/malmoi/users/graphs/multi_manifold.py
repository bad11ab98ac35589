"""Multi-Manifold Learning: how far an item is from a person, in several curved spaces at once.

B users, M items, D numbers, m manifolds with curvature -c_m and origin o_m.

    x_m = expmap0(u - o_m);  y_m = expmap0(i - o_m)                       in the ball of curvature -c_m
    D(u, i) = sum_m w_m d_m(x_m, y_m),   w = softmax_m(-|u - o_m|^2 / tau);   score = -D
    loss = [margin + D(u, i)^2 - min over drawn j of D(u, j)^2]_+

Source: Multi-Manifold Learning for Large-scale Targeted Advertising System, arXiv 2007.02334, after the
published description: several hyperbolic manifolds with learnable curvatures, the origin of each the centroid
of a cluster of users, preference by distance, an aggregate over the manifolds. Ours, as the paper was not
available in full: everything that the equations above add to that, the hinge (of metric recommenders: Vinh
Tran et al. 2020, HyperML, arXiv 1809.01703), the bounds of c, and that tables are plain tangent vectors.

With 0 manifolds D is the plain distance |u - i|: the Euclidean twin, to be compared with at the same budget.
A person is scored by the mean of their items' vectors, whether the logs held them or not.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.cases import Cases
from malmoi.users.graphs.ball import distance, distances, expmap0
from malmoi.users.graphs.clusters import centroids
from malmoi.users.graphs.folder import load_model, save_model
from malmoi.users.graphs.pairs import Pairs, PairSettings, sum_of_items
from malmoi.users.logs import History, Items, Logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.sequences.batches import hold_out_last, some_cases
from malmoi.users.sequences.digest import digest_of
from malmoi.users.sequences.training import Watch, fit

SMALLEST, LARGEST = 0.1, 10.0
"""Bounds of c: a distance loss alone would shrink or grow it for ever."""
_CURVATURE_RATE = 0.1
_AT_ONCE = 64  # histories scored at once: (64, M) numbers a manifold


class MultiManifoldSettings(PairSettings):
    """Shape and training of a multi-manifold model."""

    size: int = Field(32, ge=1)
    """Numbers of a vector, D."""
    manifolds: int = Field(4, ge=0, le=64)
    """Balls, m; 0: the Euclidean twin."""
    negatives: int = Field(8, ge=1)
    """Drawn items a pair."""
    margin: float = Field(0.5, gt=0)
    """By how much the nearest drawn item's squared distance must exceed the true one's."""
    temperature: float = Field(1.0, gt=0)
    """tau: how sharply a user belongs to the nearest origins."""
    longest: float = Field(1.0, gt=0)
    """Vectors are kept within this length, as in collaborative metric learning."""
    num_epochs: int = Field(25, ge=1)
    """Passes over all pairs at most."""


class Network(nn.Module):
    """Tables of users and items, origins and curvatures.

    The curvature is c = 1 + 0.1 r with r learned: Adam's steps do not depend on the gradient's scale, so c
    has a tenth of the tables' learning rate. The origins are a parameter without a gradient, so that
    checkpoints hold them.
    """

    def __init__(self, settings: MultiManifoldSettings, num_users: int, num_items: int) -> None:
        super().__init__()
        self.temperature = settings.temperature
        self.longest = settings.longest
        scale = 0.1 / settings.size**0.5
        self.user = nn.Parameter(torch.randn(num_users, settings.size) * scale)
        self.item = nn.Parameter(torch.randn(num_items, settings.size) * scale)
        self.origin = nn.Parameter(torch.zeros(settings.manifolds, settings.size))
        self.raw = nn.Parameter(torch.zeros(settings.manifolds))

    def shorten(self) -> None:
        """Bring back what the last step has moved too far: long vectors, curvatures out of bounds."""
        with torch.no_grad():
            for table in (self.user, self.item):
                table.mul_((self.longest / table.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1))
            self.raw.clamp_((SMALLEST - 1) / _CURVATURE_RATE, (LARGEST - 1) / _CURVATURE_RATE)

    def curvature(self) -> Tensor:
        """Of each manifold its c, (m,)."""
        return 1 + _CURVATURE_RATE * self.raw


def membership(users: Tensor, origins: Tensor, temperature: float) -> Tensor:
    """How much each manifold counts for each user, (B, m); rows add up to 1."""
    return (-torch.cdist(users, origins).square() / temperature).softmax(1)


def pair_distances(users: Tensor, items: Tensor, origins: Tensor, c: Tensor, temperature: float) -> Tensor:
    """D of each user to its own n items. Shapes: (B, D) and (B, n, D) to (B, n)."""
    if not len(origins):
        return (users[:, None] - items).square().sum(-1).clamp(min=1e-15).sqrt()
    weights = membership(users, origins.detach(), temperature)
    parts = [
        distance(expmap0(users - o, k)[:, None], expmap0(items - o, k), k)
        for o, k in zip(origins.detach(), c, strict=True)
    ]
    return (torch.stack(parts, dim=-1) * weights[:, None]).sum(-1)


def all_distances(users: Tensor, items: Tensor, origins: Tensor, c: Tensor, temperature: float) -> Tensor:
    """D of every user to every item. Shapes: (B, D) and (M, D) to (B, M)."""
    if not len(origins):
        return torch.cdist(users, items, compute_mode="donot_use_mm_for_euclid_dist")
    weights = membership(users, origins, temperature)
    total = users.new_zeros(len(users), len(items))
    for number, (o, k) in enumerate(zip(origins, c, strict=True)):
        total += weights[:, number, None] * distances(expmap0(users - o, k), expmap0(items - o, k), k)
    return total


class MultiManifold:
    """A fitted multi-manifold model."""

    kind: ClassVar[str] = "multi-manifold"
    settings_type: ClassVar[type[UserModelSettings]] = MultiManifoldSettings

    def __init__(self, settings: MultiManifoldSettings, items: Items, tables: Mapping[str, Tensor]) -> None:
        self._settings = settings
        self._items = items
        self._tables = tables

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @property
    def curvatures(self) -> list[float]:
        """Of each manifold its c."""
        return [float(c) for c in self._tables["curvature"]]

    @classmethod
    def fit(cls, settings: MultiManifoldSettings, logs: Logs, context: FitContext) -> Self:
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
        network = Network(settings, len(logs), len(logs.items))
        training = _Training(network, settings, pairs, cases, whole.items, context.seed)
        identity = {"logs": digest_of(whole), "multi-manifold": settings.model_dump(mode="json")}
        steps = settings.training(pairs.order.steps)
        fit(training, steps, context, watch=Watch("ndcg@10"), identity=identity, title="Train manifolds")
        return cls(settings, whole.items, _tables(network, pairs))

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Minus the distance of every item, (B, M); an empty history is the average event."""
        tables = self._tables
        scores = np.empty((len(histories), len(self._items)), np.float32)
        for start in range(0, len(histories), _AT_ONCE):
            total, counts = sum_of_items(tables["item_vectors"], histories[start : start + _AT_ONCE])
            mean = total / counts.clamp(min=1)[:, None]
            users = torch.where(counts[:, None] > 0, mean, tables["mean"])
            far = all_distances(
                users,
                tables["item_vectors"],
                tables["origins"],
                tables["curvature"],
                self._settings.temperature,
            )
            scores[start : start + _AT_ONCE] = -far.numpy()
        return scores

    def save(self, folder: Path) -> None:
        """Write settings, items, vectors, origins and curvatures."""
        save_model(folder, self.kind, self._settings, self._items, self._tables)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken.
        """
        shapes = {"item_vectors": 2, "mean": 1, "origins": 2, "curvature": 1}
        return cls(*load_model(folder, cls.kind, MultiManifoldSettings, shapes))


def _tables(network: Network, pairs: Pairs) -> dict[str, Tensor]:
    """What scoring needs."""
    with torch.no_grad():
        network.shorten()
        counts = torch.from_numpy(np.bincount(pairs.item, minlength=pairs.num_items)).float()
        mean = (network.item * counts[:, None]).sum(0) / counts.sum()
        return {
            "item_vectors": network.item.detach().clone(), "mean": mean,
            "origins": network.origin.detach().clone(), "curvature": network.curvature().detach().clone(),
        }  # fmt: skip


class _Training:
    """What the loop trains."""

    def __init__(
        self,
        network: Network,
        settings: MultiManifoldSettings,
        pairs: Pairs,
        cases: Cases,
        items: Items,
        seed: int,
    ) -> None:
        self.module = network
        self.batch_size = settings.batch_size
        self._settings, self._pairs, self._cases, self._items = settings, pairs, cases, items
        self._seed = seed

    def parts(self, step: int) -> Sequence[tuple[Tensor, Tensor, Tensor]]:
        """One part: users, items and drawn items; each epoch begins with new origins."""
        network = self.module
        network.shorten()
        if self._settings.manifolds and step % self._pairs.order.steps == 0:
            with torch.no_grad():
                found = centroids(network.user.detach(), self._settings.manifolds, seed=self._seed)
                network.origin.copy_(found)
        return [self._pairs.batch(step, self._settings.negatives)]

    def loss(self, part: tuple[Tensor, Tensor, Tensor]) -> Mapping[str, Tensor]:
        """The hinge between the true item and the nearest drawn one."""
        user, item, drawn = part
        network = self.module
        asked = torch.cat([item[:, None], drawn], dim=1)  # (B, 1 + n)
        c = network.curvature()
        far = pair_distances(
            network.user[user], network.item[asked], network.origin, c, self._settings.temperature
        ).square()
        # A drawn item that is the true one would be pushed away from itself.
        nearest = far[:, 1:].masked_fill(drawn == item[:, None], torch.inf).min(1).values
        return {"loss": functional.relu(self._settings.margin + far[:, 0] - nearest).mean()}

    def validate(self) -> Mapping[str, float]:
        """Full ranking of the validation cases by the means of their items."""
        model = MultiManifold(self._settings, self._items, _tables(self.module, self._pairs))
        return {"ndcg@10": ndcg(rank_cases(model, self._cases))}
