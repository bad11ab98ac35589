"""Whether the server is alive, ready, or draining; and /healthz, /readyz, /metrics.

Draining: from the first SIGTERM the server is not ready and refuses new requests, while those under way go
    on. `/healthz` answers 200 as long as the event loop turns, so that nobody kills a server that drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response

from malmoi.core.errors import EngineUnavailable
from malmoi.serve.identity import require
from malmoi.serve.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from malmoi.serve.services import Services

ALWAYS_OPEN = ("/healthz", "/readyz")
"""Paths that answer while the server drains, and need no login."""


class Health:
    """The state of the server, and how many requests it is answering."""

    def __init__(self) -> None:
        self.draining = False
        self.started = False
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def num_active(self) -> int:
        """Requests whose response is not finished."""
        return self._active

    def begin(self) -> None:
        """A request came in."""
        self._active += 1
        self._idle.clear()

    def end(self) -> None:
        """A request's response is finished or given up."""
        self._active -= 1
        if self._active == 0:
            self._idle.set()

    async def idle(self, timeout: float) -> bool:
        """Wait until no request is under way; False when some still are after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


class DrainGate:
    """The outermost layer: counts requests, and refuses new ones while the server drains."""

    def __init__(
        self, app: ASGIApp, *, health: Health, on_status: Callable[[int], None], refuse: ASGIApp
    ) -> None:
        self._app = app
        self._health = health
        self._on_status = on_status
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_status(message["status"])
            await send(message)

        if self._health.draining and scope["path"] not in ALWAYS_OPEN:
            await self._refuse(scope, receive, counted)
            return
        self._health.begin()
        try:
            await self._app(scope, receive, counted)
        finally:
            self._health.end()


def draining_error() -> EngineUnavailable:
    """What a new request gets while the server drains."""
    return EngineUnavailable("the server is shutting down and takes no new requests.", retry_after=5)


def health_router(services: Services) -> APIRouter:
    """/healthz, /readyz and /metrics."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        """200 as long as the server can answer at all."""
        return {"status": "ok"}

    @router.get(
        "/readyz",
        summary="Can it take requests?",
        responses={503: {"description": "Still starting, or shutting down."}},
    )
    async def readyz() -> Response:
        """200 when requests are welcome; 503 while the server starts or shuts down."""
        state: dict[str, Any] = {"status": "ready"}
        if services.health.draining:
            state = {"status": "draining", "active": services.health.num_active}
        elif not services.health.started:
            state = {"status": "starting"}
        elif services.engines.is_preloading:
            state = {"status": "loading", "model": services.engines.default}
        ready = state["status"] == "ready"
        return JSONResponse(state, status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        dependencies=[Depends(require("usage"))],  # for keys, too: a scraper sends one
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Counters, gauges and histograms in Prometheus' text format."""
        return Response(services.metrics.render(), media_type=CONTENT_TYPE)

    return router
