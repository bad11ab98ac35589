"""CLUE as a whole, its encoder, and its cached gradients."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clue_logs import SMALL, logs_of, small_logs

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.stage import SilentProgress
from malmoi.users.base import FitContext, TextRecommender, build_user_models
from malmoi.users.cases import Cases
from malmoi.users.logs import UNKNOWN, History, Items
from malmoi.users.sequences.clue import CLUE, CLUESettings
from malmoi.users.sequences.clue_head import choose_events
from malmoi.users.sequences.contrast_training import Contrast, ContrastTraining
from malmoi.users.sequences.next_item_head import Whitening
from malmoi.users.sequences.pairs import PairSource
from malmoi.users.sequences.user_encoder import EncoderSettings, UserEncoder, gather_events
from malmoi.users.sequences.vocabulary import build_table, learn_tokenizer, number_texts


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings_of(**changes: Any) -> CLUESettings:
    return CLUESettings.model_validate({**SMALL, **changes})


def context(folder: Path) -> FitContext:
    return FitContext(work=folder / "work", home=folder)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> CLUE:
    return CLUE.fit(settings_of(), small_logs(), context(tmp_path_factory.mktemp("clue")))


def history(*texts: str) -> History:
    return History(texts, np.full(len(texts), UNKNOWN, dtype=np.int32))


def training(folder: Path, chunk: int | None) -> ContrastTraining:
    logs = small_logs(40)
    settings = settings_of()
    text_of, texts = number_texts(logs.items.texts)
    tokenizer = learn_tokenizer(texts, vocab_size=448, folder=folder, seed=0, progress=SilentProgress())
    torch.manual_seed(0)
    contrast = Contrast(UserEncoder(settings.encoder, tokenizer.vocab_size))
    source = PairSource(logs, text_of, batch_size=32, history_length=8, kind="services", seed=0)
    return ContrastTraining(contrast, build_table(tokenizer, texts, longest=8), source, chunk=chunk)


def gradients_of(trained: ContrastTraining) -> tuple[float, dict[str, torch.Tensor]]:
    loss = trained.loss(trained.parts(0)[0])["loss"]
    loss.backward()
    return float(loss.detach()), {n: p.grad for n, p in trained.module.named_parameters()}


def test_cached_gradients_equal_those_of_the_whole_batch(tmp_path: Path):
    loss, plain = gradients_of(training(tmp_path, None))
    cached_loss, cached = gradients_of(training(tmp_path, 7))
    assert cached_loss == pytest.approx(loss, abs=1e-6)
    for name, gradient in plain.items():
        assert float((cached[name] - gradient).abs().max()) <= 1e-5 * float(gradient.abs().max()), name


def test_cached_gradients_keep_far_less(tmp_path: Path):
    kept = {}
    for chunk in (None, 4):
        trained = training(tmp_path, chunk)
        count = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            trained.loss(trained.parts(0)[0])
        kept[chunk] = count
    assert kept[4] < 0.2 * kept[None]


def test_encoding_distinct_texts_once_equals_encoding_every_event(tmp_path: Path):
    trained = training(tmp_path, None)
    part = trained.parts(0)[0]
    encoder = trained.module.encoder
    once, _ = trained.vectors(part)
    at = torch.from_numpy(part.a)
    rows = torch.from_numpy(part.texts)[at.clamp(min=0).reshape(-1)]
    every = encoder.items(trained._ids[rows], trained._lengths[rows])
    places = torch.arange(at.numel()).view(at.shape).masked_fill(at < 0, -1)
    plain = encoder.project(encoder.users(*gather_events(every, places)))
    assert torch.allclose(once, plain, atol=1e-5)
    assert len(part.texts) < (part.a >= 0).sum()


def test_padding_changes_nothing():
    torch.manual_seed(0)
    encoder = UserEncoder(EncoderSettings(width=8, heads=2, item_length=6, history_length=6), 30).eval()
    ids = torch.randint(0, 30, (1, 6))
    alone = encoder.items(ids[:, :3], torch.tensor([3]))
    padded = encoder.items(torch.cat([ids, ids]), torch.tensor([3, 6]))[:1]
    assert torch.allclose(alone, padded, atol=1e-6)
    events = torch.randn(1, 6, 8)
    alone = encoder.users(events[:, :2], torch.tensor([2]))
    padded = encoder.users(torch.cat([events, events]), torch.tensor([2, 6]))[:1]
    assert torch.allclose(alone, padded, atol=1e-6)


def test_it_finds_the_same_person_in_another_service(fitted: CLUE):
    """Users that were not in the training logs: AUC of their own other service against all other users'."""
    logs = small_logs(120, seed=5)
    pairs = []
    for user in range(len(logs)):
        events = logs.sequence(user)
        services = [events[logs.items.service[events] == s] for s in range(3)]
        there = [part for part in services if len(part)]
        if len(there) > 1:
            pairs.append([history(*(logs.items.texts[n] for n in part)) for part in there[:2]])
    a, b = (fitted.contrast([pair[side] for pair in pairs]) for side in range(2))
    likeness = a @ b.T
    own = np.diag(likeness)[:, None]
    better = (likeness < own).sum(1) / (len(pairs) - 1)
    assert better.mean() > 0.7  # 0.5: no better than chance; one of six interests alone gives about 0.9


def test_it_is_a_recommender_of_texts(fitted: CLUE):
    assert build_user_models().get("clue") is CLUE
    assert isinstance(fitted, TextRecommender)
    people = [history("주제1 물건0 가", "주제1 물건1 나"), history(), history("never read before", "주제2")]
    scores = fitted.score(people)
    users, items = fitted.encode(people), fitted.encode_items(fitted.items.texts)
    assert users.shape == (3, fitted.size)
    assert scores.shape == (3, len(fitted.items))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, users @ items.T, atol=1e-5)


def test_rows_do_not_affect_each_other(fitted: CLUE):
    people = [history("주제1 물건0 가"), history(*["주제2 물건1 나"] * 20), history()]
    alone = np.concatenate([fitted.score([person]) for person in people])
    np.testing.assert_allclose(fitted.score(people), alone, rtol=1e-4, atol=1e-4)  # padding rounds otherwise


def test_items_of_the_user_s_interest_rank_first(fitted: CLUE):
    found = []
    for interest in range(6):
        seen = (f"주제{interest} 물건0 가", f"주제{interest} 물건1 나")
        scores = fitted.score([history(*seen)])[0]
        best = [fitted.items.texts[n] for n in np.argsort(-scores) if fitted.items.texts[n] not in seen][:4]
        found += [text.startswith(f"주제{interest}") for text in best]
    assert np.mean(found) > 0.5  # by chance: 4 of 34


def test_only_texts_are_read(fitted: CLUE):
    texts = ("주제1 물건0 가", "주제4 물건1 나")
    numbers = np.array([5, 7], dtype=np.int32)
    assert np.array_equal(fitted.score([History(texts, numbers)]), fitted.score([history(*texts)]))


def test_control_tokens_in_texts_stay_text(tmp_path: Path):
    tokenizer = learn_tokenizer(
        ["<|endoftext|> 책"], vocab_size=448, folder=tmp_path, seed=0, progress=SilentProgress()
    )
    table = build_table(tokenizer, ["<|endoftext|>", "", "half \ud800"], longest=32)
    assert not set(table.ids[0, : table.lengths[0]].tolist()) & set(tokenizer.special.values())
    assert table.lengths[1] == 1


def test_save_and_load_give_the_same_scores(fitted: CLUE, tmp_path: Path):
    fitted.save(tmp_path)
    people = [history("주제1 물건0 가"), history("a new text")]
    loaded = CLUE.load(tmp_path)
    assert np.array_equal(loaded.score(people), fitted.score(people))
    assert np.array_equal(loaded.represent(people), fitted.represent(people))
    assert loaded.facts == fitted.facts
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".pkl", ".bin")]


@pytest.mark.parametrize("name", ["clue.json", "encoder.safetensors", "head.safetensors", "items.npy"])
def test_a_damaged_model_says_what_is_wrong(fitted: CLUE, tmp_path: Path, name: str):
    fitted.save(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(ModelFileInvalid, match="holds no CLUE"):
        CLUE.load(tmp_path)


def test_a_fit_that_was_stopped_ends_with_the_same_weights(tmp_path: Path):
    class Stopped(SilentProgress):
        """Stops the fit when the head begins."""

        def task(self, title: str, **rest: Any) -> Any:
            if title == "Train the head":
                raise KeyboardInterrupt
            return super().task(title, **rest)

    logs = small_logs(40)
    whole = CLUE.fit(settings_of(), logs, context(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        CLUE.fit(settings_of(), logs, replace(context(tmp_path / "cut"), progress=Stopped()))
    again = CLUE.fit(settings_of(), logs, context(tmp_path / "cut"))
    people = [history("주제1 물건0 가")]
    assert np.array_equal(whole.score(people), again.score(people))


def test_the_sketch_tells_like_texts_apart_and_the_whitening_hears_it():
    random = np.random.default_rng(0)
    features = torch.from_numpy(random.normal(size=(500, 3)) * [100.0, 1.0, 3.0] + [1e3, 0, 0]).float()
    whitening = Whitening(3)
    whitening.measure(features)
    seen = whitening(features)
    assert torch.allclose(seen.mean(0), torch.zeros(3), atol=1e-2)
    covariance = seen.T @ seen / len(seen)
    assert torch.allclose(covariance, torch.diag(torch.diag(covariance)), atol=0.05)
    assert 0.3 < float(torch.diag(covariance).min()) <= float(torch.diag(covariance).max()) < 1.05


@pytest.mark.parametrize("kind", ["linear", "none"])
def test_other_heads(tmp_path: Path, kind: str):
    head = {**SMALL["head"], "kind": kind, "training": {**SMALL["head"]["training"], "num_steps": 5}}
    short = {**SMALL["training"], "num_steps": 3}
    model = CLUE.fit(
        settings_of(head=head, training=short, views="groups"), small_logs(30), context(tmp_path)
    )
    people = [history("주제1 물건0 가")]
    scores = model.score(people)
    np.testing.assert_allclose(
        scores, model.encode(people) @ model.encode_items(model.items.texts).T, atol=1e-5
    )
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    assert np.array_equal(CLUE.load(tmp_path / "saved").score(people), scores)


@pytest.mark.parametrize(
    "head", [{"encoder": False}, {"sketch_of": "sentences"}], ids=["sketch alone", "sentences"]
)
def test_what_a_head_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: dict[str, Any]):
    def embed(texts: Any, settings: Any, progress: Any = None) -> Any:
        rows = [np.random.default_rng(list(text.encode())).normal(size=512) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 512)

    monkeypatch.setattr("malmoi.users.sequences.clue_features.embed_texts", embed)
    few = {**SMALL["head"]["training"], "num_steps": 5}
    short = {**SMALL["training"], "num_steps": 3}
    settings = settings_of(head={**SMALL["head"], **head, "training": few}, training=short)
    model = CLUE.fit(settings, small_logs(30), context(tmp_path))
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    people = [history("주제1 물건0 가", "a new text"), history()]
    scores = model.score(people)
    assert np.array_equal(CLUE.load(tmp_path / "saved").score(people), scores)
    # Another encoder: its vectors are read, or they are not.
    with torch.no_grad():
        for parameter in model._encoder.parameters():
            parameter.mul_(-1.5)
    model._reader.learn(model.items.texts)
    model._of_items = None
    assert np.array_equal(model.score(people), scores) == ("encoder" in head)


def test_a_head_must_read_something():
    with pytest.raises(ValueError, match="needs a sketch"):
        settings_of(head={"encoder": False, "sketch": 0})


def test_validation_cases_are_used_as_given(tmp_path: Path):
    logs = small_logs(40)
    users = np.arange(10)
    ends = logs.offsets[1:].copy()
    ends[users] -= 1
    cases = Cases(logs, users, logs.offsets[users + 1] - 1)
    short = {**SMALL["training"], "num_steps": 3}
    given = replace(context(tmp_path), validation=cases)
    CLUE.fit(settings_of(training=short), logs.until(ends), given)
    rows = list(replace(given, work=given.work / "head").metrics.read())
    assert any("validation_loss" in row for row in rows)


def test_the_newest_events_are_foretold_first():
    logs = logs_of(small_logs(1).items, [list(range(10)), [3], [1, 2]])
    chosen = choose_events(logs, np.array([0, 2]), 4, 0)
    assert chosen.tolist()[-1] == 12  # the second event of the last user, whose first cannot be foretold
    assert {8, 9} <= set(chosen.tolist())
    assert len(chosen) == 5
    assert 0 not in chosen


def test_logs_without_texts_say_so(tmp_path: Path):
    items = Items(("a", "b"), (" ", ""), ("shop",), np.zeros(2, dtype=np.int16))
    with pytest.raises(InvalidInput, match="no item has a text"):
        CLUE.fit(settings_of(), logs_of(items, [[0, 1], [1, 0]]), context(tmp_path))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="do not divide"):
        settings_of(encoder={"width": 10, "heads": 3})
