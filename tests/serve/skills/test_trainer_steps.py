"""Rows of several operations: made of runs, corrected, shown, exported, and right only as a whole."""

import asyncio
import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skills_provider import Cars
from skills_server import InProcess, ask, put_skill, skills_server, stage

from gateway import script
from malmoi.assist.skills.routing import Demonstration
from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.skills.trainer.sets import shown
from malmoi.serve.skills.trainer.types import RowValue, Stages

SETS = "/api/skills/sets"
QUERY = "제주 렌터카 찾아줘 그리고 아반떼 예약해줘"
SEARCH = {
    "clause": "제주 렌터카 찾아줘",
    "skill": "rental",
    "operation": "search",
    "arguments": {"place": "제주"},
    "result": '[{"car_id": "A-7"}]',
    "said": "차 1대, 35,000원.",
}
BOOK = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
BOTH = {**BOOK, "clause": "아반떼 예약해줘", "steps": [SEARCH]}


@pytest.fixture(autouse=True)
def fresh(home: Path) -> None:
    Cars.calls.clear()
    Cars.told.clear()
    put_skill(home)


async def make_set(gateway: InProcess, name: str = "차", *skills: str) -> str:
    body = {"name": name, "skills": list(skills) or ["rental", "math"]}
    return str((await gateway.post(SETS, body)).json()["id"])


async def save(gateway: InProcess, set_id: str, query: str, part: str, stages: Any) -> Any:
    body = {"query": query, "part": part, "status": "saved", "zone": "Asia/Seoul", "stages": stages}
    return await gateway.post(f"{SETS}/{set_id}/rows", body)


async def test_a_run_of_two_wishes_becomes_a_row_of_two_steps(home: Path) -> None:
    async with skills_server(home) as gateway:
        await gateway.client.put("/api/skills/rental/switch")
        set_id = await make_set(gateway)
        run = await ask(gateway, QUERY, zone="Asia/Seoul")
        made = await gateway.post(f"{SETS}/{set_id}/rows", {"run_id": stage(run, "run")["run_id"]})
        row = made.json()
        assert [data["operation"] for name, data in run if name == "routed"] == ["search", "book"]
        stages = row["stages"]
        assert (stages["operation"], stages["clause"]) == ("book", "아반떼 예약해줘")
        [first] = stages["steps"]
        assert (first["operation"], first["clause"]) == ("search", "제주 렌터카 찾아줘")
        assert (first["arguments"], first["said"]) == ({"place": "제주"}, "차 1대, 35,000원.")
        assert "A-7" in first["result"]
        assert row["original"]["stages"] == stages
        # Every step can be corrected, and what does not fit is named where it stands.
        path = f"{SETS}/{set_id}/rows/{row['id']}"
        wrong = await gateway.client.patch(
            path, json={"stages": {"steps": [{**first, "arguments": {"place": "서울"}}]}}
        )
        assert (wrong.status_code, wrong.json()["error"]["field"]) == (
            400,
            "stages.steps.0.arguments.place",
        )
        edit = {"stages": {"steps": [{**first, "arguments": {"place": "부산"}}], **BOOK, "asked": ""}}
        changed = (await gateway.client.patch(path, json={**edit, "status": "saved"})).json()
        assert changed["stages"]["steps"][0]["arguments"] == {"place": "부산"}
        back = (await gateway.client.post(f"{path}/undo")).json()
        assert back["stages"] == stages


async def test_what_cannot_be_a_step_is_refused(home: Path) -> None:
    put_skill(home, "other", domain="rental")
    async with skills_server(home) as gateway:
        set_id = await make_set(gateway, "둘", "rental", "other")
        for stages, field in [
            ({**BOTH, "steps": [{**SEARCH, "skill": ""}]}, "stages.steps.0.skill"),
            ({**BOTH, "steps": [SEARCH, {**SEARCH, "skill": "math"}]}, "stages.steps.1.skill"),
            ({**BOTH, "steps": [{**SEARCH, "operation": "fly"}]}, "stages.steps.0.operation"),
            ({**BOTH, "steps": [{**SEARCH, "arguments": {}}]}, "stages.steps.0.arguments.place"),
            ({**BOTH, "steps": [{**SEARCH, "skill": "other"}]}, "stages.steps"),
            ({**BOTH, "arguments": {}}, "stages.arguments.car_id"),
            ({**BOTH, "steps": [SEARCH] * 5}, "stages.steps"),
        ]:
            answer = await save(gateway, set_id, QUERY, "train", stages)
            assert answer.status_code == 400, stages
            assert answer.json()["error"]["field"] == field
        asks = {**BOTH, "arguments": {}, "asked": "어느 차로 할까요?"}
        kept = (await save(gateway, set_id, QUERY, "train", asks)).json()["stages"]
        assert (kept["asked"], kept["steps"]) == ("어느 차로 할까요?", [SEARCH])
        none = (await save(gateway, set_id, "고마워", "train", {"answer": "네.", "steps": [SEARCH]})).json()
        assert "steps" not in none["stages"]


def row_of(stages: dict[str, Any]) -> RowValue:
    values = {"turns": [], "language": "ko", "zone": "", "said_at": datetime.now(UTC), "part": "train"}
    return RowValue.model_validate({**values, "query": QUERY, "stages": stages})


def test_each_step_with_words_of_its_own_is_shown() -> None:
    found = Demonstration("제주 렌터카 찾아줘", "rental", "search", {"place": "제주"})
    booked = Demonstration("아반떼 예약해줘", "rental", "book", {"car_id": "A-7"})
    assert shown([row_of(BOTH)]) == [found, booked]
    # A look-up has no words: the whole query is for what comes after it.
    looked_up = {**BOOK, "steps": [{**SEARCH, "clause": ""}]}
    assert shown([row_of(looked_up)]) == [Demonstration(QUERY, "rental", "book", {"car_id": "A-7"})]
    assert shown([row_of({"answer": "네."})]) == [Demonstration(QUERY)]
    assert len(shown([row_of(BOTH)] * 300)) == 300


def test_rows_of_one_operation_are_written_as_before() -> None:
    assert set(Stages(**BOOK).model_dump()) == {
        *("skill", "operation", "arguments", "result", "said", "answer", "asked")
    }
    assert Stages(**Stages(**BOTH).model_dump()) == Stages(**BOTH)


async def test_several_calls_go_out_and_come_in_again(home: Path) -> None:
    told = {**BOTH, "result": '{"ok": true}', "said": "예약했습니다.", "answer": "1대를 예약했습니다."}
    rows = [
        told,
        {**BOTH, "arguments": {}, "asked": "어느 차요?"},
        {**told, "clause": "", "steps": [{**SEARCH, "clause": ""}] * 2},
    ]
    async with skills_server(home) as gateway:
        set_id = await make_set(gateway)
        for number, stages in enumerate(rows):
            kept = await save(gateway, set_id, f"{QUERY} {number}", "train", stages)
            assert kept.status_code == 200, kept.text
        text = (await gateway.client.get(f"{SETS}/{set_id}/export")).text
        first, asking, last = [json.loads(line) for line in text.splitlines()]
        roles = ["system", "user", "assistant", "tool", "assistant", "tool", "assistant"]
        assert [one["role"] for one in first["messages"]] == roles
        calls = [one["tool_calls"][0] for one in first["messages"] if "tool_calls" in one]
        assert [(one["id"], one["function"]["name"]) for one in calls] == [
            ("call_0", "rental__search"),
            ("call_1", "rental__book"),
        ]
        results = [one for one in first["messages"] if one["role"] == "tool"]
        assert [(one["tool_call_id"], one["content"]) for one in results] == [
            ("call_0", '[{"car_id": "A-7"}]'),
            ("call_1", '{"ok": true}'),
        ]
        assert [one["clause"] for one in first["steps"]] == ["제주 렌터카 찾아줘", "아반떼 예약해줘"]
        assert [one["role"] for one in asking["messages"]] == [*roles[:4], "assistant"]
        assert asking["messages"][-1]["content"] == "어느 차요?"
        assert len([one for one in last["messages"] if "tool_calls" in one]) == 3
        other = await make_set(gateway, "둘")
        came = await gateway.post(f"{SETS}/{other}/import", {"text": text})
        assert came.json() == {"rows": 3}, came.text
        assert (await gateway.client.get(f"{SETS}/{other}/export")).text == text
        kept = (await gateway.client.get(f"{SETS}/{other}/rows")).json()["rows"]
        assert kept[0]["stages"] == {**told, "asked": ""}
        # Calls side by side, as some programs write them, are steps as well.
        messages = first["messages"]
        side = [{**messages[2], "tool_calls": calls}, messages[5], messages[3], messages[6]]
        line = json.dumps({**first, "messages": [*messages[:2], *side]})
        came = await gateway.post(f"{SETS}/{other}/import", {"text": line})
        assert came.status_code == 200, came.text
        kept = (await gateway.client.get(f"{SETS}/{other}/rows?newest=true")).json()["rows"]
        assert kept[0]["stages"] == {**told, "asked": ""}
        for more, said in [
            ({"steps": [{}]}, "one object for each call"),
            ({"steps": [{"clause": "x"}, {"words": "x"}]}, "each of `steps`"),
        ]:
            wrong = await gateway.post(f"{SETS}/{other}/import", {"text": json.dumps({**first, **more})})
            assert wrong.status_code == 400
            assert said in wrong.json()["error"]["message"]
        table = await gateway.client.get(f"{SETS}/{set_id}/export?format=csv")
        pairs = list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))[1:4]
        assert [one[3] for one in pairs] == [f"{QUERY} 0", '[{"car_id": "A-7"}]', '{"ok": true}']
        assert json.loads(pairs[1][4])["operation"] == "book"
        assert pairs[2][4] == "1대를 예약했습니다."


async def measure(gateway: InProcess, set_id: str, **body: Any) -> dict[str, Any]:
    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    gateway.services.skills.trainer.measures._embed = embed
    assert (await gateway.client.post(f"{SETS}/{set_id}/versions")).status_code == 200
    started = await gateway.post(f"{SETS}/{set_id}/versions/1/measures", body)
    assert started.status_code == 200, started.text
    path = f"{SETS}/{set_id}/measures/{started.json()['id']}"
    for _ in range(1000):
        told: dict[str, Any] = (await gateway.client.get(path)).json()
        if told["status"] != "running":
            assert told["status"] == "done", told
            return dict(told["figures"])
        await asyncio.sleep(0.02)
    raise AssertionError("the measurement does not end")


async def test_a_row_is_right_only_if_all_steps_are(home: Path) -> None:
    rules = [
        {"where": "any", "when": "예약", "reply": '{"car_id": "A-7"}'},
        {"where": "any", "when": ".", "reply": '{"operation": "search", "place": "제주", "car_id": null}'},
    ]
    async with skills_server(home, script(*rules)) as gateway:
        set_id = await make_set(gateway)
        busan = {**SEARCH, "arguments": {"place": "부산"}}
        await save(gateway, set_id, QUERY, "test", BOTH)
        await save(gateway, set_id, f"{QUERY}.", "test", {**BOTH, "steps": [busan]})
        await save(gateway, set_id, f"{QUERY}!", "test", {**BOTH, "arguments": {"car_id": "B-1"}})
        await save(gateway, set_id, "제주 렌터카 찾아줘.", "test", {**SEARCH, "clause": ""})
        figures = await measure(gateway, set_id)
        rows = [one["without"] for one in figures["rows"]]
        assert [one["routed"] for one in rows] == [True, True, True, True]
        assert [one["success"] for one in rows] == [True, False, False, True], rows
        assert [(one["operation"], one["arguments"]) for one in rows[0]["calls"]] == [
            ("search", {"place": "제주"}),
            ("book", {"car_id": "A-7"}),
        ]
        assert rows[3]["calls"] == []
    assert Cars.calls == []
