"""Closed forms on tiny logs, and what every counting model must do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput
from malmoi.users.base import FitContext, build_user_models
from malmoi.users.baselines.counts import cosines, interactions, last_items, transitions, weigh
from malmoi.users.baselines.ease import EASE, EASESettings, needed_memory
from malmoi.users.logs import History, Items, Logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.simulate import SimulationSettings, simulate
from malmoi.users.splits import leave_one_out

KINDS = ["popularity", "item-knn", "markov", "markov-knn", "ease"]


def make_logs(*sequences: Sequence[int], size: int = 4) -> Logs:
    ids = tuple(f"i{n}" for n in range(size))
    items = Items(ids, tuple(f"text {n}" for n in range(size)), ("s",), np.zeros(size, dtype=np.int16))
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    events = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    return Logs(tuple(f"u{n}" for n in range(len(sequences))), items, offsets, events)


def make_history(*items: int) -> History:
    return History(("",) * len(items), np.array(items, dtype=np.int32))


def fit(kind: str, logs: Logs, tmp_path: Path, **settings: Any) -> Any:
    chosen = build_user_models().get(kind)
    context = FitContext(work=tmp_path, home=tmp_path)
    return chosen.fit(chosen.settings_type.model_validate(settings), logs, context)


LOGS = make_logs([0, 1, 2], [0, 1], [1, 1, 0], [3], [])


def test_counting_by_hand() -> None:
    assert interactions(LOGS).toarray().tolist() == [
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]
    assert LOGS.events.tolist() == [0, 1, 2, 0, 1, 1, 1, 0, 3]  # counting leaves the logs as they are
    # No step leads from one user's last event to the next one's first.
    assert transitions(LOGS).toarray().tolist() == [[0, 2, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    near = cosines(interactions(LOGS)).toarray()
    assert near[0, 1] == pytest.approx(1)
    assert near[0, 2] == pytest.approx(1 / np.sqrt(3))
    assert np.diagonal(near).tolist() == [0, 0, 0, 0]
    assert near[3].tolist() == [0, 0, 0, 0]


def test_transitions_of_users_without_events() -> None:
    assert transitions(make_logs([], [0, 1], [], [], [2], [])).toarray().sum() == 1
    assert transitions(make_logs([], [])).nnz == 0
    assert interactions(make_logs([], [])).nnz == 0


def test_recent_events_count_more_and_unknown_items_nothing() -> None:
    rows = weigh([make_history(0, 1, 0), make_history(2, -1), make_history()], 4, 0.5).toarray()
    assert rows.tolist() == [[1, 0.5, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0]]
    assert weigh([], 4).shape == (0, 4)
    rows = last_items([make_history(0, 1), make_history(2, -1), make_history(-1), make_history()], 4)
    assert rows.toarray().tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0] * 4, [0] * 4]


def test_scores_by_hand(tmp_path: Path) -> None:
    root = 1 / np.sqrt(3)
    asked = [make_history(2, 0)]
    assert fit("popularity", LOGS, tmp_path).score(asked).tolist() == [[3, 4, 1, 1]]
    knn = fit("item-knn", LOGS, tmp_path, decay=0.8).score(asked)
    np.testing.assert_allclose(knn, [[0.8 * root, 1 + 0.8 * root, root, 0]], rtol=1e-6)
    markov = fit("markov", LOGS, tmp_path).score(asked)
    assert markov.tolist() == [[0, 2.5, 0, 0]]
    mixed = fit("markov-knn", LOGS, tmp_path).score(asked)
    np.testing.assert_allclose(mixed, markov + 0.5 * knn, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ease_is_the_closed_form(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    size = 520  # more than a block
    logs = make_logs(*[random.permutation(size)[:20].tolist() for _ in range(200)], size=size)
    model = fit("ease", logs, tmp_path, l2=5.0, dtype=dtype)
    x = interactions(logs).toarray().astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + 5.0 * np.eye(size))
    expected = np.eye(size) - inverse / np.diagonal(inverse)[None]
    np.fill_diagonal(expected, 0)
    scored = model.score([make_history(n) for n in range(size)])
    np.testing.assert_allclose(scored, expected, atol=1e-6 if dtype == "float64" else 1e-4)


def test_ease_minimises_its_loss_under_a_diagonal_of_zeros(tmp_path: Path) -> None:
    """At the optimum the loss's gradient vanishes off the diagonal."""
    logs = make_logs([0, 1, 2], [0, 1], [1, 3], [2, 3, 0])
    weights = fit("ease", logs, tmp_path, l2=2.0).score([make_history(n) for n in range(4)])
    x = interactions(logs).toarray()
    gradient = 2 * x.T @ (x @ weights - x) + 2 * 2.0 * weights
    np.fill_diagonal(gradient, 0)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_ease_says_before_it_starts_that_it_would_not_fit(tmp_path: Path) -> None:
    assert needed_memory(12_101, "float64") == 12_101**2 * 16
    with pytest.raises(InvalidInput, match=r"EASE over 4 items takes .* GB in float64") as error:
        EASE.fit(EASESettings(memory=1e-9), LOGS, FitContext(work=tmp_path, home=tmp_path))
    assert "float32" in error.value.fix


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_scores_the_same(tmp_path: Path, kind: str) -> None:
    made = simulate(SimulationSettings(users=80, items=120, events=8, seed=1))
    model = fit(kind, made.logs, tmp_path)
    histories = [made.logs.history(user) for user in range(20)] + [make_history(), make_history(-1, -1)]
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = build_user_models().get(kind).load(folder)
    np.testing.assert_array_equal(again.score(histories), model.score(histories))
    assert again.items.ids == model.items.ids
    assert again.settings == model.settings
    assert again.kind == kind
    assert not list(folder.glob("*.pkl"))
    # Rows do not affect each other.
    np.testing.assert_array_equal(model.score(histories[3:4])[0], model.score(histories)[3])


@pytest.mark.parametrize("kind", KINDS)
def test_broken_folders_are_said_to_be_so(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    chosen = build_user_models().get(kind)
    with pytest.raises(InvalidInput, match="does not hold a whole"):
        chosen.load(folder)
    fit(kind, LOGS, tmp_path).save(folder)
    big = max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)
    big.write_bytes(big.read_bytes()[:-3])
    with pytest.raises(InvalidInput, match=big.name.replace(".", r"\.")):
        chosen.load(folder)
    written = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    written["kind"] = "other"
    (folder / "model.json").write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(InvalidInput, match="of kind other"):
        chosen.load(folder)


def test_the_mix_is_better_than_its_parts_and_worse_than_the_best_there_is(tmp_path: Path) -> None:
    made = simulate(SimulationSettings(users=800, items=150, events=16, seed=5))
    split = leave_one_out(made.logs)
    found = {
        kind: ndcg(rank_cases(fit(kind, split.known, tmp_path), split.test))
        for kind in ("popularity", "item-knn", "markov", "markov-knn")
    }
    found["best"] = ndcg(rank_cases(made.best, split.test))
    assert found["popularity"] < found["item-knn"]
    assert found["popularity"] < found["markov"]
    assert max(found["item-knn"], found["markov"]) < found["markov-knn"]
    assert found["markov-knn"] < found["best"]
