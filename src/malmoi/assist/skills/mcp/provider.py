"""The tools of an MCP server as operations."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import jsonschema
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from malmoi.assist.egress import Egress
from malmoi.assist.skills.manifest import Auth, McpSource
from malmoi.assist.skills.mcp.connection import Connection
from malmoi.assist.skills.mcp.http import EgressBridge, bridge_client
from malmoi.assist.skills.mcp.process import process_streams
from malmoi.assist.skills.openapi.request import secret_headers
from malmoi.assist.skills.operation import CallContext, Card, Exchange, File, Operation, Result
from malmoi.core.errors import SkillUnavailable, Unauthenticated, UnknownName

_MAX_TOOLS = 100
_MAX_PAGES = 20
_MAX_SCHEMA = 20_000  # characters
_MAX_DESCRIPTION = 2000
_MAX_TEXT = 200_000
_MAX_FILES = 4
_MAX_FILE = 5 * 1024 * 1024
_SHOWN = 4000
_IDLE = 120.0  # seconds after which a connection is closed
_MAX_CONNECTIONS = 16
_GONE = (-32000, -32700)  # the connection is closed, or was never understood
_SPARE = re.compile(r"[^A-Za-z0-9_-]+")
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


class McpProvider:
    """Calls the tools of an MCP server; each account has a connection of its own.

    The tools are listed once and stay as they were: a server that later describes a tool in other words is
    not believed before the skill is loaded anew.

    Args:
        source: the server.
        auth: how the caller's key is sent (HTTP only).
        egress: the way out.
        seconds: a call may take.
        max_bytes: of one HTTP answer.
        given: somebody's key, for a server that tells nobody its tools without one.
    """

    def __init__(
        self,
        source: McpSource,
        *,
        auth: Auth,
        egress: Egress,
        seconds: float = 30.0,
        max_bytes: int = 8 * 1024 * 1024,
        given: Mapping[str, str] | None = None,
    ) -> None:
        self._source = source
        self._auth = auth
        self._egress = egress
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._given = dict(given or {})
        self._tools: dict[str, tuple[str, Operation]] = {}
        self._connections: dict[tuple[str, tuple[tuple[str, str], ...]], Connection] = {}
        self._listing = asyncio.Lock()

    async def operations(self) -> Sequence[Operation]:
        """The server's tools.

        Raises:
            SkillUnavailable: the server does not answer.
            Unauthenticated: it tells them to nobody without a key, or does not know this one.
        """
        async with self._listing:
            if not self._tools:
                listed = await self._run("", self._given, _list_tools)
                self._given.clear()
                for tool in listed:
                    operation = _operation(tool)
                    if operation is not None and operation.name not in self._tools:
                        self._tools[operation.name] = (tool.name, operation)
        return [operation for _, operation in self._tools.values()]

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Call a tool.

        Raises:
            SkillUnavailable: the server does not answer in time, or is gone.
            Unauthenticated: the caller's key is missing, or the server does not know it.
        """
        await self.operations()
        if operation not in self._tools:
            raise UnknownName("operation", operation, self._tools)
        name = self._tools[operation][0]

        async def job(client: Client) -> CallToolResult:
            return await client.call_tool(name, dict(arguments))

        shown = json.dumps({"tool": name, "arguments": arguments}, ensure_ascii=False, default=str)[:_SHOWN]
        place = self._source.url or (self._source.command or ("",))[0]
        try:
            answer = await self._run(context.account_id, context.credentials, job)
        except MCPError as error:
            message = " ".join(str(error).split())[:300] or "the server refused the call"
            refused = Exchange("tools/call", place, body=shown, response=message)
            return Result(data=message, text=message, is_error=True, exchanges=(refused,))
        return _result(answer, Exchange("tools/call", place, body=shown))

    async def close(self) -> None:
        """End all connections and processes."""
        connections = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(one.close() for one in connections), return_exceptions=True)

    async def _run(self, account: str, credentials: Mapping[str, str], job: Any) -> Any:
        is_known = bool(account or credentials)
        headers = secret_headers(self._auth, credentials) if is_known and self._source.url else {}
        key = (account, tuple(sorted(headers.items())))
        bridge: list[EgressBridge] = []
        await self._close_idle()
        connection = self._connections.get(key)
        if connection is None or not connection.is_open:

            def opened() -> AbstractAsyncContextManager[Any]:
                return self._transport(headers, bridge)

            connection = Connection(opened, seconds=self._seconds)
            self._connections[key] = connection
        try:
            return await connection.run(job)
        except (SkillUnavailable, MCPError, httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
            # The SDK's own ways to say that a server refuses, has broken off, or talked nonsense.
            wants_key = bool(bridge) and bridge[0].wants_key
            if isinstance(error, MCPError) and error.code not in _GONE and not wants_key:
                raise
            self._connections.pop(key, None)
            await connection.close()
            if bridge and bridge[0].refused is not None:
                raise bridge[0].refused from None
            if wants_key:
                raise Unauthenticated(
                    "the MCP server wants a key, or does not know the one it got.",
                    fix="Give it in the settings of the skill.",
                ) from error
            if isinstance(error, SkillUnavailable):
                raise
            why = "is gone" if isinstance(error, MCPError) else f"failed ({type(error).__name__})"
            raise SkillUnavailable(f"the MCP server {why}.") from error

    async def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        by_age = sorted(self._connections.items(), key=lambda item: item[1].last_used)
        spare = len(by_age) - _MAX_CONNECTIONS + 1
        for place, (key, connection) in enumerate(by_age):
            if place < spare or now - connection.last_used > _IDLE or not connection.is_open:
                self._connections.pop(key, None)
                await connection.close()

    @asynccontextmanager
    async def _transport(self, headers: Mapping[str, str], made: list[EgressBridge]) -> AsyncIterator[Any]:
        if self._source.command is not None:
            async with process_streams(self._source.command, self._source.environment) as streams:
                yield streams
            return
        assert self._source.url is not None
        bridge = EgressBridge(self._egress, max_bytes=self._max_bytes)
        made.append(bridge)
        url = str(self._egress.rules.check(self._source.url))
        async with (
            bridge_client(bridge, headers) as client,
            streamable_http_client(url, http_client=client) as streams,
        ):
            yield streams


async def _list_tools(client: Client) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) > _MAX_TOOLS:
            break
    return tools[:_MAX_TOOLS]


def _operation(tool: Tool) -> Operation | None:
    """A tool as an operation; None for one whose schema cannot be used."""
    name = _SPARE.sub("_", tool.name).strip("_")[:64]
    schema = {"type": "object", "properties": {}, **tool.input_schema}
    text = json.dumps(schema, ensure_ascii=False, default=str)
    if not name or len(text) > _MAX_SCHEMA or re.search(r'"\$ref": *"(?!#)', text):
        return None
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        return None
    hints = tool.annotations
    # Without a hint, and whenever the hints contradict each other, a person is asked first.
    is_read = hints is not None and hints.read_only_hint is True and hints.destructive_hint is not True
    title = tool.title or (hints.title if hints is not None else None)
    return Operation(
        name=name,
        description=(tool.description or tool.title or tool.name)[:_MAX_DESCRIPTION],
        parameters=schema,
        effect="read" if is_read else "write",
        title={"en": title[:100]} if title else {},
        # What a server does not say of a tool that writes, the protocol takes for destructive.
        is_final=not is_read and (hints is None or hints.destructive_hint is not False),
    )


def _result(answer: CallToolResult, exchange: Exchange) -> Result:
    texts: list[str] = []
    files: list[File] = []
    for block in answer.content:
        if isinstance(block, TextContent):
            texts.append(block.text)
        elif isinstance(block, ImageContent) and len(files) < _MAX_FILES:
            file = _image(block, len(files) + 1)
            if file is not None:
                files.append(file)
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            texts.append(block.resource.text)
        elif isinstance(block, ResourceLink):
            texts.append(f"{block.name}: {block.uri}")
    text = "\n".join(texts)[:_MAX_TEXT]
    data: Any = answer.structured_content
    if data is None:
        data = _json_or_text(text)
    return Result(
        data=data,
        text=" ".join(text.split())[:300] if answer.is_error else "",
        cards=tuple(Card("plot", file.name, file=file.name) for file in files),
        files=tuple(files),
        is_error=answer.is_error,
        exchanges=(Exchange(exchange.method, exchange.url, body=exchange.body, response=text[:_SHOWN]),),
    )


def _json_or_text(text: str) -> Any:
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _image(block: ImageContent, number: int) -> File | None:
    ending = _ENDINGS.get(block.mime_type.lower())
    if ending is None or len(block.data) > _MAX_FILE * 4 // 3:
        return None
    try:
        content = base64.b64decode(block.data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return File(f"image-{number}.{ending}", block.mime_type.lower(), content)
