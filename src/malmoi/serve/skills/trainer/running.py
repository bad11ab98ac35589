"""Queries tried with the skills of a set, stage by stage. What changes something waits for a yes, as ever."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from malmoi.assist.skills.running import DirectCall
from malmoi.core.errors import InvalidInput
from malmoi.core.types import Message
from malmoi.serve.errors import envelope
from malmoi.serve.identity import Principal, Scope, require
from malmoi.serve.skills.service import SkillRun, Skills, Stage
from malmoi.serve.skills.trainer.sets import shown
from malmoi.serve.skills.trainer.types import SetRunBody
from malmoi.serve.skills.types import NO_NUL
from malmoi.serve.sse import EventStream, event

if TYPE_CHECKING:
    from malmoi.serve.settings import HttpSettings

_STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


def set_run_router(skills: Skills, http: HttpSettings) -> APIRouter:
    """The route that tries a query with a set."""
    router = APIRouter(prefix="/api/skills/sets", tags=["skill trainer"])

    @router.post("/{set_id}/runs", response_class=Response, responses=_STREAMS)
    async def try_query(
        principal: Annotated[Principal, Depends(require(Scope.SKILLS))],
        set_id: Annotated[str, Path(max_length=64, pattern=NO_NUL)],
        body: SetRunBody,
    ) -> Response:
        """Run skills of a set for a query, with its train rows or without; the events are those of a run."""
        asked = await _asked(skills, principal, set_id, body)
        return EventStream(
            _encoded(skills.run(principal, asked)),
            on_error=lambda error: event(envelope(error, "own"), name="error"),
            send_timeout=http.send_timeout,
        )

    return router


async def _asked(skills: Skills, principal: Principal, set_id: str, body: SetRunBody) -> SkillRun:
    _, about, rows = await skills.trainer.versions.content(principal.account_id, set_id, None)
    for number, name in enumerate(body.skills):
        if name not in about["skills"]:
            raise InvalidInput(f"the set has no skill {name!r}.", field=f"skills.{number}")
    train = [one for one in rows if one.part == "train"]
    direct = body.direct
    return SkillRun(
        query=body.query,
        model=body.model,
        skills=body.skills,
        turns=[Message(turn.role, turn.content) for turn in body.turns],
        language=body.language,
        zone=body.zone,
        direct=DirectCall(direct.skill, direct.operation, direct.arguments) if direct is not None else None,
        demonstrations=shown(train) if body.shown else (),
        shows_applied=False,
        of_set=True,
    )


async def _encoded(stages: AsyncGenerator[Stage, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(stages) as source:
        async for stage in source:
            yield event({"number": stage.number, **stage.data}, name=stage.kind)
