"""Answers that fit: a JSON schema or a tool call leaves here only when it obeys its schema.

One that does not is mended once by asking the model again with what is wrong, else the request ends in
`StructuredOutputInvalid`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from malmoi.core.errors import StructuredOutputInvalid
from malmoi.core.types import Chat, ToolChoice
from malmoi.engine.base import Chunk, Completion, EngineInfo, Prompt, Sampling, ToolCallDelta, Usage
from malmoi.engine.collect import collect, merge_tool_calls
from malmoi.serve.running import InferenceRequest, Running, add_usage
from malmoi.serve.structured import (
    AnswerCheck,
    allowed_tools,
    ask_again,
    call_schema,
    forced_call,
    instruct,
)


async def answer_chunks(
    run: Running, request: InferenceRequest, check: AnswerCheck | None, number: int = 0
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one choice, as they may be sent."""
    billed = number == 0
    if check is None:
        async with aclosing(run.stream(request.prompt, request.sampling, is_billed=billed)) as chunks:
            async for chunk in chunks:
                yield _without_calls(chunk)
    elif _is_held_back(request):
        yield from_completion(await _checked(run, request, check, billed))
    else:
        async with aclosing(_with_checked_calls(run, request, check, billed)) as chunks:
            async for chunk in chunks:
                yield chunk


def _without_calls(chunk: Chunk) -> Chunk:
    """The chunk without calls of tools that nobody offered: a remote server may send such, in pieces."""
    if not chunk.tool_calls and chunk.finish_reason != "tool_calls":
        return chunk
    reason = "stop" if chunk.finish_reason == "tool_calls" else chunk.finish_reason
    return replace(chunk, tool_calls=(), finish_reason=reason)


async def _checked(run: Running, request: InferenceRequest, check: AnswerCheck, billed: bool) -> Completion:
    """An answer that fits, from the first or the second try."""
    prompt, sampling = _prepared(request, run.engine.info)
    first = forced_call(await collect(run.stream(prompt, sampling, is_billed=billed)), request.prompt)
    complaint = await complaint_about(check, first)
    if complaint is None:
        return first
    second = forced_call(await _mend(run, prompt, sampling, first, complaint), request.prompt)
    complaint = await complaint_about(check, second)
    if complaint is not None:
        raise _invalid(second, complaint)
    return replace(second, usage=add_usage(first.usage, second.usage))


async def _mend(
    run: Running, prompt: Prompt, sampling: Sampling, wrong: Completion, complaint: str
) -> Completion:
    if wrong.finish_reason == "length":
        raise _invalid(wrong, complaint)  # a second try would be cut off at the same place
    again = ask_again(prompt, wrong, complaint) if isinstance(prompt, Chat) else prompt
    seed = None if sampling.seed is None else sampling.seed + 1
    return await collect(run.stream(again, replace(sampling, seed=seed)))


async def _with_checked_calls(
    run: Running, request: InferenceRequest, check: AnswerCheck, billed: bool
) -> AsyncGenerator[Chunk, None]:
    """Text as it comes; tool calls at the end, when they are whole and fit their tools."""
    deltas: list[ToolCallDelta] = []
    async with aclosing(run.stream(request.prompt, request.sampling, is_billed=billed)) as chunks:
        async for chunk in chunks:
            deltas += chunk.tool_calls
            if chunk.finish_reason is None:
                if chunk.text or chunk.reasoning or chunk.logprobs:
                    yield replace(chunk, tool_calls=())
                continue
            last = chunk
    answer = Completion("", last.finish_reason or "stop", tool_calls=merge_tool_calls(deltas))
    usage = last.usage or Usage()
    complaint = await complaint_about(check, answer)
    if complaint is not None:
        answer = await _mend(run, request.prompt, request.sampling, answer, complaint)
        usage = add_usage(usage, answer.usage)
        complaint = await complaint_about(check, answer)
        if complaint is not None or not answer.tool_calls:
            raise _invalid(answer, complaint or "the model took its call back.")
    calls = from_completion(answer).tool_calls
    yield replace(last, tool_calls=calls, finish_reason=answer.finish_reason, usage=usage)


def from_completion(answer: Completion) -> Chunk:
    """A whole answer as the one chunk of a stream."""
    return Chunk(
        text=answer.text,
        reasoning=answer.reasoning,
        tool_calls=tuple(
            ToolCallDelta(index, call.id, call.name, call.arguments)
            for index, call in enumerate(answer.tool_calls)
        ),
        token_ids=answer.token_ids,
        logprobs=answer.logprobs,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
    )


async def build_check(request: InferenceRequest) -> AnswerCheck | None:
    """What checks the answer of this request; None: it may be anything."""
    tools = request.prompt.tools if isinstance(request.prompt, Chat) else ()
    schema = request.sampling.json_schema
    if not tools and schema is None:
        return None
    # In a thread, as a large schema takes up to a second and other requests must go on.
    return await asyncio.to_thread(AnswerCheck, tools, schema, forced=_is_forced(request.prompt))


async def complaint_about(check: AnswerCheck, answer: Completion) -> str | None:
    """What is wrong with an answer; None: it may be sent."""
    return await asyncio.to_thread(check.complaint, answer)


def _is_forced(prompt: Prompt) -> bool:
    return (
        isinstance(prompt, Chat)
        and bool(prompt.tools)
        and prompt.tool_choice.mode in ("required", "function")
    )


def _is_held_back(request: InferenceRequest) -> bool:
    """Whether nothing may be sent before the whole answer is checked."""
    return request.sampling.json_schema is not None or _is_forced(request.prompt)


def _prepared(request: InferenceRequest, info: EngineInfo) -> tuple[Prompt, Sampling]:
    """The prompt and sampling that make a fitting answer as likely as this engine can."""
    prompt, sampling = request.prompt, request.sampling
    schema = sampling.json_schema
    has_grammar = "grammar" in info.capabilities and sampling.grammar is None
    if isinstance(prompt, Chat) and _is_forced(prompt):
        if info.kind == "http" or not has_grammar:
            # A remote server forces calls by itself; else the template begins the model's turn with a call.
            return prompt, replace(sampling, json_schema=None)
        tools = allowed_tools(prompt)
        schema = call_schema(tools)
        # The grammar forces the call, in a form of its own, so the template must not begin another one.
        prompt = instruct(replace(prompt, tools=tools, tool_choice=ToolChoice()), "json_call.txt", schema)
    elif schema is not None and isinstance(prompt, Chat):
        prompt = instruct(prompt, "json_schema.txt", schema)
    return prompt, replace(sampling, json_schema=schema if has_grammar else None)


def _invalid(answer: Completion, complaint: str) -> StructuredOutputInvalid:
    if answer.finish_reason == "length":
        return StructuredOutputInvalid(
            "the answer was cut off before its JSON was complete.", fix="Raise max_tokens."
        )
    return StructuredOutputInvalid(
        f"the model's answer does not fit, also after one repair: {complaint}",
        fix="Try again, simplify the schema, or use a larger model.",
    )
