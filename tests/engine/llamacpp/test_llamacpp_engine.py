import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from llamacpp_server import CUT, HANG, ScriptedServer, event, last, stream, whole

from malmoi.core.errors import ContextOverflow, EngineUnavailable, InvalidInput, Unsupported
from malmoi.core.types import Chat, Message, Tool, ToolChoice
from malmoi.engine.base import Chunk, Engine, Sampling
from malmoi.engine.llamacpp.engine import LlamaCppEngine
from malmoi.engine.templates import template_named

Open = Callable[..., Any]
ASK = Chat((Message("user", "안녕?"),))


async def read(engine: LlamaCppEngine, prompt: Any = "a", sampling: Sampling | None = None) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(prompt, sampling or Sampling())]


async def test_it_is_an_engine(open_fake: Open) -> None:
    assert isinstance(await open_fake(), Engine)


async def test_text_ids_logprobs_and_usage(server: ScriptedServer, open_fake: Open) -> None:
    probabilities = [
        {"id": 5, "token": "안", "bytes": list("안".encode()), "logprob": -0.5, "top_logprobs": []}
    ]
    server.answer(
        "/completion",
        stream(
            event(content="안", tokens=[5], completion_probabilities=probabilities),
            event(content="", tokens=[1]),
            last(),
        ),
    )
    chunks = await read(await open_fake(), sampling=Sampling(top_logprobs=0))
    assert [chunk.text for chunk in chunks] == ["안", "", ""]
    assert [chunk.token_ids for chunk in chunks] == [(5,), (1,), ()]
    assert chunks[0].logprobs[0].logprob == -0.5
    assert [chunk.finish_reason for chunk in chunks] == [None, None, "stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.cached_tokens == 3


async def test_characters_cut_across_packets_come_whole(server: ScriptedServer, open_fake: Open) -> None:
    data = event(content="한글🐉", tokens=[5]) + last()
    middle = data.index("글".encode()) + 1
    server.answer("/completion", stream(data[:middle], data[middle:]))
    assert "".join(chunk.text for chunk in await read(await open_fake())) == "한글🐉"


async def test_half_a_character_at_the_limit_is_not_shown(server: ScriptedServer, open_fake: Open) -> None:
    answer = {"content": "한\ufffd", "tokens": [5, 6], "stop_type": "limit", "timings": {}}
    server.answer("/completion", whole(answer))
    [completion] = await (await open_fake()).generate(["a"], Sampling())
    assert (completion.text, completion.token_ids, completion.finish_reason) == ("한", (5, 6), "length")


async def test_a_chat_is_rendered_and_parsed(server: ScriptedServer, open_fake: Open) -> None:
    server.answer(
        "/completion",
        stream(
            event(content="<think>흠", tokens=[5]),
            event(content="</think>\n\n네<|im_", tokens=[6]),
            event(content="x", tokens=[7]),
            last(),
        ),
    )
    engine = await open_fake(template=template_named("chatml"))
    chunks = await read(engine, ASK)
    assert "".join(chunk.reasoning for chunk in chunks) == "흠"
    assert "".join(chunk.text for chunk in chunks).strip() == "네<|im_x"
    assert tuple(id for chunk in chunks for id in chunk.token_ids) == (5, 6, 7)
    [body] = server.bodies("/completion")
    assert body["prompt"].startswith("<|im_start|>user\n안녕?<|im_end|>")
    assert "<|im_end|>" in body["stop"]


@pytest.mark.parametrize("whole_answer", [False, True])
async def test_tool_calls(server: ScriptedServer, open_fake: Open, whole_answer: bool) -> None:
    text = '<tool_call>\n{"name": "weather", "arguments": {"city": "서울"}}\n</tool_call>'
    server.answer(
        "/completion",
        whole({"content": text, "tokens": [5], "stop_type": "eos", "timings": {}})
        if whole_answer
        else stream(*(event(content=piece, tokens=[5]) for piece in text), last()),
    )
    engine = await open_fake(template=template_named("chatml"))
    ask = Chat(ASK.messages, tools=(Tool("weather"),))
    if whole_answer:
        [completion] = await engine.generate([ask], Sampling())
    else:
        from malmoi.engine.collect import collect

        completion = await collect(engine.stream(ask, Sampling()))
    assert completion.finish_reason == "tool_calls"
    [call] = completion.tool_calls
    assert (call.name, call.arguments) == ("weather", '{"city": "서울"}')


async def test_a_forced_call_begins_in_the_prompt(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/tokenize", whole({"tokens": [1]}))
    server.answer("/completion", stream(event(content='{"city": "서울"}}\n</tool_call>', tokens=[5]), last()))
    engine = await open_fake(template=template_named("chatml"))
    ask = Chat(ASK.messages, tools=(Tool("weather"),), tool_choice=ToolChoice("function", "weather"))
    chunks = await read(engine, ask)
    assert chunks[-1].finish_reason == "tool_calls"
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
    assert deltas[0].name == "weather"
    assert "".join(delta.arguments for delta in deltas) == '{"city": "서울"}'


async def test_marker_text_of_a_user_is_tokenised_apart(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/tokenize", whole({"tokens": [1]}), whole({"tokens": [2]}))
    server.answer("/completion", stream(last()))
    engine = await open_fake(template=template_named("chatml"))
    await read(engine, Chat((Message("user", "<|im_end|>"),)))
    pieces = [body["content"] for body in server.bodies("/tokenize")]
    assert len(pieces) > 1
    assert "".join(pieces).startswith("<|im_start|>user\n<|im_end|><|im_end|>")
    assert not any("<|im_end|><|im_end|>" in piece for piece in pieces)
    assert server.bodies("/completion")[0]["prompt"] == [1] + [2] * (len(pieces) - 1)


async def test_a_prompt_that_is_too_long(server: ScriptedServer, open_fake: Open) -> None:
    error = {"type": "exceed_context_size_error", "message": "", "n_prompt_tokens": 70, "n_ctx": 64}
    server.answer("/completion", whole({"error": error}, status=400))
    engine = await open_fake()
    with pytest.raises(ContextOverflow):
        await read(engine)
    with pytest.raises(ContextOverflow):
        await engine.generate(["a"], Sampling())


@pytest.mark.parametrize(
    "parts", [[CUT], [*stream(event(content="a"), end=False), CUT], stream(event(content="a"))]
)
async def test_an_answer_that_breaks_off(server: ScriptedServer, open_fake: Open, parts: list[Any]) -> None:
    server.answer("/completion", parts)
    with pytest.raises(EngineUnavailable, match="stopped while it worked"):
        await read(await open_fake())


async def test_an_internal_error_is_typed(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/completion", [b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops"])
    with pytest.raises(Exception, match=r"llama\.cpp failed: status 500") as caught:
        await read(await open_fake())
    assert type(caught.value).__name__ == "EngineError"


async def test_leaving_a_stream_closes_its_connection_and_frees_the_slot(
    server: ScriptedServer, open_fake: Open
) -> None:
    server.answer("/completion", [*stream(event(content="a", tokens=[1]), end=False), HANG], stream(last()))
    engine = await open_fake(slots=1)
    async with aclosing(engine.stream("a", Sampling())) as chunks:
        async for _ in chunks:
            break
    await asyncio.wait_for(server.left.wait(), 15)
    assert (await read(engine))[-1].finish_reason == "stop"


async def test_a_cancelled_answer_closes_its_connection(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/completion", [HANG])
    engine = await open_fake()
    waiting = asyncio.create_task(engine.generate(["a"], Sampling()))
    while not server.requests:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(server.left.wait(), 15)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_close_ends_streams_under_way(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/completion", [*stream(event(content="a", tokens=[1]), end=False), HANG])
    engine = await open_fake()
    chunks = engine.stream("a", Sampling())
    await anext(chunks)
    await engine.close()
    with pytest.raises(EngineUnavailable, match="was closed"):
        await anext(chunks)
    with pytest.raises(EngineUnavailable, match="is closed"):
        await read(engine)


async def test_no_more_requests_than_slots(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/completion", [HANG])
    engine = await open_fake(slots=2)
    readers = [asyncio.create_task(read(engine)) for _ in range(4)]
    while len(server.requests) < 2:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(server.requests) == 2
    await engine.close()
    assert all(
        isinstance(e, EngineUnavailable) for e in await asyncio.gather(*readers, return_exceptions=True)
    )


async def test_a_schema_is_probed_once_and_then_trusted(server: ScriptedServer, open_fake: Open) -> None:
    answer = {"content": "{", "tokens": [9], "stop_type": "limit", "timings": {}}
    server.answer("/tokenize", whole({"tokens": [48]}))
    server.answer("/completion", whole(answer))
    engine = await open_fake()
    sampling = Sampling(json_schema={"type": "object"})
    await engine.generate(["a"], sampling)
    await engine.generate(["b"], sampling)
    probe, *asked = server.bodies("/completion")
    assert probe["prompt"] == [48]
    assert probe["logit_bias"] == [[48, 1000.0]]
    assert [body["prompt"] for body in asked] == ["a", "b"]
    assert all(body["grammar"] == probe["grammar"] for body in asked)


async def test_a_schema_that_does_not_hold_is_refused(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/tokenize", whole({"tokens": [48]}))
    server.answer("/completion", whole({"content": "Q", "tokens": [48], "stop_type": "limit"}))
    with pytest.raises(InvalidInput, match="cannot hold the model to this JSON schema"):
        await read(await open_fake(), sampling=Sampling(json_schema={"type": "foo"}))


async def test_a_grammar_and_a_schema_are_too_much(open_fake: Open) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        await read(await open_fake(), sampling=Sampling(grammar='root ::= "a"', json_schema={}))


async def test_what_it_cannot_do(open_fake: Open) -> None:
    engine = await open_fake()
    with pytest.raises(Unsupported, match="torch=True"):
        await engine.score([("a", "b")])
    with pytest.raises(Unsupported, match="embed"):
        await engine.embed(["a"])
    with pytest.raises(Unsupported, match="no chat template"):
        await read(engine, ASK)


async def test_embeddings_are_means_of_unit_length(server: ScriptedServer, open_fake: Open) -> None:
    rows = [{"index": 1, "embedding": [[0.0, 2.0]]}, {"index": 0, "embedding": [[2.0, 0.0], [4.0, 0.0]]}]
    server.answer("/embedding", whole(rows), whole([{"index": 0, "embedding": [[3.0, 4.0]]}]))
    engine = await open_fake(extra=("embed",))
    vectors = await engine.embed(["a", "b", "c"])
    assert vectors.shape == (3, 2)
    assert vectors.tolist() == [[1, 0], [0, 1], pytest.approx([0.6, 0.8])]
    assert [body["content"] for body in server.bodies("/embedding")] == [["a", "b"], ["c"]]


async def test_tokenize_and_back(server: ScriptedServer, open_fake: Open) -> None:
    server.answer("/tokenize", whole({"tokens": [2, 5]}))
    server.answer("/detokenize", whole({"content": "안"}))
    engine = await open_fake()
    assert await engine.tokenize("안") == (2, 5)
    assert await engine.tokenize((7,)) == (7,)
    assert await engine.detokenize([5]) == "안"
