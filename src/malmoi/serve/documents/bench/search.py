"""How long a search takes in a generated collection, and how fast pages are indexed.

The collection's morphemes and vectors are made up (a word without its particle, a vector by chance): making
them properly would take half an hour, and how long a search takes does not depend on them. Questions go the
whole way: the analyser's process, the sentence encoder, both rankings, the fusion.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from malmoi.assist.retrieval.document import Block, Document
from malmoi.core.errors import EngineError
from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.engine.base import Role
from malmoi.engine.catalog import Catalog
from malmoi.engine.embed import EMBEDDING_SIZE, SEARCH_SIZE, TextEmbedder
from malmoi.serve.db import Database
from malmoi.serve.documents.bench.generated import Author
from malmoi.serve.documents.bench.pages import generated_pdf
from malmoi.serve.documents.embedding import SEARCH, search_embedder
from malmoi.serve.documents.service import Documents
from malmoi.serve.documents.types import Hit, NewCollection
from malmoi.serve.engines import EnginePool
from malmoi.serve.identity import Identity
from malmoi.serve.settings import ServeSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from malmoi.serve.identity import Principal

_WORD = re.compile("[가-힣]+?(?=(?:을|를|이|가|은|는|에서|으로|의|와)?(?![가-힣]))")
PAGE = 1800
"""Characters of a page."""


class _QuickAnalyzer(MorphemeAnalyzer):
    async def analyze(self, texts: Sequence[str]) -> list[list[str]]:
        return [_WORD.findall(text) for text in texts]

    @property
    def is_available(self) -> bool:
        return True


class _QuickEmbedder(TextEmbedder):
    """Vectors by chance, under the name of the real encoder and as long as its own."""

    def __init__(self, name: str) -> None:
        size = SEARCH_SIZE if name == SEARCH else EMBEDDING_SIZE
        super().__init__(name=name, size=size, description="By chance.", turn=32, threads=1)

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        return np.random.default_rng(len(texts)).standard_normal((len(texts), self._size), dtype=np.float32)

    def _forget(self) -> None:
        pass


async def _read_markdown(content: bytes, *, name: str) -> Document:
    text = content.decode()
    blocks = []
    for found in re.finditer(r"[^\n]+", text):
        marks = len(found[0]) - len(found[0].lstrip("#"))
        start = found.start() + (marks + 1 if marks else 0)
        blocks.append(Block("heading" if marks else "paragraph", start, found.end(), level=marks))
    return Document("md", text.splitlines()[0].lstrip("# "), text, tuple(blocks))


async def search_times(count: int, questions: int, repeats: int) -> tuple[list[float], int]:
    """Medians of the milliseconds of a search, one a repeat, and how many passages there were.

    Args:
        count: documents of the collection.
        questions: asked in each repeat.
        repeats: how many figures.
    """
    author = Author(0)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = ServeSettings(home=home)
        db = Database.of(settings)
        await db.migrate()
        principal = await _owner(db, settings)
        embedder = search_embedder(settings.documents.embedder)
        quick = EnginePool(
            home=home,
            settings=settings.models,
            catalog=Catalog(home),
            engines={embedder: _QuickEmbedder(embedder)},
        )
        filling = Documents(
            db, quick, settings.documents, home, analyzer=_QuickAnalyzer(), parse=_read_markdown
        )
        collection = await filling.collections.create(principal, NewCollection(name="generated"))
        for name, text in author.documents(count):
            await filling.library.add(principal, collection.id, name, _whole(text.encode()))
        await filling.indexer.finish()
        await filling.close()
        pool = EnginePool(home=home, settings=settings.models, catalog=Catalog(home))
        documents = Documents(db, pool, settings.documents, home)
        try:
            for question in author.questions(3):
                await documents.search(principal, question)  # starts the processes, reads the vectors
            medians = []
            for _ in range(repeats):
                times = []
                for question in author.questions(questions):
                    began = time.perf_counter()
                    await documents.search(principal, question)
                    times.append(1000 * (time.perf_counter() - began))
                medians.append(float(np.median(times)))
            passages = await _count(db)
        finally:
            await documents.close()
            await pool.close()
            await db.close()
    return medians, passages


async def index_rates(pages: int) -> tuple[float, float]:
    """Pages a second until a document of `pages` pages is found by its words, and until all is indexed."""
    author = Author(1)
    text = ""
    while len(text) < pages * PAGE:
        text += " ".join(author.sentence() for _ in range(9)) + "\n\n"
    last = "마지막쪽표시 문장은 여기에만 적는다."
    found, ready = await _index_times("long.txt", f"{text}{last}\n".encode(), last)
    return pages / found, pages / ready


async def pdf_times(pages: int) -> tuple[float, float]:
    """Seconds until the last page of a PDF is found by its words, and until all is indexed.

    Args:
        pages: of the PDF, which is generated.

    Raises:
        EngineError: the words of its last page were not found.
    """
    content, last = generated_pdf(pages)
    return await _index_times("long.pdf", content, last)


async def _index_times(name: str, content: bytes, sentence: str) -> tuple[float, float]:
    """Seconds until the words of a new document are found, and until its vectors are there as well."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = ServeSettings(home=home)
        db = Database.of(settings)
        await db.migrate()
        principal = await _owner(db, settings)
        pool = EnginePool(home=home, settings=settings.models, catalog=Catalog(home))
        documents = Documents(db, pool, settings.documents, home)
        try:
            await documents.analyzer.analyze(["준비"])
            await documents.embed_for_search(["준비"])
            collection = await documents.collections.create(principal, NewCollection(name="generated"))
            began = time.perf_counter()
            await documents.library.add(principal, collection.id, name, _whole(content))
            work = asyncio.create_task(documents.indexer.finish())
            hits: list[Hit] = []
            while not any(sentence in hit.text for hit in hits):
                # Korean words are found when their morphemes are in, which come after the passages.
                is_done = work.done()
                hits = await documents.search(principal, sentence, limit=3) if await _count(db) else []
                if is_done:
                    break
                await asyncio.sleep(0.1)
            found = time.perf_counter() - began
            await work
            ready = time.perf_counter() - began
        finally:
            await documents.close()
            await pool.close()
            await db.close()
    if not any(sentence in hit.text for hit in hits):
        raise EngineError(f"the words of {name} were not found after it was indexed.")
    return found, ready


async def _owner(db: Database, settings: ServeSettings) -> Principal:
    identity = Identity(db, settings)
    await identity.start()
    principal = await identity.open_to()
    await identity.stop()
    assert principal is not None  # a new database has no accounts with a password
    return principal


async def _count(db: Database) -> int:
    from sqlalchemy import func, select

    from malmoi.serve.documents.tables import StoredPassage

    async with db.reading() as session:
        return int(await session.scalar(select(func.count()).select_from(StoredPassage)) or 0)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
