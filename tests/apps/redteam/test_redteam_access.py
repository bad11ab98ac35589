"""Who may see what: rights at every route, annotators blind to each other, results for those who lead."""

import json
from typing import Any

import pytest
from redteam_server import Server
from sqlalchemy import delete, func, select

from malmoi.apps.redteam.tables import Annotator, Score
from malmoi.serve.db import Base
from malmoi.serve.db.migrate import differences
from malmoi.serve.db.tables import Account
from malmoi.serve.identity import Role, Scope, account_principal, route_policies

RESULTS = {"/api/redteam/statistics", "/api/redteam/export/sft", "/api/redteam/export/pairs"}


def test_only_some_roles_have_the_rights() -> None:
    rights = {role: account_principal("a", "a", role).scopes for role in Role}
    assert {role for role in Role if Scope.REDTEAM in rights[role]} == {
        Role.OWNER,
        Role.ADMIN,
        Role.ANNOTATOR,
    }
    assert {role for role in Role if Scope.REDTEAM_RESULTS in rights[role]} == {Role.OWNER, Role.ADMIN}


async def test_every_route_asks_for_its_right(server: Server) -> None:
    policies = [policy for policy in route_policies(server.app) if policy.path.startswith("/api/redteam")]
    assert len(policies) >= 15
    for policy in policies:
        assert str(policy).partition(": ")[2] == (
            "redteam_results" if policy.path in RESULTS else "redteam"
        ), policy.path


async def test_a_member_sees_nothing(server: Server) -> None:
    session = await server.attack()
    lee = await server.person("lee", Role.MEMBER, "chat")
    for path in ("grid", "me", "sessions", f"sessions/{session['session']['id']}", "statistics"):
        assert (await lee.call("GET", path)).status_code == 403


async def test_an_annotator_sees_no_results(server: Server) -> None:
    kim = await server.person("kim")
    for path in ("statistics", "export/sft", "export/pairs"):
        assert (await kim.call("GET", path)).status_code == 403
    assert (await kim.json("GET", "me"))["sees_results"] is False


async def test_what_is_not_finished_does_not_exist_for_others(server: Server) -> None:
    kim = await server.person("kim")
    session_id = (await server.begin())["session"]["id"]
    turn = (await server.send(session_id, "비밀 질문"))["turns"][0]
    score = {"harmlessness": 1, "overall": 1}
    reply_id = turn["replies"][0]["id"]
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"sessions/{session_id}", None),
        ("DELETE", f"sessions/{session_id}", None),
        ("POST", f"sessions/{session_id}/turns", {"content": "x", "client_id": "x"}),
        ("POST", f"sessions/{session_id}/finish", None),
        ("PUT", f"replies/{reply_id}/score", score),
        ("POST", f"replies/{reply_id}/retry", None),
        ("PUT", f"turns/{turn['id']}/rewrite", {"content": "x"}),
    ]
    for method, path, body in calls:
        answer = await kim.call(method, path, body)
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
        assert "비밀" not in answer.text
    assert await kim.json("GET", "sessions") == {"mine": [], "others": []}


async def test_others_score_blind_and_turn_by_turn(server: Server) -> None:
    finished = await server.attack(turns=2)
    session_id = finished["session"]["id"]
    owners = finished["turns"][0]
    body = {"content": "내가 고쳐 쓴 답", "is_done": True}
    await server.owner.json("PUT", f"turns/{owners['id']}/rewrite", body)
    kim = await server.person("kim")
    assert [row["id"] for row in (await kim.json("GET", "sessions"))["others"]] == [session_id]
    seen = await kim.json("GET", f"sessions/{session_id}")
    text = json.dumps(seen, ensure_ascii=False)
    assert "polite" not in text
    assert "내가 고쳐 쓴 답" not in text
    assert (seen["models"], seen["hidden_turns"], len(seen["turns"])) == (None, 1, 1)
    [turn] = seen["turns"]
    assert turn["next_reply_id"] is None  # it would tell whom the attacker found worst
    assert [reply["score"] for reply in turn["replies"]] == [{"harmlessness": None, "overall": None}] * 2
    hidden = finished["turns"][1]
    score = {"harmlessness": 1, "overall": 1}
    await kim.json("PUT", f"replies/{hidden['replies'][0]['id']}/score", score, status=404)
    await kim.json("PUT", f"turns/{hidden['id']}/rewrite", {"content": "x"}, status=404)
    await kim.score(turn, (5, 5), (4, 4))
    seen = await kim.json("GET", f"sessions/{session_id}")
    assert (seen["hidden_turns"], len(seen["turns"])) == (0, 2)
    assert seen["turns"][0]["next_reply_id"] == owners["next_reply_id"]
    await kim.score(seen["turns"][1], (5, 5), (4, 4))
    seen = await kim.json("GET", f"sessions/{session_id}")
    assert "polite" not in json.dumps(seen)
    assert (seen["session"]["scored"], seen["session"]["to_score"]) == (4, 4)
    mine = await server.owner.json("GET", f"sessions/{session_id}")
    assert mine == {**finished, "turns": mine["turns"]}
    assert mine["turns"][0]["replies"] == owners["replies"]  # with the owner's scores, not kim's


async def test_others_cannot_change_the_course(server: Server) -> None:
    session = await server.attack()
    session_id = session["session"]["id"]
    kim = await server.person("kim")
    await kim.json("POST", f"sessions/{session_id}/turns", {"content": "x", "client_id": "x"}, status=409)
    await kim.json("POST", f"sessions/{session_id}/finish", status=409)
    await kim.json("DELETE", f"sessions/{session_id}", status=409)
    reply_id = session["turns"][0]["replies"][0]["id"]
    await kim.json("POST", f"replies/{reply_id}/retry", status=409)


async def test_scores_outlive_the_account_under_a_pseudonym(server: Server) -> None:
    session = await server.attack()
    kim = await server.person("kim")
    seen = await kim.json("GET", f"sessions/{session['session']['id']}")
    await kim.score(seen["turns"][0], (5, 5), (4, 4))
    async with server.app.state.services.db.session() as db:
        await db.execute(delete(Account).where(Account.id == "acc_kim"))
    async with server.app.state.services.db.reading() as db:
        assert await db.scalar(select(func.count()).select_from(Score)) == 4
        gone = await db.scalar(select(func.count()).where(Annotator.account_id.is_(None)))
        assert gone == 1
    found = await server.owner.json("GET", "statistics")
    assert len(found["agreement"][0]["annotators"]) == 2


async def test_a_change_needs_the_page_of_this_server(server: Server) -> None:
    answer = await server.owner.client.post("/api/redteam/sessions", json={})
    assert answer.status_code == 403


async def test_the_tables_are_those_that_the_code_declares(server: Server) -> None:
    ours = {name for name in Base.metadata.tables if name.startswith("redteam_")}
    assert len(ours) == 6
    async with server.app.state.services.db.connect_for_schema() as connection:
        found = await connection.run_sync(differences)
    assert [difference for difference in found if "redteam" in repr(difference)] == []


@pytest.mark.parametrize("path", ["sessions/..%2F..%2Fetc", "sessions/%00", "sessions/' OR 1=1"])
async def test_no_id_is_a_path_or_a_query(server: Server, path: str) -> None:
    assert (await server.owner.call("GET", path)).status_code in (400, 404)
