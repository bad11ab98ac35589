"""Arguments of a call as an HTTP request. They fill holes; they never choose the host."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from malmoi.assist.skills.manifest import Auth
from malmoi.assist.skills.openapi.operations import Endpoint, Slot
from malmoi.core.errors import InvalidInput, Unauthenticated

_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that is ready to go.

    Attributes:
        method: in capitals.
        url: with the key, where it goes into the query.
        headers: with the key, where it goes there.
        content: the body.
        shown_url: without the key, for the trace.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes
    shown_url: str


def build_request(
    endpoint: Endpoint,
    arguments: Mapping[str, Any],
    *,
    base_url: str,
    auth: Auth,
    credentials: Mapping[str, str],
) -> Outgoing:
    """The request of a call.

    Args:
        endpoint: what is called.
        arguments: checked against the operation's schema.
        base_url: scheme, host and the path before all paths.
        auth: how the caller's key is sent.
        credentials: the caller's key, by the names of `Auth.needs`.

    Raises:
        InvalidInput: an argument that cannot stand in a path or a header.
        Unauthenticated: the caller's key is missing.
    """
    path = endpoint.path
    query: list[tuple[str, str]] = []
    headers = {"accept": "application/json, text/*;q=0.5, */*;q=0.1"}
    for slot in endpoint.slots:
        value = arguments.get(slot.argument)
        if value is None:
            continue
        if slot.place == "path":
            path = path.replace(f"{{{slot.name}}}", _path_value(slot, value))
        elif slot.place == "query":
            query += _query_pairs(slot, value)
        else:
            headers[slot.name.lower()] = _header_value(slot, value)
    content = b""
    if endpoint.body != "none":
        body = arguments.get(endpoint.whole) if endpoint.whole else _fields(endpoint, arguments)
        if body is not None:
            content, headers["content-type"] = _encoded(endpoint.body, body)
    shown_query = list(query)
    if endpoint.secured:
        headers |= secret_headers(auth, credentials)
        if auth.kind == "api_key" and auth.place == "query":
            query.append((auth.name, credentials["key"]))
            shown_query.append((auth.name, "***"))
    base = httpx.URL(base_url.rstrip("/"))
    return Outgoing(
        method=endpoint.method,
        url=_joined(base, path, query),
        headers=headers,
        content=content,
        shown_url=_joined(base, path, shown_query),
    )


def _joined(base: httpx.URL, path: str, query: list[tuple[str, str]]) -> str:
    whole = base.raw_path.decode("ascii").partition("?")[0].rstrip("/") + path
    if any(part in (".", "..") for part in whole.split("/")):
        raise InvalidInput("an argument must not be a step between folders.", field="arguments")
    if query:
        whole += "?" + urlencode(query, quote_via=quote)
    url = base.copy_with(raw_path=whole.encode("ascii"))
    assert (url.host, url.port, url.scheme) == (base.host, base.port, base.scheme)
    return str(url)


def _path_value(slot: Slot, value: Any) -> str:
    texts = [_plain(one) for one in value] if isinstance(value, list) else [_plain(value)]
    if any(text in ("", ".", "..") for text in texts):
        raise InvalidInput(
            f"{slot.argument!r} must not be empty, . or .. .", field=f"arguments.{slot.argument}"
        )
    return ",".join(quote(text, safe="") for text in texts)


def _query_pairs(slot: Slot, value: Any) -> list[tuple[str, str]]:
    if slot.style == "json":
        return [(slot.name, json.dumps(value, ensure_ascii=False))]
    if isinstance(value, Mapping):
        pairs = [(str(key), _plain(one)) for key, one in value.items() if one is not None]
        if slot.style == "deepObject":
            return [(f"{slot.name}[{key}]", text) for key, text in pairs]
        return pairs if slot.explode else [(slot.name, ",".join(part for pair in pairs for part in pair))]
    if isinstance(value, list):
        texts = [_plain(one) for one in value if one is not None]
        if slot.explode:
            return [(slot.name, text) for text in texts]
        return [(slot.name, _DELIMITERS.get(slot.style, ",").join(texts))] if texts else []
    return [(slot.name, _plain(value))]


def _header_value(slot: Slot, value: Any) -> str:
    text = ",".join(_plain(one) for one in value) if isinstance(value, list) else _plain(value)
    if not text.isascii() or any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise InvalidInput(
            f"{slot.argument!r} goes into a header, which holds plain ASCII only.",
            field=f"arguments.{slot.argument}",
        )
    return text


def _fields(endpoint: Endpoint, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arguments[key] for key, name in endpoint.fields.items() if key in arguments}


def _encoded(kind: str, body: Any) -> tuple[bytes, str]:
    if kind == "json":
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode(), "application/json"
    fields = body.items() if isinstance(body, Mapping) else ()
    pairs = [
        (str(name), _plain(one))
        for name, value in fields
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    return urlencode(pairs).encode(), "application/x-www-form-urlencoded"


def secret_headers(auth: Auth, credentials: Mapping[str, str]) -> dict[str, str]:
    """The headers that hold the caller's key.

    Raises:
        Unauthenticated: the key is missing.
    """
    missing = [
        name
        for name, field in auth.needs().items()
        if field.required and not credentials.get(name, field.default)
    ]
    if missing:
        raise Unauthenticated(
            f"this skill needs your {', '.join(missing)}.", fix="Give it in the settings of the skill."
        )
    if auth.kind == "bearer":
        return {"authorization": f"Bearer {credentials['token']}"}
    if auth.kind == "basic":
        pair = f"{credentials['username']}:{credentials['password']}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if auth.kind == "api_key" and auth.place == "header":
        return {auth.name.lower(): credentials["key"]}
    return {}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
