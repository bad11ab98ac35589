"""What comes of texts where the engine that embeds cannot be used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from malmoi.core.errors import MalmoiError, MissingExtra, ModelFileInvalid
from malmoi.engine.base import Engine
from malmoi.serve.documents.embedding import Embedding, NoEmbedder


class Pool:
    """Engines that cannot be opened."""

    def __init__(self, error: MalmoiError) -> None:
        self._error = error

    def resolve(self, name: str) -> str:
        return name

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Engine]:
        raise self._error
        yield


@pytest.mark.parametrize(
    "error",
    [MissingExtra("The encoder", "serve"), ModelFileInvalid("e5.bin: it is cut short.")],
    ids=["missing", "broken"],
)
async def test_without_weights_there_is_no_embedder(error: MalmoiError) -> None:
    embed = Embedding(Pool(error), "search")  # type: ignore[arg-type]
    with pytest.raises(NoEmbedder) as raised:
        await embed(["text"])
    assert raised.value.message == error.message
