"""A skill's operations on an HTTP server."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from malmoi.assist.egress import Answer
from malmoi.assist.skills.manifest import Auth
from malmoi.assist.skills.openapi.operations import Api, Endpoint
from malmoi.assist.skills.openapi.request import Outgoing, build_request
from malmoi.assist.skills.operation import CallContext, Exchange, Operation, Result
from malmoi.core.errors import UnknownName

_SHOWN = 4000  # characters of a body in the trace
_MESSAGE = 300  # characters of a server's own message
_TEXT = 20_000  # characters of an answer that is no JSON


class Way(Protocol):
    """The way out, or whatever answers in its place."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request and read the whole answer; raises as `Egress.send`."""
        ...


class OpenApiProvider:
    """Calls the operations of an API through the checked way out.

    Args:
        api: its operations.
        base_url: where they are.
        auth: how the caller's key is sent.
        egress: the way out.
        seconds: a call may take.
        max_bytes: an answer may have.
    """

    def __init__(
        self,
        api: Api,
        *,
        base_url: str,
        auth: Auth,
        egress: Way,
        seconds: float = 30.0,
        max_bytes: int = 1024 * 1024,
    ) -> None:
        self._endpoints: dict[str, Endpoint] = {one.operation.name: one for one in api.endpoints}
        self._base_url = base_url
        self._auth = auth
        self._egress = egress
        self._seconds = seconds
        self._max_bytes = max_bytes

    async def operations(self) -> Sequence[Operation]:
        """What it can do."""
        return [endpoint.operation for endpoint in self._endpoints.values()]

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Send the request, and read the answer.

        Raises:
            SkillUnavailable: the server does not answer in time.
            EgressRefused: its address must not be reached.
            Unauthenticated: the caller's key is missing.
        """
        endpoint = self._endpoints.get(operation)
        if endpoint is None:
            raise UnknownName("operation", operation, self._endpoints)
        request = build_request(
            endpoint,
            arguments,
            base_url=self._base_url,
            auth=self._auth,
            credentials=context.credentials,
        )
        headers = {"accept-language": context.language, **request.headers}
        answer = await self._egress.send(
            request.method,
            request.url,
            headers=headers,
            content=request.content,
            seconds=self._seconds,
            max_bytes=self._max_bytes,
        )
        return _result(request, answer)

    async def close(self) -> None:
        """Nothing: the connections belong to the way out."""


def _result(request: Outgoing, answer: Answer) -> Result:
    text = answer.text()
    data: Any = None
    if answer.media_type.endswith(("/json", "+json")) or (not answer.media_type and text[:1] in "{["):
        try:
            data = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            data = None
    is_text = answer.media_type.startswith("text/") or answer.media_type.endswith("/xml")
    if data is None and text.strip():
        shown = f"({answer.media_type or 'unknown'}, {len(answer.content)} bytes)"
        data = text[:_TEXT] if is_text else shown
    exchange = Exchange(
        method=request.method,
        url=request.shown_url,
        body=request.content.decode("utf-8", "replace")[:_SHOWN],
        status=answer.status,
        response=text[:_SHOWN] if is_text or answer.media_type.endswith("json") else "",
    )
    if answer.status < 400:
        return Result(data=data, exchanges=(exchange,))
    said = server_message(data)
    return Result(data=data, text=said or f"HTTP {answer.status}", is_error=True, exchanges=(exchange,))


def server_message(data: Any) -> str:
    """What a server says about a refusal, from the places where servers say it."""
    if isinstance(data, str):
        return " ".join(data.split())[:_MESSAGE]
    if isinstance(data, list) and data:
        return server_message(data[0])
    if isinstance(data, Mapping):
        for key in ("message", "detail", "error_description", "error", "title", "msg", "errors", "status"):
            said = server_message(data[key]) if data.get(key) else ""
            if said:
                return said
    return ""
