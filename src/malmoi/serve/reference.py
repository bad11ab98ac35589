"""The reference of the HTTP APIs: the OpenAPI document, and the same as a page without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

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
