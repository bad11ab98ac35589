"""Vectors of queries and examples: made once, and there for whoever has asked for them."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.skills.vectors import RoutingVectors


async def test_a_text_that_makes_room_meanwhile_has_its_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malmoi.serve.skills.vectors._KEPT", 2)
    asked: list[list[str]] = []
    gate = asyncio.Event()

    async def embed(texts: Sequence[str]) -> np.ndarray:
        asked.append(list(texts))
        if "slow" in texts:
            await gate.wait()
        return letter_vectors(texts)

    vectors = RoutingVectors(None, "use")  # type: ignore[arg-type]
    monkeypatch.setattr(vectors, "_embed", embed)
    await vectors(["first"])
    waiting = asyncio.create_task(vectors(["first", "slow", "first"]))
    await asyncio.sleep(0)
    await vectors(["other", "another"])  # "first" makes room for these
    gate.set()
    assert np.array_equal(await waiting, letter_vectors(["first", "slow", "first"]))
    assert asked == [["first"], ["slow"], ["other", "another"]]
    await vectors(["slow"])
    assert len(asked) == 3
