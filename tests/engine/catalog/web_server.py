"""A small HTTP server on this machine that serves files, well or badly, and remembers what it was asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What a path answers. Behaviour that is a list is used up, one item a request."""

    content: bytes = b""
    etag: str | None = '"one"'
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    tell_length: bool = True


@dataclass
class Request:
    path: str
    headers: dict[str, str]


@dataclass
class Site:
    url: str
    port: int
    pages: dict[str, Page | Callable[[Request], Page]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextmanager
def serve() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            request = Request(path, {name.lower(): text for name, text in self.headers.items()})
            site.requests.append(request)
            page = site.pages.get(path, Page(status=404))
            answer(self, request, page if isinstance(page, Page) else page(request))

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *arguments: object) -> None:
            """Clients of these tests hang up early on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    site = Site(f"http://127.0.0.1:{port}", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, request: Request, page: Page) -> None:
    status, body, extra = page.failures.pop(0) if page.failures else page.status, page.content, {}
    wanted = request.headers.get("range")
    if_range = request.headers.get("if-range")
    if status == 200 and wanted and page.ranges and if_range in (None, page.etag):
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        if start >= len(body):
            status, body = 416, b""
        else:
            status = 206
            extra["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
    if status not in (200, 206):
        body = b""
    handler.send_response(status)
    if page.tell_length or status not in (200, 206):
        handler.send_header("Content-Length", str(len(body)))
    else:
        handler.send_header("Connection", "close")
        handler.close_connection = True
    if page.etag:
        handler.send_header("ETag", page.etag)
    for name, text in {**page.headers, **extra}.items():
        handler.send_header(name, text)
    handler.end_headers()
    if handler.command == "HEAD":
        return
    if page.cut_after and status in (200, 206):
        body = body[: page.cut_after.pop(0)]
        handler.close_connection = True
    handler.wfile.write(body)
