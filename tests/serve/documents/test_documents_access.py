"""Who may do what with a collection and its documents: owner, members, others, admins, keys, nobody."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from documents_server import Server
from fastapi.routing import iter_route_contexts

from malmoi.core.errors import NotFound
from malmoi.serve.documents import DocumentsFor
from malmoi.serve.identity import Principal, Role, account_principal, route_policies

SECRET = "은하수 비밀 계획"
PREFIX = "/api/documents"


@dataclass
class Shared:
    """A collection of the owner with a document, and other people."""

    server: Server
    collection: str
    document: str
    headers: dict[str, dict[str, str]]
    principals: dict[str, Principal]


@pytest.fixture
async def shared(server: Server) -> Shared:
    collection = await server.collection(SECRET)
    document = await server.add(collection, f"{SECRET}.txt", f"# {SECRET}\n\n{SECRET}은 이렇다.\n\n|a|b|\n")
    headers, principals = {}, {}
    roles = {"reader": Role.MEMBER, "writer": Role.MEMBER, "other": Role.MEMBER, "admin": Role.ADMIN}
    for name, role in roles.items():
        principals[name], headers[name] = await server.person(name, role)
    principals["owner"], headers["owner"] = await server.owner(), {}
    for name in ("reader", "writer"):
        answer = await server.client.post(
            f"{PREFIX}/collections/{collection}/members", json={"name": name, "role": name}
        )
        assert answer.status_code == 200, answer.text
    return Shared(server, collection, document, headers, principals)


def body_of(method: str, path: str) -> dict[str, Any]:
    if path.endswith("/files") and method == "POST":
        return {"content": b"x", "headers": {"content-type": "application/octet-stream"}}
    if path.endswith("/members") and method == "POST":
        return {"json": {"name": "other"}}
    if path == PREFIX + "/search":
        return {"json": {"query": "은하수"}}
    return {"json": {"name": "x"}} if method in ("POST", "PATCH") else {}


async def call(shared: Shared, who: str, method: str, path: str) -> Any:
    arguments = body_of(method, path)
    headers = {**shared.headers[who], **arguments.pop("headers", {})}
    real = path.format(collection_id=shared.collection, document_id=shared.document, account_id="acc_reader")
    return await shared.server.client.request(
        method, real, params={"name": "x.txt"}, headers=headers, **arguments
    )


def routes_with_ids(server: Server) -> list[tuple[str, str]]:
    found = []
    for context in iter_route_contexts(server.app.routes):
        path = context.path or ""
        if path.startswith(PREFIX + "/") and "{" in path:
            found += [(method, path) for method in sorted(set(context.methods or ()) - {"HEAD"})]
    return found


@pytest.mark.parametrize("who", ["other", "admin"])
async def test_to_others_and_to_admins_it_does_not_exist(shared: Shared, who: str) -> None:
    routes = routes_with_ids(shared.server)
    assert len(routes) >= 13
    for method, path in routes:
        answer = await call(shared, who, method, path)
        assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
        assert "은하수" not in answer.text
    for method, path in (("GET", PREFIX + "/collections"), ("POST", PREFIX + "/search")):
        answer = await call(shared, who, method, path)
        assert answer.status_code == 200
        assert answer.json() == {"items": []}


READS = {
    ("GET", PREFIX + "/collections/{collection_id}"),
    ("GET", PREFIX + "/collections/{collection_id}/files"),
    ("GET", PREFIX + "/collections/{collection_id}/members"),
    ("GET", PREFIX + "/files/{document_id}"),
    ("GET", PREFIX + "/files/{document_id}/text"),
    ("GET", PREFIX + "/files/{document_id}/original"),
}
WRITES = {
    ("POST", PREFIX + "/collections/{collection_id}/files"),
    ("POST", PREFIX + "/files/{document_id}/retry"),
    ("DELETE", PREFIX + "/files/{document_id}"),
}


@pytest.mark.parametrize("who", ["reader", "writer"])
async def test_members_do_what_their_role_says(shared: Shared, who: str) -> None:
    leaving = ("DELETE", PREFIX + "/collections/{collection_id}/members/{account_id}")
    routes = routes_with_ids(shared.server)
    for method, path in sorted(routes, key=lambda one: one[0] == "DELETE"):
        if (method, path) == leaving and who == "reader":
            continue  # a member may leave
        allowed = (method, path) in READS | (WRITES if who == "writer" else set())
        answer = await call(shared, who, method, path)
        if allowed:
            assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        else:
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
        if path.endswith("/retry"):
            await shared.server.finished(shared.document)
    if who == "reader":
        assert (await call(shared, "reader", *leaving)).status_code == 204
        gone = await call(shared, "reader", "GET", PREFIX + "/collections/{collection_id}")
        assert gone.status_code == 404


async def test_a_member_does_not_see_who_else_is_one(shared: Shared) -> None:
    path = f"{PREFIX}/collections/{shared.collection}/members"
    seen = (await shared.server.client.get(path, headers=shared.headers["reader"])).json()["items"]
    assert [item["name"] for item in seen] == ["reader"]
    everyone = (await shared.server.client.get(path)).json()["items"]
    assert [(item["name"], item["role"]) for item in everyone] == [("reader", "reader"), ("writer", "writer")]


async def test_only_admins_open_a_collection_to_everybody(shared: Shared) -> None:
    server = shared.server
    mine = await server.client.post(
        f"{PREFIX}/collections", json={"name": "공지"}, headers=shared.headers["writer"]
    )
    path = f"{PREFIX}/collections/{mine.json()['id']}"
    refused = await server.client.patch(path, json={"everybody": True}, headers=shared.headers["writer"])
    assert refused.status_code == 403
    opened = await server.client.patch(f"{PREFIX}/collections/{shared.collection}", json={"everybody": True})
    assert opened.status_code == 200
    found = await server.client.post(
        f"{PREFIX}/search", json={"query": "은하수"}, headers=shared.headers["other"]
    )
    assert found.json()["items"][0]["document_id"] == shared.document
    uploaded = await call(shared, "other", "POST", PREFIX + "/collections/{collection_id}/files")
    assert uploaded.status_code == 403


async def test_nobody_without_credentials_and_no_key_without_the_right(shared: Shared) -> None:
    policies = [one for one in route_policies(shared.server.app) if one.path.startswith(PREFIX)]
    assert {str(one).partition(": ")[2] for one in policies} == {"documents"}
    identity = shared.server.app.state.services.identity
    principal = account_principal("acc_reader", "reader", Role.MEMBER)
    _, chat_key = await identity.keys.create(principal, "chat", {"chat"})
    answer = await shared.server.client.get(
        f"{PREFIX}/collections", headers={"authorization": f"Bearer {chat_key}"}
    )
    assert answer.status_code == 403
    async with shared.server.app.state.services.db.session() as session:
        from sqlalchemy import update

        from malmoi.serve.db.tables import Account

        await session.execute(update(Account).values(password_hash="x"))
    identity.accounts._on_change()
    shared.server.client.cookies.clear()
    answer = await shared.server.client.get(f"{PREFIX}/collections")
    assert answer.status_code == 401


async def test_a_search_names_only_what_may_be_read(shared: Shared) -> None:
    documents, other = shared.server.documents, shared.principals["other"]
    assert await documents.search(other, "은하수") == []
    for fields in ({"collections": [shared.collection]}, {"documents": [shared.document]}):
        with pytest.raises(NotFound):
            await documents.search(other, "은하수", **fields)
    found = await documents.search(shared.principals["reader"], "은하수")
    assert found[0].document_id == shared.document


async def test_skills_see_the_documents_of_their_caller(shared: Shared) -> None:
    mine = DocumentsFor(shared.server.documents, shared.principals["reader"])
    assert SECRET in await mine.text(shared.document)
    assert await mine.tables(shared.document) == [(("a", "b"),)]
    foreign = DocumentsFor(shared.server.documents, shared.principals["other"])
    for read in (foreign.text, foreign.tables):
        with pytest.raises(NotFound):
            await read(shared.document)


async def test_what_a_member_uploads_stays_when_the_member_goes(shared: Shared) -> None:
    answer = await shared.server.upload(
        shared.collection, "남는 것.txt", "새벽 노을", headers=shared.headers["writer"]
    )
    document = answer.json()["document"]["id"]
    await shared.server.finished(document)
    async with shared.server.app.state.services.db.session() as session:
        from sqlalchemy import delete

        from malmoi.serve.db.tables import Account

        await session.execute(delete(Account).where(Account.id == "acc_writer"))
    await asyncio.sleep(0)
    assert (await shared.server.client.get(f"{PREFIX}/files/{document}")).status_code == 200
