"""Skill sets and their rows: made from runs, corrected, used at once; nobody sees those of others."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skills_provider import Cars
from skills_server import InProcess, ask, person, put_skill, skills_server, stage, stages

from gateway import script

SETS = "/api/skills/sets"


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[InProcess]:
    Cars.calls.clear()
    Cars.told.clear()
    put_skill(home)
    async with skills_server(home) as it:
        await it.client.put("/api/skills/rental/switch")
        yield it


async def make_set(gateway: InProcess, name: str = "차", **more: Any) -> str:
    answer = await gateway.post(SETS, {"name": name, "skills": ["rental"], **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def save(gateway: InProcess, set_id: str, query: str, part: str = "train", **stages: Any) -> Any:
    body = {"query": query, "part": part, "status": "saved", "stages": stages}
    return await gateway.post(f"{SETS}/{set_id}/rows", body)


async def test_sets_are_made_changed_and_deleted(gateway: InProcess) -> None:
    set_id = await make_set(gateway, " 렌터카 Set ", description="차를 빌려준다", tone="존댓말")
    told = (await gateway.client.get(f"{SETS}/{set_id}")).json()
    assert (told["name"], told["tone"], told["applied"], told["train"]) == ("렌터카 Set", "존댓말", False, 0)
    twice = await gateway.post(SETS, {"name": "렌터카 SET", "skills": ["rental"]})
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "conflict")
    other = await make_set(gateway, "other")
    taken = await gateway.client.patch(f"{SETS}/{other}", json={"name": "렌터카 set"})
    assert taken.status_code == 409
    unknown = await gateway.post(SETS, {"name": "x", "skills": ["rental", "nothing"]})
    assert (unknown.status_code, unknown.json()["error"]["field"]) == (400, "skills.1")
    many = await gateway.post(SETS, {"name": "x", "skills": [f"s{n}" for n in range(11)]})
    assert many.status_code == 400
    changed = await gateway.client.patch(f"{SETS}/{set_id}", json={"name": "새 이름", "skills": ["math"]})
    assert (changed.json()["name"], changed.json()["skills"]) == ("새 이름", ["math"])
    assert (await gateway.client.delete(f"{SETS}/{set_id}")).status_code == 204
    assert [one["id"] for one in (await gateway.client.get(SETS)).json()["sets"]] == [other]


async def test_a_run_becomes_a_row_that_is_corrected_and_saved(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    found = await ask(gateway, "제주 렌터카 찾아줘", zone="Asia/Seoul")
    run_id = stage(found, "run")["run_id"]
    row = (await gateway.post(f"{SETS}/{set_id}/rows", {"run_id": run_id})).json()
    assert row["stages"] == {
        "skill": "rental",
        "operation": "search",
        "arguments": {"place": "제주"},
        "result": stage(found, "observed")["text"],
        "said": "차 1대, 35,000원.",
        "answer": "차 1대, 35,000원.",
        "asked": "",
    }
    original = row["original"]
    assert (original["stages"], original["reason"]) == (row["stages"], "answered")
    assert original["score"] >= 0.5
    assert original["sources"] == {"place": "demonstration"}
    assert (original["choices"][0]["skill"], original["choices"][0]["operation"]) == ("rental", "search")
    assert (row["query"], row["status"], row["zone"], row["run_id"]) == (
        "제주 렌터카 찾아줘",
        "draft",
        "Asia/Seoul",
        run_id,
    )
    path = f"{SETS}/{set_id}/rows/{row['id']}"
    wrong = await gateway.client.patch(path, json={"stages": {"arguments": {"place": "서울"}}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.arguments.place")
    wrong = await gateway.client.patch(path, json={"stages": {"operation": "fly"}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.operation")
    wrong = await gateway.client.patch(path, json={"stages": {"skill": "math"}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.skill")
    assert (await gateway.client.get(path)).json()["undos"] == 0
    edits: list[dict[str, Any]] = [
        {"stages": {"arguments": {"place": "부산"}}},
        {"stages": {"answer": "부산에는 차가 1대 있어요."}},
        {"status": "saved", "part": "test"},
    ]
    for edit in edits:
        row = (await gateway.client.patch(path, json=edit)).json()
    assert (row["stages"]["arguments"], row["part"], row["undos"]) == ({"place": "부산"}, "test", 3)
    # What changes nothing is no edit.
    assert (await gateway.client.patch(path, json={"part": "test"})).json()["undos"] == 3
    row = (await gateway.client.post(f"{path}/undo")).json()
    assert (row["status"], row["part"], row["stages"]["answer"]) == (
        "draft",
        "train",
        "부산에는 차가 1대 있어요.",
    )
    for _ in range(2):
        row = (await gateway.client.post(f"{path}/undo")).json()
    assert row["stages"]["arguments"] == {"place": "제주"}
    assert row["original"] == original
    assert (await gateway.client.post(f"{path}/undo")).status_code == 409
    assert (await gateway.client.delete(path)).status_code == 204
    assert (await gateway.client.get(path)).status_code == 404


async def test_a_row_for_no_skill_has_only_an_answer(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    row = (await save(gateway, set_id, "고마워", answer="천만에요.")).json()
    assert row["stages"] == {
        "skill": "",
        "operation": "",
        "arguments": {},
        "result": "",
        "said": "",
        "answer": "천만에요.",
        "asked": "",
    }
    assert row["original"] is None
    path = f"{SETS}/{set_id}/rows"
    empty = await gateway.post(path, {"query": " "})
    assert (empty.status_code, empty.json()["error"]["field"]) == (400, "query")
    nowhere = await gateway.post(path, {"query": "x", "zone": "../etc/passwd"})
    assert (nowhere.status_code, nowhere.json()["error"]["field"]) == (400, "zone")
    missing = await save(gateway, set_id, "차 찾아줘", skill="rental", operation="search")
    assert (missing.status_code, missing.json()["error"]["field"]) == (400, "stages.arguments.place")
    page = (await gateway.client.get(f"{path}?part=train&status=saved")).json()
    assert (page["total"], [one["query"] for one in page["rows"]]) == (1, ["고마워"])


@pytest.fixture
async def silent(home: Path) -> AsyncIterator[InProcess]:
    """A server whose model reads nothing and looks nothing up."""
    put_skill(home)
    reads = {"where": "any", "when": ".", "reply": '{"operation": "ask", "place": null, "car_id": null}'}
    async with skills_server(home, script(reads)) as it:
        await it.client.put("/api/skills/rental/switch")
        yield it


async def test_a_question_can_be_the_right_answer(silent: InProcess) -> None:
    set_id = await make_set(silent)
    found = await ask(silent, "렌터카 찾아줘")
    question = stage(found, "asked")["question"]
    run_id = stage(found, "run")["run_id"]
    row = (await silent.post(f"{SETS}/{set_id}/rows", {"run_id": run_id})).json()
    assert (row["stages"]["operation"], row["stages"]["asked"]) == ("search", question)
    assert (row["stages"]["arguments"], row["stages"]["answer"]) == ({}, "")
    path = f"{SETS}/{set_id}/rows/{row['id']}"
    row = (await silent.client.patch(path, json={"status": "saved", "stages": {"asked": "어디요?"}})).json()
    assert (row["status"], row["stages"]["asked"]) == ("saved", "어디요?")
    # Nothing is missing: there is nothing to ask. And what cannot be called must be asked.
    wrong = await silent.client.patch(path, json={"stages": {"arguments": {"place": "제주"}}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.asked")
    wrong = await silent.client.patch(path, json={"stages": {"asked": ""}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.arguments.place")
    wrong = await silent.client.patch(path, json={"stages": {"arguments": {"car": "A-7"}}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "stages.arguments")
    called = {"asked": "", "arguments": {"place": "제주"}, "answer": "네."}
    row = (await silent.client.patch(path, json={"stages": called})).json()
    assert (row["stages"]["asked"], row["stages"]["answer"]) == ("", "네.")
    assert (await silent.client.post(f"{path}/undo")).json()["stages"]["asked"] == "어디요?"


async def test_rows_are_found_by_skill_and_words_newest_first(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    jeju: dict[str, Any] = {"skill": "rental", "operation": "search", "arguments": {"place": "제주"}}
    await save(gateway, set_id, "제주 CAR 100%", **jeju)
    await save(gateway, set_id, "제주 car 둘", **jeju)
    await save(gateway, set_id, "고마워 car", answer="네.")

    async def found(**query: str) -> list[str]:
        answer = await gateway.client.get(f"{SETS}/{set_id}/rows", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == len(answer.json()["rows"])
        return [one["query"] for one in answer.json()["rows"]]

    assert await found(newest="true") == ["고마워 car", "제주 car 둘", "제주 CAR 100%"]
    assert await found(skill="rental", search="Car") == ["제주 CAR 100%", "제주 car 둘"]
    assert await found(skill="") == ["고마워 car"]
    assert await found(search="0%") == ["제주 CAR 100%"]
    assert await found(search="_") == []


async def test_a_set_is_tried_without_being_switched_on_or_applied(gateway: InProcess) -> None:
    await gateway.client.delete("/api/skills/rental/switch")
    set_id = await make_set(gateway)
    path = f"{SETS}/{set_id}/runs"
    query = "섬에서 탈 것 좀 알아봐 줄래"
    body = {"query": query, "skills": ["rental"]}
    assert stage(await stages(gateway, path, body), "routed")["operation"] != "search"
    await save(gateway, set_id, query, skill="rental", operation="search", arguments={"place": "제주"})
    found = await stages(gateway, path, body)
    assert stage(found, "planned")["sources"] == {"place": "demonstration"}
    assert stage(await stages(gateway, path, {**body, "shown": False}), "routed")["operation"] != "search"
    other = await stages(gateway, path, {"query": "x", "skills": ["math"]})
    assert other == [("400", other[0][1])]
    assert other[0][1]["field"] == "skills.0"
    # Everywhere else a skill must be on.
    assert (await ask(gateway, query, skills=["rental"]))[0][0] == "409"


async def test_a_call_put_together_waits_for_a_yes_if_it_changes_something(gateway: InProcess) -> None:
    await gateway.client.delete("/api/skills/rental/switch")
    set_id = await make_set(gateway)
    path = f"{SETS}/{set_id}/runs"
    book = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
    body = {"query": "예약", "skills": ["rental"], "direct": book}
    found = await stages(gateway, path, body)
    asked = stage(found, "confirm")
    assert Cars.calls == []
    run_id = stage(found, "run")["run_id"]
    yes = {name: asked[name] for name in ("call_id", "arguments_hash")}
    done = await stages(gateway, f"/api/skills/runs/{run_id}/approve", yes)
    assert stage(done, "observed")["said"] == "A-7 예약을 마쳤습니다."
    assert [(name, arguments) for name, arguments, _ in Cars.calls] == [("book", {"car_id": "A-7"})]


async def test_a_correction_counts_at_once_where_it_is_applied(gateway: InProcess) -> None:
    query = "섬에서 탈 것 좀 알아봐 줄래"
    before = await ask(gateway, query)
    assert stage(before, "routed")["operation"] != "search"
    set_id = await make_set(gateway)
    saved = await save(
        gateway, set_id, query, skill="rental", operation="search", arguments={"place": "제주"}
    )
    assert saved.status_code == 200
    assert stage(await ask(gateway, query), "routed")["operation"] != "search"  # not applied
    applied = (await gateway.client.put(f"{SETS}/{set_id}/apply", json={})).json()
    assert (applied["applied"], applied["applied_version"]) == (True, None)
    found = await ask(gateway, query)
    assert stage(found, "routed")["operation"] == "search"
    assert stage(found, "planned")["sources"] == {"place": "demonstration"}
    assert stage(found, "called")["arguments"] == {"place": "제주"}
    # A version is what it was, whatever comes later.
    version = (await gateway.client.post(f"{SETS}/{set_id}/versions")).json()
    assert (version["number"], version["train"], version["test"]) == (1, 1, 0)
    assert (await gateway.client.post(f"{SETS}/{set_id}/versions")).json() == version
    row = saved.json()["id"]
    busan = {"stages": {"arguments": {"place": "부산"}}}
    await gateway.client.patch(f"{SETS}/{set_id}/rows/{row}", json=busan)
    assert stage(await ask(gateway, query), "called")["arguments"] == {"place": "부산"}
    await gateway.client.put(f"{SETS}/{set_id}/apply", json={"version": 1})
    assert stage(await ask(gateway, query), "called")["arguments"] == {"place": "제주"}
    assert (await gateway.client.post(f"{SETS}/{set_id}/versions")).json()["number"] == 2
    assert (await gateway.client.put(f"{SETS}/{set_id}/apply", json={"version": 9})).status_code == 404
    await gateway.client.delete(f"{SETS}/{set_id}/apply")
    assert stage(await ask(gateway, query), "routed")["operation"] != "search"


async def test_what_is_applied_goes_to_the_accounts_own_runs_alone(gateway: InProcess) -> None:
    _, key = await person(gateway, "mina")
    await gateway.client.put("/api/skills/rental/switch", headers=key)
    query = "섬에서 탈 것 좀 알아봐 줄래"
    set_id = await make_set(gateway)
    await save(gateway, set_id, query, skill="rental", operation="search", arguments={"place": "제주"})
    await gateway.client.put(f"{SETS}/{set_id}/apply", json={})
    assert stage(await ask(gateway, query), "routed")["operation"] == "search"
    assert stage(await ask(gateway, query, headers=key), "routed")["operation"] != "search"


async def test_a_write_that_was_shown_still_waits_for_a_yes(gateway: InProcess) -> None:
    set_id = await make_set(gateway)
    query = "늘 타던 걸로 해줘"
    await save(gateway, set_id, query, skill="rental", operation="book", arguments={"car_id": "A-7"})
    await gateway.client.put(f"{SETS}/{set_id}/apply", json={})
    found = await ask(gateway, query)
    assert stage(found, "confirm")["arguments"] == {"car_id": "A-7"}
    assert Cars.calls == []


async def test_sets_of_others_are_not_found(gateway: InProcess) -> None:
    _, key = await person(gateway, "mina")
    set_id = await make_set(gateway)
    row = (await save(gateway, set_id, "고마워", part="test", answer="천만에요.")).json()["id"]
    await gateway.client.post(f"{SETS}/{set_id}/versions")
    measure = (await gateway.post(f"{SETS}/{set_id}/versions/1/measures", {"model": None})).json()["id"]
    new = {"query": "x"}
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"tone": "x"}),
        ("PUT", "/apply", {}),
        ("DELETE", "/apply", None),
        ("GET", "/rows", None),
        ("POST", "/rows", new),
        ("GET", f"/rows/{row}", None),
        ("PATCH", f"/rows/{row}", {"part": "test"}),
        ("POST", f"/rows/{row}/undo", None),
        ("DELETE", f"/rows/{row}", None),
        ("POST", "/import", {"text": '{"messages": [{"role": "user", "content": "x"}]}'}),
        ("GET", "/changes?since=1", None),
        ("POST", "/runs", {"query": "x", "skills": ["rental"]}),
        ("GET", "/export", None),
        ("GET", "/export?format=csv", None),
        ("GET", "/versions", None),
        ("POST", "/versions", None),
        ("POST", "/versions/1/measures", {}),
        ("GET", "/versions/1/measures", None),
        ("GET", f"/measures/{measure}", None),
        ("DELETE", f"/measures/{measure}", None),
        ("DELETE", "", None),
    ]:
        answer = await gateway.client.request(method, f"{SETS}/{set_id}{path}", json=body, headers=key)
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
    assert (await gateway.client.get(SETS, headers=key)).json() == {"sets": []}
    # A row of one set cannot be reached by the name of another, nor a run of others be copied.
    own = (await gateway.client.post(SETS, json={"name": "m", "skills": ["math"]}, headers=key)).json()["id"]
    assert (await gateway.client.get(f"{SETS}/{own}/rows/{row}", headers=key)).status_code == 404
    assert (await gateway.client.get(f"{SETS}/{own}/measures/{measure}", headers=key)).status_code == 404
    run_id = stage(await ask(gateway, "제주 렌터카 찾아줘"), "run")["run_id"]
    copied = await gateway.client.post(f"{SETS}/{own}/rows", json={"run_id": run_id}, headers=key)
    assert copied.status_code == 404
