"""Sessions of MCP clients, each account's apart, opened when they are first needed.

The protocol up to 2025-11-25 has sessions, so that a call can be cancelled by a later message; from
2026-07-28 on each request stands alone. The SDK serves both. Every account has a session manager of its own:
a session id of somebody else is not known in it, and nobody can use up the sessions of others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import EngineUnavailable

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from starlette.types import Receive, Scope, Send

    from malmoi.serve.identity import Principal
    from malmoi.serve.services import Services

_ACCOUNTS = 256  # managers; of those that answer nothing now the one unused for longest makes room
_SESSIONS = 32  # of one account
_IDLE = 15 * 60.0  # seconds after which a session ends
_BODY = 1024 * 1024  # bytes of a message


class McpEndpoint:
    """Answers messages of MCP clients.

    Args:
        services: what the tools work with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._server: Server[Any] | None = None
        self._accounts: OrderedDict[str, _Sessions] = OrderedDict()
        self._calls: set[asyncio.Task[Any]] = set()
        self._opening = asyncio.Lock()
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """Whether anybody has asked yet: before, the SDK is not even imported."""
        return self._server is not None

    async def answer(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request of a caller.

        Raises:
            EngineUnavailable: the server stops.
        """
        sessions = await self._sessions(principal.account_id)
        try:
            await sessions.answer(principal, scope, receive, send)
        finally:
            sessions.active -= 1

    async def close(self) -> None:
        """End all sessions and what they run."""
        self._is_closed = True
        for sessions in self._accounts.values():
            await sessions.close()
        self._accounts.clear()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _sessions(self, account_id: str) -> _Sessions:
        """The account's, which is then in use."""
        async with self._opening:
            if self._is_closed:
                raise EngineUnavailable("the server stops.")
            if self._server is None:
                # Importing the SDK takes most of a second: other requests go on meanwhile.
                self._server = await asyncio.to_thread(_build, self._services, self._calls)
            sessions = self._accounts.get(account_id)
            if sessions is None:
                await self._make_room()
                sessions = self._accounts[account_id] = _Sessions(self._server)
                await sessions.open()
            self._accounts.move_to_end(account_id)
            sessions.active += 1
            return sessions

    async def _make_room(self) -> None:
        spare = len(self._accounts) - _ACCOUNTS + 1
        for account_id, sessions in list(self._accounts.items()):
            if spare <= 0:
                return
            if sessions.active == 0:
                del self._accounts[account_id]
                await sessions.close()
                spare -= 1


class _Sessions:
    """The sessions of one account, in a task of their own: they must be opened and closed in the same one."""

    def __init__(self, server: Server[Any]) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        self._manager = StreamableHTTPSessionManager(
            server,
            session_idle_timeout=_IDLE,
            max_sessions=_SESSIONS,
            max_request_body_size=_BODY,
            # Host and Origin are looked at before, for all routes (serve/security.py).
        )
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.active = 0

    async def open(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="mcp sessions")
        await self._ready

    async def answer(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a session belongs to the key that opened it."""
        from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
        from mcp.server.auth.provider import AccessToken

        who = f"{principal.account_id} {principal.key_id or ''}"
        user = AuthenticatedUser(AccessToken(token="", client_id=who, scopes=[]))
        await self._manager.handle_request(
            {**scope, "user": user, "malmoi.principal": principal}, receive, send
        )

    async def close(self) -> None:
        """End all sessions, and the calls that they run."""
        self._ending.set()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((self._task,))

    async def _run(self) -> None:
        async with self._manager.run():
            self._ready.set_result(None)
            await self._ending.wait()


def _build(services: Services, calls: set[asyncio.Task[Any]]) -> Server[Any]:
    from malmoi.serve.mcp.server import build_server

    return build_server(services, calls)
