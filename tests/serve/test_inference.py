"""The one path: admission, limits, usage, structured answers, and every way in which a request can end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import script
from gateway import settings as settings_of
from malmoi.core.errors import (
    ContextOverflow,
    EngineError,
    EngineUnavailable,
    InvalidInput,
    NotFound,
    Overloaded,
    RateLimited,
    StructuredOutputInvalid,
    UnknownName,
    Unsupported,
)
from malmoi.core.types import Chat, Message, Tool, ToolChoice
from malmoi.engine.base import Sampling, Usage
from malmoi.engine.collect import collect
from malmoi.engine.scripted import ScriptedEngine
from malmoi.serve.app import create_app
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal, Role
from malmoi.serve.inference import Inference
from malmoi.serve.running import InferenceRequest
from malmoi.serve.services import Services

ME = Principal("acc_1", "me", Role.OWNER, scopes=frozenset({"inference"}))


class Ledger:
    """Metering that writes down what it is told."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.settled: list[tuple[Usage, str]] = []

    async def open(self, *args: Any, **kwargs: Any) -> Any:
        return await self.inner.open(*args, **kwargs)

    async def settle(self, reservation: Any, usage: Usage, *, finish_reason: str, seconds: float) -> None:
        self.settled.append((usage, finish_reason))
        await self.inner.settle(reservation, usage, finish_reason=finish_reason, seconds=seconds)


@asynccontextmanager
async def opened(
    home: Path, engine: ScriptedEngine, **sections: Any
) -> AsyncIterator[tuple[Services, Ledger]]:
    app = create_app(settings_of(home, **sections), engines={"scripted": engine})
    services: Services = app.state.services
    ledger = Ledger(services.metering)
    services.inference._metering = ledger  # type: ignore[assignment]
    async with app.router.lifespan_context(app):
        yield services, ledger


def request(
    text: str = "hi", *, tools: tuple[Tool, ...] = (), choice: str = "auto", **fields: Any
) -> InferenceRequest:
    chat = Chat((Message("user", text),), tools=tools, tool_choice=ToolChoice(choice))  # type: ignore[arg-type]
    on_queue = fields.pop("on_queue", None)
    return InferenceRequest("scripted", chat, Sampling(**fields), "openai", new_id("test"), on_queue=on_queue)


async def text_of(inference: Inference, asked: InferenceRequest) -> str:
    return (await collect(inference.stream(ME, asked))).text


async def whole_of(inference: Inference, asked: InferenceRequest) -> str:
    return (await inference.generate(ME, asked)).text


async def test_streams_and_settles_what_the_engine_counted(home: Path) -> None:
    engine = script({"reply": "one two"})
    async with opened(home, engine) as (services, ledger):
        answer = await collect(services.inference.stream(ME, request()))
        assert answer.text == "one two"
        assert ledger.settled == [(answer.usage, "stop")]
        assert answer.usage.completion_tokens == engine.generated_tokens


async def test_closing_a_stream_stops_the_engine_and_bills_what_was_generated(home: Path) -> None:
    engine = script({"reply": "word " * 200, "hold_after": 5})
    async with opened(home, engine) as (services, ledger):
        async with aclosing(services.inference.stream(ME, request())) as chunks:
            async for _ in chunks:
                if engine.generated_tokens == 3:
                    break
        assert engine.active == 0
        assert engine.num_cancelled == 1
        ((usage, reason),) = ledger.settled
        assert reason == "abort"
        assert usage.completion_tokens == engine.generated_tokens == 3
        assert usage.prompt_tokens == len(await engine.tokenize(request().prompt))


async def test_a_cancelled_caller_frees_the_slot_and_is_billed(home: Path) -> None:
    engine = script({"reply": "word " * 200, "hold_after": 4}, num_slots=1)
    async with opened(home, engine) as (services, ledger):
        task = asyncio.create_task(services.inference.generate(ME, request()))
        await engine.held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (engine.active, engine.num_cancelled) == (0, 1)
        assert [usage.completion_tokens for usage, _ in ledger.settled] == [4]
        engine.release()
        assert await text_of(services.inference, request())


async def test_an_engine_that_fails_is_reported_and_billed(home: Path) -> None:
    engine = script({"contains": "break", "reply": "a b c d", "fail_after": 2}, {"reply": "fine"})
    async with opened(home, engine) as (services, ledger):
        with pytest.raises(EngineError):
            await text_of(services.inference, request("break"))
        ((usage, reason),) = ledger.settled
        assert (usage.completion_tokens, reason) == (2, "error")
        assert await text_of(services.inference, request()) == "fine"


async def test_the_queue_is_bounded_and_tells_places(home: Path) -> None:
    engine = script({"reply": "x", "hold_after": 0}, num_slots=1)
    async with opened(home, engine, admission={"max_queued": 1}) as (services, ledger):
        places: list[int] = []
        first = asyncio.create_task(services.inference.generate(ME, request()))
        await engine.held.wait()
        second = asyncio.create_task(services.inference.generate(ME, request(on_queue=places.append)))
        while not places:
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await services.inference.generate(ME, request())
        assert len(ledger.settled) == 0  # who is sent away at once has reserved nothing
        engine.release()
        await asyncio.gather(first, second)
        assert places == [1, 0]
        assert engine.max_active == 1
        assert len(ledger.settled) == 2


async def test_limits_are_reserved_and_settled(home: Path) -> None:
    async with opened(home, script({"reply": "x"}), limits={"requests_per_minute": 1}) as (services, ledger):
        told: list[dict[str, str]] = []
        asked = request()
        asked = InferenceRequest(
            asked.model,
            asked.prompt,
            asked.sampling,
            "openai",
            asked.request_id,
            None,
            lambda s: told.append(s.headers()),
        )
        await text_of(services.inference, asked)
        assert told[0]["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(RateLimited):
            await text_of(services.inference, request())
        assert len(ledger.settled) == 1


async def test_what_a_model_cannot_do_is_refused_before_it_runs(home: Path) -> None:
    engine = ScriptedEngine(capabilities=("generate",))
    async with opened(home, engine) as (services, _):
        with pytest.raises(Unsupported, match="chat"):
            await text_of(services.inference, request())
        with pytest.raises(Unsupported):
            await services.inference.embed(ME, "scripted", ["x"], source="openai", request_id=new_id("e"))
        with pytest.raises(UnknownName, match="scripted"):
            await text_of(services.inference, InferenceRequest("scriptd", "x", Sampling(), "openai", "r"))
        with pytest.raises(NotFound, match="not installed"):
            await text_of(services.inference, InferenceRequest("small", "x", Sampling(), "openai", "r"))
        assert engine.requests == []


async def test_a_prompt_that_does_not_fit_is_told_with_both_counts(home: Path) -> None:
    async with opened(home, script(context_length=20)) as (services, ledger):
        with pytest.raises(ContextOverflow) as caught:
            await text_of(services.inference, request("가" * 50))
        assert (caught.value.context_length, caught.value.prompt_tokens) == (20, 53)
        assert ledger.settled[0][0].completion_tokens == 0


NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_a_wrong_structured_answer_is_mended_once(home: Path) -> None:
    engine = script()
    engine.enqueue('{"n": "three"}')
    engine.enqueue('{"n": 3}')
    async with opened(home, engine) as (services, ledger):
        answer = await services.inference.generate(ME, request(json_schema=NUMBER))
        assert json.loads(answer.text) == {"n": 3}
        complaint = engine.requests[1].prompt.messages[-1].content  # type: ignore[union-attr]
        assert "three" in complaint
        ((usage, _),) = ledger.settled  # one row for both tries
        assert usage.completion_tokens == engine.generated_tokens
        assert answer.usage == usage


@pytest.mark.parametrize("stream", [False, True])
async def test_a_structured_answer_that_stays_wrong_is_an_error(home: Path, stream: bool) -> None:
    engine = script({"reply": "no JSON"})
    async with opened(home, engine) as (services, ledger):
        run = text_of if stream else whole_of
        with pytest.raises(StructuredOutputInvalid):
            await run(services.inference, request(json_schema=NUMBER))
        assert len(engine.requests) == 2
        assert [reason for _, reason in ledger.settled] == ["error"]


async def test_a_structured_answer_that_is_cut_off_says_so(home: Path) -> None:
    engine = script({"reply": '{"n": 3}'})
    async with opened(home, engine) as (services, _):
        with pytest.raises(StructuredOutputInvalid, match="cut off"):
            await services.inference.generate(ME, request(json_schema=NUMBER, max_tokens=2))
        assert len(engine.requests) == 1


async def test_without_a_grammar_the_schema_is_told_to_the_model(home: Path) -> None:
    engine = ScriptedEngine(capabilities=("generate", "chat"))
    engine.enqueue('{"n": 1}')
    async with opened(home, engine) as (services, _):
        await services.inference.generate(ME, request(json_schema=NUMBER))
        sent = engine.requests[0]
        assert sent.sampling.json_schema is None
        assert '"integer"' in sent.prompt.messages[0].content  # type: ignore[union-attr]


WEATHER = Tool(
    "weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)


def call(arguments: object) -> list[dict[str, Any]]:
    return [{"name": "weather", "arguments": arguments}]


async def test_text_is_streamed_before_a_checked_call(home: Path) -> None:
    engine = script({"reply": "wait ", "tool_calls": call({"city": "서울"})})
    async with opened(home, engine) as (services, _):
        chunks = [chunk async for chunk in services.inference.stream(ME, request(tools=(WEATHER,)))]
        assert "".join(chunk.text for chunk in chunks) == "wait "
        assert all(not chunk.tool_calls for chunk in chunks[:-1])
        (delta,) = chunks[-1].tool_calls
        assert json.loads(delta.arguments) == {"city": "서울"}
        assert chunks[-1].finish_reason == "tool_calls"


@pytest.mark.parametrize("wrong", [{"city": 3}, {}, '{"city": ', '["x"]'])
async def test_wrong_arguments_are_mended_once_and_never_sent(home: Path, wrong: object) -> None:
    engine = script()
    async with opened(home, engine) as (services, _):
        engine.enqueue("", tool_calls=call(wrong))
        engine.enqueue("", tool_calls=call({"city": "부산"}))
        answer = await services.inference.generate(ME, request(tools=(WEATHER,)))
        assert json.loads(answer.tool_calls[0].arguments) == {"city": "부산"}
        engine.enqueue("", tool_calls=call(wrong))
        engine.enqueue("", tool_calls=call(wrong))
        with pytest.raises(StructuredOutputInvalid):
            await services.inference.generate(ME, request(tools=(WEATHER,)))


async def test_a_call_of_an_unknown_function_is_never_sent(home: Path) -> None:
    engine = script({"tool_calls": [{"name": "rm", "arguments": {}}]})
    async with opened(home, engine) as (services, _):
        with pytest.raises(StructuredOutputInvalid, match="weather"):
            await services.inference.generate(ME, request(tools=(WEATHER,)))


async def test_a_forced_call_is_held_to_the_schema_of_the_call(home: Path) -> None:
    engine = script()
    async with opened(home, engine) as (services, _):
        answer = await services.inference.generate(ME, request(tools=(WEATHER,), choice="required"))
        assert answer.tool_calls[0].name == "weather"
        assert answer.finish_reason == "tool_calls"
        schema = engine.requests[0].sampling.json_schema
        assert schema is not None
        assert schema["properties"]["name"] == {"const": "weather"}
        assert engine.requests[0].prompt.tool_choice.mode == "auto"  # type: ignore[union-attr]


async def test_without_a_grammar_a_forced_call_is_left_to_the_template(home: Path) -> None:
    engine = ScriptedEngine(capabilities=("generate", "chat", "tools"))
    engine.enqueue("", tool_calls=call({"city": "서울"}))
    async with opened(home, engine) as (services, _):
        answer = await services.inference.generate(ME, request(tools=(WEATHER,), choice="required"))
        assert json.loads(answer.tool_calls[0].arguments) == {"city": "서울"}
        assert engine.requests[0].prompt.tool_choice.mode == "required"  # type: ignore[union-attr]


async def test_choices_share_one_row_and_one_prompt(home: Path) -> None:
    engine = script({"reply": ["a", "b b", "c c c"]}, num_slots=2)
    async with opened(home, engine) as (services, ledger):
        texts = ["", "", ""]
        async for index, chunk in services.inference.choices(ME, request(seed=1), 3):
            texts[index] += chunk.text
        assert sorted({*texts}) != [""]
        ((usage, _),) = ledger.settled
        assert usage.prompt_tokens == len(await engine.tokenize(request().prompt))
        assert usage.completion_tokens == engine.generated_tokens
        assert engine.max_active <= 2


async def test_closing_choices_stops_all_of_them(home: Path) -> None:
    engine = script({"reply": "word " * 50, "hold_after": 3})
    async with opened(home, engine) as (services, ledger):
        async with aclosing(services.inference.choices(ME, request(), 3)) as pairs:
            async for _ in pairs:
                if engine.generated_tokens >= 4:
                    break
        assert engine.active == 0
        assert engine.num_cancelled == 3
        assert len(ledger.settled) == 1


async def test_a_failing_choice_ends_the_others(home: Path) -> None:
    engine = script({"reply": "word", "hold_after": 0})
    engine.enqueue("x", fail_after=0)
    async with opened(home, engine) as (services, _):
        with pytest.raises(EngineError):
            async for _ in services.inference.choices(ME, request(), 2):
                pass
        assert engine.active == 0


async def test_aborting_all_ends_requests_with_an_error_that_says_why(home: Path) -> None:
    engine = script({"reply": "word " * 50, "hold_after": 3})
    async with opened(home, engine) as (services, ledger):
        task = asyncio.create_task(services.inference.generate(ME, request()))
        await engine.held.wait()
        services.inference.abort_all()
        with pytest.raises(EngineUnavailable, match="shutting down"):
            await task
        with pytest.raises(EngineUnavailable, match="shutting down"):
            await services.inference.generate(ME, request())
        assert [usage.completion_tokens for usage, _ in ledger.settled] == [3]


async def test_bad_schemas_are_refused_before_anything_runs(home: Path) -> None:
    engine = script()
    async with opened(home, engine) as (services, ledger):
        for schema in ({"type": "nothing"}, {"$ref": "http://example.org/x"}, {"pattern": "("}):
            with pytest.raises(InvalidInput):
                await services.inference.generate(ME, request(json_schema=schema))
        assert (engine.requests, ledger.settled) == ([], [])


async def test_embeds_and_counts(home: Path) -> None:
    async with opened(home, script()) as (services, ledger):
        made = await services.inference.embed(ME, "scripted", ["가", "나다"], source="openai", request_id="e")
        assert made.vectors.shape == (2, 64)
        assert made.prompt_tokens == 3
        assert ledger.settled == [(Usage(prompt_tokens=3), "stop")]
        assert await services.inference.tokenize(ME, "", "가나") == (ord("가"), ord("나"))
