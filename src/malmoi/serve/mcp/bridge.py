"""From standard input and output to a running server, for clients that start their servers themselves.

Every request is passed on by itself in the protocol of 2026-07-28, which has no sessions: the server may be
started anew meanwhile. Nothing is kept here, and nothing can be done that the key may not do over HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import malmoi
from malmoi.core.errors import EngineUnavailable, Forbidden, InvalidInput, Unauthenticated
from malmoi.serve.mcp.words import instructions

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

_VERSION = "2026-07-28"
_SECONDS = 300.0  # a run of skills may take its time
_GREETING = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def serve_stdio(url: str, key: str) -> None:
    """Serve MCP on standard input and output until the client closes it.

    Args:
        url: of the server, such as `http://127.0.0.1:8080`.
        key: an API key; empty: none, for a server that needs no log-in.

    Raises:
        InvalidInput: the address is none, or would show the key to the network.
        EngineUnavailable: nothing answers there, or it is no such server.
        Unauthenticated, Forbidden: the key is not valid, or has none of the rights.
    """
    address = _checked(url, key)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=_SECONDS, trust_env=False) as http:
        await _greet(http, address)
        server = build_bridge(http, address)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


def build_bridge(http: httpx2.AsyncClient, address: str) -> Server[Any]:
    """A server whose every answer is that of the server at `address`."""

    @asynccontextmanager
    async def upstream() -> AsyncIterator[Client]:
        transport = streamable_http_client(address, http_client=http)
        try:
            async with Client(transport, mode=_VERSION, cache=None) as client:
                yield client
        except* httpx2.HTTPError:
            raise MCPError(types.INTERNAL_ERROR, _gone(address).message) from None
        except* MCPError as errors:
            raise _first(errors) from None

    async def list_tools(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        async with upstream() as client:
            return await client.list_tools(cursor=params.cursor if params else None)

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        async with upstream() as client:
            return await client.call_tool(
                params.name, params.arguments, progress_callback=context.session.report_progress
            )

    async def list_resources(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        async with upstream() as client:
            return await client.list_resources(cursor=params.cursor if params else None)

    async def list_templates(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        async with upstream() as client:
            return await client.list_resource_templates(cursor=params.cursor if params else None)

    async def read(
        context: ServerRequestContext[Any, Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        async with upstream() as client:
            return await client.read_resource(params.uri)

    return Server(
        "malmoi",
        version=malmoi.__version__,
        title="Malmoi",
        instructions=instructions(),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
    )


async def _greet(http: httpx2.AsyncClient, address: str) -> None:
    """Find out now what would be wrong with every request."""
    headers = {"mcp-protocol-version": _VERSION, "accept": "application/json, text/event-stream"}
    try:
        answer = await http.post(address, json=_GREETING, headers=headers)
    except httpx2.HTTPError as error:
        raise _gone(address) from error
    if answer.status_code == 401:
        raise Unauthenticated(
            f"{address} does not take the key.",
            fix="Make one in the settings, and give it as MALMOI_API_KEY.",
        )
    if answer.status_code == 403:
        raise Forbidden(
            f"{address} refuses: the key has none of the rights documents, skills and inference, or the "
            "server is not called by that name.",
            fix="Make another key in the settings, or add the name to http.allowed_hosts.",
        )
    if answer.status_code != 202:
        raise EngineUnavailable(
            f"{address} answers with {answer.status_code}: it is no Malmoi, or an older one.",
            fix="Look at --url.",
        )


def _gone(address: str) -> EngineUnavailable:
    return EngineUnavailable(f"nothing answers at {address}.", fix="Run: malmoi serve")


def _first(errors: ExceptionGroup[MCPError]) -> MCPError:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found


def _checked(url: str, key: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise InvalidInput(f"--url {url!r} is no address.", fix="Such as http://127.0.0.1:8080") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise InvalidInput(f"--url {url!r} is no address.", fix="Such as http://127.0.0.1:8080")
    if key and parsed.scheme == "http" and not _is_loopback(parsed.host):
        raise InvalidInput(
            f"--url {url!r}: over plain http everybody on the way could read the key.", fix="Use https."
        )
    path = parsed.path.rstrip("/").removesuffix("/mcp")
    return str(parsed.copy_with(path=f"{path}/mcp", query=None, fragment=None))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
