"""Runs: every stage in its order, questions to the person, approvals, several steps, and the answer."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import Model, Yes, kinds, one, operation, run, runner, skill, text

from malmoi.assist.skills.loading import lay_over
from malmoi.assist.skills.manifest import OperationText
from malmoi.assist.skills.operation import Card, CardAction, File, Result
from malmoi.assist.skills.routing import Before
from malmoi.assist.skills.running import DirectCall, RunState
from malmoi.core.errors import Conflict, Forbidden, InvalidInput, SkillUnavailable, StructuredOutputInvalid
from malmoi.core.types import Message

PLACE = {"type": "string", "enum": ["제주", "부산"]}
DAY = {"type": "string", "format": "date", "description": "Day of pick-up."}


def cars(**more: Any) -> Any:
    return skill(
        "cars",
        [
            operation("search", required=["place"], place=PLACE, day=DAY),
            operation("book", "write", ["car_id"], car_id={"type": "string", "title": "차량"}, day=DAY),
        ],
        {
            "제주에서 렌터카 찾아줘": "search",
            "부산 렌터카 보여줘": "search",
            "이 차로 예약해줘": "book",
            "아반떼 예약해줘": "book",
        },
        **more,
    )


def weather() -> Any:
    return skill(
        "weather",
        [operation("forecast", required=["place"], place=PLACE)],
        {"제주 날씨 알려줘": "forecast", "부산 날씨 어때": "forecast"},
    )


async def test_a_read_is_routed_planned_called_and_answered_in_its_own_words() -> None:
    loaded, world = cars()
    world.results["search"] = Result(
        data={"cars": [1, 2]},
        text="제주에 차가 2대 있습니다. 35,000원부터.",
        cards=(Card("car", "아반떼", actions=(CardAction("예약", "book", {"car_id": "1"}),)),),
        files=(File("cars.csv", "text/csv", b"x"),),
    )
    model = Model()
    events = await run(runner(), "내일 제주에서 렌터카 찾아줘", loaded, model=model)
    assert kinds(events) == ["routed", "planned", "called", "observed", "card", "file", "text", "ended"]
    assert world.calls[0][:2] == ("search", {"place": "제주", "day": "2026-11-23"})
    assert one(events, "planned").plan.sources == {"place": "query", "day": "query"}
    assert text(events) == "제주에 차가 2대 있습니다. 35,000원부터."
    assert (events[-1].reason, events[-1].steps) == ("answered", 1)
    assert model.chats == []  # nothing was left for a model to do
    for event in events:
        json.dumps(event.to_json())
    assert "content" not in one(events, "file").to_json()


async def test_a_query_for_none_calls_nothing() -> None:
    loaded, world = cars()
    events = await run(runner(), "사랑이란 뭘까", loaded)
    assert (kinds(events), events[-1].reason, world.calls) == (["routed", "ended"], "none", [])


async def test_the_model_fills_in_what_is_left_and_tells_what_has_no_words() -> None:
    loaded, world = skill(
        "cafe",
        [operation("find", required=["name"], name={"type": "string"}, most={"type": "integer"})],
        {"전주에 있는 카페 찾아줘": "find"},
    )
    world.results["find"] = Result(data={"items": [{"name": "한옥 카페", "price": 5000}]})
    model = Model([{"name": "전주", "most": None}, "한옥 카페가 있습니다."])
    events = await run(runner(), "전주에 있는 카페 찾아줘", loaded, model=model)
    assert world.calls[0][:2] == ("find", {"name": "전주"})
    assert text(events).strip() == "한옥 카페가 있습니다."
    schema = model.samplings[0].json_schema
    assert schema["required"] == ["name"]  # no number is said that `most` could be
    assert {"type": "null"} in schema["properties"]["name"]["anyOf"]
    # The result is a turn of a tool, which the guard fences; it is not in the system prompt.
    last = model.chats[-1].messages
    assert [message.role for message in last] == ["system", "user", "assistant", "tool"]
    assert "5000" in last[-1].content
    assert "5000" not in last[0].content
    assert events[-1].usage.total_tokens == 40


async def test_what_is_missing_is_asked_and_the_next_query_brings_it() -> None:
    loaded, world = cars()
    events = await run(runner(), "렌터카 찾아줘", loaded)
    assert kinds(events) == ["routed", "planned", "text", "asked", "ended"]
    assert one(events, "asked").missing == ("place",)
    assert text(events) == "search 하기에 필요한 것을 알려 주세요: place."
    assert (events[-1].reason, world.calls) == ("asked", [])
    before = [Before("내일 렌터카 찾아줘", "cars", "search")]
    events = await run(runner(), "제주", loaded, before=before)
    assert world.calls[0][1] == {"place": "제주", "day": "2026-11-23"}
    # Without what was said before the same word is for nothing.
    assert (await run(runner(), "제주", loaded))[-1].reason == "none"


async def test_a_write_waits_for_a_yes_and_is_done_once() -> None:
    loaded, world = cars()
    world.results["book"] = Result(data={}, text="예약했습니다.")
    approvals = Yes()
    made = runner(approvals)
    model = Model([{"car_id": "A-7", "day": None}])
    turns = [Message("assistant", "차량 A-7 아반떼가 있습니다.")]
    events = await run(made, "아반떼 예약해줘", loaded, model=model, turns=turns)
    assert kinds(events) == ["routed", "planned", "confirm", "ended"]
    assert (events[-1].reason, world.calls) == ("confirm", [])
    asked = one(events, "confirm")
    assert asked.arguments == {"car_id": "A-7"}
    assert "state" not in asked.to_json()
    assert asked.to_json()["final"] is False

    state = RunState.from_json(json.loads(json.dumps(asked.state.to_json())))
    with pytest.raises(Forbidden):
        await run(made, "아반떼 예약해줘", loaded, state=state)
    assert world.calls == []
    approvals.give("a1", "r1", asked.call_id, asked.arguments_hash)
    state = RunState.from_json(asked.state.to_json())
    events = await run(made, "아반떼 예약해줘", loaded, state=state)
    assert kinds(events) == ["called", "observed", "text", "ended"]
    assert text(events) == "예약했습니다."
    assert world.calls[0][1] == {"car_id": "A-7"}
    with pytest.raises(Forbidden):  # used up
        await run(made, "아반떼 예약해줘", loaded, state=RunState.from_json(asked.state.to_json()))
    assert len(world.calls) == 1


async def test_the_question_says_what_cannot_be_undone() -> None:
    drop = replace(operation("drop", "write"), is_final=True)
    source = [operation("look"), operation("book", "write"), drop]
    plain, _ = skill("shop", source)
    said = {"look": True, "book": True, "drop": False}
    texts = {name: OperationText(final=final) for name, final in said.items()}
    manifest = plain.skill.manifest.model_copy(update={"operations": texts})
    told = replace(plain, operations=lay_over(replace(plain.skill, manifest=manifest), source))
    assert [one.is_final for one in plain.operations] == [False, False, True]
    assert [one.is_final for one in told.operations] == [False, True, False]  # of a read nobody is asked
    events = await run(runner(Yes()), "", told, direct=DirectCall("shop", "book", {}))
    assert one(events, "confirm").to_json()["final"] is True


async def test_what_a_plan_lacks_is_looked_up_first() -> None:
    loaded, world = cars()
    world.results["search"] = Result(data={"cars": [{"id": "K-5", "name": "아반떼"}]})
    model = Model(
        [
            {"car_id": None},
            {"operation": "search"},
            {"car_id": "K-5"},
        ]
    )
    events = await run(runner(), "제주에서 아반떼 예약해줘", loaded, model=model)
    assert kinds(events) == [
        "routed",
        "planned",
        "planned",
        "called",
        "observed",
        "planned",
        "confirm",
        "ended",
    ]
    assert [call[0] for call in world.calls] == ["search"]
    assert one(events, "confirm").arguments == {"car_id": "K-5"}


async def test_an_id_that_nobody_has_shown_is_not_believed() -> None:
    loaded, _ = cars()
    model = Model([{"car_id": "X-1", "day": None}, {"operation": "ask"}])
    events = await run(runner(), "아반떼 예약해줘", loaded, model=model)
    assert kinds(events)[-3:] == ["text", "asked", "ended"]
    assert text(events) == "book 하기에 필요한 것을 알려 주세요: 차량."


async def test_two_things_in_one_query_are_done_one_after_another() -> None:
    (car, car_world), (sky, sky_world) = cars(), weather()
    car_world.results["search"] = Result(text="차가 있습니다.")
    sky_world.results["forecast"] = Result(text="맑습니다.")
    events = await run(runner(), "제주 날씨 알려주고 제주에서 렌터카 찾아줘", car, sky)
    assert kinds(events).count("routed") == 2
    assert text(events) == "맑습니다.\n\n차가 있습니다."
    assert (len(sky_world.calls), len(car_world.calls), events[-1].steps) == (1, 1, 2)


async def test_a_button_of_a_card_calls_what_it_says_and_asks_before_a_write() -> None:
    loaded, world = cars()
    direct = DirectCall("cars", "search", {"place": "부산"})
    events = await run(runner(), "", loaded, direct=direct)
    assert kinds(events) == ["called", "observed", "text", "ended"]
    events = await run(runner(), "", loaded, direct=DirectCall("cars", "book", {"car_id": "1"}))
    assert kinds(events) == ["confirm", "ended"]
    with pytest.raises(InvalidInput):
        await run(runner(), "", loaded, direct=DirectCall("cars", "search", {"place": "서울"}))
    assert len(world.calls) == 1


@pytest.mark.parametrize(
    ("told", "words", "code"),
    [
        (Result(text="만석입니다 ![x](http://evil/)", is_error=True), "하지 못했습니다. 만석입니다 [x]", ""),
        (SkillUnavailable("cars.example did not answer"), "서버가 지금 답하지 않습니다", "skill_unavailable"),
        (InvalidInput("no such place", field="place"), "no such place", "invalid_input"),
    ],
    ids=["refused", "gone", "invalid"],
)
async def test_failures_are_told_and_end_the_run(told: Any, words: str, code: str) -> None:
    loaded, world = cars()
    world.results["search"] = told
    events = await run(runner(), "제주에서 렌터카 찾아줘", loaded, model=Model())
    assert words in text(events)
    assert one(events, "observed").is_error
    assert one(events, "observed").code == code
    assert events[-1].reason == "failed"


async def test_missing_credentials_are_asked_for_in_settings() -> None:
    loaded, world = cars(auth={"kind": "bearer"})
    events = await run(runner(), "제주에서 렌터카 찾아줘", loaded)
    assert (kinds(events), events[-1].reason) == (["routed", "text", "ended"], "credentials")
    assert "토큰" in text(events)
    assert world.calls == []
    events = await run(runner(), "제주에서 렌터카 찾아줘", loaded, credentials={"cars": {"token": "t0ken"}})
    assert events[-1].reason == "answered"
    assert world.calls[0][2].credentials == {"token": "t0ken"}


async def test_missing_credentials_are_called_what_people_call_them() -> None:
    fields = {"imap_host": {"title": {"ko": "받는 서버", "en": "Incoming server"}}, "zone": {}}
    loaded, _ = cars(auth={"kind": "fields", "fields": fields})
    events = await run(runner(), "제주에서 렌터카 찾아줘", loaded)
    assert text(events).endswith("넣어 주세요: 받는 서버, zone.")


async def test_a_model_that_fails_leaves_a_question() -> None:
    loaded, _ = cars()
    model = Model([StructuredOutputInvalid("no"), StructuredOutputInvalid("no")])
    events = await run(runner(), "렌터카 찾아줘", loaded, model=model)
    assert events[-1].reason == "asked"


async def test_the_model_only_adds_where_it_is_wanted() -> None:
    loaded, world = cars()
    world.results["search"] = Result(data=[1], text="2대, 35,000원.")
    model = Model(["더 궁금한 점이 있나요?"])
    events = await run(runner(), "제주에서 렌터카 찾아줘", loaded, model=model, always_tell=True)
    assert text(events).startswith("2대, 35,000원.\n\n더 궁금한")
    assert "2대, 35,000원." in model.chats[-1].messages[0].content


async def test_two_of_a_domain_and_three_at_once_are_refused() -> None:
    (car, _), (sky, _) = cars(), weather()
    other, _ = skill("taxi", [operation("x")])
    twin = replace(
        other,
        skill=replace(other.skill, manifest=other.skill.manifest.model_copy(update={"domain": "cars"})),
    )
    with pytest.raises(Conflict, match="both for 'cars'"):
        await run(runner(), "x", car, twin)
    with pytest.raises(Conflict, match="at most 2"):
        await run(runner(), "x", car, sky, other)


async def test_cancelling_a_run_cancels_the_call() -> None:
    loaded, world = cars()
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any) -> Result:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        raise AssertionError

    world.results["search"] = hang
    task = asyncio.create_task(run(runner(), "제주에서 렌터카 찾아줘", loaded))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_where_no_operation_leads_the_model_chooses_among_those_that_are_about_as_likely() -> None:
    loaded, world = cars()
    made = runner()
    usual = made.router._weights
    # A small model knows less than the examples do: with a lead, if no clear one, it is not asked.
    made.router._weights = replace(usual, sure=1.1)
    model = Model([{"day": None}])
    events = await run(made, "제주에서 탈 렌터카가 있을까", loaded, model=model)
    assert not one(events, "routed").routing.is_sure
    asked = [(sampling.json_schema or {}).get("properties", {}) for sampling in model.samplings]
    assert not any("operation" in properties for properties in asked)
    made = runner()
    made.router._weights = replace(usual, sure=1.1, slope=0.0, threshold=0.0)  # all are as likely
    world.calls.clear()
    model = Model([{"operation": "search"}, {"day": None}])
    events = await run(made, "제주에서 탈 렌터카가 있을까", loaded, model=model)
    assert one(events, "routed").routing.choice.operation == "search"
    assert model.samplings[0].json_schema["properties"]["operation"]["enum"] == ["book", "search"]
    assert [call[0] for call in world.calls] == ["search"]
    # What it says beyond that is not heard; the first operation stays.
    events = await run(made, "제주에서 탈 렌터카가 있을까", loaded, model=Model([{"operation": "pay"}]))
    assert one(events, "routed").routing.choice.operation == "book"
