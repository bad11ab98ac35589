"""Refreshing a collection: only what is new is encoded, and the result is that of encoding everybody."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people_vectors import CountingEncoder, bytes_anywhere, logs_of

from malmoi.users.index import Collection, open_collection
from malmoi.users.index import refresh as refreshing
from malmoi.users.index.fingerprint import fingerprints
from malmoi.users.index.refresh import refresh

BEFORE = {"kim": ["책을 샀다", "차를 샀다"], "lee": ["책을 샀다"], "park": []}
AFTER = {
    "kim": ["책을 샀다", "차를 샀다"],
    "lee": ["책을 샀다", "꽃을 샀다"],
    "park": [],
    "choi": ["꽃을 샀다"],
}


def content(collection: Collection) -> dict[str, tuple[list[float], object]]:
    version = collection.active
    keys, vectors = version.vectors_of(version.keys())
    return {key: (row.tolist(), version.facts(key)) for key, row in zip(keys, vectors, strict=True)}


def test_only_new_events_are_encoded(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    first = refresh(tmp_path, "people", encoder, logs_of(BEFORE), model="m")
    assert (first.encoded, first.unchanged, first.watermark) == (3, 0, 1001)
    encoder.seen.clear()
    second = refresh(tmp_path, "people", encoder, logs_of(AFTER), model="m")
    assert (second.encoded, second.unchanged) == (2, 2)
    assert sorted(encoder.seen) == [("꽃을 샀다",), ("책을 샀다", "꽃을 샀다")]


def test_twice_is_once(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    refresh(tmp_path, "people", encoder, logs_of(AFTER), model="m")
    pointer = open_collection(tmp_path, "people").pointer
    encoder.seen.clear()
    again = refresh(tmp_path, "people", encoder, logs_of(AFTER), model="m")
    assert (again.encoded, again.unchanged, encoder.seen) == (0, 4, [])
    assert open_collection(tmp_path, "people").pointer == pointer


TEXTS = st.lists(st.sampled_from(["책", "차", "꽃", "옷", "신발"]), max_size=5)
STATES = st.dictionaries(st.sampled_from(["kim", "lee", "park", "choi"]), TEXTS, min_size=1)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(STATES, min_size=2, max_size=4))
def test_step_by_step_is_all_at_once(
    tmp_path_factory: pytest.TempPathFactory, states: list[dict[str, list[str]]]
) -> None:
    """Whatever happens between two refreshes, late events too."""
    home = tmp_path_factory.mktemp("home")
    for state in states:
        refresh(home, "steps", CountingEncoder(), logs_of(state), model="m", prune=True)
    refresh(home, "whole", CountingEncoder(), logs_of(states[-1]), model="m", full=True)
    assert content(open_collection(home, "steps")) == content(open_collection(home, "whole"))


def test_item_numbers_do_not_count(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    refresh(tmp_path, "people", encoder, logs_of(BEFORE), model="m")
    encoder.seen.clear()
    # A new first item shifts the numbers of all others.
    refresh(tmp_path, "people", encoder, logs_of({**BEFORE, "new": ["가방을 샀다"]}), model="m")
    assert encoder.seen == [("가방을 샀다",)]


def test_a_history_in_another_order_is_another(tmp_path: Path) -> None:
    one, other = (logs_of({"kim": texts}) for texts in (["책", "차", "책"], ["책", "책", "차"]))
    assert fingerprints(one) != fingerprints(other)
    assert fingerprints(one) == fingerprints(logs_of({"kim": ["책", "차", "책"]}))


def test_long_logs_are_fingerprinted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = logs_of({f"u{n}": ["책"] * (n % 7) for n in range(40)})
    whole = fingerprints(logs)
    monkeypatch.setattr("malmoi.users.index.fingerprint._EVENTS_AT_ONCE", 5)
    assert np.array_equal(fingerprints(logs), whole)


def test_another_model_begins_anew(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    refresh(tmp_path, "people", encoder, logs_of(BEFORE), model="m1")
    done = refresh(tmp_path, "people", encoder, logs_of(BEFORE), model="m2")
    assert done.encoded == 3
    people = open_collection(tmp_path, "people")
    assert people.meta.model == "m2"
    people.rollback()
    assert people.meta.model == "m1"


def test_whoever_was_taken_out_stays_out(tmp_path: Path) -> None:
    refresh(tmp_path, "people", CountingEncoder(), logs_of(BEFORE), model="m")
    people = open_collection(tmp_path, "people")
    people.remove("lee")
    for full in (False, True):
        done = refresh(tmp_path, "people", CountingEncoder(), logs_of(AFTER), model="m", full=full)
        assert done.forgotten == 1
        assert people.active.keys() == ["choi", "kim", "park"]
    assert bytes_anywhere(people.folder, b"lee") == []


def test_whoever_is_taken_out_while_others_are_encoded_stays_out(tmp_path: Path) -> None:
    refresh(tmp_path, "people", CountingEncoder(), logs_of(BEFORE), model="m")
    people = open_collection(tmp_path, "people")

    class Meanwhile(CountingEncoder):
        def encode(self, histories):  # type: ignore[no-untyped-def]
            people.remove("lee")
            return super().encode(histories)

    refresh(tmp_path, "people", Meanwhile(), logs_of(AFTER), model="m")
    assert people.active.keys() == ["choi", "kim", "park"]
    people.readmit(["lee"])
    assert refresh(tmp_path, "people", CountingEncoder(), logs_of(AFTER), model="m").encoded == 1
    assert people.active.keys() == ["choi", "kim", "lee", "park"]


def test_users_who_left_the_logs(tmp_path: Path) -> None:
    refresh(tmp_path, "people", CountingEncoder(), logs_of(AFTER), model="m")
    people = open_collection(tmp_path, "people")
    refresh(tmp_path, "people", CountingEncoder(), logs_of(BEFORE), model="m")
    assert len(people) == 4
    assert refresh(tmp_path, "people", CountingEncoder(), logs_of(BEFORE), model="m", prune=True).removed == 1
    assert people.active.keys() == ["kim", "lee", "park"]


def test_impossible_names_are_left_out(tmp_path: Path) -> None:
    done = refresh(tmp_path, "people", CountingEncoder(), logs_of({"": ["책"], "kim": ["책"]}), model="m")
    assert (done.encoded, done.refused) == (1, 1)


def test_a_refresh_that_died_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_PART", 2)
    logs = logs_of({f"u{n}": [f"책 {n}"] for n in range(7)})
    encoder = CountingEncoder()
    encoder.fails_after = 5
    with pytest.raises(RuntimeError, match="stopped"):
        refresh(tmp_path, "people", encoder, logs, model="m", batch=1)
    assert len(open_collection(tmp_path, "people")) == 0
    encoder.fails_after = None
    encoder.seen.clear()
    refresh(tmp_path, "people", encoder, logs, model="m", batch=1)
    assert len(encoder.seen) == 3  # two whole parts of two were there
    refresh(tmp_path, "whole", CountingEncoder(), logs, model="m")
    assert content(open_collection(tmp_path, "people")) == content(open_collection(tmp_path, "whole"))
    assert not (tmp_path / "users" / "people" / "work").exists()
