"""The facade of user models: recommendation and why, audiences, campaigns, the map, the memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fake_text_model import FirstItems, WordCounts, fake_kinds, items_of, store_model
from malmoi.core.errors import (
    Conflict,
    InvalidInput,
    MissingExtra,
    ModelFileInvalid,
    NotFound,
    UnknownName,
    Unsupported,
)
from malmoi.core.store import Store
from malmoi.users import service as serving
from malmoi.users.campaigns import fit_campaign, learn_campaign, load_campaign
from malmoi.users.index import Collection
from malmoi.users.projection import project
from malmoi.users.service import MAX_EVENTS, MAX_HISTORIES, MAX_TEXT, UserService

TEXTS = [
    "빨간 운동화 구매",
    "파란 운동화 구매",
    "제주 여행 예약",
    "제주 호텔 예약",
    "로맨스 웹툰 열람",
    "로맨스 웹툰 열람",
]
SERVICES = ["shop", "shop", "travel", "travel", "webtoon", "webtoon"]


@pytest.fixture
def model() -> WordCounts:
    return WordCounts(items_of(TEXTS, SERVICES))


@pytest.fixture
def service(tmp_path: Path, model: WordCounts) -> UserService:
    store_model(tmp_path, model)
    store_model(tmp_path, FirstItems(model.items), "first-items")
    return UserService(tmp_path, ["word-counts", "first-items"], registry=fake_kinds())


def people(home: Path, vectors: np.ndarray, *, model: str = "m") -> list[str]:
    keys = [f"u{number:03d}" for number in range(len(vectors))]
    Collection.create(home, "people", model=model, size=vectors.shape[1]).upsert(keys, vectors, model=model)
    return keys


def test_a_new_user_gets_what_is_like_the_history(service: UserService) -> None:
    best = service.recommend(["빨간 운동화 구매"], top=2)
    assert (best[0].text, best[0].service, best[0].item) == ("파란 운동화 구매", "shop", "i1")
    assert best[0].score >= best[1].score


def test_ranks_as_the_model_itself(service: UserService, model: WordCounts) -> None:
    history = ["제주 여행 예약", "빨간 운동화 구매", "무엇인지 모를 일"]
    opened = service.open()
    scores = model.score([opened.history(history)])[0]
    best = service.recommend(history, top=6, exclude_seen=False, why=False)
    order = np.lexsort((np.arange(6), -scores))
    assert [item.item for item in best] == [f"i{number}" for number in order]
    assert [item.score for item in best] == pytest.approx(scores[order].tolist())


def test_why_is_what_the_score_loses(service: UserService, model: WordCounts) -> None:
    history = ["제주 여행 예약", "낯선 일", "빨간 운동화 구매"]
    [best] = service.recommend(history, top=1)
    number = int(best.item[1:])
    opened = service.open()
    whole = model.score([opened.history(history)])[0, number]
    assert best.why
    for reason in best.why:
        without = history[: reason.event] + history[reason.event + 1 :]
        assert reason.text == history[reason.event]
        assert reason.drop == pytest.approx(
            whole - model.score([opened.history(without)])[0, number], abs=1e-5
        )
        assert reason.drop > 0
    assert [reason.drop for reason in best.why] == sorted((reason.drop for reason in best.why), reverse=True)


def test_a_model_without_vectors_recommends_and_says_why(service: UserService) -> None:
    [best] = service.recommend(["낯선 일", "파란 운동화 구매"], model="first-items", top=1)
    assert best.text == "제주 여행 예약"
    assert [(reason.event, reason.drop) for reason in best.why] == [(1, 100.0)]
    with pytest.raises(Unsupported, match="gives no vectors"):
        service.encode([["a"]], model="first-items")


def test_seen_items_go_even_where_two_read_alike(service: UserService) -> None:
    items = {item.item for item in service.recommend(["로맨스 웹툰 열람"], top=6)}
    assert items == {"i0", "i1", "i2", "i3"}
    every = service.recommend(["로맨스 웹툰 열람"], top=6, exclude_seen=False)
    assert [item.item for item in every][:2] == ["i4", "i5"]


def test_only_items_of_a_service(service: UserService) -> None:
    best = service.recommend(["빨간 운동화 구매"], top=6, services=["travel"])
    assert {item.service for item in best} == {"travel"}
    with pytest.raises(UnknownName, match="travle"):
        service.recommend([], services=["travle"])
    assert service.recommend([], services=[]) == []


def test_somebody_without_a_history(service: UserService) -> None:
    best = service.recommend([], top=3)
    assert [item.item for item in best] == ["i0", "i1", "i2"]
    assert all(item.why == () for item in best)
    assert service.encode([[]]).shape == (1, 64)
    assert service.encode([]).shape == (0, 64)


@pytest.mark.parametrize(
    ("texts", "top", "field"),
    [
        (["a"] * (MAX_EVENTS + 1), 1, "history"),
        (["a" * (MAX_TEXT + 1)], 1, "history.0"),
        ([], 0, "top"),
        ([], 9999, "top"),
    ],
    ids=["events", "text", "none", "many"],
)
def test_sizes_are_limited(service: UserService, texts: list[str], top: int, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        service.recommend(texts, top=top)
    assert caught.value.field == field


def test_histories_are_limited(service: UserService) -> None:
    with pytest.raises(InvalidInput, match="histories"):
        service.encode([[]] * (MAX_HISTORIES + 1))


def test_a_vector_is_made_once(service: UserService, monkeypatch: pytest.MonkeyPatch) -> None:
    model = service.open().model
    assert isinstance(model, WordCounts)
    model.encoded = 0
    first = service.encode([["가", "나"], ["다"], ["가", "나"]])
    assert model.encoded == 2
    assert np.array_equal(service.encode([["가", "나"]]), first[:1])
    assert np.array_equal(first[0], first[2])
    assert model.encoded == 2
    service.encode([["가나"]])  # no other history has its name
    assert model.encoded == 3
    monkeypatch.setattr(serving, "_REMEMBERED_SECONDS", -1.0)
    service.encode([["다"]])
    assert model.encoded == 4


def test_forgetting_somebody_empties_what_is_remembered(service: UserService, tmp_path: Path) -> None:
    people(tmp_path, np.eye(3, dtype=np.float32))
    service.encode([["가"]])
    assert len(service._vectors) == 1
    service.forget("people", "u001")
    assert len(service._vectors) == 0
    with pytest.raises(NotFound):
        service.person("people", "u001")
    with pytest.raises(NotFound):
        service.forget("people", "u001")


def test_look_alikes_are_near_the_mean_of_the_seeds(service: UserService, tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [5, 5], [0, 1], [-1, 0]], dtype=np.float32)
    people(tmp_path, vectors)
    audience = service.look_alike("people", ["u000", "u003", "nobody"], 2)
    assert audience.found.keys == ("u002", "u001")
    assert audience.unknown == ("nobody",)
    assert service.neighbours("people", "u000", 1).keys == ("u001",)
    for seeds in (["nobody"], []):
        with pytest.raises((NotFound, InvalidInput)):
            service.look_alike("people", seeds, 2)
    assert len(service.look_alike("people", ["u000"], 100).found.keys) == 4


def answers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, what people answered, and the true chance."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, 6)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(1.5 * vectors[:, 0] - vectors[:, 1] - 1)))
    return vectors, random.random(count) < chance, chance


def test_a_propensity_is_a_probability() -> None:
    vectors, truth, _ = answers(3000, 0)
    campaign = fit_campaign(vectors, truth, model="m")
    new, answered, chance = answers(3000, 1)
    found = campaign.probability(new)
    assert np.abs(found - chance).mean() < 0.03
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):  # of those who are told p, a share of p answers
        group = (found >= low) & (found < low + 0.2)
        assert abs(answered[group].mean() - found[group].mean()) < 0.06


def test_answers_that_can_be_told_apart_stay_finite() -> None:
    vectors = np.concatenate([np.eye(40), -np.eye(40)]).astype(np.float32)
    vectors[:, 0] = np.repeat([1.0, -1.0], 40)
    campaign = fit_campaign(vectors, np.repeat([True, False], 40), model="m")
    found = campaign.probability(vectors)
    assert np.isfinite(found).all()
    assert found[:40].min() > found[40:].max()


def test_a_campaign_is_kept_beside_the_vectors(service: UserService, tmp_path: Path) -> None:
    vectors, truth, _ = answers(200, 2)
    keys = people(tmp_path, vectors)
    collection = service.collection("people")
    yes, no = (
        [key for key, answer in zip(keys, truth, strict=True) if answer is wanted]
        for wanted in (np.True_, np.False_)
    )
    learned = learn_campaign(collection, "spring-sale", [*yes, "nobody"], no)
    assert load_campaign(collection, "spring-sale") == learned
    found = service.propensity("people", "spring-sale", [*keys[:3], "nobody"])
    assert list(found) == keys[:3]
    assert list(found.values()) == pytest.approx(learned.probability(vectors[:3]).tolist())
    assert service.collection_info("people").campaigns == ("spring-sale",)
    assert service.propensity("people", "spring-sale", ["nobody"]) == {}
    with pytest.raises(UnknownName, match="spring-sale"):
        service.propensity("people", "spring-sail", keys)
    collection.replace(keys, vectors, model="m2")
    with pytest.raises(Conflict, match="another model"):
        service.propensity("people", "spring-sale", keys)


@pytest.mark.parametrize("name", ["..", "a/b", "", "x" * 65, "a.json"])
def test_a_campaign_name_is_no_path(service: UserService, tmp_path: Path, name: str) -> None:
    people(tmp_path, np.eye(3, dtype=np.float32))
    with pytest.raises(InvalidInput, match="name for a campaign"):
        learn_campaign(service.collection("people"), name, [], [])
    with pytest.raises(UnknownName):
        service.propensity("people", name, ["u000"])


def test_too_few_answers(service: UserService, tmp_path: Path) -> None:
    keys = people(tmp_path, np.eye(30, dtype=np.float32))
    with pytest.raises(InvalidInput, match="3 users answered and 27 did not"):
        learn_campaign(service.collection("people"), "x", keys[:3], keys[3:])
    with pytest.raises(InvalidInput, match="'u001' is said to have answered and not"):
        learn_campaign(service.collection("people"), "x", keys[:3], keys[1:])


def test_the_map_shows_where_users_differ_most() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(100, 8)).astype(np.float32) * 0.01
    vectors[:, 7] = 1
    vectors[:, 2] += np.linspace(-1, 1, 100)
    vectors[:, 5] += np.where(np.arange(100) % 2, 0.3, -0.3)
    keys = [str(number) for number in range(100)]
    found = project(keys, vectors)
    assert np.array_equal(found.points, project(keys, vectors).points)
    assert abs(np.corrcoef(found.points[:, 0], vectors[:, 2])[0, 1]) > 0.99
    assert abs(np.corrcoef(found.points[:, 1], vectors[:, 5])[0, 1]) > 0.95
    assert found.explained > 0.9
    turned = project(keys, vectors * 7)  # lengths do not count
    assert np.allclose(found.points, turned.points, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_map_of_few(count: int) -> None:
    found = project([str(n) for n in range(count)], np.ones((count, 3), dtype=np.float32))
    assert found.points.shape == (count, 2)
    assert np.isfinite(found.points).all()
    assert project(["a", "b"], np.array([[1.0], [2.0]], dtype=np.float32)).points.shape == (2, 2)


def test_the_map_of_a_collection(service: UserService, tmp_path: Path) -> None:
    keys = people(tmp_path, np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    assert service.map2d("people", limit=10).keys == service.map2d("people", limit=10).keys
    assert len(service.map2d("people", limit=10).keys) == 10
    assert service.map2d("people", [keys[3], "nobody", keys[1]]).keys == (keys[3], keys[1])


def test_models_that_are_not_served(tmp_path: Path, service: UserService) -> None:
    with pytest.raises(NotFound, match="serves no user model"):
        UserService(tmp_path, []).recommend(["a"])
    with pytest.raises(UnknownName, match="word-counts"):
        service.recommend(["a"], model="word-count")
    with pytest.raises(UnknownName, match="no user model 'gone'"):
        UserService(tmp_path, ["gone"], registry=fake_kinds()).recommend(["a"])


def test_what_a_kind_needs_is_said(tmp_path: Path, model: WordCounts) -> None:
    store_model(tmp_path, model, "more", kind="needs-more")
    with pytest.raises(MissingExtra, match=r"\[users\]"):
        UserService(tmp_path, ["more"], registry=fake_kinds()).recommend(["a"])
    with Store(tmp_path / "store").new_artifact("users", "nameless") as folder:
        model.save(folder)
    with pytest.raises(ModelFileInvalid, match="of what kind"):
        UserService(tmp_path, ["nameless"], registry=fake_kinds()).recommend(["a"])


def test_the_newest_of_a_name_is_served(tmp_path: Path, service: UserService) -> None:
    newer = store_model(tmp_path, WordCounts(items_of(["새 물건"])))
    assert service.recommend([], top=1)[0].text == "새 물건"
    older = Store(tmp_path / "store").artifacts("users")[0]
    by_id = UserService(tmp_path, [older.id], registry=fake_kinds())
    assert by_id.info().items == len(TEXTS)
    assert service.info().version == newer.digest[:16]
    assert (service.info().size, service.info("first-items").size) == (64, None)


def test_no_torch_is_needed_to_serve(tmp_path: Path) -> None:
    heavy = "{'torch', 'usearch', 'duckdb', 'scipy'}"
    code = f"import sys, malmoi.users.service; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
