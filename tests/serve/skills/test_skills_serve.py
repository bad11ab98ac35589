"""Skills on the server: switches, runs as streams, approvals, credentials, trace, audit, installing."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skills_provider import Cars
from skills_server import ask, names, person, put_skill, real_server, said, skills_server, stage, stages

from gateway import script
from malmoi.assist.skills.operation import Result
from malmoi.core.errors import NotFound
from malmoi.serve.identity import Role
from malmoi.serve.skills.covering import covered
from malmoi.serve.skills.sealing import Sealer


@pytest.fixture(autouse=True)
def fresh() -> None:
    Cars.calls.clear()
    Cars.told.clear()


async def switch_on(gateway: Any, name: str = "rental", **headers: str) -> Any:
    return await gateway.client.put(f"/api/skills/{name}/switch", headers=headers)


async def test_the_list_says_what_is_there_and_what_is_on(home: Path) -> None:
    put_skill(home)
    put_skill(home, "taxi", "rental")
    (home / "skills" / "broken").mkdir()
    (home / "skills" / "broken" / "skill.toml").write_text("name = 1")
    async with skills_server(home) as gateway:
        told = (await gateway.client.get("/api/skills")).json()
        skills = {one["name"]: one for one in told["skills"]}
        assert (skills["rental"]["origin"], skills["rental"]["switched_on"], told["most"]) == (
            "operator",
            False,
            2,
        )
        assert skills["math"]["origin"] == "builtin"
        assert "skill.toml:1" in told["broken"]["broken"]
        assert (await switch_on(gateway)).json() == {"skills": ["rental"]}
        both = await switch_on(gateway, "taxi")
        assert (both.status_code, both.json()["error"]["code"]) == (409, "conflict")
        assert (await switch_on(gateway, "math")).json() == {"skills": ["rental", "math"]}
        assert (await switch_on(gateway, "weather")).status_code == 409
        assert (await switch_on(gateway, "nothing")).status_code == 404
        detail = (await gateway.client.get("/api/skills/rental")).json()
        assert [(one["name"], one["effect"]) for one in detail["operations"]] == [
            ("search", "read"),
            ("book", "write"),
            ("read", "read"),
        ]
        off = await gateway.client.delete("/api/skills/rental/switch")
        assert off.json() == {"skills": ["math"]}


async def test_a_run_is_streamed_kept_and_audited(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        found = await ask(gateway, "제주 렌터카 찾아줘")
        assert names(found) == [
            "run",
            "routed",
            "planned",
            "called",
            "observed",
            "card",
            "file",
            "text",
            "ended",
        ]
        assert said(found) == "차 1대, 35,000원."
        run_id = stage(found, "run")["run_id"]
        trace = (await gateway.client.get(f"/api/skills/runs/{run_id}")).json()
        assert [one["kind"] for one in trace["stages"]] == names(found)[1:]
        assert (trace["status"], trace["reason"], trace["operation"]) == ("ended", "answered", "search")
        file_id = stage(found, "file")["file_id"]
        file = await gateway.client.get(f"/api/skills/runs/{run_id}/files/{file_id}")
        assert file.content == b"a,b"
        assert file.headers["content-type"] == "application/octet-stream"
        assert file.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%EC%B0%A8.csv")
        [row] = (await gateway.client.get("/api/skills/audit")).json()["rows"]
        assert (row["skill"], row["operation"], row["status"]) == ("rental", "search", "ok")
        assert row["arguments"] == {"place": "제주"}
        assert row["arguments_hash"] == stage(found, "called")["arguments_hash"]


async def test_a_skill_that_is_off_is_not_run(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        assert names(await ask(gateway, "제주 렌터카 찾아줘")) == ["run", "routed", "ended"]
        assert names(await ask(gateway, "제주 렌터카 찾아줘", skills=["rental"])) == ["409"]
        direct = {"skill": "rental", "operation": "search", "arguments": {"place": "제주"}}
        assert names(await ask(gateway, "", direct=direct))[-1] == "error"
        assert Cars.calls == []


async def test_a_write_waits_for_a_yes_and_is_done_once(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        direct = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        found = await ask(gateway, "", direct=direct)
        assert names(found) == ["run", "confirm", "ended"]
        assert stage(found, "ended")["reason"] == "confirm"
        asked, run_id = stage(found, "confirm"), stage(found, "run")["run_id"]
        assert "state" not in asked
        path = f"/api/skills/runs/{run_id}/approve"
        body = {"call_id": asked["call_id"], "arguments_hash": asked["arguments_hash"]}
        assert names(await stages(gateway, path, {**body, "arguments_hash": "0" * 64})) == ["409"]
        assert names(await stages(gateway, path, {**body, "call_id": "x"})) == ["404"]
        assert Cars.calls == []
        # Two yeses at the same time are one.
        both = await asyncio.gather(*(stages(gateway, path, body) for _ in range(2)))
        assert sorted(names(one)[-1] for one in both) == ["409", "ended"]
        assert [call[:2] for call in Cars.calls] == [("book", {"car_id": "A-7"})]
        assert names(await stages(gateway, path, body)) == ["409"]
        assert len(Cars.calls) == 1
        rows = (await gateway.client.get("/api/skills/audit")).json()["rows"]
        assert [(row["operation"], row["effect"], row["status"]) for row in rows] == [("book", "write", "ok")]


async def test_a_no_changes_nothing(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        direct = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        found = await ask(gateway, "", direct=direct)
        asked, run_id = stage(found, "confirm"), stage(found, "run")["run_id"]
        deny = f"/api/skills/runs/{run_id}/deny"
        answer = await gateway.post(deny, {"call_id": asked["call_id"]})
        assert answer.status_code == 204
        body = {"call_id": asked["call_id"], "arguments_hash": asked["arguments_hash"]}
        assert names(await stages(gateway, f"/api/skills/runs/{run_id}/approve", body)) == ["409"]
        assert Cars.calls == []
        rows = (await gateway.client.get("/api/skills/audit")).json()["rows"]
        assert [row["status"] for row in rows] == ["denied"]


async def test_an_approval_dies_with_the_switch(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        direct = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        found = await ask(gateway, "", direct=direct)
        asked, run_id = stage(found, "confirm"), stage(found, "run")["run_id"]
        await gateway.client.delete("/api/skills/rental/switch")
        body = {"call_id": asked["call_id"], "arguments_hash": asked["arguments_hash"]}
        assert names(await stages(gateway, f"/api/skills/runs/{run_id}/approve", body)) == ["409"]
        assert Cars.calls == []


async def test_a_key_runs_reads_but_cannot_say_yes(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        owner = await gateway.services.identity.open_to()
        _, secret = await gateway.services.identity.keys.create(owner, "k", ["skills"])
        headers = {"authorization": f"Bearer {secret}"}
        assert names(await ask(gateway, "제주 렌터카 찾아줘", headers=headers))[-1] == "ended"
        direct = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        found = await ask(gateway, "", direct=direct, headers=headers)
        asked, run_id = stage(found, "confirm"), stage(found, "run")["run_id"]
        body = {"call_id": asked["call_id"], "arguments_hash": asked["arguments_hash"]}
        path = f"/api/skills/runs/{run_id}/approve"
        assert names(await stages(gateway, path, body, **headers)) == ["403"]
        put = await gateway.client.put(
            "/api/skills/rental/credentials", json={"values": {"token": "x"}}, headers=headers
        )
        assert put.status_code == 403
        assert [call[0] for call in Cars.calls] == ["search"]


async def test_what_others_did_is_not_found(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        mina, key = await person(gateway, "mina")
        await switch_on(gateway)
        direct = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
        waiting = await ask(gateway, "", direct=direct)
        asked, run_id = stage(waiting, "confirm"), stage(waiting, "run")["run_id"]
        done = await ask(gateway, "제주 렌터카 찾아줘")
        file = f"{stage(done, 'run')['run_id']}/files/{stage(done, 'file')['file_id']}"
        client, skills = gateway.client, gateway.services.skills
        assert (await client.get(f"/api/skills/runs/{run_id}", headers=key)).status_code == 404
        assert (await client.get(f"/api/skills/runs/{file}", headers=key)).status_code == 404
        await switch_on(gateway, "rental", **key)
        call, bound = asked["call_id"], asked["arguments_hash"]
        with pytest.raises(NotFound):
            await anext(skills.approve(mina, run_id, call_id=call, arguments_hash=bound))
        with pytest.raises(NotFound):
            await skills.deny(mina, run_id, call_id=call)
        assert not await skills.runs.use(
            account_id=mina.account_id, run_id=run_id, call_id=call, arguments_hash=bound
        )
        # A call of one run cannot be approved by the name of another.
        own = await ask(gateway, "", direct=direct, headers=key)
        own_run = stage(own, "run")["run_id"]
        with pytest.raises(NotFound):
            await anext(skills.approve(mina, own_run, call_id=call, arguments_hash=bound))
        assert (await client.get("/api/skills/audit", headers=key)).json()["rows"] == []
        all_of_it = await client.get("/api/skills/audit?everybody=true", headers=key)
        assert all_of_it.status_code == 403
        assert [call[0] for call in Cars.calls] == ["search"]


async def test_credentials_are_sealed_and_never_told(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    put_skill(home, more='[auth]\nkind = "bearer"')
    engine = script({"where": "any", "when": ".", "reply": "ok"})
    async with skills_server(home, engine) as gateway:
        await switch_on(gateway)
        assert said(await ask(gateway, "제주 렌터카 찾아줘")).startswith("차 스킬을 쓰려면")
        url = "/api/skills/rental/credentials"
        for values, status in (
            ({}, 400),
            ({"wrong": "x"}, 400),
            ({"token": "a\nb"}, 400),
            ({"token": "s3cret-t0ken"}, 204),
        ):
            answer = await gateway.client.put(url, json={"values": values})
            assert answer.status_code == status
            assert "s3cret" not in answer.text
        Cars.told["search"] = _echo
        found = await ask(gateway, "제주 렌터카 찾아줘")
        assert Cars.calls[-1][2].credentials == {"token": "s3cret-t0ken"}
        run_id = stage(found, "run")["run_id"]
        trace = await gateway.client.get(f"/api/skills/runs/{run_id}")
        skills = await gateway.client.get("/api/skills")
        audit = await gateway.client.get("/api/skills/audit")
        everything = json.dumps(found) + trace.text + skills.text + audit.text + caplog.text
        everything += "".join(str(one.prompt) for one in engine.requests)
        everything += (home / "malmoi.db").read_bytes().decode("latin-1")
        assert "s3cret-t0ken" not in everything
        assert [one["has_credentials"] for one in skills.json()["skills"] if one["name"] == "rental"] == [
            True
        ]
        assert (home / "skills.key").stat().st_mode & 0o077 == 0
        assert (await gateway.client.delete(url)).status_code == 204
        assert said(await ask(gateway, "제주 렌터카 찾아줘")).startswith("차 스킬을 쓰려면")


async def _echo(arguments: Any, context: Any) -> Result:
    """A server that says back what it was sent."""
    token = context.credentials["token"]
    return Result(data={"sent": f"Bearer {token}", token: [token]}, text=f"token {token}", is_error=False)


async def test_a_document_of_somebody_else_is_not_read(home: Path) -> None:
    put_skill(home)
    async with skills_server(home) as gateway:
        await switch_on(gateway)
        documents = [{"id": "doc_of_somebody_else", "title": "비밀"}]
        found = await ask(gateway, "문서 읽어줘", documents=documents)
        observed = stage(found, "observed")
        assert (observed["is_error"], observed["code"]) == (True, "not_found")


UPLOAD = """\
name = "books"
domain = "books"
version = "1"
description = "Finds books."
[people.en]
name = "Books"
description = "Finds books."
[[examples]]
query = "find a book"
operation = "find"
arguments = { title = "x" }
[source]
openapi = "openapi.json"
base_url = "%s"
"""
API = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/books": {
            "get": {
                "operationId": "find",
                "parameters": [
                    {"name": "title", "in": "query", "required": True, "schema": {"type": "string"}}
                ],
            }
        }
    },
}


async def test_admins_install_openapi_skills(home: Path) -> None:
    async with skills_server(home) as gateway:
        body = {"manifest": UPLOAD % "https://books.example", "document": json.dumps(API)}
        checked = (await gateway.post("/api/skills/validate", body)).json()
        assert [one["level"] for one in checked["findings"]] == ["warning"]
        assert checked["installed"] is None
        assert (await gateway.client.get("/api/skills/books")).status_code == 404
        assert (await gateway.post("/api/skills", body)).json()["installed"] == "books"
        detail = (await gateway.client.get("/api/skills/books")).json()
        assert (detail["origin"], [one["name"] for one in detail["operations"]]) == ("uploaded", ["find"])

        bad = {"manifest": body["manifest"].replace('"x"', "1"), "document": json.dumps(API)}
        told = (await gateway.post("/api/skills", bad)).json()
        assert told["installed"] is None
        assert [(one["line"], one["key"]) for one in told["findings"] if one["level"] == "error"] == [
            (11, "examples.0.arguments.title")
        ]
        final = body["manifest"] + "[operations.find]\nfinal = true\n"
        told = (await gateway.post("/api/skills", {**body, "manifest": final})).json()
        assert [one["key"] for one in told["findings"] if one["level"] == "error"] == [
            "operations.find.final"
        ]
        for address in ("http://127.0.0.1:9", "https://127.0.0.1:22", "file:///etc"):
            wrong = {"manifest": UPLOAD % address, "document": json.dumps(API)}
            told = (await gateway.post("/api/skills", wrong)).json()
            assert told["installed"] is None
            assert any("source.base_url" in one["key"] for one in told["findings"])
        for source in ('python = "os:system"', 'mcp = { command = ["sh"] }'):
            wrong = {"manifest": body["manifest"].partition("openapi")[0] + source}
            told = (await gateway.post("/api/skills", wrong)).json()
            assert "uploaded skill cannot" in told["findings"][0]["message"]
        taken = {"manifest": body["manifest"].replace('"books"', '"math"'), "document": json.dumps(API)}
        assert (await gateway.post("/api/skills", taken)).status_code == 409
        assert (await gateway.client.delete("/api/skills/math")).status_code == 409
        assert (await gateway.client.delete("/api/skills/books")).status_code == 204
        assert (await gateway.client.get("/api/skills/books")).status_code == 404


async def test_members_install_nothing(home: Path) -> None:
    async with skills_server(home) as gateway:
        _, mina = await person(gateway, "mina", Role.MEMBER)
        body = {"manifest": UPLOAD % "https://books.example", "document": json.dumps(API)}
        for path in ("/api/skills", "/api/skills/validate"):
            assert (await gateway.client.post(path, json=body, headers=mina)).status_code == 403
        assert (await gateway.client.delete("/api/skills/math", headers=mina)).status_code == 403


async def test_a_client_that_leaves_ends_the_run_and_the_call_is_in_the_audit(home: Path) -> None:
    put_skill(home)
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any) -> Result:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        raise AssertionError

    Cars.told["search"] = hang
    async with real_server(home) as gateway:
        await switch_on(gateway)
        task = asyncio.create_task(ask(gateway, "제주 렌터카 찾아줘"))
        await asyncio.wait_for(began.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(ended.wait(), 5)
        for _ in range(100):
            rows = (await gateway.client.get("/api/skills/audit")).json()["rows"]
            if rows:
                break
            await asyncio.sleep(0.05)
        assert [row["status"] for row in rows] == ["aborted"]
        run = (await gateway.client.get(f"/api/skills/runs/{rows[0]['run_id']}")).json()
        assert (run["status"], run["reason"]) == ("ended", "aborted")


def test_what_is_sealed_opens_only_where_it_belongs(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path / "key")
    sealed = sealer.seal({"token": "비밀"}, account_id="a", skill="s")
    assert sealer.open(sealed, account_id="a", skill="s") == {"token": "비밀"}
    assert sealer.open(sealed, account_id="b", skill="s") == {}
    assert sealer.open(sealed, account_id="a", skill="t") == {}
    assert sealer.open(sealed[:-1] + b"x", account_id="a", skill="s") == {}
    assert Sealer(tmp_path / "other").open(sealed, account_id="a", skill="s") == {}
    assert Sealer(tmp_path / "key").open(sealed, account_id="a", skill="s") == {"token": "비밀"}


def test_the_audit_covers_what_nobody_needs_to_see() -> None:
    told = covered({"to": "kim@example.com", "password": "x", "text": "가" * 500, "n": 3, "deep": [{"a": 1}]})
    assert "kim@example.com" not in str(told)
    assert told["password"] == "***"
    assert len(told["text"]) == 121
    assert (told["n"], told["deep"]) == (3, [{"a": 1}])
