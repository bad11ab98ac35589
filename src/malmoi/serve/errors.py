"""Errors as HTTP, in one place: the class decides the status, the path decides the shape.

/v1/openai/                                  {"error": {"message", "type", "param", "code"}}, Studio codes
/v1/chat-completions/, /v3/, /v1/api-tools/  {"status": {"code", "message"}}
/v1/users/, /v1/skillsets/, /v1/routers/      the same
/v1/                                         {"error": {"message", "type", "param", "code"}}, OpenAI codes
everything else                              {"error": {"code", "message", "fix", "field"}}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from malmoi.core import errors as e
from malmoi.core.fields import EXTRA, field_names, nearest
from malmoi.serve.limits import LimitExceeded

Api: TypeAlias = Literal["openai", "studio", "studio-openai", "own"]

_LOG = logging.getLogger("malmoi.serve")
_INTERNAL = "internal_error"
_BUG_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class RequestRefused(e.MalmoiError):
    """A request that HTTP itself forbids: too large, too slow, of the wrong kind, or to nowhere."""

    code = "request_refused"

    def __init__(
        self, status: int, code: str, message: str, *, fix: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.kind = code
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class _Kind:
    """One class of errors in each API: status, OpenAI's type and code, and the Studio API's code."""

    status: int
    openai_type: str
    openai_code: str | None
    studio: str


_INVALID = "invalid_request_error"
# The first class of an error's ancestry that is listed here decides.
_KINDS: Mapping[type[Exception], _Kind] = {
    e.ContextOverflow: _Kind(400, _INVALID, "context_length_exceeded", "40003"),
    e.InvalidInput: _Kind(400, _INVALID, "invalid_value", "40001"),
    e.Unsupported: _Kind(400, _INVALID, "unsupported_value", "40009"),
    e.Unauthenticated: _Kind(401, "authentication_error", "invalid_api_key", "40100"),
    e.Forbidden: _Kind(403, "permission_error", "permission_denied", "40300"),
    e.UnknownName: _Kind(404, _INVALID, "model_not_found", "40080"),
    e.NotFound: _Kind(404, _INVALID, "not_found", "40400"),
    e.Conflict: _Kind(409, _INVALID, "conflict", "40000"),
    e.ModelFileInvalid: _Kind(422, _INVALID, "model_file_invalid", "40080"),
    e.StructuredOutputInvalid: _Kind(422, _INVALID, "structured_output_invalid", "42400"),
    e.RateLimited: _Kind(429, "rate_limit_error", "rate_limit_exceeded", "42901"),
    e.Overloaded: _Kind(429, "overloaded", "overloaded", "42902"),
    e.DocumentUnreadable: _Kind(422, _INVALID, "document_unreadable", "40005"),
    e.SkillUnavailable: _Kind(502, "server_error", "skill_unavailable", "61004"),
    e.MissingExtra: _Kind(501, "server_error", "missing_extra", "50100"),
    e.DownloadFailed: _Kind(502, "server_error", "download_failed", "50000"),
    e.EngineUnavailable: _Kind(503, "server_error", "engine_unavailable", "50300"),
    e.EngineError: _Kind(502, "server_error", "engine_error", "50000"),
    e.DiskFull: _Kind(507, "server_error", "disk_full", "50000"),
    e.MalmoiError: _Kind(500, "server_error", _INTERNAL, "50000"),
}
_STUDIO_STATUS: Mapping[int, str] = {
    404: "40400",
    405: "40000",
    406: "40600",
    408: "40800",
    413: "41300",
    415: "41500",
}


_STUDIO = (
    *("/v3/", "/v1/chat-completions/", "/v1/api-tools/"),
    *("/v1/users/", "/v1/skillsets/", "/v1/routers/"),
)


def api_of(path: str) -> Api:
    """Which API a path belongs to, and so the shape of its errors."""
    for prefix in ("/testapp", "/serviceapp"):
        if path.startswith(prefix + "/"):
            path = path[len(prefix) :]
    if path.startswith("/v1/openai/"):
        return "studio-openai"
    if path.startswith(_STUDIO):
        return "studio"
    return "openai" if path.startswith("/v1/") else "own"


def status_of(error: Exception, api: Api = "own") -> int:
    """The HTTP status of an error; in the Studio API it is the first three digits of the code."""
    if isinstance(error, RequestRefused):
        return error.status
    kind = _kind(error)
    return int(kind.studio[:3]) if api.startswith("studio") else kind.status


def envelope(error: Exception, api: Api) -> dict[str, Any]:
    """An error as the JSON of one API. Errors that are bugs say nothing about the inside."""
    kind = _kind(error)
    field = getattr(error, "field", None)
    message, fix, code = "something went wrong in the server.", "Look at the server's log.", _INTERNAL
    if isinstance(error, e.MalmoiError):
        message, fix, code = error.message, error.fix, error.code
    if isinstance(error, RequestRefused):
        code = error.kind
    text = _plain(f"{message} {fix}".strip() if isinstance(error, e.MalmoiError) else message)
    if api == "own":
        return {"error": {"code": code, "message": _plain(message), "fix": _plain(fix), "field": field}}
    if api == "openai":
        shown = error.kind if isinstance(error, RequestRefused) else kind.openai_code
        return {"error": {"message": text, "type": kind.openai_type, "param": field, "code": shown}}
    studio = _studio_code(error, kind)
    if api == "studio":
        return {"status": {"code": studio, "message": text}}
    return {"error": {"message": text, "type": None, "param": field, "code": studio}}


def headers_of(error: Exception) -> dict[str, str]:
    """Headers that belong to an error: when to try again, how to authenticate."""
    headers: dict[str, str] = {}
    if isinstance(error, RequestRefused):
        headers |= error.headers
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    if isinstance(error, LimitExceeded):
        headers |= error.status.headers()
    if isinstance(error, e.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def error_response(error: Exception, scope: Scope) -> JSONResponse:
    """The response for an error, in the shape of the API that the request's path belongs to."""
    api = api_of(scope["path"])
    return JSONResponse(envelope(error, api), status_of(error, api), headers_of(error))


def validation_error(errors: Sequence[Any], body: Any = None) -> e.InvalidInput:
    """One of pydantic's complaints as one of ours, with the path of the field in the request.

    Args:
        errors: all of them.
        body: the type of the body, whose names are told where one is not known.
    """
    # A misspelt field is also a missing one; the misspelling tells people more.
    first = next((one for one in errors if one.get("type") == EXTRA), errors[0])
    where, *rest = first["loc"] or ("body",)
    # Names of union members ("function-after[...]", class names) are pydantic's, not the client's.
    path = ".".join(str(part) for part in rest if isinstance(part, int) or _is_field(part)) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first.get("type") == EXTRA:
        known = field_names(body, rest[:-1])
        near = nearest(str(rest[-1]), known)
        meant = f"did you mean {near!r}?" if near else f"known here: {', '.join(known)}." if known else ""
        message = f"there is no such field{f'; {meant}' if meant else '.'}"
    if where not in ("body", None):
        message = f"{where}: {message}"
    end = "" if message.endswith((".", "?")) else "."
    return e.InvalidInput(f"{path or 'the request'}: {message}{end}", field=path)


def install_error_handlers(app: FastAPI) -> None:
    """Map every error of every route."""

    async def on_known(request: Request, error: Exception) -> JSONResponse:
        if status_of(error) >= 500 and not isinstance(error, e.EngineUnavailable):
            _LOG.warning("%s %r: %r", request.method, request.scope["path"], str(error))
        return error_response(error, request.scope)

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        field = getattr(request.scope.get("route"), "body_field", None)
        body = field.field_info.annotation if field is not None else None
        return error_response(validation_error(error.errors(), body), request.scope)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return error_response(_refused(error, request.scope), request.scope)

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        _LOG.error("%s %r failed", request.method, request.scope["path"], exc_info=error)
        response = error_response(error, request.scope)
        # The framework answers bugs outside of every layer, and so outside of the one that adds headers.
        response.headers.update(_BUG_HEADERS)
        return response

    app.add_exception_handler(e.MalmoiError, on_known)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)


def _refused(error: HTTPException, scope: Scope) -> e.MalmoiError:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return RequestRefused(
            404, "not_found", f"there is nothing at {_shown(scope['path'])}.", headers=headers
        )
    if error.status_code == 405:
        return RequestRefused(
            405, "method_not_allowed", f"{scope['method']} is not possible here.", headers=headers
        )
    return RequestRefused(error.status_code, "request_refused", str(error.detail), headers=headers)


def _kind(error: Exception) -> _Kind:
    if isinstance(error, RequestRefused):
        return _Kind(error.status, _INVALID, error.kind, _STUDIO_STATUS.get(error.status, "40000"))
    for cls in type(error).__mro__:
        if cls in _KINDS:
            return _KINDS[cls]
    return _KINDS[e.MalmoiError]


def _studio_code(error: Exception, kind: _Kind) -> str:
    if isinstance(error, e.InvalidInput) and (error.field or "").startswith(
        ("responseFormat", "response_format")
    ):
        return "40055"
    return kind.studio


def _is_field(part: Any) -> bool:
    return isinstance(part, str) and part.replace("_", "").isalnum() and part.isascii() and len(part) <= 64


def _shown(path: str) -> str:
    return path if len(path) <= 100 else path[:100] + "..."


def _plain(text: str) -> str:
    """Text that every JSON encoder takes: what a client sent may hold half a character."""
    return text.encode("utf-8", "replace").decode()
