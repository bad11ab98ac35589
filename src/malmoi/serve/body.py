"""JSON bodies: what they may be, before any route sees them.

How large and how slow a body may be is decided before (`security`). A JSON body must be one that every part
of
the server can hold: no deeper than 100 levels, no NaN, no NUL character, no half of a surrogate pair (400).
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from malmoi.core.errors import InvalidInput
from malmoi.serve.errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_DEPTH = 100


class JsonGate:
    """The layer that reads and checks JSON bodies; bodies of other kinds pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        pieces: list[bytes] = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(pieces)
        try:
            if body:
                check_json(body)
        except InvalidInput as error:
            await error_response(error, scope)(scope, receive, send)
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def check_json(body: bytes) -> Any:
    """Parse a JSON body strictly.

    Raises:
        InvalidInput: it is not JSON, or JSON that must not go further; `field` says where.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        text = str(error)
        if "recursion" in text:
            raise _too_deep() from None
        if "surrogate" in text or "hex escape" in text:
            raise InvalidInput(f"the body holds half of a surrogate pair: {text}.") from None
        raise InvalidInput(f"the body is not valid JSON: {text}.") from None
    _check_values(value)
    return value


def _check_values(value: Any) -> None:
    pending: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while pending:
        node, path = pending.pop()
        if isinstance(node, str):
            if "\x00" in node:
                place = ".".join(map(str, path))
                raise InvalidInput("text must not hold the character U+0000.", field=place or None)
        elif isinstance(node, dict | list):
            if len(path) >= MAX_DEPTH:
                raise _too_deep()
            if isinstance(node, dict):
                if any("\x00" in key for key in node):
                    raise InvalidInput("names must not hold the character U+0000.")
                pending += [(child, (*path, key)) for key, child in node.items()]
            else:
                pending += [
                    (child, (*path, place)) for place, child in enumerate(node) if type(child) is not int
                ]
        elif isinstance(node, float) and not isfinite(node):
            raise InvalidInput("a number is too large.", field=".".join(map(str, path)) or None)


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the JSON body is nested deeper than {MAX_DEPTH} levels.")


def _is_json(scope: Scope) -> bool:
    content_type = dict(scope["headers"]).get(b"content-type", b"")
    kind = content_type.split(b";")[0].strip().lower()
    # FastAPI reads a body without a content type as JSON too.
    return not kind or kind == b"application/json" or kind.endswith(b"+json")
