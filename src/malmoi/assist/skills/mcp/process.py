"""An MCP server as a child process that cannot outlive us, flood us, or leave children behind.

The process gets a session of its own; at the end the whole group is ended, also where the server itself has
gone before. A line or a backlog that is too long ends the connection. What it writes to standard error is
thrown away.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from malmoi.core.errors import SkillUnavailable

_LOG = logging.getLogger(__name__)
MAX_LINE = 4 * 1024 * 1024  # bytes of one message
_INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER")
_GRACE = 1.0  # seconds between the end of its input, a request to end, and the end


@asynccontextmanager
async def process_streams(
    command: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from and to a server that runs while the context lasts.

    Raises:
        SkillUnavailable: the command cannot be started.
    """
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**inherited, **environment},
            start_new_session=True,
            limit=MAX_LINE,
        )
    except (OSError, ValueError) as error:
        raise SkillUnavailable(
            f"the MCP server {command[0]!r} cannot be started ({error.__class__.__name__}).",
            fix="Install it, or correct source.mcp.command.",
        ) from error
    try:
        to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        from_session, to_server = anyio.create_memory_object_stream[SessionMessage](0)
        reading = asyncio.create_task(_read(child, to_session))
        writing = asyncio.create_task(_write(child, to_server))
        try:
            yield from_server, from_session
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            for stream in (to_session, from_server, from_session, to_server):
                stream.close()
    finally:
        await _shielded(_end(child))


async def _read(child: asyncio.subprocess.Process, to_session: Any) -> None:
    assert child.stdout is not None
    async with to_session:  # when it is closed, the session knows that the server is gone
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:  # a line longer than the limit
                _LOG.warning("an MCP server wrote a message longer than %d bytes", MAX_LINE)
                return
            if not line:
                return
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError as error:
                told: SessionMessage | Exception = ValueError(f"malformed message ({type(error).__name__})")
            else:
                told = SessionMessage(message)
            try:
                await to_session.send(told)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                return


async def _write(child: asyncio.subprocess.Process, to_server: Any) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError):  # the reader sees that it is gone
        async for message in to_server:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            child.stdin.write(text.encode() + b"\n")
            await child.stdin.drain()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Close its input, ask the group to end, and end it."""
    if child.stdin is not None:
        child.stdin.close()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while child.returncode is None:
                    await asyncio.sleep(0.01)
        if child.returncode is not None and number is None:
            # The server has gone by itself; whatever it has started must go as well.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        if child.returncode is not None:
            break
    # A survivor outside of the group may still hold the pipes; without this they would never be closed.
    transport = getattr(child, "_transport", None)
    if transport is not None:
        transport.close()


async def _shielded(work: Any) -> None:
    """Finish the work even if we are cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
