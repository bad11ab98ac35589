"""LightGCN and Multi-Manifold: closed forms, folding in, learning, resuming, keeping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from malmoi.core.errors import Conflict, InvalidInput, ModelFileInvalid
from malmoi.users.base import FitContext, build_user_models
from malmoi.users.graphs.clusters import centroids
from malmoi.users.graphs.lightgcn import LightGCN, LightGCNSettings
from malmoi.users.graphs.lightgcn import Network as GraphNetwork
from malmoi.users.graphs.multi_manifold import (
    LARGEST,
    SMALLEST,
    MultiManifold,
    MultiManifoldSettings,
    all_distances,
    membership,
    pair_distances,
)
from malmoi.users.graphs.multi_manifold import Network as ManifoldNetwork
from malmoi.users.graphs.pairs import Pairs
from malmoi.users.logs import UNKNOWN, History, Items, Logs
from malmoi.users.ranking import hit_rate, rank_cases
from malmoi.users.splits import leave_one_out

torch.set_num_threads(1)

FAST: dict[str, Any] = {"batch_size": 256, "num_epochs": 12, "validate_epochs": 2, "size": 16}


def logs_of(sequences: list[list[int]], num_items: int) -> Logs:
    names = tuple(f"i{number}" for number in range(num_items))
    items = Items(names, names, ("shop",), np.zeros(num_items, dtype=np.int16))
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    events = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    return Logs(tuple(f"u{n}" for n in range(len(sequences))), items, offsets, events)


def taste_logs(num_users: int = 120, seed: int = 0) -> Logs:
    """Users of four tastes, each with ten items of its own."""
    random = np.random.default_rng(seed)
    sequences = [(10 * (user % 4) + random.permutation(10)[:6]).tolist() for user in range(num_users)]
    return logs_of(sequences, 40)


def history(*numbers: int) -> History:
    return History(tuple(f"i{n}" for n in numbers), np.array(numbers, dtype=np.int32))


def kinds() -> list[Any]:
    return [
        pytest.param(LightGCN, LightGCNSettings(**FAST, learning_rate=0.02), id="lightgcn"),
        pytest.param(LightGCN, LightGCNSettings(**FAST, learning_rate=0.02, loss="bpr"), id="lightgcn-bpr"),
        pytest.param(
            LightGCN, LightGCNSettings(**FAST, learning_rate=0.02, hops="sampled"), id="lightgcn-hops"
        ),
        pytest.param(
            MultiManifold, MultiManifoldSettings(**FAST, learning_rate=0.03, manifolds=0), id="euclidean"
        ),
        pytest.param(
            MultiManifold, MultiManifoldSettings(**FAST, learning_rate=0.03, manifolds=2), id="multi-manifold"
        ),
    ]


@pytest.mark.parametrize(("kind", "settings"), kinds())
def test_learns_tastes_scores_strangers_and_comes_back_the_same(
    kind: Any, settings: Any, tmp_path: Path
) -> None:
    split = leave_one_out(taste_logs())
    context = FitContext(work=tmp_path / "work", home=tmp_path, validation=split.validation)
    model = kind.fit(settings, split.train, context)
    # Of 40 items 5 are seen and 5 of the taste are left: chance at 5 is 5 / 35.
    assert hit_rate(rank_cases(model, split.test), 5) > 0.6
    asked = [history(0, 1, 2), history(31), history(), history(UNKNOWN, 0, 1, 2)]
    scores = model.score(asked)
    assert scores.shape == (4, 40)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert np.argmax(scores[1]) // 10 == 3
    assert np.allclose(scores[3], scores[0], atol=1e-6)  # what nobody knows says nothing
    assert np.allclose(np.concatenate([model.score([h]) for h in asked]), scores, atol=1e-5)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = build_user_models().get(kind.kind).load(folder)
    assert np.array_equal(again.score(asked), scores)
    assert again.items.ids == model.items.ids


@pytest.mark.parametrize(("kind", "settings"), kinds()[2:5:2])
def test_an_interrupted_fit_ends_as_an_unbroken_one(
    kind: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = leave_one_out(taste_logs(60))
    settings = settings.model_copy(update={"num_epochs": 4, "batch_size": 64})
    whole = kind.fit(settings, split.train, FitContext(tmp_path / "a", tmp_path, validation=split.validation))

    class Killed(Exception):
        pass

    original = Pairs.batch

    def dying(self: Pairs, step: int, negatives: int = 0) -> Any:
        if step == 9:  # inside the third epoch: the origins of its beginning must be in the checkpoint
            raise Killed
        return original(self, step, negatives)

    context = FitContext(tmp_path / "b", tmp_path, validation=split.validation)
    training = settings.training

    def eager(self: Any, steps: int) -> Any:
        return training(steps).model_copy(update={"save_seconds": 0.0})

    monkeypatch.setattr(type(settings), "training", eager)
    monkeypatch.setattr(Pairs, "batch", dying)
    with pytest.raises(Killed):
        kind.fit(settings, split.train, context)
    monkeypatch.setattr(Pairs, "batch", original)
    again = kind.fit(settings, split.train, context)
    asked = [history(0, 1), history(20, 21, 22)]
    assert np.array_equal(again.score(asked), whole.score(asked))
    with pytest.raises(Conflict, match="other settings"):
        kind.fit(settings.model_copy(update={"size": 8}), split.train, context)


def test_lightgcn_layers_equal_the_equations() -> None:
    logs = logs_of([[0, 1], [1, 2], [2]], 3)
    pairs = Pairs(logs, 8, 0)
    torch.manual_seed(0)
    network = GraphNetwork(LightGCNSettings(size=4, depth=2), pairs, 3).eval()
    r = torch.zeros(3, 3)
    r[pairs.user, pairs.item] = 1.0
    whole = torch.zeros(6, 6)
    whole[:3, 3:], whole[3:, :3] = r, r.T
    degree = whole.sum(1)
    s = whole / (degree[:, None] * degree[None, :]).sqrt()
    x = torch.cat([network.user, network.item])
    expected = (x + s @ x + s @ s @ x) / 3
    users, items = network()
    assert torch.allclose(torch.cat([users, items]), expected, atol=1e-6)


def test_folding_in_is_what_the_graph_gives_to_a_user_without_a_vector() -> None:
    logs = logs_of([[0, 1], [1, 2], [2, 3, 0]], 4)
    pairs = Pairs(logs, 8, 0)
    torch.manual_seed(0)
    settings = LightGCNSettings(size=4, depth=1)
    network = GraphNetwork(settings, pairs, 3).eval()
    with torch.no_grad():
        network.user[2] = 0.0
        users, _ = network()
    model = LightGCN(settings, logs.items, network.tables())
    assert np.allclose(model.encode([history(2, 3, 0)])[0], users[2].numpy(), atol=1e-6)


def test_manifold_distances_agree_and_weights_add_up() -> None:
    random = torch.Generator().manual_seed(0)
    users, items = torch.randn(5, 4, generator=random) * 0.3, torch.randn(7, 4, generator=random) * 0.3
    origins, c = torch.randn(3, 4, generator=random) * 0.1, torch.tensor([0.2, 1.0, 5.0])
    for chosen, curvature in ((origins, c), (origins[:0], c[:0])):
        every = all_distances(users, items, chosen, curvature, 0.5)
        own = pair_distances(users, items.expand(5, 7, 4), chosen, curvature, 0.5)
        assert torch.allclose(every, own, atol=1e-4)
    assert torch.allclose(membership(users, origins, 0.5).sum(1), torch.ones(5))
    assert membership(origins, origins, 1e-3).argmax(1).tolist() == [0, 1, 2]


def test_curvature_and_vectors_are_kept_within_bounds() -> None:
    network = ManifoldNetwork(MultiManifoldSettings(manifolds=2, longest=0.5), 3, 3)
    with torch.no_grad():
        network.raw.copy_(torch.tensor([-1e3, 1e3]))
        network.user.fill_(9.0)
    network.shorten()
    assert network.curvature().tolist() == pytest.approx([SMALLEST, LARGEST], rel=1e-5)
    assert network.user.norm(dim=1).tolist() == pytest.approx([0.5] * 3, rel=1e-5)


def test_centroids_find_clusters_and_survive_equal_points() -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = truth.repeat_interleave(30, 0) + 0.1 * torch.randn(90, 2, generator=random)
    found = centroids(points, 3, seed=1)
    assert torch.cdist(truth, found).min(1).values.max() < 0.1
    assert torch.equal(centroids(torch.ones(4, 2), 3, seed=0), torch.ones(3, 2))


@pytest.mark.parametrize("kind", ["lightgcn", "multi-manifold"])
def test_too_small_logs_and_broken_folders_are_told(kind: str, tmp_path: Path) -> None:
    model = build_user_models().get(kind)
    with pytest.raises(InvalidInput, match="too small to fit"):
        model.fit(model.settings_type(), logs_of([[0], [0]], 1), FitContext(tmp_path / "w", tmp_path))
    with pytest.raises(ModelFileInvalid, match=f"holds no {kind}"):
        model.load(tmp_path)
