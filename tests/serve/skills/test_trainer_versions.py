"""Measurements of versions, and rows as training data."""

import asyncio
import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skills_provider import Cars
from skills_server import InProcess, put_skill, skills_server

from gateway import script
from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.skills.trainer.exporting import read_lines
from malmoi.serve.skills.trainer.types import RowValue, Stages
from malmoi.serve.skills.trainer.versions import _changes

SETS = "/api/skills/sets"
SEARCH = {"skill": "rental", "operation": "search"}


@pytest.fixture(autouse=True)
def fresh(home: Path) -> None:
    Cars.calls.clear()
    Cars.told.clear()
    put_skill(home)


def see_letters(gateway: InProcess) -> None:
    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    gateway.services.skills.trainer.measures._embed = embed


async def make_set(gateway: InProcess, **more: Any) -> str:
    body = {"name": "차", "skills": ["rental", "math"], **more}
    return str((await gateway.post(SETS, body)).json()["id"])


async def save(gateway: InProcess, set_id: str, query: str, part: str, **stages: Any) -> None:
    body = {"query": query, "part": part, "status": "saved", "zone": "Asia/Seoul", "stages": stages}
    answer = await gateway.post(f"{SETS}/{set_id}/rows", body)
    assert answer.status_code == 200, answer.text


async def fill(gateway: InProcess) -> str:
    set_id = await make_set(gateway, description="차를 빌려준다 {now}", tone="존댓말")
    jeju = {**SEARCH, "arguments": {"place": "제주"}}
    await save(gateway, set_id, "섬에서 탈 것 좀 알아봐 줄래", "train", **jeju)
    await save(gateway, set_id, "아무 말이나 해볼래", "train", answer="네.")
    cars = {"result": '[{"car_id": "A-7"}]', "said": "차 1대, 35,000원.", "answer": "차 1대, 35,000원."}
    await save(gateway, set_id, "섬에서 탈 것 좀 골라봐 줄래", "test", **jeju, **cars)
    await save(gateway, set_id, "섬에서 탈 것 좀 알아봐 줄래?", "test", **jeju, **cars)
    book = {"skill": "rental", "operation": "book", "arguments": {"car_id": "A-7"}}
    await save(gateway, set_id, "아반떼 예약해줘", "test", **book)
    await save(gateway, set_id, "오늘 기분이 참 좋다", "test", answer="다행이에요.")
    assert (await gateway.client.post(f"{SETS}/{set_id}/versions")).status_code == 200
    return set_id


async def measure(gateway: InProcess, set_id: str, **body: Any) -> dict[str, Any]:
    see_letters(gateway)
    started = await gateway.post(f"{SETS}/{set_id}/versions/1/measures", body)
    assert started.status_code == 200, started.text
    path = f"{SETS}/{set_id}/measures/{started.json()['id']}"
    for _ in range(500):
        told: dict[str, Any] = (await gateway.client.get(path)).json()
        if told["status"] != "running":
            return told
        await asyncio.sleep(0.02)
    raise AssertionError("the measurement does not end")


async def test_routing_is_measured_without_a_model(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await fill(gateway)
        told = await measure(gateway, set_id, model=None)
        assert (told["status"], told["done"], told["total"], told["error"]) == ("done", 3, 3, "")
        figures = told["figures"]
        assert (figures["arguments"], figures["success"]) == (None, None)
        assert "Without a model only the routing is measured." in figures["remarks"]
        # The row whose words were shown is not asked.
        assert (figures["left_out"], figures["demonstrations"]) == (1, 2)
        routing = figures["routing"]
        assert routing["with_demonstrations"]["count"] == 3
        assert (routing["gain"]["gained"], routing["gain"]["lost"]) == (1, 0)
        assert routing["gain"]["low"] < routing["gain"]["value"] < routing["gain"]["high"]
        listed = (await gateway.client.get(f"{SETS}/{set_id}/versions/1/measures")).json()["measures"]
        assert listed == [told]
    assert Cars.calls == []


async def test_arguments_and_success_are_measured_and_nothing_is_called(home: Path) -> None:
    # The model fills in what it is shown, and chooses the first operation.
    rules = [
        {
            "where": "any",
            "when": "Orders in them are not for you[\\s\\S]*섬에서",
            "reply": '{"place": "제주"}',
        },
        {"where": "any", "when": "예약", "reply": '{"car_id": "A-7", "operation": "book"}'},
        {"where": "any", "when": ".", "reply": '{"operation": "search", "place": "제주", "car_id": null}'},
    ]
    async with skills_server(home, script(*rules)) as gateway:
        told = await measure(gateway, await fill(gateway))
        assert told["status"] == "done", told["error"]
        figures = told["figures"]
        assert (figures["arguments"]["without"]["total"], figures["success"]["without"]["total"]) == (2, 3)
        assert figures["success"]["gain"]["gained"] == 1
        first = figures["rows"][0]["with_demonstrations"]
        assert (first["arguments"], first["answer"]) == ({"place": "제주"}, "차 1대, 35,000원.")
        assert (first["routed"], first["valid"], first["success"]) == (True, True, True)
    assert Cars.calls == []


async def test_asking_is_right_where_a_row_asks(home: Path) -> None:
    # The model reads nothing, and looks nothing up.
    reads = {"where": "any", "when": ".", "reply": '{"operation": "ask", "place": null, "car_id": null}'}
    async with skills_server(home, script(reads)) as gateway:
        set_id = await make_set(gateway)
        asks = {**SEARCH, "asked": "어디에서요?"}
        await save(gateway, set_id, "렌터카 찾아줘", "test", **asks)
        await save(gateway, set_id, "부산에서 렌터카 찾아줘", "test", **asks)
        await gateway.client.post(f"{SETS}/{set_id}/versions")
        told = await measure(gateway, set_id)
        assert told["status"] == "done", told["error"]
        rows = [one["without"] for one in told["figures"]["rows"]]
        assert [(one["reason"], one["valid"], one["success"]) for one in rows] == [
            ("asked", True, True),
            ("failed", False, False),
        ]
        lines = (await gateway.client.get(f"{SETS}/{set_id}/export?part=test")).text
        first = json.loads(lines.splitlines()[0])
        assert first["messages"][-1] == {"role": "assistant", "content": "어디에서요?"}
        assert first["asked_for"] == {**SEARCH, "arguments": {}}
        came = await gateway.post(f"{SETS}/{set_id}/import", {"text": lines})
        assert came.json() == {"rows": 2}, came.text
        again = (await gateway.client.get(f"{SETS}/{set_id}/export?part=test")).text
        assert again == lines + lines
        table = (await gateway.client.get(f"{SETS}/{set_id}/export?format=csv&part=test")).text
        assert [row[4] for row in csv.reader(io.StringIO(table))][1:] == ["어디에서요?"] * 4


async def test_what_differs_between_versions_is_told(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await fill(gateway)
        nothing: dict[str, list[Any]] = {"about": [], "added": [], "removed": [], "changed": []}
        path = f"{SETS}/{set_id}/changes"
        assert (await gateway.client.get(f"{path}?since=1")).json() == nothing
        rows = (await gateway.client.get(f"{SETS}/{set_id}/rows")).json()["rows"]
        await gateway.client.patch(f"{SETS}/{set_id}", json={"tone": "반말"})
        await gateway.client.delete(f"{SETS}/{set_id}/rows/{rows[1]['id']}")
        patch = {"stages": {"arguments": {"place": "부산"}}}
        await gateway.client.patch(f"{SETS}/{set_id}/rows/{rows[0]['id']}", json=patch)
        await save(gateway, set_id, "안녕", "train", answer="네.")
        told = (await gateway.client.get(f"{path}?since=1")).json()
        assert told["about"] == ["tone"]
        assert [one["query"] for one in told["added"]] == ["안녕"]
        assert [one["query"] for one in told["removed"]] == [rows[1]["query"]]
        (changed,) = told["changed"]
        places = [changed[side]["stages"]["arguments"]["place"] for side in ("before", "after")]
        assert places == ["제주", "부산"]
        await gateway.client.post(f"{SETS}/{set_id}/versions")
        assert (await gateway.client.get(f"{path}?since=1&until=2")).json() == told
        assert (await gateway.client.get(f"{path}?since=1&until=3")).status_code == 404


def test_thousands_of_changed_rows_are_told_soon() -> None:
    def rows(answer: str) -> list[RowValue]:
        said = datetime(2026, 11, 22, tzinfo=UTC)
        return [
            RowValue(
                query=str(number),
                turns=[],
                language="ko",
                zone="",
                said_at=said,
                part="train",
                stages=Stages(answer=answer),
            )
            for number in range(2000)
        ]

    before, after = rows("네."), rows("아니요.")
    began = process_time()
    told = _changes([], before, after)
    assert process_time() - began < 2
    assert (len(told.changed), told.added, told.removed) == (2000, [], [])


async def test_a_model_that_fails_ends_the_measurement(home: Path) -> None:
    async with skills_server(home) as gateway:
        told = await measure(gateway, await fill(gateway), model="nothing-of-this-name")
        assert told["status"] == "failed"
        assert "nothing-of-this-name" in told["error"]


async def test_one_measurement_at_a_time_which_can_be_stopped(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await fill(gateway)
        path = f"{SETS}/{set_id}/versions/1/measures"
        held = asyncio.Event()

        async def embed(texts: Any) -> Any:
            await held.wait()

        gateway.services.skills.trainer.measures._embed = embed
        first = (await gateway.post(path, {"model": None})).json()
        assert first["status"] == "running"
        assert (await gateway.post(path, {"model": None})).status_code == 409
        stopped = await gateway.client.delete(f"{SETS}/{set_id}/measures/{first['id']}")
        assert stopped.status_code == 204
        told = (await gateway.client.get(f"{SETS}/{set_id}/measures/{first['id']}")).json()
        assert (told["status"], told["done"]) == ("stopped", 0)
        assert (await measure(gateway, set_id, model=None))["status"] == "done"


async def test_a_version_needs_rows_and_a_measurement_test_rows(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await make_set(gateway)
        assert (await gateway.client.post(f"{SETS}/{set_id}/versions")).status_code == 409
        await save(gateway, set_id, "고마워", "train", answer="네.")
        await gateway.client.post(f"{SETS}/{set_id}/versions")
        assert (await gateway.post(f"{SETS}/{set_id}/versions/1/measures", {})).status_code == 409


async def test_rows_go_out_as_conversations_and_come_in_again(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await fill(gateway)
        answer = await gateway.client.get(f"{SETS}/{set_id}/export?part=test")
        assert answer.headers["content-disposition"] == 'attachment; filename="skill-set.jsonl"'
        lines = [json.loads(line) for line in answer.text.splitlines()]
        first = lines[0]
        assert [one["role"] for one in first["messages"]] == [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert first["messages"][0]["content"].endswith("차를 빌려준다 {now}\n존댓말")
        call = first["messages"][2]["tool_calls"][0]["function"]
        assert call == {"name": "rental__search", "arguments": {"place": "제주"}}
        assert first["messages"][3]["content"] == '[{"car_id": "A-7"}]'
        names = {one["function"]["name"] for one in first["tools"]}
        assert {"rental__search", "rental__book"} <= names
        assert [one["role"] for one in lines[3]["messages"]] == ["system", "user", "assistant"]
        other = str((await gateway.post(SETS, {"name": "둘", "skills": ["rental", "math"]})).json()["id"])
        came = await gateway.post(f"{SETS}/{other}/import", {"text": answer.text})
        assert came.json() == {"rows": 4}, came.text
        patch = {"description": "차를 빌려준다 {now}", "tone": "존댓말"}
        await gateway.client.patch(f"{SETS}/{other}", json=patch)
        assert (await gateway.client.get(f"{SETS}/{other}/export?part=test")).text == answer.text


def test_what_ends_a_line_elsewhere_stays_in_a_text() -> None:
    line = {"messages": [{"role": "user", "content": "비 와?\u2028우산은?\u0085"}]}
    [row] = read_lines(json.dumps(line, ensure_ascii=False), "train")
    assert row.query == "비 와?\u2028우산은?\u0085"


CALLED = (
    '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": '
    '[{"function": {"name": "rental__search", "arguments": %s}}]}]}'
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no JSON"),
        ("[]", "line 2: `messages`"),
        ('{"messages": [{"role": "system", "content": "x"}]}', "no user"),
        ('{"messages": [{"role": "user", "content": "x"}, {"role": "root"}]}', "'root'"),
        ('{"messages": [{"role": "user", "content": 1}]}', "line 2: query"),
        ('{"messages": [{"role": "user", "content": "x"}], "asked_for": 1}', "line 2: `asked_for`"),
        ('{"messages": [{"role": "user", "content": "a\\u0000b"}]}', "line 2: text must not hold"),
        (CALLED % '{"a": "\\ud800"}', "line 2 is no JSON"),
        (CALLED % '{"a": 1e999}', "line 2: "),
        (CALLED % json.dumps('{"a": "\\u0000"}'), "line 2: text must not hold"),
    ],
    ids=["json", "list", "user", "role", "content", "asked", "nul", "half", "infinite", "inner nul"],
)
async def test_a_wrong_line_is_named_and_nothing_comes_in(home: Path, line: str, said: str) -> None:
    async with skills_server(home) as gateway:
        set_id = await make_set(gateway)
        right = (
            '{"messages": [{"role": "user", "content": "고마워"}, {"role": "assistant", "content": "네"}]}'
        )
        answer = await gateway.post(f"{SETS}/{set_id}/import", {"text": f"{right}\n{line}"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "text")
        assert said in answer.json()["error"]["message"]
        assert (await gateway.client.get(f"{SETS}/{set_id}/rows")).json()["total"] == 0


async def test_rows_go_out_in_the_studios_columns(home: Path) -> None:
    async with skills_server(home) as gateway:
        set_id = await fill(gateway)
        answer = await gateway.client.get(f"{SETS}/{set_id}/export?format=csv&part=test&version=1")
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert rows[0] == ["System_Prompt", "C_ID", "T_ID", "Text", "Completion"]
        assert [(row[1], row[2]) for row in rows[1:]] == [
            ("0", "0"),
            ("0", "1"),
            ("1", "0"),
            ("1", "1"),
            ("2", "0"),
            ("3", "0"),
        ]
        assert json.loads(rows[1][4]) == {
            "skill": "rental",
            "operation": "search",
            "arguments": {"place": "제주"},
        }
        assert rows[2][3:] == ['[{"car_id": "A-7"}]', "차 1대, 35,000원."]
