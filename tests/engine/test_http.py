import asyncio
import itertools
import json
import logging
import math
from contextlib import aclosing

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from malmoi.core.errors import (
    ConfigError,
    ContextOverflow,
    EngineError,
    EngineUnavailable,
    InvalidInput,
    Overloaded,
    UnknownName,
    Unsupported,
)
from malmoi.core.types import Chat, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.base import Completion, Engine, Prompt, Sampling, TokenLogprob
from malmoi.engine.http import HttpEngine, Patience, open_http
from malmoi.engine.http.refusals import refusal
from malmoi.engine.http.replies import StreamReader, read_usage
from malmoi.engine.http.requests import chat_body, completion_body
from malmoi.engine.http.sse import read_events
from malmoi.engine.http.upstreams import EJECT_SECONDS, Upstreams
from malmoi.testing import FakeUpstream, Fault, Rule, ScriptedEngine

KEY = "sk-not-for-any-log"
QUICK = Patience(connect_timeout=20, read_timeout=20, retries=2, backoff=0.001)
ALL = ("generate", "chat", "tools", "logprobs", "grammar", "score", "embed", "tokenize")


def ask(text: str, **fields: object) -> Chat:
    return Chat((Message("user", text),), **fields)  # type: ignore[arg-type]


async def opened(*upstreams: FakeUpstream, **fields: object) -> HttpEngine:
    fields = {"patience": QUICK, "capabilities": ALL, **fields}
    engine = await open_http([up.url for up in upstreams], **fields)  # type: ignore[arg-type]
    for upstream in upstreams:
        upstream.requests.clear()
    return engine


async def answer(engine: HttpEngine, prompt: Prompt, **fields: object) -> Completion:
    return (await engine.generate([prompt], Sampling(**fields)))[0]  # type: ignore[arg-type]


def scripted(*rules: Rule) -> ScriptedEngine:
    return ScriptedEngine(rules)


# Answers


async def test_a_chat_comes_through_whole() -> None:
    rule = Rule(reply="안녕하세요", reasoning="생각 중")
    async with FakeUpstream(scripted(rule)) as upstream:
        engine = await opened(upstream)
        assert isinstance(engine, Engine)
        done = await answer(engine, ask("hi"), top_logprobs=2)
        direct = (await upstream.engine.generate([ask("hi")], Sampling(top_logprobs=2)))[0]
        await engine.close()
    assert (done.text, done.reasoning, done.finish_reason) == ("안녕하세요", "생각 중", "stop")
    assert [(p.token, p.logprob, p.top) for p in done.logprobs] == [
        (p.token, p.logprob, p.top) for p in direct.logprobs
    ]
    for count in ("prompt_tokens", "completion_tokens", "reasoning_tokens"):
        assert getattr(done.usage, count) == getattr(direct.usage, count)
    assert done.usage.prompt_seconds > 0


async def test_tools_go_out_and_calls_come_back() -> None:
    rule = Rule(tool_calls=[{"name": "add", "arguments": {"n": 1}}, {"name": "add", "arguments": "{broken"}])  # type: ignore[arg-type]
    async with FakeUpstream(scripted(rule)) as upstream:
        engine = await opened(upstream)
        past = Message("assistant", "", tool_calls=(ToolCall("a1", "add", "{}"),))
        chat = Chat(
            (Message("user", "x"), past, Message("tool", "7", tool_call_id="a1")),
            tools=(Tool("add", "Adds."),),
            tool_choice=ToolChoice("function", "add"),
            thinking=False,
        )
        done = await answer(engine, chat)
        sent = upstream.engine.requests[-1].prompt
        await engine.close()
    assert [(call.name, call.arguments) for call in done.tool_calls] == [
        ("add", '{"n": 1}'),
        ("add", "{broken"),
    ]
    assert done.finish_reason == "tool_calls"
    assert sent == chat


async def test_text_and_ids_are_continued() -> None:
    async with FakeUpstream(scripted(Rule(reply=" 서울"))) as upstream:
        engine = await opened(upstream)
        assert (await answer(engine, "수도는", top_logprobs=1)).logprobs[0].token == " "
        assert (await answer(engine, (1, 2, 3))).usage.prompt_tokens == 3
        assert [request.path for request in upstream.requests] == ["/v1/completions"] * 2
        await engine.close()


async def test_sampling_is_sent_and_nothing_else() -> None:
    plain = chat_body(ask("x"), Sampling(), model="m", flavour="openai")
    assert set(plain) == {"model", "stream", "stream_options", "messages"}
    sampling = Sampling(
        max_tokens=5, temperature=0.0, top_k=3, min_p=0.1, repetition_penalty=1.1, stop=("\n",), seed=0,
        logit_bias={7: -1.0}, top_logprobs=2, json_schema={"type": "object"}, ignore_eos=True,
    )  # fmt: skip
    body = chat_body(ask("x", thinking=True), sampling, model="m", flavour="llama-server")
    assert body["repeat_penalty"] == 1.1
    assert body["temperature"] == 0.0
    assert body["seed"] == 0
    assert body["stop"] == ["\n"]
    assert body["logit_bias"] == {"7": -1.0}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    text = completion_body("x", sampling, model="m", flavour="vllm")
    assert (text["logprobs"], text["repetition_penalty"], text["ignore_eos"]) == (2, 1.1, True)
    json.dumps([body, text])


def test_a_grammar_is_named_as_each_server_names_it() -> None:
    sampling = Sampling(grammar="root ::= x")
    assert chat_body(ask("x"), sampling, model="m", flavour="llama-server")["grammar"] == "root ::= x"
    vllm = chat_body(ask("x"), sampling, model="m", flavour="vllm")
    assert vllm["structured_outputs"] == {"grammar": "root ::= x"}
    with pytest.raises(Unsupported):
        chat_body(ask("x"), sampling, model="m", flavour="openai")


async def test_extra_fields_are_added() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream, extra={"priority": 3})
        await answer(engine, ask("x"))
        assert upstream.requests[-1].body["priority"] == 3
        await engine.close()


async def test_embeddings_are_put_in_order_and_normed() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        texts = [f"text {n}" for n in range(70)]
        vectors = await engine.embed(texts)
        np.testing.assert_allclose(vectors, await upstream.engine.embed(texts), atol=1e-6)
        assert len(upstream.requests) == 2
        await engine.close()


async def test_scores_are_those_of_the_upstream() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        whole, split = await engine.score([("", "abc def"), ("abc ", "def")])
        await engine.close()
    assert whole.num_tokens == 1  # the first token of all has no probability
    assert split.num_tokens == 1  # the context's last space belongs to the continuation
    assert split.token_logprobs == whole.token_logprobs
    assert math.isclose(split.logprob, sum(split.token_logprobs))


@pytest.mark.parametrize("flavour", ["vllm", "llama-server"])
async def test_tokens_are_counted_by_the_upstream(flavour: str) -> None:
    async with FakeUpstream(flavour=flavour) as upstream:  # type: ignore[arg-type]
        engine = await opened(upstream, capabilities=None)
        assert await engine.tokenize("한국 abc") == await upstream.engine.tokenize("한국 abc")
        assert len(await engine.tokenize(ask("한국"))) >= 2
        assert await engine.tokenize((5, 6)) == (5, 6)
        await engine.close()


# Probing


@pytest.mark.parametrize(
    ("flavour", "lacks"),
    [("vllm", set()), ("llama-server", {"score"}), ("openai", {"score", "tokenize"})],
)
async def test_capabilities_are_found_by_asking(flavour: str, lacks: set[str]) -> None:
    async with FakeUpstream(ScriptedEngine(context_length=777), flavour=flavour) as upstream:  # type: ignore[arg-type]
        engine = await opened(upstream, capabilities=None)
        await engine.close()
    assert engine.info.capabilities == set(ALL) - lacks
    assert engine.info.context_length == (8192 if flavour == "openai" else 777)
    assert (engine.info.name, engine.info.kind, engine.info.embedding_size) == ("fake", "http", 64)


async def test_what_the_upstream_cannot_is_unsupported() -> None:
    async with FakeUpstream(ScriptedEngine(capabilities=["generate", "chat"])) as upstream:
        engine = await opened(upstream, capabilities=None)
        assert engine.info.capabilities == {"generate", "chat"}
        for call in (
            engine.embed(["x"]),
            engine.score([("a", "b")]),
            engine.tokenize("x"),
            answer(engine, ask("x", tools=(Tool("f"),))),
            answer(engine, ask("x"), top_logprobs=0),
            answer(engine, ask("x"), json_schema={}),
        ):
            with pytest.raises(Unsupported):
                await call
        await engine.close()


async def test_a_server_that_ignores_schemas_is_found_out() -> None:
    async with FakeUpstream(scripted(Rule(reply="Hello there!"))) as upstream:
        engine = await opened(upstream, capabilities=None)
        await engine.close()
    assert "grammar" not in engine.info.capabilities


async def test_a_model_that_is_not_served_is_named() -> None:
    async with FakeUpstream(model="gemma") as upstream:
        with pytest.raises(UnknownName, match="did you mean 'gemma'"):
            await open_http(upstream.url, "gema", patience=QUICK)


# Faults


@pytest.mark.parametrize(
    "fault",
    [Fault("drop"), *(Fault("status", status=status) for status in (429, 502, 503, 504))],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_what_fails_before_the_first_byte_is_tried_again(fault: Fault) -> None:
    async with FakeUpstream(scripted(Rule(reply="네"))) as upstream:
        engine = await opened(upstream)
        upstream.fail(fault, fault)
        assert (await answer(engine, ask("x"))).text == "네"
        assert len(upstream.requests) == 3
        await engine.close()


async def test_tries_are_limited() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        upstream.fail(*[Fault("status", status=429, retry_after="0")] * 3)
        with pytest.raises(Overloaded, match="429"):
            await answer(engine, ask("x"))
        assert len(upstream.requests) == 3
        await engine.close()


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_other_refusals_are_not_tried_again(status: int) -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        upstream.fail(Fault("status", status=status))
        with pytest.raises(InvalidInput if status == 400 else EngineError, match="scripted fault"):
            await answer(engine, ask("x"))
        assert len(upstream.requests) == 1
        await engine.close()


async def test_a_long_wait_is_not_waited_for() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        upstream.fail(Fault("status", status=503, retry_after="90"))
        with pytest.raises(EngineUnavailable) as caught:
            await answer(engine, ask("x"))
        assert caught.value.retry_after == 90
        assert len(upstream.requests) == 1
        await engine.close()


@pytest.mark.parametrize("kind", ["cut", "error_event", "garbage"])
async def test_after_the_first_byte_a_fault_is_an_error(kind: str) -> None:
    async with FakeUpstream(scripted(Rule(reply="가나다라"))) as upstream:
        engine = await opened(upstream)
        upstream.fail(Fault(kind, after=2))  # type: ignore[arg-type]
        text = ""
        with pytest.raises(EngineError):  # noqa: PT012 - what came before the fault matters
            async for chunk in engine.stream(ask("x"), Sampling()):
                text += chunk.text
        assert text == "가나"
        assert len(upstream.requests) == 1
        await engine.close()


async def test_silence_ends_in_an_error() -> None:
    patience = Patience(read_timeout=0.4, backoff=0.001)
    async with FakeUpstream() as upstream:
        engine = await opened(upstream, patience=patience)
        upstream.fail(Fault("hang"), Fault("hang_after"))
        with pytest.raises(EngineUnavailable, match=r"0\.4 s"):
            await answer(engine, ask("x"))
        with pytest.raises(EngineError, match="broke off"):
            await answer(engine, ask("x"))
        assert len(upstream.requests) == 2
        await engine.close()


async def test_a_page_instead_of_the_api_is_an_error() -> None:
    async with FakeUpstream() as upstream:
        engine = await opened(upstream)
        upstream.fail(Fault("html"))
        with pytest.raises(EngineError, match="event stream"):
            await answer(engine, ask("x"))
        upstream.fail(Fault("html", path="/v1/models"))
        with pytest.raises(EngineError, match="not JSON"):
            await open_http(upstream.url, patience=QUICK)
        await engine.close()


async def test_nobody_there_is_unavailable() -> None:
    async with FakeUpstream() as upstream:
        url = upstream.url
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await open_http(url, patience=QUICK)


async def test_without_usage_the_tokens_are_counted_here() -> None:
    async with FakeUpstream(scripted(Rule(reply="가나다"))) as upstream:
        engine = await opened(upstream)
        upstream.fail(Fault("no_usage"))
        usage = (await answer(engine, ask("질문"))).usage
        assert usage.completion_tokens == 3
        assert usage.prompt_tokens == len(await upstream.engine.tokenize(ask("질문")))
        await engine.close()


async def test_an_overflow_is_told_in_tokens() -> None:
    async with FakeUpstream(ScriptedEngine(context_length=20)) as upstream:
        engine = await opened(upstream)
        with pytest.raises(ContextOverflow) as caught:
            await answer(engine, "가" * 30)
        assert (caught.value.prompt_tokens, caught.value.context_length) == (30, 20)
        await engine.close()


async def test_the_key_is_sent_and_never_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeUpstream(api_key=KEY) as upstream:
        engine = await opened(upstream, api_key=SecretStr(KEY))
        await answer(engine, ask("x"))
        assert upstream.requests[-1].headers["authorization"] == f"Bearer {KEY}"
        upstream.fail(Fault("status", status=400, message=f"bad key {KEY}"))
        with pytest.raises(InvalidInput) as caught:
            await answer(engine, ask("x"))
        assert KEY not in str(caught.value)
        await engine.close()
        with pytest.raises(EngineError, match="refused our key") as refused:
            await open_http(upstream.url, api_key="wrong-" + KEY, patience=QUICK)
        assert KEY not in str(refused.value)
    assert KEY not in caplog.text
    assert KEY not in repr(vars(engine))


# Cancellation


async def test_leaving_a_stream_stops_the_upstream() -> None:
    async with FakeUpstream(scripted(Rule(reply="가나다라", hold_after=2))) as upstream:
        engine = await opened(upstream)
        async with aclosing(engine.stream(ask("x"), Sampling())) as stream:
            async for _ in stream:
                break
        await upstream.engine.cancelled.wait()
        assert upstream.disconnected.is_set()
        await engine.close()


async def test_closing_ends_what_is_under_way() -> None:
    async with FakeUpstream(scripted(Rule(reply="가나다라", hold_after=2))) as upstream:
        engine = await opened(upstream)
        task = asyncio.create_task(answer(engine, ask("x")))
        await upstream.engine.held.wait()
        await engine.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await task
        with pytest.raises(EngineUnavailable, match="closed"):
            await answer(engine, ask("x"))


# Several upstreams


async def test_the_least_loaded_server_is_asked() -> None:
    rule = Rule(reply="가나", hold_after=1)
    async with FakeUpstream(scripted(rule)) as one, FakeUpstream(scripted(rule)) as two:
        engine = await opened(one, two)
        tasks = [asyncio.create_task(answer(engine, ask("x"))) for _ in range(4)]
        await asyncio.gather(one.engine.held.wait(), two.engine.held.wait())
        while len(one.requests) + len(two.requests) < 4:
            await asyncio.sleep(0)
        assert (len(one.requests), len(two.requests)) == (2, 2)
        one.engine.release()
        two.engine.release()
        await asyncio.gather(*tasks)
        await engine.close()


async def test_another_server_takes_over() -> None:
    async with (
        FakeUpstream(scripted(Rule(reply="하나"))) as one,
        FakeUpstream(scripted(Rule(reply="둘"))) as two,
    ):
        engine = await opened(one, two)
        await one.stop()
        texts = {(await answer(engine, ask("x"))).text for _ in range(6)}
        assert texts == {"둘"}
        await engine.close()


def test_three_failures_eject_and_one_probe_brings_back() -> None:
    now = 0.0
    pool = Upstreams(["http://a/v1", "http://b/v1"], clock=lambda: now)
    first = pool.choose()
    for _ in range(3):
        pool.failed(first)
    assert all(pool.choose() is not first for _ in range(4))
    other = pool.choose()
    now = EJECT_SECONDS
    assert pool.choose([other]) is first
    with pool.use(first):  # the probe is under way: no second one
        assert pool.choose([other]) is other
    pool.failed(first)
    assert pool.choose([other]) is other
    now *= 2
    with pool.use(pool.choose([other])):
        pool.succeeded(first)
    assert pool.choose([other]) is first


def test_when_all_are_ejected_the_wait_is_told() -> None:
    pool = Upstreams(["http://a/v1"], clock=lambda: 0.0)
    for _ in range(3):
        pool.failed(pool.choose())
    with pytest.raises(EngineUnavailable) as caught:
        pool.choose()
    assert caught.value.retry_after == EJECT_SECONDS


# Parsing


@given(st.lists(st.integers(0, 200), max_size=8))
async def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    raw = ': hi\r\n\r\ndata: {"가": 1}\r\n\r\nevent: x\ndata: 나\ndata:다\n\nid: 3\n\ndata: cut off'.encode()
    places = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]

    async def parts():  # type: ignore[no-untyped-def]
        for start, end in itertools.pairwise(places):
            yield raw[start:end]

    assert [data async for data in read_events(parts())] == ['{"가": 1}', "나\n다"]


async def test_an_endless_event_is_refused() -> None:
    async def parts():  # type: ignore[no-untyped-def]
        while True:
            yield b"x" * 100_000

    with pytest.raises(EngineError, match="too large"):
        [data async for data in read_events(parts())]


@pytest.mark.parametrize(
    "data",
    [
        "[]", "[" * 100_000, '{"choices": 3}', '{"choices": [3]}', '{"choices": [{"delta": 3}]}',
        '{"choices": [{"delta": {"content": 3}}]}', '{"choices": [{"delta": {"tool_calls": [{}]}}]}',
        '{"choices": [{"delta": {}, "logprobs": {"content": [{}]}}]}', '{"error": "boom"}',
    ],
)  # fmt: skip
def test_malformed_events_are_errors(data: str) -> None:
    with pytest.raises(EngineError):
        StreamReader().read(data)


def test_usage_that_makes_no_sense_is_not_believed() -> None:
    assert read_usage({"prompt_tokens": -1, "completion_tokens": 3}) is None
    assert read_usage({"prompt_tokens": "1", "completion_tokens": 3}) is None
    usage = read_usage(
        {"prompt_tokens": 4, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 99}}
    )
    assert usage is not None
    assert usage.cached_tokens == 4


def test_infinite_logprobs_become_finite() -> None:
    chunk = StreamReader().read(
        '{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [null]}}]}'
    )
    assert chunk is not None
    assert chunk.logprobs == (TokenLogprob("a", -9999.0),)


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"error": {"n_prompt_tokens": 90, "n_ctx": 64}}, (90, 64)),
        ({"message": "This model's maximum context length is 64 tokens. However, you requested 100 tokens "
                     "(90 in the messages, 10 in the completion)."}, (90, 64)),
        ({"error": {"message": "maximum context length is 64 tokens, prompt contains 90"}}, (90, 64)),
        ({"error": {"message": "maximum context length is 64 tokens"}}, (0, 64)),
    ],
)  # fmt: skip
def test_overflows_of_several_servers_are_understood(
    body: dict[str, object], counts: tuple[int, int]
) -> None:
    error = refusal(400, json.dumps(body).encode(), httpx.Headers(), model="m", secret=None)
    assert isinstance(error, ContextOverflow)
    assert (error.prompt_tokens, error.context_length) == counts


@pytest.mark.parametrize("url", ["", "ftp://a/v1", "http://", "http://user:secret@a/v1", "http://a:b:c/v1"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await open_http(url)
    assert "secret" not in str(caught.value)
