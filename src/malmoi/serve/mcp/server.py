"""The tools and resources in the words of the SDK. Imported at the first request, never before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import Server
from pydantic import BaseModel, ValidationError

import malmoi
from malmoi.core.errors import InvalidInput, MalmoiError, NotFound
from malmoi.serve.errors import validation_error
from malmoi.serve.mcp.resources import COLLECTIONS, TEMPLATES, read_resource
from malmoi.serve.mcp.tool import Call, Tool, material_for
from malmoi.serve.mcp.tools import all_tools
from malmoi.serve.mcp.words import instructions

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from malmoi.serve.identity import Principal
    from malmoi.serve.services import Services

_LOG = logging.getLogger("malmoi.serve")
_RESOURCE_NOT_FOUND = -32002


def build_server(services: Services, tasks: set[asyncio.Task[Any]]) -> Server[Any]:
    """The server; who calls is told by each HTTP request.

    Args:
        services: what the tools work with.
        tasks: calls under way; one that was cancelled stays until it has written what it must.
    """
    tools = all_tools()

    async def list_tools(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Those that the caller has the right to."""
        caller = _principal(context)
        return types.ListToolsResult(tools=[_shown(tool) for tool in tools.values() if tool.may(caller)])

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name[:80]!r}.")
        return await _apart(_called(tool, _call(services, context), params.arguments or {}), tasks)

    async def list_resources(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        one = types.Resource(
            uri=COLLECTIONS,
            name="collections",
            title="Collections of documents",
            mime_type="application/json",
        )
        return types.ListResourcesResult(resources=[one] if _principal(context).may("documents") else [])

    async def list_templates(
        context: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        shown = [
            types.ResourceTemplate(
                uri_template=template, name=title, title=title, description=description, mime_type=kind
            )
            for template, (title, description, kind) in TEMPLATES.items()
        ]
        may = _principal(context).may("documents")
        return types.ListResourceTemplatesResult(resource_templates=shown if may else [])

    async def read(
        context: ServerRequestContext[Any, Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        try:
            content = await read_resource(_call(services, context), params.uri)
        except NotFound as error:
            raise MCPError(_RESOURCE_NOT_FOUND, _sentence(error)) from None
        except MalmoiError as error:
            raise MCPError(types.INVALID_PARAMS, _sentence(error)) from None
        contents = types.TextResourceContents(uri=params.uri, mime_type=content.kind, text=content.text)
        return types.ReadResourceResult(contents=[contents])

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


async def _apart(
    work: Coroutine[Any, Any, types.CallToolResult], tasks: set[asyncio.Task[Any]]
) -> types.CallToolResult:
    """Work in a task of its own: the SDK cancels again at every await, and the audit must be written."""
    task = asyncio.create_task(work, name="mcp call")
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        raise


async def _called(tool: Tool, call: Call, arguments: dict[str, Any]) -> types.CallToolResult:
    """The tool's answer; an error is an answer too, so that a model can mend its call."""
    try:
        tool.check(call.principal)
        told = await tool.work(call, _arguments(tool, arguments))
    except MalmoiError as error:
        return _failed(_sentence(error))
    except Exception as error:  # what is a bug must not tell a client about the inside
        _LOG.error("the tool %s failed", tool.name, exc_info=error)
        return _failed("something went wrong in the server.")
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=told.text)],
        structured_content=told.data.model_dump(mode="json"),
    )


def _arguments(tool: Tool, arguments: dict[str, Any]) -> BaseModel:
    try:
        return tool.takes.model_validate(arguments)
    except ValidationError as error:
        faults = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise validation_error(faults, tool.takes) from None
    except RecursionError:
        raise InvalidInput("the arguments are nested too deep.") from None


def _failed(sentence: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=sentence)], is_error=True)


def _sentence(error: MalmoiError) -> str:
    return f"{error.message} {error.fix}".strip().encode("utf-8", "replace").decode()


def _shown(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_schema(tool.takes),
        output_schema=_schema(tool.gives, mode="serialization"),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=tool.is_open,
        ),
    )


def _schema(model: type[BaseModel], *, mode: Any = "validation") -> dict[str, Any]:
    """JSON Schema without the titles and texts that only repeat names: a model pays for every word."""
    schema: dict[str, Any] = _without_titles(model.model_json_schema(mode=mode))
    schema.pop("description", None)
    return schema


def _without_titles(node: Any, *, is_names: bool = False) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_titles(value, is_names=key in ("properties", "$defs") and not is_names)
            for key, value in node.items()
            if is_names or key != "title"
        }
    return [_without_titles(one) for one in node] if isinstance(node, list) else node


def _principal(context: ServerRequestContext[Any, Any]) -> Principal:
    """Who sent the HTTP request that brought this message: it was authorised before the SDK saw it."""
    assert context.request is not None
    principal: Principal = context.request.scope["malmoi.principal"]
    return principal


def _call(services: Services, context: ServerRequestContext[Any, Any]) -> Call:
    async def progress(done: float, message: str) -> None:
        await context.session.report_progress(done, None, message)

    principal = _principal(context)
    return Call(services, principal, material_for(services, principal), progress)
