import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from malmoi.serve.identity.sessions import COOKIE, csrf_of
from malmoi.serve.security import CSRF_HEADER, HostNames, Security
from malmoi.serve.settings import HttpSettings

OPEN_TOKEN = "open-mode-token"
HTTP = HttpSettings(
    allowed_hosts=("chat.example.kr",),
    allowed_origins=("https://intra.example.kr",),
    max_body_bytes=100_000,
    body_timeout=0.2,
)


async def echo(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


async def page(request: Request) -> Response:
    return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("data: 1\n\n", "data: 2\n\n"):
            yield piece

    return StreamingResponse(pieces(), media_type="text/event-stream")


def secured(http: HttpSettings = HTTP) -> Security:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    paths: dict[str, Callable[[Request], Any]] = {
        "/api/things": echo,
        "/v1/chat/completions": echo,
        "/": page,
        "/stream": stream,
    }
    app = Starlette(routes=[Route(path, endpoint, methods=methods) for path, endpoint in paths.items()])
    return Security(app, http=http, csrf=lambda token: csrf_of(token) if token else OPEN_TOKEN)


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: int = 0
    read: int = 0

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


async def call(
    method: str = "GET",
    path: str = "/api/things",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    *,
    body: list[bytes] | None = None,
    silent_after: bool = False,
    app: Security | None = None,
) -> Answer:
    """One request at the ASGI level; `body` arrives in these chunks, and then nothing if `silent_after`."""
    given = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if not any(name.lower() == "host" for name, _ in given) and headers != []:
        given.append(("host", "127.0.0.1:8080"))
    chunks = list(body or [b""])
    answer = Answer()

    async def receive() -> dict[str, Any]:
        if not chunks:
            await asyncio.Event().wait()
        chunk = chunks.pop(0)
        answer.read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks) or silent_after}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert not answer.status, "two responses"
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            answer.pieces += 1

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8080),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given],
    }
    await (app or secured())(scope, receive, send)
    return answer


CSRF = {CSRF_HEADER: OPEN_TOKEN}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.9.9.9", "chat.example.kr."]
)
async def test_own_names_are_answered(host: str) -> None:
    assert (await call(headers={"host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.0.7",
        "x/../?a",
        "localhost/x",
        "localhost:80:80",
        "localhost@evil.example",
        "[::1",
        "[::1]x",
        "",
        "2130706433",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/things", "/v1/chat/completions"])
async def test_other_names_are_refused_on_every_path(host: str, path: str) -> None:
    assert (await call(path=path, headers={"host": host})).status == 403


async def test_no_host_or_two_hosts_are_refused() -> None:
    assert (await call(headers=[])).status == 403
    twice = [("host", "localhost"), ("host", "localhost")]
    assert (await call(headers=twice)).status == 403


def test_a_server_bound_to_all_addresses_is_called_by_any_address_but_by_no_other_name() -> None:
    names = HostNames("0.0.0.0", ())
    assert names.allow("192.168.0.7:8080")
    assert names.allow("[fe80::1]:8080")
    assert not names.allow("rebound.example")
    assert HostNames("server.example.kr", ()).allow("server.example.kr:8080")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/api/things", "/v1/chat/completions", "/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},  # another port is another origin
        {"origin": "http://127.0.0.1:8080.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "cross-site"},
    ],
)
async def test_changes_from_foreign_pages_are_refused(
    method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await call(method, path, {**headers, **CSRF, "authorization": "Bearer mm_x"})
    assert answer.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"},
        {"origin": "https://127.0.0.1:8080"},  # a proxy speaks TLS for us
        {"sec-fetch-site": "none"},
        {"origin": "https://intra.example.kr", "sec-fetch-site": "cross-site"},
    ],
)
async def test_changes_from_own_pages_and_from_programs_pass(headers: dict[str, str]) -> None:
    assert (await call("POST", headers={**headers, **CSRF})).status == 200


async def test_changes_under_api_need_the_csrf_token() -> None:
    refused = await call("POST")
    assert (refused.status, refused.code) == (403, "csrf_invalid")
    assert (await call("POST", headers={CSRF_HEADER: "wrong"})).status == 403
    assert (await call("POST", headers=CSRF)).status == 200
    assert (await call("GET")).status == 200
    assert (await call("POST", "/v1/chat/completions")).status == 200


async def test_a_session_has_a_token_of_its_own() -> None:
    cookie = {"cookie": f"other=1; {COOKIE}=session-token"}
    assert (await call("POST", headers={**cookie, **CSRF})).status == 403
    assert (await call("POST", headers={**cookie, CSRF_HEADER: csrf_of("session-token")})).status == 200


async def test_a_key_needs_no_csrf_token_but_basic_does() -> None:
    for headers in ({"authorization": "Bearer x"}, {"x-api-key": "x"}, {"x-ncp-clovastudio-api-key": "x"}):
        assert (await call("POST", headers=headers)).status == 200
    assert (await call("POST", headers={"authorization": "Basic eDp5"})).status == 403


async def test_cors_is_for_allowed_origins_only() -> None:
    wanted = {"access-control-request-method": "POST"}
    allowed = await call("OPTIONS", headers={"origin": "https://intra.example.kr", **wanted})
    assert allowed.status == 204
    assert allowed.headers["access-control-allow-origin"] == "https://intra.example.kr"
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = await call("OPTIONS", headers={"origin": "https://evil.example", **wanted})
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers
    answer = await call(headers={"origin": "https://intra.example.kr"})
    assert answer.headers["access-control-allow-origin"] == "https://intra.example.kr"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    other = await call(headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_a_body_up_to_the_limit_passes() -> None:
    answer = await call("POST", headers=CSRF, body=[b"x" * 50_000, b"x" * 50_000])
    assert json.loads(answer.body) == {"bytes": 100_000}


async def test_a_body_that_announces_too_much_is_not_read() -> None:
    answer = await call("POST", headers={**CSRF, "content-length": "100001"}, body=[b"x" * 100_001])
    assert (answer.status, answer.code, answer.read) == (413, "body_too_large", 0)
    assert answer.headers["connection"] == "close"


async def test_a_body_that_turns_out_too_large_is_read_no_further() -> None:
    answer = await call("POST", headers=CSRF, body=[b"x" * 16_000] * 100)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.read <= 100_000 + 64 * 1024


async def test_a_body_that_stops_arriving_is_given_up() -> None:
    answer = await call("POST", headers=CSRF, body=[b"x"], silent_after=True)
    assert (answer.status, answer.code) == (408, "body_too_slow")


async def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr("malmoi.serve.security.time.monotonic", lambda: next(clock) * 0.1)
    answer = await call("POST", headers=CSRF, body=[b"x"] * 50)
    assert (answer.status, answer.code) == (408, "body_too_slow")
    assert answer.read < 50


async def test_a_slow_answer_is_not_a_slow_body() -> None:
    async def slow(request: Request) -> Response:
        await request.body()
        await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.3)), 1)  # longer than the body may be silent
        return Response("done")

    app = Security(Starlette(routes=[Route("/slow", slow, methods=["POST"])]), http=HTTP, csrf=lambda _: "")
    assert (await call("POST", "/slow", body=[b"x"], app=app)).status == 200


async def test_responses_carry_security_headers_and_pages_keep_their_policy() -> None:
    answer = await call()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    shell = await call(path="/")
    assert shell.headers["content-security-policy"] == "default-src 'self'"
    assert shell.headers["x-frame-options"] == "DENY"
    refused = await call(headers={"host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"


async def test_streams_pass_piece_by_piece() -> None:
    answer = await call(path="/stream")
    assert answer.pieces >= 3
    assert answer.body == b"data: 1\n\ndata: 2\n\n"


async def test_web_sockets_are_refused() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    await secured()({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
