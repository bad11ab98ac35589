"""What becomes of a file: taken in, indexed, replaced, deleted, and taken up again after a stop."""

import asyncio
import hashlib
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from documents_server import Server, no_table
from sqlalchemy import delete, func, select, text, update

from malmoi.serve.db.tables import Account
from malmoi.serve.documents import vector_table
from malmoi.serve.documents.tables import Collection, StoredDocument, StoredPassage

OpenServer = Callable[..., Awaitable[Server]]
TEXT = "# 제목\n\n은하수를 건너는 이야기다.\n\n|이름|값|\n|별|셋|\n"


async def rows_of(server: Server, *tables: str) -> dict[str, int]:
    async with server.app.state.services.db.reading() as session:
        return {
            table: int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0) for table in tables
        }


def files_in(home: Path) -> list[Path]:
    return [
        path for path in (home / "documents").rglob("*") if path.is_file() and path.name != ".indexing.lock"
    ]


async def test_an_upload_is_kept_read_and_indexed(server: Server, home: Path) -> None:
    collection = await server.collection()
    answer = await server.upload(collection, "이야기/밤.txt", TEXT)
    assert answer.status_code == 202
    assert answer.json()["created"] is True
    document = answer.json()["document"]["id"]
    shown = await server.finished(document)
    assert (shown["status"], shown["progress"], shown["version"]) == ("ready", 1.0, 1)
    assert (shown["title"], shown["format"], shown["pages"]) == ("제목", "txt", 1)
    [file] = files_in(home)
    assert file.name == hashlib.sha256(TEXT.encode()).hexdigest()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = (await server.client.get(f"/api/documents/files/{document}/text")).json()
    assert told["text"] == TEXT
    assert [block["kind"] for block in told["blocks"]] == ["heading", "paragraph", "table"]
    assert told["blocks"][2]["rows"] == [["이름", "값"], ["별", "셋"]]
    original = await server.client.get(f"/api/documents/files/{document}/original")
    assert original.content == TEXT.encode()
    assert original.headers["content-type"] == "application/octet-stream"
    assert original.headers["content-disposition"].startswith("attachment; filename*=utf-8''%EB%B0%A4.txt")
    assert original.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in original.headers["content-security-policy"]
    listed = (await server.client.get(f"/api/documents/collections/{collection}/files")).json()
    assert [item["name"] for item in listed["items"]] == ["이야기/밤.txt"]


async def test_the_same_content_is_found_and_not_doubled(server: Server, home: Path) -> None:
    collection, other = await server.collection("하나"), await server.collection("둘")
    first = await server.add(collection, "a.txt", TEXT)
    again = await server.upload(collection, "b.txt", TEXT)
    assert (again.json()["created"], again.json()["document"]["id"]) == (False, first)
    both = await asyncio.gather(*(server.upload(other, f"{n}.txt", TEXT) for n in range(4)))
    assert len({answer.json()["document"]["id"] for answer in both}) == 1
    assert sum(answer.json()["created"] for answer in both) == 1
    assert len(files_in(home)) == 1


async def test_a_new_version_answers_when_its_index_is_ready(server: Server, home: Path) -> None:
    collection = await server.collection()
    old = await server.add(collection, "규정.txt", "연차는 열다섯 날이다.")
    server.parser.gate = asyncio.Event()
    answer = await server.upload(collection, "규정.txt", "연차는 스무 날이다.")
    new = answer.json()["document"]["id"]
    assert answer.json()["document"]["version"] == 2
    assert {item["document_id"] for item in await server.find("연차")} == {old}
    server.parser.gate.set()
    await server.finished(new)
    assert {item["document_id"] for item in await server.find("연차")} == {new}
    assert (await server.client.get(f"/api/documents/files/{old}")).status_code == 404
    assert len(files_in(home)) == 1


async def test_a_version_that_cannot_be_read_leaves_the_old_one(server: Server) -> None:
    collection = await server.collection()
    old = await server.add(collection, "규정.txt", "연차는 열다섯 날이다.")
    new = await server.add(collection, "규정.txt", "LOCKED")
    assert (await server.finished(new))["status"] == "failed"
    assert {item["document_id"] for item in await server.find("연차")} == {old}


async def test_a_version_that_waits_answers_when_the_old_one_is_deleted(server: Server) -> None:
    collection = await server.collection()
    old = await server.add(collection, "규정.txt", "연차는 열다섯 날이다.")
    server.parser.gate = asyncio.Event()
    new = (await server.upload(collection, "규정.txt", "연차는 스무 날이다.")).json()["document"]["id"]
    assert (await server.client.delete(f"/api/documents/files/{old}")).status_code == 204
    server.parser.gate.set()
    await server.finished(new)
    assert {item["document_id"] for item in await server.find("연차")} == {new}


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [("LOCKED", "document_unreadable", "encrypted"), ("BUG", "error", None)],
)
async def test_a_failure_is_told_and_can_be_tried_again(
    server: Server, content: str, code: str, reason: str | None
) -> None:
    collection = await server.collection()
    document = await server.add(collection, "잠긴.txt", content)
    error = (await server.finished(document))["error"]
    assert error["code"] == code
    assert error.get("reason") == reason
    assert "bug" not in error["message"]
    text_of = await server.client.get(f"/api/documents/files/{document}/text")
    assert text_of.status_code == 409
    await server.add(collection, "다음.txt", "그래도 다음 것은 읽는다.")
    calls = server.parser.calls
    assert (await server.client.post(f"/api/documents/files/{document}/retry")).status_code == 200
    assert (await server.finished(document))["status"] == "failed"
    assert server.parser.calls == calls + 1


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.txt", b"", 400),
        ("\x07.txt", b"x", 400),
        ("../../etc/passwd", b"x", 202),
        ("a" * 300, b"x", 400),
        ("a.txt", b"x" * 3000, 413),
    ],
    ids=["empty", "control", "path", "long", "large"],
)
async def test_what_may_be_uploaded(
    open_server: OpenServer, home: Path, name: str, content: bytes, status: int
) -> None:
    server = await open_server(max_file_bytes=2000)
    collection = await server.collection()
    answer = await server.upload(collection, name, content)
    assert answer.status_code == status, answer.text
    if status == 202:
        assert answer.json()["document"]["name"] == "etc/passwd"
        await server.finished(answer.json()["document"]["id"])
    assert len(files_in(home)) == (status == 202)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_a_file_comes_as_it_is(server: Server, kind: str) -> None:
    collection = await server.collection()
    answer = await server.upload(collection, "a.json", "{}", headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] in ("content-type", None)


async def test_a_file_may_be_larger_than_other_bodies(server: Server) -> None:
    collection = await server.collection()
    large = "LONG" + "가" * 4_000_000  # 12 MB, of which this parser reads little
    document = await server.add(collection, "큰 글.txt", large)
    assert (await server.finished(document))["size"] == 12_000_004
    refused = await server.client.post("/api/documents/search", json={"query": "가", "x": large})
    assert refused.status_code == 413


async def test_what_is_deleted_is_gone_everywhere(
    open_server: OpenServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_table, "prepare", no_table)
    server = await open_server()
    collection = await server.collection()
    secret = "비밀스러운은하수낱말"
    document = await server.add(collection, "비밀.txt", f"# {secret}\n\n{secret} 이야기.\n\n다른 {secret}.")
    kept = await server.add(collection, "남는.txt", "여기 남는 글.")
    assert await server.find(secret)
    await server.client.delete(f"/api/documents/files/{document}")
    counts = await rows_of(server, "documents", "document_passages", "document_terms")
    assert counts == {"documents": 1, "document_passages": 1, "document_terms": 1}
    assert [path.read_bytes() for path in files_in(home)] == ["여기 남는 글.".encode()]
    cache: Any = server.documents._vectors._matrices
    assert {item["document_id"] for item in await server.find(secret)} <= {kept}
    [held] = [held for held in cache._held.values() if held.rows is not None]
    assert set(held.rows.documents) == {kept}
    await server.client.delete(f"/api/documents/collections/{collection}")
    counts = await rows_of(
        server, "documents", "document_passages", "document_terms", "document_collections", "document_members"
    )
    assert set(counts.values()) == {0}
    assert files_in(home) == []
    assert cache.bytes_held == 0
    await server.documents.tidy()
    database = server.app.state.services.db
    if database.dialect == "sqlite":
        path = Path(database.url.database)
        raw = b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))
        for trace in (secret, secret[:4], "여기 남는"):
            assert trace.encode() not in raw


async def test_an_account_takes_its_documents_along(server: Server, home: Path) -> None:
    _, headers = await server.person("lee")
    answer = await server.client.post("/api/documents/collections", json={"name": "내 것"}, headers=headers)
    uploaded = await server.upload(answer.json()["id"], "a.txt", TEXT, headers=headers)
    async with asyncio.timeout(40):
        while (await rows_of(server, "document_passages"))["document_passages"] == 0:
            await asyncio.sleep(0.01)
    assert uploaded.status_code == 202
    async with server.app.state.services.db.session() as session:
        await session.execute(delete(Account).where(Account.id == "acc_lee"))
    counts = await rows_of(server, "documents", "document_passages", "document_terms")
    assert set(counts.values()) == {0}
    [file] = files_in(home)
    server.documents._files.sweep(())
    assert files_in(home) == [file]  # its row may be about to come
    import malmoi.serve.documents.files as files_module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files_module, "_STALE", -1.0)
        await server.documents.tidy()
    assert files_in(home) == []


@pytest.mark.parametrize("step", ["parse", "put_passages", "add_morphemes", "add_vectors", "done"])
async def test_a_document_is_taken_up_where_a_killed_server_left_it(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A task that ends in the middle leaves what a killed process leaves: what was committed."""
    server = await open_server()
    collection = await server.collection()
    owner: Any = server.documents.indexer if step == "done" else server.documents.indexer._steps
    reached = asyncio.Event()

    async def die(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(owner, "_done" if step == "done" else step, die)
    document = (await server.upload(collection, "a.txt", TEXT)).json()["document"]["id"]
    async with asyncio.timeout(40):
        await reached.wait()
    before = await rows_of(server, "document_passages", "document_terms")
    server = await open_server()
    assert (await server.finished(document))["status"] == "ready"
    after = await rows_of(server, "document_passages", "document_terms")
    assert after == {"document_passages": 2, "document_terms": 2}
    if step in ("add_vectors", "done"):
        assert before == after
        assert server.parser.calls == 0
    async with server.app.state.services.db.reading() as session:
        bare = select(func.count()).where(StoredPassage.vector_count == 0)
        assert await session.scalar(bare) == 0
    assert {item["document_id"] for item in await server.find("은하수")} == {document}


async def test_a_document_that_stops_the_server_again_and_again_is_given_up(open_server: OpenServer) -> None:
    server = await open_server()
    collection = await server.collection()
    server.parser.gate = asyncio.Event()
    document = (await server.upload(collection, "a.txt", TEXT)).json()["document"]["id"]
    await server.documents.indexer.stop()
    async with server.app.state.services.db.session() as session:
        row = await session.get(StoredDocument, document)
        assert row is not None
        assert row.attempts <= 1  # an orderly stop does not count
        await session.execute(update(StoredDocument).values(attempts=3))
    server = await open_server()
    assert "stopped several times" in (await server.finished(document))["error"]["message"]


async def test_an_embedder_that_is_away_is_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("malmoi.serve.documents.indexing._RETRY", 0.0)
    monkeypatch.setattr("malmoi.serve.documents.indexing._POLL", 0.05)
    engine = server.app.state.services.engines._slots["scripted"].engine
    failures = 2
    embed = engine.embed

    async def sometimes(texts: Any, **named: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            from malmoi.core.errors import EngineUnavailable

            raise EngineUnavailable("it is starting.")
        return await embed(texts, **named)

    monkeypatch.setattr(engine, "embed", sometimes)
    collection = await server.collection()
    document = await server.add(collection, "a.txt", TEXT)
    assert (await server.finished(document))["status"] == "ready"
    assert failures == 0
    assert "waits for its vectors" in caplog.text


async def test_vectors_of_another_model_are_made_anew(open_server: OpenServer) -> None:
    server = await open_server()
    collection = await server.collection()
    document = await server.add(collection, "a.txt", TEXT)
    async with server.app.state.services.db.session() as session:
        await session.execute(
            update(StoredPassage).values(embedder="scripte_:16", vectors=b"", vector_count=0)
        )
    server = await open_server()
    async with asyncio.timeout(20):
        while (await server.finished(document))["status"] != "ready" or await stale(server):
            await asyncio.sleep(0.02)
    assert server.parser.calls == 0
    assert (await server.find("은하수"))[0]["ranks"]["vectors"] == 1


async def stale(server: Server) -> int:
    """Passages with vectors of another model."""
    async with server.app.state.services.db.reading() as session:
        other = select(func.count()).where(StoredPassage.embedder.like(r"scripte\_:%", escape="\\"))
        return int(await session.scalar(other) or 0)


async def test_a_database_that_is_away_at_the_start_is_waited_for(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from malmoi.serve.documents.indexing import Indexer

    monkeypatch.setattr("malmoi.serve.documents.indexing._POLL", 0.05)
    renew, failures = Indexer._renew, [OSError("the database restarts")]

    async def sometimes(self: Indexer) -> None:
        if failures:
            raise failures.pop()
        await renew(self)

    monkeypatch.setattr(Indexer, "_renew", sometimes)
    server = await open_server()
    document = await server.add(await server.collection(), "a.txt", TEXT)
    assert (await server.finished(document))["status"] == "ready"
    assert not failures
    assert "could not be indexed: the database restarts" in caplog.text


async def test_two_processes_do_not_index_the_same_documents(open_server: OpenServer, home: Path) -> None:
    from malmoi.core.errors import Conflict
    from malmoi.core.locks import locked

    server = await open_server()
    with pytest.raises(Conflict), locked(home / "documents" / ".indexing.lock", busy="busy"):
        pass
    with pytest.raises(Conflict):
        await server.documents.indexer.finish()


async def test_vectors_of_changed_collections_are_read_again(server: Server) -> None:
    collection = await server.collection()
    async with server.app.state.services.db.reading() as session:
        before = await session.scalar(select(Collection.revision))
    first = await server.add(collection, "a.txt", "처음 글이다.")
    assert {item["document_id"] for item in await server.find("처음 글이다.")} == {first}
    second = await server.add(collection, "b.txt", "나중 글이다.")
    assert {item["document_id"] for item in await server.find("나중 글이다.")} == {first, second}
    await server.client.delete(f"/api/documents/files/{first}")
    assert {item["document_id"] for item in await server.find("처음 글이다.")} == {second}
    async with server.app.state.services.db.reading() as session:
        after = await session.scalar(select(Collection.revision))
    assert after > before
