"""The run of a skill set in the Studio API: `POST /v1/skillsets/{id}/versions/{version}/final-answer`.

The caller's switched-on skills of the set run, with the version's train rows as demonstrations. Headers and
parameters of a skill's calls are never taken from a request: each account's own keys are used, and what is
called is what was planned and checked. A `requestOverride` that says anything is therefore refused, as an
answer without it would be to another question. What would change something needs a person's yes in the
browser.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import Field, JsonValue

from malmoi.core.errors import Conflict, NotFound, Unsupported
from malmoi.core.types import Message
from malmoi.serve.errors import envelope
from malmoi.serve.identity import Principal, require
from malmoi.serve.openai.requests import ignored_header
from malmoi.serve.skills.service import SkillRun, Stage
from malmoi.serve.skills.trainer.sets import shown
from malmoi.serve.skills.types import NO_NUL
from malmoi.serve.sse import EventStream, dumps, event, while_connected
from malmoi.serve.studio import render
from malmoi.serve.studio.requests import Body, Envelope

if TYPE_CHECKING:
    from malmoi.serve.services import Services

Caller = Annotated[Principal, Depends(require("skills"))]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Envelope,
        "description": "The answer; with `Accept: text/event-stream` planning, cot, token, finalAnswer.",
        "content": {"text/event-stream": {}},
    }
}


class HistoryTurn(Body):
    """Something that was said before."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class FinalAnswer(Body):
    """`POST /v1/skillsets/{id}/versions/{version}/final-answer`."""

    query: str = Field(min_length=1, max_length=4000)
    tokenStream: bool = False  # noqa: N815
    """Send pieces of the answer as events `token`."""
    chatHistory: list[HistoryTurn] = Field(default_factory=list, max_length=20)  # noqa: N815
    requestOverride: dict[str, JsonValue] | None = None  # noqa: N815
    """Must be empty: calls use the account's own keys, and the arguments that were planned."""


def skillset_router(services: Services) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1/skillsets", tags=["Studio API"])

    @router.post("/{skillset_id}/versions/{version}/final-answer", response_model=Envelope, responses=_STREAM)
    async def final_answer(
        principal: Caller,
        request: Request,
        skillset_id: Annotated[str, Path(max_length=64, pattern=NO_NUL)],
        version: Annotated[str, Path(max_length=20)],
        body: FinalAnswer,
    ) -> Response:
        """Answer a query with a skill set of yours.

        The version may be `latest`: the one that you apply to your runs, or else the newest.
        """
        if _says_anything(body.requestOverride):
            raise Unsupported(
                "requestOverride: calls use your own keys and what was planned; neither can be given here.",
                fix="Leave it out, and give keys for the skill in the browser.",
            )
        stages = await _started(services, principal, skillset_id, version, body)
        headers = ignored_header(body)
        answer = _Answer()
        kinds = [kind.split(";")[0].strip().lower() for kind in request.headers.get("accept", "").split(",")]
        if "text/event-stream" in kinds:
            return EventStream(
                answer.events(stages, has_tokens=body.tokenStream),
                on_error=lambda error: render.error_event(envelope(error, "studio")),
                send_timeout=services.settings.http.send_timeout,
                headers=headers,
            )
        whole = await while_connected(request.receive, answer.whole(stages))
        if whole is None:
            return Response(status_code=499)  # nobody reads it
        return Response(dumps(render.envelope_of(whole)), headers=headers, media_type="application/json")

    return router


async def _started(
    services: Services, principal: Principal, set_id: str, version: str, body: FinalAnswer
) -> AsyncGenerator[Stage, None]:
    """The stages of a run that shows the rows of one version.

    Raises:
        NotFound: the account has no such set, or the set no such version.
    """
    skills, account = services.skills, principal.account_id
    versions = await skills.trainer.versions.all(account, set_id)
    number = None
    if version == "latest" and versions:
        applied = (await skills.trainer.sets.get(account, set_id)).applied_version
        number = applied if applied is not None else versions[0].number
    if version.isascii() and version.isdecimal():
        number = int(version)
    if number is None or number not in {one.number for one in versions}:
        raise NotFound(f"the skill set has no version {version!r}.")
    _, about, rows = await skills.trainer.versions.content(account, set_id, number)
    on = await skills.choices.switched_on(account)
    return skills.run(
        principal,
        SkillRun(
            query=body.query,
            skills=[name for name in on if name in about["skills"]],
            turns=[Message(turn.role, turn.content) for turn in body.chatHistory],
            demonstrations=shown([one for one in rows if one.part == "train"]),
            shows_applied=False,
        ),
    )


def _says_anything(override: Any) -> bool:
    """Whether there is more in it than empty objects and lists."""
    if isinstance(override, dict):
        return any(_says_anything(value) for value in override.values())
    if isinstance(override, list):
        return any(_says_anything(value) for value in override)
    return override is not None


@dataclass(slots=True)
class _Answer:
    """One answer, whole or as events."""

    text: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0

    async def whole(self, stages: AsyncGenerator[Stage, None]) -> dict[str, Any]:
        """The result of the envelope."""
        async with aclosing(stages) as source:
            async for stage in source:
                self._take(stage)
        return self._result()

    async def events(
        self, stages: AsyncGenerator[Stage, None], *, has_tokens: bool
    ) -> AsyncGenerator[bytes, None]:
        """Events planning, cot for each call, token if wanted, and finalAnswer."""
        async with aclosing(stages) as source:
            async for stage in source:
                self._take(stage)
                if stage.kind == "routed":
                    yield _event("planning", {"selectedSkill": stage.data["skill"] or "", "tokenCount": 0})
                elif stage.kind == "observed":
                    yield _event("cot", {"apiResult": self.calls, "tokenCount": self.tokens})
                elif stage.kind == "text" and has_tokens:
                    message = {"role": "assistant", "content": stage.data["text"]}
                    yield _event("token", {"message": message})
        yield _event("finalAnswer", self._result())

    def _take(self, stage: Stage) -> None:
        data = stage.data
        if stage.kind == "confirm":
            raise Conflict(
                f"{data['skill']}.{data['operation']} would change something, and needs a person's yes.",
                fix="Ask for it in the browser.",
            )
        if stage.kind == "called":
            self.names[data["call_id"]] = data["title"]
            self.arguments[data["call_id"]] = data["arguments"]
        elif stage.kind == "observed":
            self.calls.append(self._call(data))
        elif stage.kind == "text":
            self.text.append(data["text"])
        elif stage.kind == "ended":
            self.tokens = data["prompt_tokens"] + data["completion_tokens"]

    def _call(self, data: dict[str, Any]) -> dict[str, Any]:
        exchange = data["exchanges"][-1] if data["exchanges"] else {}
        arguments = json.dumps(self.arguments.get(data["call_id"], {}), ensure_ascii=False)
        return {
            "url": exchange.get("url", ""),
            "requestBody": exchange.get("body") or arguments,
            "responseBody": data["text"],
            "apiOrder": len(self.calls),
            "operationId": data["operation"],
            "nameForHuman": self.names.get(data["call_id"], data["operation"]),
        }

    def _result(self) -> dict[str, Any]:
        return {
            "finalAnswer": "".join(self.text),
            "tokenCount": self.tokens,
            "useTask": False,  # demonstrations are shown; no model was trained on the set
            "apiResult": self.calls,
        }


def _event(name: str, data: dict[str, Any]) -> bytes:
    return event(data, name=name, event_id=str(uuid.uuid4()))
