"""Token files and the order of what is read from them."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from packed_tokens import write_tokens

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.factory.corpus.fim import FimSettings
from malmoi.factory.corpus.tokens import TokenMixture, document_places, evaluation_windows, load_tokens
from malmoi.factory.corpus.tokens_files import TokenSet


def numbered(count: int, *, first: int = 1, length: int = 7) -> list[list[int]]:
    """Documents whose tokens are all different: 1, 2, 3 ..."""
    ids = list(range(first, first + count))
    return [ids[start : start + length] for start in range(0, count, length)]


@pytest.fixture
def tokens(tmp_path: Path) -> TokenSet:
    sources = {"web": numbered(900), "wiki": numbered(150, first=1000), "code": numbered(5, first=2000)}
    return write_tokens(
        tmp_path / "tokens", sources, weights={"web": 0.5, "wiki": 0.3, "code": 0.2}, vocab_size=3000
    )


def test_order_depends_on_seed_and_number_alone(tokens: TokenSet) -> None:
    straight = TokenMixture(tokens, context_length=16, seed=3)
    whole = straight.batch(range(40, 48))
    resumed = TokenMixture(tokens, context_length=16, seed=3)  # has read nothing before
    rows = [resumed.batch(range(number, number + 1)) for number in reversed(range(40, 48))]
    for row, number in zip(rows, reversed(range(8)), strict=True):
        assert row.input_ids.tolist() == whole.input_ids[number : number + 1].tolist()
        assert row.labels.tolist() == whole.labels[number : number + 1].tolist()
    # Two ranks that take every other micro-batch see together what one sees.
    ranks = [TokenMixture(tokens, context_length=16, seed=3) for _ in range(2)]
    divided = [ranks[part].batch(range(40 + 4 * part, 44 + 4 * part)).input_ids.tolist() for part in range(2)]
    assert divided[0] + divided[1] == whole.input_ids.tolist()
    other = TokenMixture(tokens, context_length=16, seed=4).batch(range(40, 48))
    assert other.input_ids.tolist() != whole.input_ids.tolist()


def test_labels_are_the_next_tokens(tokens: TokenSet) -> None:
    mixture = TokenMixture(tokens, context_length=16, seed=3)
    batch = mixture.batch(range(4))
    assert tuple(batch.input_ids.shape) == (4, 16)
    assert batch.labels[:, :-1].tolist() == batch.input_ids[:, 1:].tolist()
    assert batch.num_targets == 64
    assert batch.position_ids is None
    assert batch.to("cpu").labels.tolist() == batch.labels.tolist()
    assert next(mixture.batches(4)).labels.tolist() == batch.labels.tolist()


def test_over_an_epoch_every_token_is_a_target_once(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path, {"web": numbered(960)}, vocab_size=3000)
    source = tokens.source("train", "web")
    mixture = TokenMixture(tokens, context_length=17, seed=1)
    windows = source.num_tokens // 17
    starts = []
    for epoch in range(3):
        sequences = [mixture.sequence(number) for number in range(epoch * windows, (epoch + 1) * windows)]
        assert {sequence.epoch for sequence in sequences} == {epoch}
        targets = Counter(int(token) for sequence in sequences for token in sequence.ids[1:] if token)
        assert set(targets.values()) == {1}
        assert len(targets) >= 960 - 17
        starts.append([int(sequence.ids[0]) for sequence in sequences])
    # Other places to cut, in another order, each time.
    assert len({tuple(sorted(epoch)) for epoch in starts}) == 3


def test_a_source_shorter_than_a_window_goes_round(tokens: TokenSet) -> None:
    mixture = TokenMixture(tokens, context_length=16, seed=3, weights={"code": 1})
    ring = [2000, 2001, 2002, 2003, 2004, 0]
    for number in range(5):
        ids = mixture.sequence(number).ids.tolist()
        start = ring.index(ids[0])
        assert ids == [ring[(start + place) % 6] for place in range(17)]


def test_weights_are_kept_and_told(tokens: TokenSet) -> None:
    mixture = TokenMixture(tokens, context_length=16, seed=3)
    counts = Counter(mixture.sequence(number).source for number in range(400))
    shares = {share.source: share for share in mixture.describe(400)}
    assert counts == {name: share.sequences for name, share in shares.items()}
    assert abs(counts["web"] - 200) <= 1
    assert abs(counts["code"] - 80) <= 1
    assert shares["code"].epochs == pytest.approx(shares["code"].tokens / 6)
    assert shares["code"].group == "code"
    assert sum(share.weight for share in shares.values()) == pytest.approx(1)


def test_wrong_weights_are_refused(tokens: TokenSet) -> None:
    with pytest.raises(UnknownName, match=r"'wbe'.*did you mean 'web'"):
        TokenMixture(tokens, context_length=8, seed=0, weights={"wbe": 1})
    with pytest.raises(InvalidInput, match="weight of 'web'"):
        TokenMixture(tokens, context_length=8, seed=0, weights={"web": -1})
    with pytest.raises(InvalidInput, match="no source with a weight"):
        TokenMixture(tokens, context_length=8, seed=0, weights={"web": 0})
    with pytest.raises(InvalidInput, match="'validation'"):
        TokenMixture(tokens, context_length=8, seed=0, split="validation")
    with pytest.raises(InvalidInput, match="context of 0"):
        TokenMixture(tokens, context_length=0, seed=0)


def test_a_tokenizer_without_files_cannot_infill(tokens: TokenSet) -> None:
    with pytest.raises(Exception, match=r"tokenizer\.json"):
        TokenMixture(tokens, context_length=8, seed=0, fim=FimSettings())
    TokenMixture(tokens, context_length=8, seed=0, fim=FimSettings(fim_rate=0))


def test_positions_begin_anew_with_every_document(tokens: TokenSet) -> None:
    batch = TokenMixture(tokens, context_length=32, seed=3, document_mask=True).batch(range(6))
    assert batch.position_ids is not None
    assert batch.document_ids is not None
    assert batch.num_targets == 6 * 32
    for ids, places, documents in zip(
        batch.input_ids.tolist(), batch.position_ids.tolist(), batch.document_ids.tolist(), strict=True
    ):
        place, number = -1, 0
        for index, token in enumerate(ids):
            place = 0 if token == 0 else place + 1
            number += token == 0
            assert (places[index], documents[index]) == (place, number)


def test_document_places_of_neighbouring_ends() -> None:
    places, documents = document_places(np.array([[5, 6, 0, 0, 7], [0, 1, 2, 0, 3]]), 0)
    assert places.tolist() == [[0, 1, 0, 0, 1], [0, 1, 2, 0, 1]]
    assert documents.tolist() == [[0, 0, 1, 2, 2], [1, 1, 1, 2, 2]]


@pytest.mark.parametrize("context_length", [1, 4, 7, 8, 33, 5000])
def test_evaluation_predicts_every_token_once(tmp_path: Path, context_length: int) -> None:
    documents = [[1, 2, 3], [4], list(range(5, 30)), [30, 31], list(range(32, 40))]
    tokens = write_tokens(tmp_path, {"web": documents}, split="validation")
    windows = list(evaluation_windows(tokens, "validation", "web", context_length))
    predicted = [
        int(token)
        for ids, targets, _ in windows
        for token, wanted in zip(ids[1:], targets, strict=True)
        if wanted
    ]
    assert predicted == list(range(1, 40))
    assert sum(window.bytes for window in windows) == 2 * 39
    assert all(2 <= len(window.ids) <= context_length + 1 for window in windows)
    assert int(windows[0].ids[0]) == tokens.eot_id
    for before, after in itertools.pairwise(windows):
        assert before.ids[-1] == after.ids[0]
        assert len(before.ids) == context_length + 1


def test_evaluation_takes_whole_documents_up_to_a_size(tmp_path: Path) -> None:
    documents = [[1, 2], list(range(10, 30)), [3, 4, 5], [6]]
    tokens = write_tokens(tmp_path, {"web": documents}, split="validation")

    def scored(max_bytes: int) -> tuple[list[int], int]:
        windows = list(evaluation_windows(tokens, "validation", "web", 3, max_bytes))
        ids = [int(token) for ids, targets, _ in windows for token in ids[1:][targets]]
        return ids, sum(window.bytes for window in windows)

    assert scored(10) == ([1, 2, 3, 4, 5], 10)
    assert scored(11) == ([1, 2, 3, 4, 5], 10)
    assert scored(1) == ([6], 2)  # nothing is so small: the smallest
    with pytest.raises(UnknownName, match="wiki"):
        next(evaluation_windows(tokens, "validation", "wiki", 3))
    with pytest.raises(InvalidInput):
        next(evaluation_windows(tokens, "validation", "web", 0))


def test_documents_can_be_read_one_by_one(tokens: TokenSet) -> None:
    documents = list(tokens.iter_documents("train", "wiki"))
    assert documents[0][0].tolist() == [*range(1000, 1007), 0]
    assert documents[0][1] == 14
    assert tokens.names("train") == ["web", "wiki", "code"]
    assert tokens.names("validation") == []


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train/web.bin", lambda data: data[:-3], r"web\.bin has \d+ bytes, but \d+ tokens take"),
        ("train/web.bin", lambda data: data[2:] + data[:2], r"web\.bin: a document does not end"),
        ("train/web.offsets.npy", lambda data: data[:-8], r"web\.offsets\.npy is not a NumPy file"),
        ("train/web.bytes.npy", lambda data: data[:-4] + b"\0\0\0\1", r"do not fit web\.bin"),
        ("train/web.bytes.npy", lambda data: b"", r"web\.bytes\.npy"),
        ("train/web.bin", None, r"web\.bin is missing"),
        ("train/web.bytes.npy", None, r"web\.bytes\.npy is missing"),
        ("tokens.json", None, r"not a tokens artifact"),
        ("tokens.json", lambda data: data[:-20], r"tokens\.json"),
        ("tokens.json", lambda data: data.replace(b"uint16", b"uint8"), r"tokens\.json: dtype"),
    ],
)
def test_damage_names_the_file(tokens: TokenSet, name: str, damage: object, message: str) -> None:
    path = tokens.folder / name
    if callable(damage):
        data = damage(path.read_bytes())
        path.unlink()  # the open set still maps the old file
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(InvalidInput, match=message):
        load_tokens(tokens.folder)


def test_offsets_of_other_documents_are_noticed(tokens: TokenSet) -> None:
    path = tokens.folder / "train" / "web.offsets.npy"
    offsets = np.load(path)
    offsets[3] += 1
    path.unlink()
    np.save(path, offsets)
    with pytest.raises(InvalidInput, match="does not end with the end-of-text token"):
        load_tokens(tokens.folder)
