"""Collections of user vectors: search, deletion, versions, and crashes in the middle of a write."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from people_vectors import SIZE, bytes_anywhere, filled, keys, random_vectors

from malmoi.core.errors import Conflict, InvalidInput, NotFound, UnknownName
from malmoi.core.locks import locked
from malmoi.users.index import Collection, Facts, collection, draft, graph, open_collection, version


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T) / (np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)[None])


def test_search_is_the_cosine(tmp_path: Path) -> None:
    people = filled(tmp_path, 50)
    vectors, asked = random_vectors(50), random_vectors(3, seed=1)
    expected = cosine(asked, vectors)
    for found, row in zip(people.search(asked, 5), expected, strict=True):
        order = np.argsort(-row)[:5]
        assert found.keys == tuple(keys(50)[place] for place in order)
        assert found.scores == pytest.approx(row[order], abs=1e-6)


def test_only_those_who_are_allowed_are_found(tmp_path: Path) -> None:
    people = filled(tmp_path, 50)
    allowed = ["user-0003", "user-0040", "nobody"]
    [found] = people.search(random_vectors(1, seed=2), 5, allowed=allowed)
    assert sorted(found.keys) == ["user-0003", "user-0040"]
    [nobody] = people.search(random_vectors(1), 5, allowed=[])
    assert nobody.keys == ()


def test_ties_and_zero_vectors_have_an_order(tmp_path: Path) -> None:
    people = Collection.create(tmp_path, "ties", model="m", size=2)
    vectors = np.array([[0, 0], [1, 0], [2, 0], [-1, 0]], dtype=np.float32)
    people.upsert(["zero", "one", "two", "back"], vectors, model="m")
    [found] = people.search(np.array([[3, 0]], dtype=np.float32), 4)
    assert found.keys == ("one", "two", "zero", "back")
    assert found.scores.tolist() == [1, 1, 0, -1]


def test_what_is_replaced_is_found_anew(tmp_path: Path) -> None:
    people = filled(tmp_path, 20)
    new = random_vectors(2, seed=9)
    people.upsert(
        ["user-0004", "somebody new"], new, model="m1", facts={"somebody new": Facts(texts=("꽃",))}
    )
    assert len(people) == 21
    assert people.search(new, 1)[0].keys == ("user-0004",)
    assert people.search(new, 1)[1].keys == ("somebody new",)
    facts = people.active.facts("somebody new")
    assert facts is not None
    assert facts.texts == ("꽃",)
    assert people.active.facts("nobody") is None


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    people = filled(tmp_path, 20)
    before = people.search(random_vectors(4, seed=3), 20)
    people.upsert(keys(20), random_vectors(20), model="m1")
    after = people.search(random_vectors(4, seed=3), 20)
    assert [found.keys for found in before] == [found.keys for found in after]


@pytest.mark.parametrize("exact_below", [10_000, 10], ids=["product", "graph"])
def test_nothing_is_left_of_a_removed_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact_below: int
) -> None:
    monkeypatch.setattr(version, "EXACT_BELOW", exact_below)
    people = filled(tmp_path, 60, size=16)
    people.upsert(
        ["user-0000"], random_vectors(1, seed=5, size=16), model="m1"
    )  # so an older version is kept
    vector = random_vectors(60, size=16)[7]
    unit = vector / np.linalg.norm(vector)
    (people.folder / "work" / "half").mkdir(parents=True)
    (people.folder / "work" / "half" / "0.npy").write_bytes(vector.tobytes())
    wanted = [vector.tobytes(), b"user-0007", "책 7".encode()]
    if exact_below == 10:
        wanted.append(np.asarray(unit, dtype=np.float32).tobytes())
    for piece in wanted:
        assert len(bytes_anywhere(people.folder, piece)) >= 2, "both versions hold it before"
    people.remove("user-0007")
    for piece in wanted:
        assert bytes_anywhere(people.folder, piece) == []
    assert len(people) == 59
    assert "user-0007" not in people.search(vector, 60)[0].keys
    people.rollback()
    assert len(people) == 59
    assert "user-0007" not in people.search(vector, 60)[0].keys
    assert bytes_anywhere(people.folder, "모두의 책".encode()) != []  # others did that too
    with pytest.raises(NotFound, match="user-0007"):
        people.remove("user-0007")


def test_removing_is_all_or_nothing(tmp_path: Path) -> None:
    people = filled(tmp_path, 5)
    with pytest.raises(NotFound, match="nobody"):
        people.remove_all(["user-0001", "nobody"])
    assert len(people) == 5
    people.remove_all(["user-0001", "user-0002"])
    assert people.active.keys() == ["user-0000", "user-0003", "user-0004"]
    assert people.forgotten(keys(5)) == {"user-0001", "user-0002"}


def test_a_freed_row_is_used_again(tmp_path: Path) -> None:
    people = filled(tmp_path, 5)
    people.remove("user-0002")
    people.upsert(["late"], random_vectors(1, seed=4), model="m1")
    assert len(people.active.vectors) == 5
    assert people.search(random_vectors(1, seed=4), 1)[0].keys == ("late",)
    people.remove_all(["late", *people.active.keys(beginning="user-")])
    assert len(people) == 0
    assert people.search(random_vectors(1), 3)[0].keys == ()


def test_going_back_and_forth(tmp_path: Path) -> None:
    people = filled(tmp_path, 10)
    people.upsert(["new"], random_vectors(1, seed=1), model="m1")
    assert len(people) == 11
    people.rollback()
    assert len(people) == 10
    people.rollback()
    assert len(people) == 11


def test_only_two_versions_are_kept(tmp_path: Path) -> None:
    people = filled(tmp_path, 10)
    for seed in range(4):
        people.upsert(["new"], random_vectors(1, seed=seed), model="m1")
    names = sorted(path.name for path in (people.folder / "versions").iterdir())
    assert names == sorted(people.pointer.names)
    assert len(names) == 2


def test_vectors_of_models_do_not_mix(tmp_path: Path) -> None:
    people = filled(tmp_path, 10)
    with pytest.raises(Conflict, match="model m1, these are of m2"):
        people.upsert(["x"], random_vectors(1), model="m2")
    with pytest.raises(InvalidInput, match="5 numbers"):
        people.upsert(["x"], random_vectors(1, size=5), model="m1")
    with pytest.raises(InvalidInput, match="5 numbers"):
        people.search(random_vectors(1, size=5), 1)
    people.replace(["x", "y"], random_vectors(2, size=5), model="m2")
    assert (people.meta.model, people.meta.size, len(people)) == ("m2", 5, 2)
    people.rollback()
    assert (people.meta.model, people.meta.size, len(people)) == ("m1", SIZE, 10)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\0b"], ids=["empty", "long", "nul"])
def test_names_that_are_not_possible(tmp_path: Path, key: str) -> None:
    people = filled(tmp_path, 2)
    with pytest.raises(InvalidInput, match="not the name of a user"):
        people.upsert([key], random_vectors(1), model="m1")


@pytest.mark.parametrize("key", ["a/../b", "'; DROP TABLE users; --", "가나다", "%00"])
def test_a_name_is_no_path_and_no_query(tmp_path: Path, key: str) -> None:
    people = filled(tmp_path, 3)
    people.upsert([key], random_vectors(1, seed=8), model="m1")
    assert people.search(random_vectors(1, seed=8), 1)[0].keys == (key,)
    assert people.active.keys(beginning=key) == [key]
    people.remove(key)
    assert len(people) == 3


def test_a_vector_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    people = filled(tmp_path, 2)
    bad = random_vectors(2)
    bad[1, 0] = np.nan
    with pytest.raises(InvalidInput, match="'b' is not finite"):
        people.upsert(["a", "b"], bad, model="m1")


@pytest.mark.parametrize("name", ["..", "a/b", "", "UPPER", "x" * 200])
def test_a_collection_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        Collection.create(tmp_path, name, model="m", size=2)
    with pytest.raises(UnknownName):
        open_collection(tmp_path, name)


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    people = filled(tmp_path, 2)
    with locked(people.folder / "lock", busy="held"), pytest.raises(Conflict, match="another process"):
        people.remove("user-0001")


def test_a_change_by_another_is_seen(tmp_path: Path) -> None:
    reader = filled(tmp_path, 10)
    assert len(reader) == 10
    open_collection(tmp_path, "people").remove("user-0000")
    assert len(reader) == 9


@pytest.mark.parametrize(
    ("module", "function"),
    [(draft, "_change_table"), (draft, "_write_vectors"), (draft, "write_json"), (collection, "write_json")],
    ids=["table", "vectors", "meta", "pointer"],
)
@pytest.mark.parametrize("what", ["upsert", "remove"])
def test_a_write_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, function: str, what: str
) -> None:
    people = filled(tmp_path, 10)
    before = people.search(random_vectors(2, seed=6), 10)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no more")

    def write() -> None:
        if what == "upsert":
            people.upsert(["new"], random_vectors(1), model="m1")
        else:
            people.remove("user-0003")

    with monkeypatch.context() as patch:
        patch.setattr(module, function, fail)
        with pytest.raises(OSError, match="no more"):
            write()
    for found, known in zip(people.search(random_vectors(2, seed=6), 10), before, strict=True):
        assert found.keys == known.keys
    write()
    assert len(people) == (11 if what == "upsert" else 9)
    assert sorted(path.name for path in (people.folder / "versions").iterdir()) == sorted(
        people.pointer.names
    )


def _write_and_die(home: Path, die_in: str) -> None:
    target = {"vectors": (draft, "_write_vectors"), "pointer": (collection, "write_json")}[die_in]
    setattr(*target, lambda *arguments, **options: os.kill(os.getpid(), signal.SIGKILL))
    open_collection(home, "people").remove("user-0003")


@pytest.mark.parametrize("die_in", ["vectors", "pointer"])
def test_a_killed_removal_can_be_done_again(tmp_path: Path, die_in: str) -> None:
    people = filled(tmp_path, 10)
    process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(tmp_path, die_in))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert len(people) == 10
    people.remove("user-0003")
    assert bytes_anywhere(people.folder, b"user-0003") == []
    assert bytes_anywhere(people.folder, random_vectors(10)[3].tobytes()) == []


def recall(people: Collection, asked: np.ndarray, k: int = 10) -> float:
    pairs = zip(people.search(asked, k), people.search(asked, k, exact=True), strict=True)
    return float(np.mean([len(set(found.keys) & set(true.keys)) / k for found, true in pairs]))


def test_the_graph_finds_what_comparing_with_all_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "EXACT_BELOW", 1000)
    people = filled(tmp_path, 2000, size=16)
    assert people.meta.has_graph
    asked = random_vectors(50, seed=1, size=16)
    assert recall(people, asked) >= 0.98
    gone = keys(2000)[:300]
    people.remove_all(gone)
    people.readmit(gone[100:200])
    people.upsert(gone[100:200], random_vectors(100, seed=2, size=16), model="m1")
    assert len(people) == 1800
    assert recall(people, asked) >= 0.97
    assert not set(gone[:100]) & {key for found in people.search(asked, 50) for key in found.keys}


def test_a_graph_that_keeps_a_vector_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "EXACT_BELOW", 10)
    people = filled(tmp_path, 40)
    built: list[Path] = []
    write: Callable[..., None] = graph.write_graph
    monkeypatch.setattr(draft, "change_graph", lambda *arguments, **options: False)
    monkeypatch.setattr(draft, "write_graph", lambda path, *rest: (built.append(path), write(path, *rest)))
    people.remove("user-0001")
    assert len(built) == 1  # the version before is the empty one
    assert people.search(random_vectors(40)[2], 1)[0].keys == ("user-0002",)


def test_pages_of_keys(tmp_path: Path) -> None:
    people = filled(tmp_path, 30)
    people.upsert(["other"], random_vectors(1), model="m1")
    first = people.active.keys(beginning="user-", limit=20)
    rest = people.active.keys(beginning="user-", after=first[-1], limit=20)
    assert [*first, *rest] == keys(30)
    assert people.active.sample(5) == people.active.sample(5)
    assert len(people.active.sample(5)) == 5
    assert len(people.active.sample(100)) == 31
