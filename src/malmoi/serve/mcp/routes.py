"""`/mcp`: authorised like every other route, then handed to the SDK as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from malmoi.core.errors import InvalidInput
from malmoi.serve.identity import Principal, require

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from malmoi.serve.mcp.endpoint import McpEndpoint

# One right of these; what a single tool needs is asked when it is called.
Caller = Annotated[Principal, Depends(require("documents", "skills", "inference", "chat", "models"))]
_JSON = {"application/json": {"schema": {"type": "object"}}}
_REFUSALS: dict[int | str, str] = {
    400: "The message is none, or not for this version of the protocol.",
    404: "There is no such session, or no such method.",
    413: "The message is too large.",
    503: "Too many sessions are open.",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The JSON-RPC answer, or a stream of it with notifications before.",
        "content": {**_JSON, "text/event-stream": {}},
    },
    202: {"description": "A notification was taken."},
    406: {"description": "The client must accept both kinds of answers."},
    **{
        status: {"description": meaning, "content": {**_JSON, "text/plain": {}}}
        for status, meaning in _REFUSALS.items()
    },
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def mcp_router(endpoint: McpEndpoint) -> APIRouter:
    """The routes. There is no GET: the server sends nothing that a request did not ask for."""
    router = APIRouter(tags=["MCP"])

    @router.post("/mcp", response_class=Response, responses=_ANSWERS, openapi_extra=_BODY)
    async def answer_message(principal: Caller, request: Request) -> Response:
        """Answer one message of the Model Context Protocol (streamable HTTP, 2024-11-05 to 2026-07-28)."""
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            raise InvalidInput("a message is JSON.", field="content-type", fix="Send application/json.")
        return _HandedOver(endpoint, principal)

    @router.delete("/mcp", response_class=Response, responses=_ANSWERS)
    async def end_session(principal: Caller, request: Request) -> Response:
        """End a session of the protocol's versions up to 2025-11-25."""
        return _HandedOver(endpoint, principal)

    return router


class _HandedOver(Response):
    """The SDK's own response; it reads the request itself."""

    def __init__(self, endpoint: McpEndpoint, principal: Principal) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint.answer(self._principal, scope, receive, send)
