"""One answer as it leaves: the safest of several candidates where the policy asks for it, past the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from malmoi.assist.guard import moderate
from malmoi.core.errors import StructuredOutputInvalid
from malmoi.engine.base import Chunk, Completion, Usage
from malmoi.engine.collect import collect
from malmoi.serve.answers import answer_chunks, complaint_about, from_completion
from malmoi.serve.guards import guarded_chunks
from malmoi.serve.running import InferenceRequest, Running, add_usage, count_tokens

if TYPE_CHECKING:
    from malmoi.assist.guard import Checked, Guard
    from malmoi.serve.structured import AnswerCheck


async def guarded_answer(
    run: Running,
    request: InferenceRequest,
    check: AnswerCheck | None,
    guard: Guard,
    checked: Checked,
    number: int = 0,
    *,
    is_several: bool = False,
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one answer, as the guard lets them leave."""
    answer = guard.answer(checked, wants_filter=request.wants_filter)

    async def usage(tokens: int) -> Usage:
        run.finish_reason = "content_filter" if answer.report.is_blocked else "stop"
        prompt = await count_tokens(run.engine, request.prompt) if number == 0 else 0
        return Usage(prompt_tokens=prompt, completion_tokens=tokens)

    async def complain(whole: Completion) -> str | None:
        return None if check is None else await complaint_about(check, whole)

    candidates = 1 if is_several else count_candidates(guard, request, check)
    if candidates > 1:
        source = _safest(run, request, guard, candidates)
    else:
        source = answer_chunks(run, request, check, number)
    chunks = guarded_chunks(
        source,
        answer,
        is_json=request.sampling.json_schema is not None,
        complain=None if check is None else complain,
        usage=usage,
    )
    try:
        async with aclosing(chunks) as guarded:
            async for chunk in guarded:
                if chunk.finish_reason is not None and request.on_guard is not None:
                    request.on_guard(number, answer.report)
                yield chunk
    except StructuredOutputInvalid as error:
        if not answer.changes_text:
            raise
        # What is wrong is told with words of the answer, which nobody has judged.
        raise StructuredOutputInvalid("the model's answer does not fit its form.", fix=error.fix) from None


def count_candidates(guard: Guard, request: InferenceRequest, check: AnswerCheck | None) -> int:
    """How many answers are written for one that leaves: the policy's `best_of` where they can differ."""
    return guard.policy.best_of if check is None and request.sampling.temperature != 0 else 1


async def _safest(
    run: Running, request: InferenceRequest, guard: Guard, candidates: int
) -> AsyncGenerator[Chunk, None]:
    """The safest of several answers, whole; all of them are paid for."""
    answers = [
        await collect(answer_chunks(run, nth_choice(request, number), None, number))
        for number in range(candidates)
    ]
    chosen = answers[(await asyncio.to_thread(moderate, [one.text for one in answers], guard.judge)).chosen]
    cost = Usage()
    for one in answers:
        cost = add_usage(cost, one.usage)
    # Of the prompt the first one's tokens count: the engine remembers it, and it is billed once.
    cost = replace(cost, prompt_tokens=answers[0].usage.prompt_tokens)
    yield replace(from_completion(chosen), usage=cost)


def nth_choice(request: InferenceRequest, number: int) -> InferenceRequest:
    """The request of one of several choices: with a seed, each choice has one of its own."""
    seed = request.sampling.seed
    if number == 0 or seed is None:
        return request
    return replace(request, sampling=replace(request.sampling, seed=seed + number))
