"""The reference of the HTTP APIs: the OpenAPI document, and the same as a page without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from malmoi.serve.errors import Api, api_of

if TYPE_CHECKING:
    from fastapi import FastAPI

_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


@dataclass(frozen=True, slots=True)
class _Operation:
    """One route on the page."""

    method: str
    path: str
    summary: str
    description: str
    answers: tuple[str, ...]


def reference_router(app: FastAPI) -> APIRouter:
    """/openapi.json and /docs of an application."""
    router = APIRouter(tags=["reference"], include_in_schema=False)

    @router.get("/openapi.json")
    async def document() -> JSONResponse:
        """The OpenAPI document."""
        return JSONResponse(app.openapi())

    @router.get("/docs")
    async def page() -> HTMLResponse:
        """All routes on one page."""
        return HTMLResponse(render_reference(app.openapi()), headers={"Content-Security-Policy": _POLICY})

    return router


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what the routes say, and the errors that every route of an API can give."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas.update(_SCHEMAS)
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, methods in document["paths"].items():
            for operation in methods.values():
                _add_errors(operation, api_of(path))
                operation["security"] = [{"key": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema


def _add_errors(operation: dict[str, Any], api: Api) -> None:
    answers = operation["responses"]
    answers.pop("422", None)  # FastAPI's own; ours are 400
    schema = {"$ref": f"#/components/schemas/{_SCHEMA_OF[api]}"}
    for status, meaning in _MEANINGS.items():
        if str(status) not in answers:
            answers[str(status)] = {
                "description": meaning,
                "content": {"application/json": {"schema": schema}},
            }


_MEANINGS = {
    400: "The request is wrong, or asks for what cannot be done.",
    401: "No valid key or session.",
    403: "The caller has not the right, or the request came from a foreign page.",
    404: "There is no such thing, or not for this caller.",
    408: "The body came too slowly.",
    409: "The state of the thing forbids it.",
    413: "The body is too large.",
    422: "The model's answer did not fit its schema, or its file must not be loaded.",
    424: "The model's answer did not fit its schema (Studio API).",
    429: "A limit is used up, or the queue is full; see Retry-After.",
    500: "The engine or the server failed.",
    502: "The engine failed.",
    503: "The model is starting, or the server shuts down; see Retry-After.",
    507: "There is no room on the disk.",
}
_SCHEMA_OF: dict[Api, str] = {
    "openai": "OpenAIError",
    "studio-openai": "OpenAIError",
    "studio": "StudioError",
    "own": "Error",
}
_TEXT = {"type": "string"}
_MAYBE = {"anyOf": [_TEXT, {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_SCHEMAS: dict[str, Any] = {
    "OpenAIError": _object(error=_object(message=_TEXT, type=_MAYBE, param=_MAYBE, code=_MAYBE)),
    "StudioError": _object(status=_object(code=_TEXT, message=_TEXT)),
    "Error": _object(error=_object(code=_TEXT, message=_TEXT, fix=_TEXT, field=_MAYBE)),
}


def render_reference(document: dict[str, Any]) -> str:
    """The OpenAPI document as an HTML page."""
    from jinja2 import Environment

    source = files("malmoi.serve").joinpath("templates", "reference.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True).from_string(source)
    sections: dict[str, list[_Operation]] = {}
    for tag, operation in _operations(document):
        sections.setdefault(tag, []).append(operation)
    return template.render(
        title=document["info"]["title"], version=document["info"]["version"], sections=sections
    )


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, _Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            answers = tuple(
                f"{status}: {answer.get('description', '')}"
                for status, answer in operation["responses"].items()
            )
            yield (
                tag,
                _Operation(
                    method.upper(),
                    path,
                    operation.get("summary", ""),
                    operation.get("description", ""),
                    answers,
                ),
            )
