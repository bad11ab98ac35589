"""The use of a router in the Studio API: `POST /v1/routers/{id}/versions/{version}/route`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from pydantic import Field

from malmoi.core.errors import NotFound
from malmoi.engine.base import Usage
from malmoi.serve.identity import Principal, require
from malmoi.serve.openai.requests import ignored_header
from malmoi.serve.skills.types import NO_NUL
from malmoi.serve.sse import dumps, while_connected
from malmoi.serve.studio import render
from malmoi.serve.studio.requests import Body, Envelope

if TYPE_CHECKING:
    from malmoi.serve.services import Services

Caller = Annotated[Principal, Depends(require("skills"))]


class Said(Body):
    """Something that the person said before."""

    role: Literal["user"]
    content: str = Field(max_length=4000)


class Route(Body):
    """`POST /v1/routers/{id}/versions/{version}/route`."""

    query: str = Field(min_length=1, max_length=4000)
    chatHistory: list[Said] = Field(default_factory=list, max_length=50)  # noqa: N815
    """What the person said before, oldest first."""


def route_router(services: Services) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1/routers", tags=["Studio API"])

    @router.post("/{router_id}/versions/{version}/route", response_model=Envelope)
    async def route(
        principal: Caller,
        request: Request,
        router_id: Annotated[str, Path(max_length=64, pattern=NO_NUL)],
        version: Annotated[str, Path(max_length=20)],
        body: Route,
    ) -> Response:
        """Tell which domain a query is for, and which filters it meets; the version may be `latest`."""
        frozen = await services.routers.store.version(principal.account_id, router_id, _number(version))
        content = frozen.content
        work = services.routers.route(
            principal, content, body.query, [said.content for said in body.chatHistory]
        )
        trace = await while_connected(request.receive, work)
        if trace is None:
            return Response(status_code=499)  # nobody reads it
        result: dict[str, Any] = {
            "domain": {"result": trace.domain, "called": bool(content.domains)},
            "blockedContent": {"result": trace.blocked, "called": bool(content.blocked)},
            "safety": {"result": trace.safety, "called": content.safety},
            "usage": render.usage_json(Usage(prompt_tokens=trace.tokens)),
        }
        headers = ignored_header(body)
        return Response(dumps(render.envelope_of(result)), headers=headers, media_type="application/json")

    return router


def _number(version: str) -> int | None:
    """A version's number; None: the newest.

    Raises:
        NotFound: it is neither a number nor `latest`.
    """
    if version == "latest":
        return None
    if not (version.isascii() and version.isdecimal() and 0 < int(version) <= 1_000_000):
        raise NotFound(f"the router has no version {version[:20]!r}.")
    return int(version)
