"""Topic segmentation, with vectors made by hand and, where the encoder is installed, with real ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from malmoi.assist.retrieval.segments import AUTO, Segments, best_cuts, deep_cuts, segment
from malmoi.core.errors import InvalidInput

TOPICS = ("고양이", "경제", "수학", "바다")


async def by_word(texts: Sequence[str]) -> NDArray[np.float32]:
    """The axis of the topic that a sentence names, and a little noise that depends on its place."""
    vectors = np.full((len(texts), 8), 0.05, dtype=np.float32)
    for place, text in enumerate(texts):
        vectors[place, 4 + place % 4] += 0.2
        for axis, topic in enumerate(TOPICS):
            vectors[place, axis] += topic in text
    return vectors


def text_of(*lengths: int) -> str:
    return " ".join(
        f"{TOPICS[place % 4]} 이야기의 {n}번째 문장이다."
        for place, length in enumerate(lengths)
        for n in range(length)
    )


def sizes(found: Segments) -> list[int]:
    return [len(topic) for topic in found.topics]


@pytest.mark.parametrize("alpha", [AUTO, -1.0, 0.0], ids=["auto", "few", "usual"])
async def test_clear_topics_are_found(alpha: float) -> None:
    text = text_of(7, 6, 9, 8)
    found = await segment(text, by_word, alpha=alpha)
    assert sizes(found) == [7, 6, 9, 8]
    assert [text[start:end].split()[0] for start, end in found.spans()] == list(TOPICS)
    assert [number for topic in found.topics for number in topic] == list(range(30))


async def test_a_number_of_segments() -> None:
    text = text_of(7, 6, 9, 8)
    for count in (1, 2, 3, 4, 5, 29, 30, 99):
        found = await segment(text, by_word, count=count)
        assert len(found.topics) == min(count, 30)
    assert set(np.cumsum(sizes(await segment(text, by_word, count=3)))) <= {7, 13, 22, 30}


async def test_a_larger_alpha_cuts_more() -> None:
    chance = np.random.default_rng(3)
    deep = chance.random(200)
    counts = [len(deep_cuts(deep, alpha)) for alpha in (-1.5, -0.5, 0.0, 0.5, 1.5)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_best_cuts_are_the_best() -> None:
    chance = np.random.default_rng(5)
    vectors = chance.normal(size=(9, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def cost(borders: Sequence[int]) -> float:
        parts = np.split(vectors, borders)
        return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts))

    every = [(a, b) for a in range(1, 9) for b in range(a + 1, 9)]
    assert cost(best_cuts(vectors, 3)) == pytest.approx(min(map(cost, every)))


async def test_sizes_are_mended() -> None:
    text = text_of(1, 40, 1, 30)
    found = await segment(text, by_word, count=4, post_process=True, most=400, least=100)
    lengths = [end - start for start, end in found.spans()]
    assert max(lengths) <= 400
    assert min(lengths) >= 100
    assert sum(sizes(found)) == 72


async def test_short_texts() -> None:
    assert await segment("", by_word) == Segments((), ())
    assert (await segment("한 문장이다.", by_word)).topics == ((0,),)
    assert len((await segment("하나다. 둘이다.", by_word)).topics) in (1, 2)
    assert (await segment("같다. 같다. 같다.", by_word, count=3)).topics == ((0,), (1,), (2,))


async def test_a_very_long_text_is_still_cut() -> None:
    text = "가다.\n" * 5000
    assert len((await segment(text, by_word, count=10)).topics) == 10
    assert len((await segment(text, by_word, alpha=AUTO)).topics) >= 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"alpha": 2.0}, "alpha"),
        ({"alpha": -99.0}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"count": 0}, "count"),
        ({"post_process": True, "least": 9, "most": 8}, "least"),
    ],
    ids=["high", "low", "nan", "none", "sizes"],
)
async def test_values_are_checked(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await segment("하나다. 둘이다.", by_word, **wrong)
    assert caught.value.field == field
