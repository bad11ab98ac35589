"""SASRec: causal, independent of its batch, learns a known order, and survives saving and killing."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.users.base import FitContext, build_user_models
from malmoi.users.cases import Cases
from malmoi.users.logs import UNKNOWN, History, Items, Logs
from malmoi.users.ranking import hit_rate, rank_cases
from malmoi.users.sequences.batches import Order, hold_out_last, windows
from malmoi.users.sequences.sasrec import SASRec, SASRecSettings
from malmoi.users.sequences.sasrec_network import SequenceNetwork, pack

SETTINGS = SASRecSettings(
    hidden_size=16, num_layers=1, num_heads=2, max_length=6, dropout=0.1, batch_size=32, num_epochs=20,
    learning_rate=0.03, validate_epochs=10, patience_epochs=30, precision="fp32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _items(count: int) -> Items:
    names = tuple(f"i{number}" for number in range(count))
    return Items(names, names, ("shop",), np.zeros(count, np.int16))


def _logs(sequences: list[list[int]], count: int) -> Logs:
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
    events = np.array([item for sequence in sequences for item in sequence], np.int32)
    return Logs(tuple(map(str, range(len(sequences)))), _items(count), offsets, events)


def _rings(users: int = 70, count: int = 12) -> Logs:
    """Everybody goes round the items by one; the next item is certain."""
    random = np.random.default_rng(0)
    starts, lengths = random.integers(0, count, users), random.integers(3, 9, users)
    return _logs([[(s + k) % count for k in range(n)] for s, n in zip(starts, lengths, strict=True)], count)


def _history(*numbers: int) -> History:
    return History(tuple(map(str, numbers)), np.array(numbers, np.int32))


def test_it_learns_what_certainly_comes_next(tmp_path: Path) -> None:
    logs = _rings()
    model = SASRec.fit(SETTINGS, logs, FitContext(work=tmp_path, home=tmp_path))
    scores = model.score([_history(3, 4, 5), _history(11), _history(UNKNOWN, 7)])
    assert scores.argmax(axis=1).tolist() == [6, 0, 8]
    cases = Cases(logs, np.arange(len(logs)), logs.offsets[1:] - 1)
    assert hit_rate(rank_cases(model, cases), 1) > 0.9


def test_scores_do_not_depend_on_the_rest_of_the_batch() -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(9, size=8, layers=2, heads=2, length=16, dropout=0.3).eval()
    sequences = [np.arange(n, dtype=np.int32) % 9 for n in (5, 1, 12, 3, 5)]
    batch = pack(sequences)
    together = network(batch)[batch.last]
    for row, sequence in enumerate(sequences):
        alone = pack([sequence])
        torch.testing.assert_close(together[row], network(alone)[alone.last][0])


def test_a_state_sees_no_later_event() -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(9, size=8, layers=2, heads=2, length=16, dropout=0.0).eval()
    short, changed = np.array([1, 2, 3, 4], np.int32), np.array([1, 2, 8, 8], np.int32)
    one, other = network(pack([short])), network(pack([changed]))
    torch.testing.assert_close(one[:2], other[:2])
    assert not torch.allclose(one[2], other[2])


def test_a_history_of_nothing_known_is_ranked_by_popularity(tmp_path: Path) -> None:
    logs = _logs([[0, 1, 1, 1], [2, 1, 1], [0, 1, 2]], 4)
    settings = SETTINGS.model_copy(update={"num_epochs": 1})
    model = SASRec.fit(settings, logs, FitContext(work=tmp_path, home=tmp_path))
    scores = model.score([_history(), _history(UNKNOWN)])
    assert scores.argmax(axis=1).tolist() == [1, 1]
    assert scores.argmin(axis=1).tolist() == [3, 3]


def test_what_is_saved_scores_the_same(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"num_epochs": 2, "validate_epochs": 1, "precision": "bf16"})
    model = SASRec.fit(settings, _rings(30), FitContext(work=tmp_path / "work", home=tmp_path))
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    loaded = build_user_models().get("sasrec").load(folder)
    histories = [_history(1, 2), _history(7)]
    assert np.array_equal(model.score(histories), loaded.score(histories))
    assert loaded.items.ids == model.items.ids
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileInvalid, match="holds no SASRec"):
        SASRec.load(folder)


def test_a_fit_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS.model_copy(update={"num_epochs": 6, "validate_epochs": 2})
    training = type(settings).training
    monkeypatch.setattr(
        type(settings), "training", lambda s, n: training(s, n).model_copy(update={"save_seconds": 0.0})
    )
    logs = _rings(60)
    straight = SASRec.fit(settings, logs, FitContext(work=tmp_path / "a", home=tmp_path))
    rows = Order.rows

    def dying(order: Order, step: int) -> np.ndarray:
        if step == 7:
            raise KeyboardInterrupt
        return rows(order, step)

    with monkeypatch.context() as patch:
        patch.setattr(Order, "rows", dying)
        with pytest.raises(KeyboardInterrupt):
            SASRec.fit(settings, logs, FitContext(work=tmp_path / "b", home=tmp_path))
    resumed = SASRec.fit(settings, logs, FitContext(work=tmp_path / "b", home=tmp_path))
    histories = [_history(1, 2, 3), _history(5)]
    assert np.array_equal(straight.score(histories), resumed.score(histories))


def test_logs_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too small"):
        SASRec.fit(SETTINGS, _logs([[0], [1]], 2), FitContext(work=tmp_path, home=tmp_path))


def test_windows_foretell_every_event_once() -> None:
    logs = _logs([[0] * 11, [1], [2] * 5], 3)
    starts, stops = windows(logs, 5)
    foretold = [at for start, stop in zip(starts, stops, strict=True) for at in range(start + 1, stop)]
    assert sorted(foretold) == [*range(1, 11), *range(13, 17)]
    assert (stops - starts).max() <= 5


def test_held_out_events_are_not_in_the_logs() -> None:
    logs = _rings(40)
    train, cases = hold_out_last(logs, share=0.5, most=10, seed=1)
    assert len(cases) == 10
    assert train.num_events == logs.num_events - 10
    for case, user in enumerate(cases.user.tolist()):
        assert train.sequence(user).tolist() == cases.history(case).items.tolist()
        assert cases.truth[case] == logs.sequence(user)[-1]


def test_an_order_takes_every_row_once_an_epoch_and_needs_no_past() -> None:
    order = Order(10, 4, seed=3)
    first = [order.rows(step).tolist() for step in range(6)]
    for epoch in (first[:3], first[3:]):
        assert sorted(chain(*epoch)) == list(range(10))
    assert first[:3] != first[3:]
    assert Order(10, 4, seed=3).rows(4).tolist() == first[4]
