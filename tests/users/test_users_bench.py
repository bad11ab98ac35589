"""The bench of users: both sides of a comparison, and what is said where the other side is not there."""

import json
import sys
from pathlib import Path

import pytest

from malmoi.cli.bench.users import peer_python
from malmoi.core.errors import EngineError, NotFound
from malmoi.users.bench import sasrec
from malmoi.users.simulate import SimulationSettings, simulate

PEER = """
import json, sys
import numpy as np
logs, out, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with np.load(logs) as arrays:
    offsets, events = arrays["offsets"], arrays["events"]
best = np.full((len(offsets) - 1, 10), -1)
best[:, 1] = np.load({truth!r})
np.save(out, best)
print("noise of a library")
print(json.dumps({{"train": 2.0, "rank": 1.0, "versions": {{"peer": str(settings["epochs"])}}}}))
"""


def test_both_sides_train_on_all_but_the_last_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    logs = simulate(SimulationSettings(users=40, items=100, events=8, seed=3)).logs
    truth = tmp_path / "truth.npy"
    np.save(truth, logs.events[logs.offsets[1:] - 1])  # a peer that knows the last event, in second place
    script = tmp_path / "peer.py"
    script.write_text(PEER.format(truth=str(truth)), encoding="utf-8")
    monkeypatch.setattr(sasrec, "_PEER", script)
    pairs = sasrec.compare_sasrec(logs, Path(sys.executable), tmp_path, epochs=1, threads=1, repeats=2)
    for ours, theirs in pairs:
        assert theirs.ndcg == pytest.approx(1 / np.log2(3), abs=1e-6)
        with np.load(tmp_path / "0" / "logs.npz") as arrays:
            lengths = np.diff(arrays["offsets"])
        asked = logs.lengths >= 3  # the others keep all that they did
        assert lengths.tolist() == (logs.lengths - asked).tolist()
        assert theirs.examples_per_second == pytest.approx((lengths - 1).sum() / 2.0)
        assert ours.examples_per_second * ours.seconds == pytest.approx(theirs.examples_per_second * 2.0)
        assert theirs.version == "peer 1"


def test_a_peer_that_fails_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "peer.py"
    script.write_text("raise SystemExit('no module named rectools')", encoding="utf-8")
    monkeypatch.setattr(sasrec, "_PEER", script)
    logs = simulate(SimulationSettings(users=20, items=100, events=8, seed=3)).logs
    with pytest.raises(EngineError, match="no module named rectools"):
        next(sasrec.compare_sasrec(logs, Path(sys.executable), tmp_path, epochs=1, threads=1, repeats=1))


def test_where_no_peer_is_the_fix_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALMOI_PEERS", str(tmp_path))
    with pytest.raises(NotFound) as caught:
        peer_python()
    assert "make bench-peers" in caught.value.fix
    assert json.dumps(str(tmp_path))[1:-1] in caught.value.message
