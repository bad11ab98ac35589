"""Calls of OpenAPI operations: arguments fill holes and choose nothing else; answers become results."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.assist.egress import Answer, EgressRules
from malmoi.assist.skills.manifest import Auth
from malmoi.assist.skills.openapi import OpenApiProvider, read_api, read_document
from malmoi.assist.skills.openapi.request import build_request
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import InvalidInput, Unauthenticated, UnknownName

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATHS: dict[str, Any] = {
    "/cars/{id}": {
        "get": {
            "operationId": "car",
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {}},
                {"name": "tag", "in": "query", "schema": {"type": "array"}},
                {"name": "csv", "in": "query", "explode": False, "schema": {"type": "array"}},
                {"name": "pipe", "in": "query", "style": "pipeDelimited", "explode": False, "schema": {}},
                {"name": "deep", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                {"name": "flag", "in": "query", "schema": {"type": "boolean"}},
                {"name": "X-Note", "in": "header", "schema": {}},
            ],
        }
    },
    "/book": {
        "post": {
            "operationId": "book",
            "requestBody": {
                "content": {
                    "application/json": {
                        "schema": {"type": "object", "properties": {"name": {"type": "string"}, "n": {}}}
                    }
                }
            },
        }
    },
    "/form": {
        "post": {
            "operationId": "form",
            "requestBody": {
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {"type": "object", "properties": {"a": {}, "b": {}}}
                    }
                }
            },
        }
    },
}


def found_api() -> Any:
    root = {"openapi": "3.1.0", "info": {}, "paths": PATHS}
    document, _ = read_document(json.dumps(root).encode(), file="x")
    assert document is not None
    api, findings = read_api(document)
    assert findings == []
    return api


def request(name: str, arguments: dict[str, Any], auth: Auth | None = None, **credentials: str) -> Any:
    endpoint = next(one for one in found_api().endpoints if one.operation.name == name)
    return build_request(
        endpoint,
        arguments,
        base_url="https://api.example:8443/v1/",
        auth=auth or Auth(),
        credentials=credentials,
    )


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        ({"id": "a b/ㄱ?#"}, "a%20b%2F%E3%84%B1%3F%23"),
        ({"id": 3, "tag": ["x", "y&z"]}, "3?tag=x&tag=y%26z"),
        ({"id": 3, "csv": ["x", "y"]}, "3?csv=x%2Cy"),
        ({"id": 3, "pipe": [1, 2]}, "3?pipe=1%7C2"),
        ({"id": 3, "deep": {"a": 1, "b": "c"}}, "3?deep%5Ba%5D=1&deep%5Bb%5D=c"),
        ({"id": 3, "flag": True}, "3?flag=true"),
        ({"id": 3, "flag": None}, "3"),
    ],
    ids=str,
)
def test_arguments_in_the_address(arguments: dict[str, Any], rest: str) -> None:
    assert request("car", arguments).url == f"https://api.example:8443/v1/cars/{rest}"


def test_bodies() -> None:
    asked = request("book", {"name": "김", "n": [1]})
    assert (asked.method, json.loads(asked.content)) == ("POST", {"name": "김", "n": [1]})
    assert asked.headers["content-type"] == "application/json"
    assert request("form", {"a": "x y", "b": [1, 2]}).content == b"a=x+y&b=1&b=2"


@pytest.mark.parametrize("value", ["", ".", "..", ["..", "a"]])
def test_a_path_cannot_be_left(value: Any) -> None:
    with pytest.raises(InvalidInput):
        request("car", {"id": value if not isinstance(value, list) else value[:1]})


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "한글", "a\x00b"])
def test_a_header_cannot_be_split(value: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        request("car", {"id": 1, "X-Note": value})
    assert raised.value.field == "arguments.X-Note"


@settings(max_examples=200, deadline=None)
@given(
    value=st.one_of(
        st.text(max_size=40),
        st.sampled_from(["//evil.example", "@evil.example", "\\evil", "http://127.0.0.1/"]),
    )
)
def test_no_argument_chooses_the_host(value: str) -> None:
    try:
        asked = request("car", {"id": value, "tag": [value], "deep": {value: value}})
    except (InvalidInput, UnicodeEncodeError):
        return
    url = httpx.URL(asked.url)
    assert (url.scheme, url.host, url.port) == ("https", "api.example", 8443)
    assert url.raw_path.startswith(b"/v1/cars/")
    assert EgressRules(ports=(8443,)).check(asked.url).host == "api.example"


@pytest.mark.parametrize(
    ("auth", "credentials", "place"),
    [
        (Auth(kind="bearer"), {"token": "s3cret"}, ("authorization", "Bearer s3cret")),
        (
            Auth(kind="basic"),
            {"username": "u", "password": "s3cret"},
            ("authorization", "Basic dTpzM2NyZXQ="),
        ),
        (Auth(kind="api_key", name="X-Key"), {"key": "s3cret"}, ("x-key", "s3cret")),
        (Auth(kind="api_key", name="key", place="query"), {"key": "s3cret"}, None),
    ],
    ids=["bearer", "basic", "header", "query"],
)
def test_keys_are_sent_and_not_shown(
    auth: Auth, credentials: dict[str, str], place: tuple[str, str] | None
) -> None:
    asked = request("car", {"id": 1}, auth, **credentials)
    if place is None:
        assert asked.url.endswith("?key=s3cret")
    else:
        assert asked.headers[place[0]] == place[1]
    assert "s3cret" not in asked.shown_url
    with pytest.raises(Unauthenticated):
        request("car", {"id": 1}, auth)


class Way:
    """The way out, which answers as it is told."""

    def __init__(self, status: int, content: bytes, media_type: str = "application/json") -> None:
        self.answer = (status, content, media_type)
        self.sent: list[tuple[str, str]] = []

    async def send(self, method: str, url: str, **more: Any) -> Answer:
        self.sent.append((method, url))
        status, content, media_type = self.answer
        return Answer(status, {"content-type": media_type}, content, httpx.URL(url))


async def call(way: Way, name: str = "car", **arguments: Any) -> Any:
    provider = OpenApiProvider(found_api(), base_url="https://api.example", auth=Auth(), egress=way)  # type: ignore[arg-type]
    return await provider.call(name, arguments, CallContext("a", "ko", NOW))


async def test_an_answer_becomes_data() -> None:
    result = await call(Way(200, b'{"x": [1]}'), id=1)
    assert (result.data, result.is_error, result.text) == ({"x": [1]}, False, "")
    [exchange] = result.exchanges
    assert (exchange.method, exchange.url, exchange.status) == ("GET", "https://api.example/cars/1", 200)
    assert (await call(Way(204, b""), id=1)).data is None
    assert (await call(Way(200, "안녕".encode(), "text/plain; charset=utf-8"), id=1)).data == "안녕"
    assert (await call(Way(200, b"\x89PNG", "image/png"), id=1)).data == "(image/png, 4 bytes)"
    assert (await call(Way(200, b"{broken"), id=1)).data == "(application/json, 7 bytes)"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"message": "no such\\n car"}', "no such car"),
        (b'{"error": {"code": 1, "message": "full"}}', "full"),
        (b'{"detail": [{"msg": "bad day"}]}', "bad day"),
        (b'{"x": 1}', "HTTP 409"),
        (b"", "HTTP 409"),
    ],
    ids=str,
)
async def test_a_refusal_is_told_in_the_servers_words(content: bytes, text: str) -> None:
    result = await call(Way(409, content), id=1)
    assert (result.is_error, result.text) == (True, text)


async def test_an_unknown_operation_is_never_sent() -> None:
    way = Way(200, b"{}")
    with pytest.raises(UnknownName):
        await call(way, "nothing")
    assert way.sent == []
