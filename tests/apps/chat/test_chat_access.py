"""What belongs to another account does not exist: every route, with the ids of somebody else."""

from typing import Any

import pytest
from chat_server import Server
from fastapi.routing import iter_route_contexts

from malmoi.serve.db import utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.identity import Role, account_principal, route_policies


async def key_of(server: Server, account_id: str, name: str, scopes: set[str]) -> str:
    principal = account_principal(account_id, name, Role.MEMBER)
    _, secret = await server.app.state.services.identity.keys.create(principal, "key", scopes)
    return str(secret)


@pytest.fixture
async def others(server: Server) -> tuple[dict[str, str], dict[str, str]]:
    """The headers of a member with nothing, and the ids of what the owner has."""
    conversation_id = await server.new_conversation(title="비밀 계획")
    question, reply = await server.ask(conversation_id, "아무도 모르는 낱말 은하수")
    trashed = await server.new_conversation(title="버린 비밀")
    await server.json("DELETE", f"conversations/{trashed}", status=204)
    folder = await server.json("POST", "folders", {"name": "비밀 폴더"})
    persona = await server.json("POST", "personas", {"name": "비밀 인물"})
    async with server.app.state.services.db.session() as session:
        session.add(
            Account(id="acc_other", name="other", name_key="other", role="member", created_at=utc_now())
        )
    secret = await key_of(server, "acc_other", "other", {"chat"})
    ids = {
        "conversation_id": conversation_id,
        "message_id": reply["id"],
        "question_id": question["id"],
        "folder_id": folder["id"],
        "persona_id": persona["id"],
        "trashed": trashed,
    }
    return {"authorization": f"Bearer {secret}"}, ids


BODIES: dict[str, Any] = {
    "POST /api/chat/conversations/{conversation_id}/messages": {"content": "x", "client_id": "x"},
    "POST /api/chat/messages/{message_id}/regenerate": {},
    "POST /api/chat/messages/{message_id}/approve": {"call_id": "x", "arguments_hash": "0" * 64},
    "POST /api/chat/messages/{message_id}/deny": {"call_id": "x"},
    "PATCH /api/chat/conversations/{conversation_id}": {"title": "x"},
    "PATCH /api/chat/folders/{folder_id}": {"name": "x"},
    "PATCH /api/chat/personas/{persona_id}": {"name": "x"},
}


async def test_every_route_with_an_id_hides_what_is_not_ones_own(
    server: Server, others: tuple[dict[str, str], dict[str, str]]
) -> None:
    headers, ids = others
    tried = 0
    for route in server.app.routes:
        for context in iter_route_contexts([route]):
            path = context.path or ""
            if not path.startswith("/api/chat/") or "{" not in path:
                continue
            for method in set(context.methods or ()) - {"HEAD"}:
                body = BODIES.get(f"{method} {path}")
                answer = await server.client.request(method, path.format(**ids), json=body, headers=headers)
                expected = 403 if path.endswith(("/approve", "/deny")) else 404  # the caller is a key
                assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text}"
                assert "비밀" not in answer.text
                tried += 1
    assert tried >= 13
    answer = await server.client.post(f"/api/chat/conversations/{ids['trashed']}/restore", headers=headers)
    assert answer.status_code == 404


async def test_lists_search_and_export_hold_nothing_of_others(
    server: Server, others: tuple[dict[str, str], dict[str, str]]
) -> None:
    headers, ids = others
    for path in (
        "conversations",
        "trash",
        "folders",
        "export",
        "search?q=은하수",
        "search?q=비밀",
        "personas",
    ):
        answer = await server.client.get(f"/api/chat/{path}", headers=headers)
        assert answer.status_code == 200
        assert "비밀" not in answer.text
        assert "은하수" not in answer.text
    page = await server.client.get(f"/api/chat/conversations?folder_id={ids['folder_id']}", headers=headers)
    assert page.json()["items"] == []
    assert (await server.client.delete("/api/chat/trash", headers=headers)).status_code == 204
    assert len((await server.json("GET", "trash"))["items"]) == 1  # the owner's is still there


async def test_nothing_of_others_can_be_named_in_ones_own(
    server: Server, others: tuple[dict[str, str], dict[str, str]]
) -> None:
    headers, ids = others
    mine = (await server.client.post("/api/chat/conversations", json={}, headers=headers)).json()["id"]
    for body in ({"folder_id": ids["folder_id"]}, {"persona_id": ids["persona_id"]}):
        assert (
            await server.client.post("/api/chat/conversations", json=body, headers=headers)
        ).status_code == 404
        answer = await server.client.patch(f"/api/chat/conversations/{mine}", json=body, headers=headers)
        assert answer.status_code == 404
    leaf = {"active_leaf_id": ids["message_id"]}
    answer = await server.client.patch(f"/api/chat/conversations/{mine}", json=leaf, headers=headers)
    assert answer.status_code == 404
    body = {"content": "x", "client_id": "x", "parent_id": ids["message_id"]}
    answer = await server.client.post(f"/api/chat/conversations/{mine}/messages", json=body, headers=headers)
    assert answer.status_code == 404


async def test_a_key_needs_the_right_to_chat(server: Server) -> None:
    owner = await server.owner()
    secret = await key_of(server, owner.account_id, owner.name, {"inference"})
    answer = await server.client.get("/api/chat/conversations", headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 403


async def test_every_route_asks_for_the_right_to_chat(server: Server) -> None:
    policies = [policy for policy in route_policies(server.app) if policy.path.startswith("/api/chat")]
    assert len(policies) >= 24
    needs = {policy.path.rpartition("/")[2]: str(policy).partition(": ")[2] for policy in policies}
    assert {needs.pop(name) for name in ("approve", "deny")} == {"chat & approvals"}
    assert set(needs.values()) == {"chat"}


async def test_an_account_takes_its_conversations_along(
    server: Server, others: tuple[dict[str, str], dict[str, str]]
) -> None:
    from sqlalchemy import delete, func, select, text

    from malmoi.apps.chat.tables import Message, SearchPart

    async with server.app.state.services.db.session() as session:
        await session.execute(delete(Account).where(Account.id == (await server.owner()).account_id))
    async with server.app.state.services.db.reading() as session:
        for table in (Message, SearchPart):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
        assert await session.scalar(text("SELECT count(*) FROM chat_search_terms")) == 0
