"""The running server: a socket, granian's HTTP in this process, and an orderly end.

Granian runs embedded (one process, one event loop): half the memory of its usual supervisor with a worker,
no child process to be left behind, and signals in our hands. Its Rust side closes clients that are slow
with their headers and stops reading from the application when a client does not read.

The end: the first SIGTERM or SIGINT makes the server unready and refuses new requests, while those under
way have `shutdown_timeout` seconds; what is left then is cut off with an error that says so. The second
signal cuts at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import ConfigError
from malmoi.serve.app import create_app

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from malmoi.engine.base import Engine
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.app import App
    from malmoi.serve.db import Database
    from malmoi.serve.services import Services
    from malmoi.serve.settings import HttpSettings, ServeSettings

_LOG = logging.getLogger("malmoi.serve")
_BACKLOG = 1024
_PARALLEL_REQUESTS = 1024  # requests inside the application; further connections wait in the backlog
_CUT_OFF_SECONDS = 2.0  # for requests that were cut off to say so
_LINGER_SECONDS = 1.0  # for a client that was sent away to read the answer
_CLOSE_SECONDS = 2.0  # for the HTTP side to close its connections


def run(
    settings: ServeSettings,
    *,
    apps: Sequence[App] = (),
    engines: Mapping[str, Engine] | None = None,
    catalog: Catalog | None = None,
    database: Database | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal ends it.

    Args:
        settings: the server's settings; port 0 takes a free one.
        apps: see `create_app`.
        engines: see `create_app`.
        catalog: see `create_app`.
        database: see `create_app`.
        on_ready: told the address, such as `http://127.0.0.1:8080`, when requests can come.

    Raises:
        ConfigError: the address is taken or not ours, or the server may not listen there without accounts.
    """
    app = create_app(settings, apps=apps, engines=engines, catalog=catalog, database=database)

    def ready(url: str) -> None:
        # What there is by now stays: collections, which stop every request, need not go through it again.
        gc.collect()
        gc.freeze()
        if on_ready is not None:
            on_ready(url)

    asyncio.run(serve(app, settings.http, on_ready=ready))


async def serve(
    app: FastAPI,
    http: HttpSettings,
    *,
    on_ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve an application of `create_app` until a signal, or `stop`, ends it.

    Args:
        app: the application; its lifespan is run here.
        http: address and time limits.
        on_ready: told the address when requests can come.
        stop: counts as the first signal when it is set; given, signals are left alone.
    """
    services: Services = app.state.services
    listener = bind(http)
    ending = _Ending(stop)
    try:
        async with app.router.lifespan_context(app), ending:
            granian = _granian(app, http, listener)
            serving = asyncio.create_task(granian.serve(), name="http")
            try:
                if on_ready is not None:
                    on_ready(address(listener))
                await _first((serving, ending.begun.wait()))
                if not serving.done():
                    await _drain(services, http, ending)
            finally:
                granian.stop()
                await asyncio.wait((serving,), timeout=_CLOSE_SECONDS)
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
    finally:
        listener.close()


def bind(http: HttpSettings) -> socket.socket:
    """A listening socket at the address of the settings.

    Raises:
        ConfigError: the address is taken, or is not one of this machine.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"http.host: {http.host!r} is no address: {error}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit both. A token must not wait for the acknowledgement of the one before (40 ms),
        # and the kernel resets a client that does not take what was sent.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(http.send_timeout * 1000))
        listener.bind(where)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"http.host, http.port: cannot listen on {http.host}:{http.port}: {error.strerror}.",
            fix="Stop the program that uses the port, or take another one (port 0: any free one).",
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """The address under which a listening socket is reached from this machine."""
    host, port, *_ = listener.getsockname()
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _drain(services: Services, http: HttpSettings, ending: _Ending) -> None:
    """Let the requests under way finish, or cut them off when their time is up or a second signal comes."""
    services.health.draining = True
    services.metrics.draining()
    _LOG.info("shutting down: %d requests under way", services.health.num_active)
    await _first((services.health.idle(http.shutdown_timeout), ending.hurried.wait()))
    if services.health.num_active:
        services.inference.abort_all()
        await services.health.idle(_CUT_OFF_SECONDS)


async def _first(works: Sequence[Any]) -> None:
    """Wait until the first of several coroutines or tasks is done; coroutines that are not are cancelled."""
    tasks = [work if isinstance(work, asyncio.Task) else asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, work in zip(tasks, works, strict=True):
        if task is not work:
            task.cancel()


class _Ending:
    """The two signals: the first begins the end, the second hurries it."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, stop: asyncio.Event | None) -> None:
        self.begun = stop if stop is not None else asyncio.Event()
        self.hurried = asyncio.Event()
        self._handles_signals = stop is None

    async def __aenter__(self) -> None:
        if self._handles_signals:
            for number in self._SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    async def __aexit__(self, *_: object) -> None:
        if self._handles_signals:
            for number in self._SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)

    def _on_signal(self) -> None:
        (self.hurried if self.begun.is_set() else self.begun).set()


class HangUp:
    """The layer next to the socket: a response with `Connection: close` ends the connection, read or not.

    When a body is given up half-way, granian's Rust side may go on waiting for the rest of it, and so hold
    the connection for as long as the client likes. Ending our reading side makes it see the end and close.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        closes = False

        async def watched(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                closes = (b"connection", b"close") in message["headers"]
            await send(message)

        await self._app(scope, receive, watched)
        if closes and scope.get("client"):
            host, port = scope["client"]  # granian gives the port as text
            # Not at once: what the client is still sending would cause a reset, and the answer be lost.
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, end_reading, (host, int(port)))


def end_reading(client: tuple[str, int]) -> None:
    """Shut the reading side of this process's connection from `client`; nothing happens if there is none."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile, or no connected socket
            number = os.dup(int(name))
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    connection = socket.socket(fileno=number)
                    number = -1
                    with connection:
                        if connection.getpeername()[:2] == client:
                            connection.shutdown(socket.SHUT_RD)
            finally:
                if number >= 0:
                    os.close(number)


def _granian(app: FastAPI, http: HttpSettings, listener: socket.socket) -> Any:
    """Granian's embedded server on our own socket, whose port is known and which nobody else can share."""
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    holder: Any = SocketHolder

    class OnOurSocket(Server):
        _sfd: Any
        _shd: Any
        _ssp: Any

        def _init_shared_socket(self) -> None:
            # A duplicate, for granian closes what it is given.
            self._sfd = listener.dup().detach()
            self._shd = holder(self._sfd, False, _BACKLOG)
            self._ssp = None

    host, port, *_ = listener.getsockname()
    return OnOurSocket(
        HangUp(app),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,  # the lifespan is run by `serve`
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=round(http.header_timeout * 1000)),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_PARALLEL_REQUESTS,
        log_enabled=False,
    )
