"""JSON bodies: what they may be, before any route sees them.

How large and how slow a body may be is decided before (`security`). A JSON body must be one that every part
of the server can hold: at most 300,000 values, no deeper than 100 levels, no NaN, no NUL character, no half
of a surrogate pair (400). All this is looked at before anybody knows who calls, so it must cost little: large
bodies are looked at beside the event loop, and values are counted before they are made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from malmoi.core.errors import InvalidInput
from malmoi.serve.errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_DEPTH = 100
MAX_VALUES = 300_000
_LARGE = 64 * 1024  # bytes; larger bodies are looked at in a thread, so that other requests go on meanwhile
_QUOTE = ord('"')
# Texts in a row, or one mark. A text without an end reaches to the end: no place is looked at twice.
_TEXTS_OR_MARK = re.compile(rb'(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"?)++|[,\[{]', re.DOTALL)


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
            if len(body) > _LARGE:
                await asyncio.to_thread(check_json, body)
            elif body:
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
    if _has_too_many(body):
        raise InvalidInput(f"the JSON body holds more than {MAX_VALUES} values.")
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


def _has_too_many(body: bytes) -> bool:
    """Whether the commas and opening brackets outside of texts, about as many as values, are too many."""
    left = MAX_VALUES
    if body.count(b",") + body.count(b"[") + body.count(b"{") <= left:
        return False
    for found in _TEXTS_OR_MARK.finditer(body):
        if body[found.start()] != _QUOTE:
            left -= 1
            if left < 0:
                return True
    return False


def _check_values(value: Any) -> None:
    """Walk level by level; where a fault lies is found out only when there is one."""
    level, depth = [value], 0
    while level:
        deeper: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is str:
                if "\x00" in node:
                    raise InvalidInput("text must not hold the character U+0000.", field=_place(value, node))
            elif kind is float:
                if not isfinite(node):
                    raise InvalidInput("a number is too large.", field=_place(value, node))
            elif kind in (dict, list) and depth == MAX_DEPTH:
                raise _too_deep()
            elif kind is dict:
                if any("\x00" in key for key in node):
                    raise InvalidInput("names must not hold the character U+0000.")
                deeper += node.values()
            elif kind is list:
                deeper += node
        level, depth = deeper, depth + 1


def _place(root: Any, wanted: Any) -> str | None:
    """The path of a value, found by identity; None when it is the whole body."""
    path: list[str] = []
    pending: list[tuple[Iterator[tuple[Any, Any]], bool]] = [(iter([("", root)]), False)]
    while pending:
        items, is_inner = pending[-1]
        step = next(items, None)
        if step is None:
            pending.pop()
            if is_inner:
                path.pop()
            continue
        name, node = step
        if node is wanted:
            return ".".join([*path, str(name)][1:]) or None
        if isinstance(node, dict | list):
            path.append(str(name))
            pending.append((_steps(node), True))
    return None


def _steps(node: dict[str, Any] | list[Any]) -> Iterator[tuple[Any, Any]]:
    return iter(node.items()) if isinstance(node, dict) else enumerate(node)


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the JSON body is nested deeper than {MAX_DEPTH} levels.")


def _is_json(scope: Scope) -> bool:
    kinds = [
        value.split(b";")[0].strip().lower() for name, value in scope["headers"] if name == b"content-type"
    ]
    # FastAPI reads a body without a content type as JSON too, and of several types the first one counts.
    return not kinds or any(
        not kind or kind == b"application/json" or kind.endswith(b"+json") for kind in kinds
    )
