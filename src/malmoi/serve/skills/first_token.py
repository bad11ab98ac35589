"""How long a person waits for the first word of an answer that rests on a skill.

The query goes the whole way: found by its vector, planned, called (the calendar of holidays, which is on this
machine), and told by the model. It is asked without the cache of prompts, and again as it is the second time.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from malmoi.assist.egress import Egress, EgressRules
from malmoi.assist.skills.found import builtin_skills
from malmoi.assist.skills.loading import open_skill
from malmoi.assist.skills.routing import Router
from malmoi.assist.skills.running import RunRequest, SkillRunner
from malmoi.assist.skills.running.events import TextAdded
from malmoi.core.errors import EngineError
from malmoi.engine.embed import UseEmbedder
from malmoi.engine.open import open_engine
from malmoi.engine.options import EngineOptions
from malmoi.serve.skills.evaluation.asking import EngineModel
from malmoi.serve.skills.evaluation.run import CLOCK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from malmoi.core.types import Chat
    from malmoi.engine.base import Chunk, Completion, Engine, Sampling

_SKILL = "holidays"
_QUERY = "내년 추석 연휴는 언제부터 언제까지야?"


class _Model(EngineModel):
    """An engine that keeps no prompts, or keeps them."""

    def __init__(self, engine: Engine, *, keeps: bool) -> None:
        super().__init__(engine)
        self._keeps = keeps

    async def stream(self, chat: Chat, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        kept = replace(sampling, cache_prompt=self._keeps)
        async with aclosing(super().stream(chat, kept)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        return await super().generate(chat, replace(sampling, cache_prompt=self._keeps))


class _NoApprovals:
    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        del account_id, run_id, call_id, arguments_hash
        return False


async def first_token_times(model: str, home: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds until the model's first word: without the cache, and with a prompt that was there before.

    Args:
        model: its name.
        home: Malmoi's home directory.
        repeats: how many of each.

    Raises:
        EngineError: the model said nothing.
        MalmoiError: what opening the model raises.
    """
    egress = Egress(EgressRules())
    embedder = UseEmbedder()
    engine = await open_engine(model, home=home, options=EngineOptions(slots=1))
    try:
        skill = next(one for one in builtin_skills() if one.name == _SKILL)
        loaded = await open_skill(skill, egress=egress)
        runner = SkillRunner(Router(embedder.embed), _NoApprovals())

        async def wait(*, keeps: bool) -> float:
            request = RunRequest(
                run_id="bench",
                account_id="bench",
                query=_QUERY,
                skills=[loaded],
                now=CLOCK,
                model=_Model(engine, keeps=keeps),
                always_tell=True,
            )
            began, first = time.perf_counter(), 0.0
            async with aclosing(runner.run(request)) as events:
                async for event in events:
                    if isinstance(event, TextAdded) and event.source == "model" and not first:
                        first = time.perf_counter() - began
            if not first:
                raise EngineError(f"{model} said nothing about what the skill {_SKILL} found.")
            return first

        await wait(keeps=False)  # the first query reads the embedder's files and the examples' vectors
        cold = [await wait(keeps=False) for _ in range(repeats)]
        await wait(keeps=True)
        warm = [await wait(keeps=True) for _ in range(repeats)]
        await loaded.close()
    finally:
        await engine.close()
        await embedder.close()
        await egress.close()
    return cold, warm
