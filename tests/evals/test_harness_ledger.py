"""Answers on disk: nothing is asked twice, and nothing half-written is believed."""

from pathlib import Path

from malmoi.evals.harness.ledger import Ledger, request_key


def test_what_was_added_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "model.jsonl"
    ledger = Ledger(path)
    assert ledger.get("x") is None
    ledger.add([("x", {"logprob": -1.5}), ("y", {"text": "줄\n둘 \ud800"})])
    again = Ledger(path)
    assert again.get("x") == {"logprob": -1.5}
    assert len(again) == 2
    assert (again.found, again.added, ledger.added) == (1, 0, 2)


def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    Ledger(path).add([("x", {"n": 1}), ("y", {"n": 2})])
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    cut = Ledger(path)
    assert (cut.get("x"), cut.get("y")) == ({"n": 1}, None)
    cut.add([("y", {"n": 2}), ("z", {"n": 3})])
    again = Ledger(path)
    assert [again.get(key) for key in "xyz"] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_garbage_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_bytes(b'[1]\n{"key": 5}\n\xff\xfe\n{"key": "x", "n": 1}\n')
    ledger = Ledger(path)
    assert len(ledger) == 1
    assert ledger.get("x") == {"n": 1}


def test_two_runs_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    one, two = Ledger(path), Ledger(path)
    one.add([("x", {"n": 1})])
    two.add([("y", {"n": 2})])
    assert len(Ledger(path)) == 2


def test_a_key_depends_on_everything() -> None:
    keys = {
        request_key("m", "score", "a", "b"),
        request_key("n", "score", "a", "b"),
        request_key("m", "table", "a", "b"),
        request_key("m", "score", "ab", ""),
        request_key("m", "score", "a", ["b"]),
        request_key("m", "score", "a", "\ud800"),
    }
    assert len(keys) == 6
    assert request_key("m", "score", {"a": 1, "b": 2}) == request_key("m", "score", {"b": 2, "a": 1})
