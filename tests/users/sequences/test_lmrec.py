"""LMRec: the feature at EOS, no leak into the language model, the losses, transfer, and saving."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.stage import SilentProgress
from malmoi.factory.models.build import build_model
from malmoi.factory.models.settings import model_config
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.users.base import FitContext, TextRecommender
from malmoi.users.cases import Cases
from malmoi.users.logs import History, Items, Logs
from malmoi.users.sequences.lmrec import LMRec, LMRecSettings
from malmoi.users.sequences.lmrec_corpora import Rows, agnostic_logs, other_services
from malmoi.users.sequences.lmrec_network import LMRecNetwork
from malmoi.users.sequences.lmrec_pairs import PairLoader, pair_loss
from malmoi.users.sequences.lmrec_texts import Renderer
from malmoi.users.sequences.vocabulary import learn_tokenizer
from malmoi.users.splits import hold_out_users, leave_one_out

SETTINGS = LMRecSettings(
    hidden_size=16, num_layers=1, num_heads=2, intermediate_size=32, vocab_size=512, length=48,
    item_length=12,
    batch_size=8, lm_batch_size=2, negatives=6, num_steps=6, validate_every=3, patience=None,
    rec_weight=0.3, precision="fp32",
)  # fmt: skip
WORDS = ("사과", "바지", "제주 항공권", "웹툰 연애", "노트북", "김치", "등산화", "서울 호텔", "책상", "커피")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _logs(users: int = 14, *, services: tuple[str, ...] = ("shop",), prefix: str = "") -> Logs:
    random = np.random.default_rng(5)
    texts = tuple(f"{prefix}{word} {number}" for number, word in enumerate(WORDS * 2))
    service = (np.arange(len(texts)) % len(services)).astype(np.int16)
    items = Items(texts, texts, services, service)
    lengths = random.integers(3, 7, users)
    events = [random.choice(len(texts), size=n, replace=False) for n in lengths]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Logs(tuple(map(str, range(users))), items, offsets, np.concatenate(events).astype(np.int32))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = _logs().items.texts
    return learn_tokenizer(texts, vocab_size=512, folder=folder, seed=0, progress=SilentProgress())


@pytest.fixture(scope="module")
def renderer(tokenizer: Tokenizer) -> Renderer:
    return Renderer(tokenizer, item_length=12, length=48)


@pytest.fixture
def network(tokenizer: Tokenizer) -> LMRecNetwork:
    config = model_config(
        SETTINGS.model(), vocab_size=tokenizer.vocab_size, context_length=48, eot_id=tokenizer.eot_id
    )
    return LMRecNetwork(build_model(config, seed=0), seed=0).eval()


def _said(renderer: Renderer, ids: NDArray[np.int32]) -> list[list[str]]:
    """The texts of a stream, history by history."""
    text = renderer.tokenizer.decode(np.where(ids < 0, ~ids, ids))
    return [history.split("<|endofturn|>") for history in text.split("<|endoftext|>") if history]


def test_a_history_is_texts_with_separators_and_an_end(renderer: Renderer) -> None:
    texts = renderer.texts(["사과", "제주 항공권", "<|endoftext|>"])
    ids = renderer.history(texts, np.array([1, 0]))
    assert _said(renderer, ids) == [["제주 항공권", "사과"]]
    assert ids[-1] == renderer.end
    assert renderer.history(texts, np.array([], np.int64)).tolist() == [renderer.end]
    control = renderer.item(texts, 2)  # what looks like a control token stays text
    assert (control == renderer.end).sum() == 1
    assert len(control) > 2


def test_a_long_history_keeps_its_newest_whole_texts(renderer: Renderer) -> None:
    logs = _logs()
    texts = renderer.texts(logs.items.texts)
    rows = np.tile(np.arange(20), 3)
    ids = renderer.history(texts, rows)
    kept = _said(renderer, ids)[0]
    assert len(ids) <= 48
    assert kept == [logs.items.texts[row] for row in rows[-len(kept) :]]
    longer = renderer.history(texts, rows[-len(kept) - 1 :])
    assert np.array_equal(ids, longer)


def test_the_feature_is_the_state_at_eos_whatever_stands_beside(network: LMRecNetwork) -> None:
    rows = [np.arange(3 + n, dtype=np.int32) + 130 for n in (9, 0, 30, 4, 1)]
    together = network.features(rows)
    for place, row in enumerate(rows):
        ids = torch.from_numpy(row.astype(np.int64))[None]
        alone = network.decoder.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, -1]
        torch.testing.assert_close(together[place], alone, rtol=1e-4, atol=1e-5)


def test_with_end_for_a_separator_every_beginning_has_its_feature(
    tokenizer: Tokenizer, network: LMRecNetwork
) -> None:
    logs = _logs()
    renderer = Renderer(tokenizer, item_length=12, length=200, separator="end")
    texts = renderer.texts(logs.items.texts)
    rows = [np.array([3, 8, 1, 12]), np.array([5]), np.array([2, 9, 4])]
    found = network.features([renderer.history(texts, row) for row in rows], [4, 1, 2])
    beginnings = [rows[0][:1], rows[0][:2], rows[0][:3], rows[0], rows[1], rows[2][:2], rows[2]]
    alone = network.features([renderer.history(texts, row) for row in beginnings])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_stretches_foretell_every_event_once() -> None:
    logs = _logs()
    loader = PairLoader(logs, size=4, negatives=12, seed=2, stretch=3)
    starts, ends = loader.all()
    foretold = [at for start, end in zip(starts, ends, strict=True) for at in range(start + 1, end + 1)]
    assert sorted(foretold) == sorted(set(range(logs.num_events)) - set(logs.offsets[:-1].tolist()))
    pairs = loader.batch(0)
    for row, start in enumerate(pairs.starts.tolist()):
        own = logs.sequence(int(np.searchsorted(logs.offsets, start, side="right")) - 1)
        assert np.array_equal(pairs.allowed[row], ~np.isin(pairs.negatives, own))


def test_the_pair_loss_is_binary_cross_entropy() -> None:
    random = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(3, generator=random), torch.randn(3, 4, generator=random)
    allowed = torch.tensor([[True, False, True, True], [True] * 4, [False] * 4])
    expected = binary_cross_entropy_with_logits(positive, torch.ones(3)) + binary_cross_entropy_with_logits(
        negative[allowed], torch.zeros(int(allowed.sum()))
    )
    torch.testing.assert_close(pair_loss(positive, negative, allowed), expected)


def test_negatives_are_never_the_users_own_items() -> None:
    logs = _logs()
    loader = PairLoader(logs, size=7, negatives=12, seed=2)
    ends: list[int] = []
    for step in range(-(-len(loader) // 7)):
        pairs = loader.batch(step)
        ends += pairs.ends.tolist()
        for row, (start, end) in enumerate(zip(pairs.starts.tolist(), pairs.ends.tolist(), strict=True)):
            user = int(np.flatnonzero(logs.offsets == start)[0])
            own = set(logs.sequence(user).tolist())
            assert start < end < logs.offsets[user + 1]
            assert [n not in own for n in pairs.negatives.tolist()] == pairs.allowed[row].tolist()
    assert sorted(ends) == sorted(set(range(logs.num_events)) - set(logs.offsets[:-1].tolist()))


@pytest.mark.parametrize("split", ["leave_one_out", "hold_out_users"])
def test_the_language_model_reads_no_held_out_event(renderer: Renderer, split: str) -> None:
    logs = _logs(40)
    parts = leave_one_out(logs) if split == "leave_one_out" else hold_out_users(logs, share=0.2, seed=0)
    stream = renderer.log_stream(renderer.texts(logs.items.texts), parts.train)
    said = _said(renderer, stream)
    expected = [list(parts.train.history(user).texts) for user in range(len(parts.train))]
    assert said == [history for history in expected if history]
    for cases in (parts.validation, parts.test):
        for case, truth in enumerate(cases.truth.tolist()):
            user = cases.logs.users[int(cases.user[case])]
            if user in parts.train.users:
                mine = said[parts.train.users.index(user)]
                assert logs.items.texts[truth] not in mine


def test_agnostic_text_leaves_the_tasks_services_out(renderer: Renderer) -> None:
    logs = _logs(30, services=("shop", "travel"), prefix="")
    task = _logs(30)  # items of "shop" alone
    others = other_services(logs, task)
    assert len(others) == len(logs)
    assert set(others.items.service[others.events].tolist()) == {1}
    said = {text for history in _said(renderer, agnostic_logs(logs, renderer, task)) for text in history}
    assert said == {logs.items.texts[event] for event in others.events}


def test_rows_are_mixed_by_share_and_need_no_past() -> None:
    specific, agnostic = np.full(500, 1, np.int32), np.full(500, 2, np.int32)
    rows = Rows(specific, agnostic, specific_share=0.7, size=40, length=8, seed=1)
    firsts = np.concatenate([rows.batch(step).input_ids[:, 0].numpy() for step in range(30)])
    assert 0.65 < (firsts == 1).mean() < 0.75
    again = Rows(specific, agnostic, specific_share=0.7, size=40, length=8, seed=1).batch(7)
    assert torch.equal(rows.batch(7).input_ids, again.input_ids)
    tiny = Rows(np.arange(4, dtype=np.int32), None, specific_share=1.0, size=2, length=8, seed=1).batch(0)
    assert tiny.labels[0].tolist() == [1, 2, 3, -100, -100, -100, -100, -100]
    ended = Rows(np.array([5, ~9, 6, 7], np.int32), None, specific_share=1.0, size=1, length=3, seed=1)
    assert ended.batch(0).labels[0].tolist() == [9, -100, 7]


@pytest.mark.parametrize("separator", ["token", "end"])
def test_a_fitted_model_encodes_texts_it_never_saw_and_is_saved(tmp_path: Path, separator: str) -> None:
    settings = SETTINGS.model_copy(update={"separator": separator})
    model = LMRec.fit(settings, _logs(), FitContext(work=tmp_path / "work", home=tmp_path))
    assert isinstance(model, TextRecommender)
    histories = [
        History(("사과 0", "듣도 보도 못한 것"), np.array([0, -1], np.int32)),
        History((), np.array([], np.int32)),
    ]
    scores = model.score(histories)
    assert scores.shape == (2, 20)
    np.testing.assert_allclose(
        scores, model.encode(histories) @ model.encode_items(model.items.texts).T, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(scores[:1], model.score(histories[:1]), rtol=1e-4, atol=1e-5)
    assert model.encode_items(["새 물건"]).shape == (1, model.size)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    np.testing.assert_array_equal(LMRec.load(folder).score(histories), scores)
    (folder / "linears.safetensors").unlink()
    with pytest.raises(ModelFileInvalid, match="holds no LMRec"):
        LMRec.load(folder)


def test_pretrain_then_finetune_then_transfer(tmp_path: Path) -> None:
    logs = _logs()
    first = SETTINGS.model_copy(update={"objective": "lm"})
    pretrained = LMRec.fit(first, logs, FitContext(work=tmp_path / "lm", home=tmp_path))
    folder = tmp_path / "pretrained"
    folder.mkdir()
    pretrained.save(folder)
    second = SETTINGS.model_copy(update={"objective": "rec", "start_from": str(folder)})
    tuned = LMRec.fit(second, logs, FitContext(work=tmp_path / "rec", home=tmp_path))
    frozen = second.model_copy(update={"train": "linears"})
    target = _logs(20, services=("travel",), prefix="새 ")
    transferred = LMRec.fit(frozen, target, FitContext(work=tmp_path / "tl", home=tmp_path))

    def table(model: LMRec) -> torch.Tensor:
        weight: torch.Tensor = model._network.decoder.get_input_embeddings().weight
        return weight

    assert torch.equal(table(pretrained), table(transferred))
    assert not torch.equal(table(pretrained), table(tuned))
    assert not torch.equal(pretrained._network.user.weight, transferred._network.user.weight)
    assert transferred.items.services == ("travel",)
    wrong = second.model_copy(update={"hidden_size": 24})
    with pytest.raises(InvalidInput, match="hidden_size 16, not 24"):
        LMRec.fit(wrong, logs, FitContext(work=tmp_path / "wrong", home=tmp_path))


def test_the_recommendation_learns_who_wants_what(tmp_path: Path) -> None:
    """Two kinds of people, each with its own ten items: rank the other kind's items below."""
    random = np.random.default_rng(1)
    texts = tuple(f"{'과자' if n < 10 else '등산'} {n % 10}" for n in range(20))
    items = Items(texts, texts, ("shop",), np.zeros(20, np.int16))
    rows = [random.choice(10, size=5, replace=False) + 10 * (user % 2) for user in range(40)]
    offsets = np.arange(0, 201, 5, dtype=np.int64)
    logs = Logs(tuple(map(str, range(40))), items, offsets, np.concatenate(rows).astype(np.int32))
    settings = SETTINGS.model_copy(
        update={"num_steps": 40, "batch_size": 32, "learning_rate": 0.01, "max_norm": 1.0, "negatives": 20}
    )
    model = LMRec.fit(settings, logs, FitContext(work=tmp_path, home=tmp_path))
    cases = Cases(logs, np.arange(40), logs.offsets[1:] - 1)
    scores = model.score([cases.history(case) for case in range(40)])
    own = np.where(np.arange(20) // 10 == (np.arange(40) % 2)[:, None], scores, np.nan)
    other = np.where(np.arange(20) // 10 == (np.arange(40) % 2)[:, None], np.nan, scores)
    assert (np.nanmean(own, axis=1) > np.nanmean(other, axis=1)).mean() > 0.9


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="start_from"):
        LMRecSettings(train="linears", objective="rec")
    with pytest.raises(ValueError, match="below length"):
        LMRecSettings(item_length=64, length=64)
    assert LMRecSettings(size="7M").chosen("learning_rate") == 2e-3
    assert LMRecSettings(size="7M", learning_rate=1.0).chosen("learning_rate") == 1.0
