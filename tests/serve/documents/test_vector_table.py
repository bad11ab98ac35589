"""PostgreSQL with pgvector finds what the search in memory finds, and nothing that it should not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from documents_server import Server
from numpy.typing import NDArray
from sqlalchemy import delete, select, text, update

from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.documents import vector_table
from malmoi.serve.documents.finding import Manner
from malmoi.serve.documents.packing import pack_vectors
from malmoi.serve.documents.tables import Collection, StoredDocument, StoredPassage
from malmoi.serve.documents.vectors import Vectors

pytestmark = pytest.mark.postgres

SIZE = 48
LABEL = f"model:{SIZE}"
COLLECTIONS = ("col_a", "col_b", "col_c")


@pytest.fixture
def tables_are_copied() -> None:
    """Not here: these databases lie on another server than those that are copied."""


@pytest.fixture
def database_url(vector_url: str) -> str:
    """Also the servers of this file have a database that may have pgvector."""
    return vector_url


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Database]:
    """Three collections of two documents of twenty passages; every third passage has two vectors."""
    db = Database.open(database_url)
    await db.migrate()
    await fill(db)
    yield db
    await db.close()


async def fill(db: Database) -> None:
    chance = np.random.default_rng(7)
    async with db.session() as session:
        session.add(Account(id="acc", name="kim", name_key="kim", role="member", created_at=utc_now()))
        await session.flush()
        for collection in COLLECTIONS:
            session.add(
                Collection(
                    id=collection, account_id="acc", name=collection, description="", everybody=False,
                    revision=1, created_at=utc_now(), updated_at=utc_now(),
                )
            )  # fmt: skip
            await session.flush()
            for name in (f"{collection}_1", f"{collection}_2"):
                session.add(document(collection, name))
                await session.flush()
                for number in range(20):
                    own = vectors(chance, 2 if number % 3 == 0 else 1)
                    session.add(passage(collection, name, number, own))


def document(collection: str, name: str) -> StoredDocument:
    return StoredDocument(
        id=name, collection_id=collection, name=name, version=1, pending=False, sha256=name, size=1,
        status="ready", progress=1.0, attempts=0, error=None, format="txt", title="", pages=None, length=1,
        remarks=[], account_id="acc", created_at=utc_now(), updated_at=utc_now(),
    )  # fmt: skip


def passage(collection: str, name: str, number: int, own: NDArray[np.float32]) -> StoredPassage:
    return StoredPassage(
        document_id=name, collection_id=collection, number=number, start=0, end=1, text="x", headings=[],
        page=None, place="", analysed=True, embedder=LABEL, vector_count=len(own), vectors=pack_vectors(own),
    )  # fmt: skip


def vectors(chance: np.random.Generator, count: int) -> NDArray[np.float32]:
    made = chance.standard_normal((count, SIZE), dtype=np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


async def find(
    db: Database,
    store: Vectors,
    query: NDArray[np.float32],
    *,
    collections: Sequence[str] = COLLECTIONS,
    documents: Sequence[str] = (),
    label: str = LABEL,
    limit: int = 100,
) -> list[tuple[int, float]]:
    async with db.reading() as session:
        known = dict((await session.execute(select(Collection.id, Collection.revision))).all())
        where = [(one, known[one]) for one in collections if one in known]
        return await store.search(session, where, label, query, limit, documents=frozenset(documents))


async def described(db: Database) -> str:
    async with db.reading() as session:
        return await vector_table.describe(session)


async def rows_in(db: Database) -> int:
    async with db.reading() as session:
        return int(await session.scalar(text("SELECT count(*) FROM document_vectors")) or 0)


async def has_table(db: Database) -> bool:
    async with db.reading() as session:
        return await session.scalar(text("SELECT to_regclass('document_vectors') IS NOT NULL")) is True


def stores() -> tuple[Vectors, Vectors]:
    """One that is always in memory, and one as PostgreSQL has."""
    return Vectors("sqlite", 1 << 20), Vectors("postgresql", 1 << 20)


@pytest.mark.parametrize(
    ("collections", "documents", "limit"),
    [
        (COLLECTIONS, (), 200),
        (COLLECTIONS, (), 7),
        (("col_b",), (), 50),
        (("col_a", "col_c"), ("col_c_2", "col_a_1"), 50),
        (("col_a",), ("col_b_1",), 50),
        ((), (), 50),
    ],
    ids=["all", "few", "one", "documents", "elsewhere", "none"],
)
async def test_both_ways_find_the_same(
    filled: Database, collections: Sequence[str], documents: Sequence[str], limit: int
) -> None:
    memory, table = stores()
    await table.prepare(filled)
    assert "compared by pgvector" in await described(filled)
    for query in vectors(np.random.default_rng(1), 10):
        scope: dict[str, Any] = {"collections": collections, "documents": documents, "limit": limit}
        expected = await find(filled, memory, query, **scope)
        found = await find(filled, table, query, **scope)
        assert [one for one, _ in found] == [one for one, _ in expected]
        assert np.allclose([score for _, score in found], [score for _, score in expected], atol=1e-6)
    assert table.bytes_held == 0


async def test_memory_answers_until_the_extension_is_there(filled: Database) -> None:
    _, store = stores()
    query = vectors(np.random.default_rng(2), 1)[0]
    before = await find(filled, store, query)
    assert store.bytes_held > 0
    assert (await described(filled)).startswith(
        "vectors are compared in memory: the extension vector is not in"
    )
    await store.prepare(filled)
    await store.prepare(filled)  # as every start does
    after = await find(filled, store, query)
    assert [one for one, _ in after] == [one for one, _ in before]
    assert store.bytes_held == 0
    assert await rows_in(filled) == 162


async def test_a_role_that_may_not_create_the_extension_is_told(
    filled: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with filled.session() as session:
        name = f"plain_{filled.url.database}"
        await session.execute(text(f"CREATE ROLE {name} LOGIN"))
        await session.execute(text(f"GRANT CREATE ON SCHEMA public TO {name}"))
        await session.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"))
    plain = Database(filled.url.set(username=name))
    _, store = stores()
    query = vectors(np.random.default_rng(2), 1)[0]
    try:
        await store.prepare(plain)
        assert "permission denied" in caplog.text
        assert not await has_table(plain)
        before = await find(plain, store, query)
        async with filled.session() as session:
            await session.execute(text("CREATE EXTENSION vector"))
        await store.prepare(plain)
        after = await find(plain, store, query)
        assert [one for one, _ in after] == [one for one, _ in before]
        assert store.bytes_held == 0
        async with filled.session() as session:
            await session.execute(text("CREATE SCHEMA aside"))
            await session.execute(text("ALTER EXTENSION vector SET SCHEMA aside"))
        assert "search_path" in await described(plain)
        assert await find(plain, store, query) == before
    finally:
        await plain.close()
        async with filled.session() as session:
            await session.execute(text(f"DROP OWNED BY {name} CASCADE"))
            await session.execute(text(f"DROP ROLE {name}"))


async def test_vectors_of_two_encoders_are_never_compared(filled: Database) -> None:
    _, store = stores()
    await store.prepare(filled)
    other = np.eye(1, 5, dtype=np.float32)
    async with filled.session() as session:
        first = await session.scalar(select(StoredPassage.id).order_by(StoredPassage.id).limit(1))
        assert first is not None
        await session.execute(
            update(StoredPassage)
            .where(StoredPassage.id == first)
            .values(embedder="other:5", vector_count=1, vectors=pack_vectors(other))
        )
        await store.put(session, [first])
    assert await find(filled, store, other[0], label="other:5") == [(first, 1.0)]
    found = await find(filled, store, vectors(np.random.default_rng(3), 1)[0], limit=200)
    assert len(found) == 119
    assert first not in dict(found)


async def test_an_extension_may_go_and_come_back(filled: Database) -> None:
    _, store = stores()
    query = vectors(np.random.default_rng(2), 1)[0]
    await store.prepare(filled)
    before = await find(filled, store, query)
    async with filled.session() as session:
        await session.execute(text("DROP EXTENSION vector CASCADE"))
    assert [one for one, _ in await find(filled, store, query)] == [one for one, _ in before]
    assert store.bytes_held > 0
    await store.prepare(filled)
    assert await find(filled, store, query) == before


async def test_what_another_version_wrote_without_the_table_is_taken_in(filled: Database) -> None:
    _, store = stores()
    await store.prepare(filled)
    new = vectors(np.random.default_rng(4), 1)
    async with filled.session() as session:
        session.add(passage("col_a", "col_a_1", 99, new))
    assert len(await find(filled, store, new[0], limit=200)) == 120
    await store.prepare(filled)
    assert len(await find(filled, store, new[0], limit=200)) == 121
    assert (await find(filled, store, new[0]))[0][1] == pytest.approx(1.0, abs=1e-3)


async def test_a_writer_that_has_not_seen_the_table_is_waited_for(filled: Database) -> None:
    _, store = stores()
    new = passage("col_a", "col_a_1", 99, vectors(np.random.default_rng(4), 1))
    async with filled.session() as session:
        session.add(new)
        await session.flush()
        await store.put(session, [new.id])
        preparing = asyncio.create_task(store.prepare(filled))
        done, _ = await asyncio.wait([preparing], timeout=0.5)
        assert not done
        assert not await has_table(filled)
    await preparing
    assert await rows_in(filled) == 163


async def test_a_table_that_is_being_filled_does_not_answer(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_table, "_COPIED_AT_ONCE", 25)
    _, store = stores()
    put, calls = vector_table.put, 0

    async def slowly(session: Any, ids: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            assert await rows_in(filled) > 0
            assert "not complete yet" in await described(filled)
            assert len(await find(filled, store, query, limit=200)) == 120
            assert store.bytes_held > 0
        await put(session, ids)

    query = vectors(np.random.default_rng(4), 1)[0]
    monkeypatch.setattr(vector_table, "put", slowly)
    await store.prepare(filled)
    assert calls == 6
    assert await rows_in(filled) == 162


async def test_what_is_deleted_is_gone_from_the_table(filled: Database) -> None:
    _, store = stores()
    await store.prepare(filled)
    async with filled.session() as session:
        await session.execute(delete(StoredDocument).where(StoredDocument.id == "col_a_1"))
    assert await rows_in(filled) == 135
    async with filled.session() as session:
        await session.execute(delete(Account))
    assert await rows_in(filled) == 0


async def test_a_server_indexes_into_the_table_and_finds_only_what_may_be_read(
    open_server: Callable[..., Awaitable[Server]],
) -> None:
    server = await open_server()
    collection = await server.collection()
    kept = await server.add(collection, "하나.txt", "은하수를 건너는 이야기다.\n\n여기에 둘째 글이 있다.")
    gone = await server.add(collection, "둘.txt", "다른 바다의 이야기다.")
    db = server.app.state.services.db
    assert await rows_in(db) == 3
    owner, manner = await server.owner(), Manner(orders=("vectors",), merge=False)
    found = await server.documents.search(owner, "다른 바다의 이야기다.", manner=manner)
    assert found[0].document_id == gone
    stranger, _ = await server.person("lee")
    assert await server.documents.search(stranger, "다른 바다의 이야기다.", manner=manner) == []
    await server.client.delete(f"/api/documents/files/{gone}")
    found = await server.documents.search(owner, "다른 바다의 이야기다.", manner=manner)
    assert {hit.document_id for hit in found} == {kept}
    assert await rows_in(db) == 2
    assert server.documents._vectors.bytes_held == 0
