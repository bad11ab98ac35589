import gzip
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from malmoi.core.errors import NotFound
from malmoi.serve.pages import PUBLIC_PATHS, SHELL_PATHS, accepts_gzip, mount_pages


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=404)

    mount_pages(app, None)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/chat", "/chat/c_1", "/settings", "/settings/keys"])
def test_shell_answers_at_every_address(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert '<div id="app">' in answer.text


def test_policy_is_strict(client: TestClient) -> None:
    answer = client.get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_has_no_inline_style_or_handler(client: TestClient) -> None:
    html = client.get("/").text
    assert not re.search(r"\sstyle=|\son\w+=|<style", html)
    assert "http://" not in html
    assert "https://" not in html


def test_every_file_that_the_page_names_is_there_and_kept_for_ever(client: TestClient) -> None:
    html = client.get("/").text
    names = [name for name in re.findall(r'"(/static/[^"]+)"', html) if not name.endswith("/")]
    assert len(names) > 10
    for name in names:
        answer = client.get(name)
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"], name


def test_modules_have_a_javascript_type(client: TestClient) -> None:
    html = client.get("/").text
    for name in re.findall(r'"(/static/[^"]+\.m?js)"', html):
        assert client.get(name).headers["content-type"] == "text/javascript; charset=utf-8"


def test_etag_gives_304_and_differs_by_encoding(client: TestClient) -> None:
    plain = client.get("/", headers={"accept-encoding": "identity"})
    zipped = client.get("/", headers={"accept-encoding": "gzip"})
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.content == zipped.content
    assert "accept-encoding" in zipped.headers["vary"].lower()
    again = client.get("/", headers={"accept-encoding": "gzip", "if-none-match": zipped.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["content-security-policy"]


def test_gzip_is_made_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = gzip.compress
    monkeypatch.setattr(
        "malmoi.serve.pages.gzip.compress", lambda *a, **k: (calls.append(1), real(*a, **k))[1]
    )
    for _ in range(3):
        client.get("/static/vendor/htm-3.1.1/htm.mjs", headers={"accept-encoding": "gzip"})
    assert len(calls) == 1


def test_old_version_prefix_gets_the_present_file_uncached(client: TestClient) -> None:
    answer = client.get("/static/v/0000000000000000/shell/main.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.js",
        "/static/%2e%2e/serve/pages.py",
        "/static/..%2fserve%2fpages.py",
        "/static/v/x",
        "/static/v",
        "/static//etc/passwd",
        "/static/index.html",
    ],
)
def test_only_shipped_files_are_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("*", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_accepts_gzip(header: str, takes: bool) -> None:
    assert accepts_gzip(header) is takes


def test_public_paths_are_the_routes_that_are_mounted() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    mount_pages(app, None)
    assert {getattr(route, "path", None) for route in app.routes} == set(PUBLIC_PATHS)
    assert set(SHELL_PATHS) < set(PUBLIC_PATHS)
