import asyncio
from collections.abc import AsyncIterator

import pytest

from malmoi.core.errors import EngineError
from malmoi.core.types import ToolCall
from malmoi.engine.base import Chunk, Prompt, Sampling, TokenLogprob, ToolCallDelta, Usage
from malmoi.engine.collect import collect, generate_all, merge_tool_calls


async def play(*chunks: Chunk) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


async def test_pieces_become_a_whole() -> None:
    usage = Usage(prompt_tokens=1, completion_tokens=3)
    done = await collect(
        play(
            Chunk(reasoning="생", token_ids=(1,)),
            Chunk(reasoning="각"),
            Chunk(text="가", token_ids=(2,), logprobs=(TokenLogprob("가", -0.5),)),
            Chunk(text="나", token_ids=(3,)),
            Chunk(finish_reason="stop", usage=usage),
        )
    )
    assert (done.text, done.reasoning, done.token_ids, done.sampled) == (
        "가나",
        "생각",
        (1, 2, 3),
        (True,) * 3,
    )
    assert (done.finish_reason, done.usage, done.logprobs) == ("stop", usage, (TokenLogprob("가", -0.5),))


def test_interleaved_calls_are_told_apart() -> None:
    deltas = [
        ToolCallDelta(1, "b", "second", ""),
        ToolCallDelta(0, "a", "first", "{"),
        ToolCallDelta(1, arguments="[]"),
        ToolCallDelta(0, arguments="}"),
        ToolCallDelta(2, name="third"),
    ]
    assert merge_tool_calls(deltas) == (
        ToolCall("a", "first", "{}"),
        ToolCall("b", "second", "[]"),
        ToolCall("call_2", "third", ""),
    )


async def test_a_stream_without_an_end_is_an_error() -> None:
    with pytest.raises(EngineError, match="finish reason"):
        await collect(play(Chunk(text="half")))


async def test_at_most_so_many_at_a_time_in_order() -> None:
    running, most = 0, 0

    async def stream(prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        # Later prompts are quicker, so the order of the results is not that of finishing.
        for _ in range(20 - int(str(prompt))):
            await asyncio.sleep(0)
        running -= 1
        yield Chunk(text=str(prompt), finish_reason="stop", usage=Usage())

    done = await generate_all(stream, [str(n) for n in range(10)], Sampling(), concurrency=3)
    assert [each.text for each in done] == [str(n) for n in range(10)]
    assert most == 3
    assert await generate_all(stream, [], Sampling(), concurrency=3) == []


async def test_the_first_error_ends_the_others() -> None:
    open_streams = 0

    async def stream(prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        nonlocal open_streams
        open_streams += 1
        try:
            yield Chunk(text="a")
            if prompt == "bad":
                raise EngineError("broken")
            await asyncio.Event().wait()
        finally:
            open_streams -= 1

    with pytest.raises(EngineError, match="broken"):
        await generate_all(stream, ["good", "bad", "good"], Sampling(), concurrency=3)
    assert open_streams == 0


async def test_cancelling_closes_every_stream() -> None:
    started, closed = asyncio.Event(), asyncio.Event()

    async def stream(prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        try:
            yield Chunk(text="a")
            started.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    task = asyncio.create_task(generate_all(stream, ["x"], Sampling(), concurrency=1))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
