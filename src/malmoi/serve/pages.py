"""The browser's side of the server: one HTML shell and the static files under src/malmoi/web.

Every file but the shell has a name that changes with its content, so browsers may keep it for ever: vendored
libraries lie in folders named by version, and our own modules under /static/v/{digest of the whole tree}/, a
prefix that their relative imports inherit. The shell itself is always revalidated.

The Content-Security-Policy allows this server's own files and nothing else: no inline script or style, no
other origin, no eval. The one inline script is the import map, admitted by its hash.
"""

import base64
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from malmoi.core.errors import NotFound

SHELL_PATHS: Final = (
    "/",
    "/chat",
    "/chat/{id}",
    "/documents",
    "/documents/{id}",
    "/documents/{id}/{document}",
    "/redteam",
    "/redteam/{id}",
    "/routers",
    "/routers/{id}",
    "/routers/{id}/{section}",
    "/settings",
    "/settings/{section}",
    "/trainer",
    "/trainer/{id}",
    "/trainer/{id}/{section}",
    "/users",
    "/users/{id}",
)
"""Addresses that answer with the shell; the browser does the rest."""

PUBLIC_PATHS: Final = (*SHELL_PATHS, "/favicon.ico", "/static/{path:path}")
"""Every route of this module. None needs an account: they serve nothing but the product's own files."""

_COMPRESSIBLE = frozenset({".css", ".html", ".js", ".json", ".mjs", ".svg", ".toml", ""})
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".woff2": "font/woff2", "": "text/plain"}
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass
class StaticFile:
    """One file as it is sent; its gzip form is made on first use and kept."""

    body: bytes
    media_type: str
    compressible: bool
    etag: str
    _gzipped: bytes | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def of(cls, body: bytes, suffix: str) -> "StaticFile":
        """Describe `body`, whose type follows from `suffix` (such as ".js")."""
        media_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, media_type, suffix in _COMPRESSIBLE, digest)

    def gzipped(self) -> bytes:
        """Return the compressed body; the same bytes each time, so that the ETag stays true."""
        with self._lock:
            if self._gzipped is None:
                self._gzipped = gzip.compress(self.body, compresslevel=9, mtime=0)
            return self._gzipped

    def response(self, request: Request, *, cache: str, headers: dict[str, str]) -> Response:
        """Answer a GET or HEAD: 304 when the browser has this version, gzip when it takes it."""
        zipped = self.compressible and accepts_gzip(request.headers.get("accept-encoding", ""))
        etag = f'"{self.etag}-gz"' if zipped else f'"{self.etag}"'
        headers = {
            "Cache-Control": cache,
            "ETag": etag,
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            **({"Vary": "Accept-Encoding"} if self.compressible else {}),
            **headers,
        }
        known = {
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        }
        if etag in known:
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(self.gzipped() if zipped else self.body, headers=headers, media_type=self.media_type)


class Pages:
    """The shell and the static files of one web folder, read once."""

    def __init__(self, root: Path) -> None:
        self._files: dict[str, StaticFile] = {}
        tree = hashlib.sha256()
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            body = path.read_bytes()
            tree.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
            self._files[name] = StaticFile.of(body, path.suffix)
        self.version = tree.hexdigest()[:16]
        html = self._files.pop("index.html").body.decode()
        html = html.replace("{{preload}}", self._preloads()).replace("{{version}}", self.version)
        self._shell = StaticFile.of(html.encode(), ".html")
        self.policy = content_security_policy(html)

    def _preloads(self) -> str:
        """Links to the modules of the first view: a browser need not find them one import at a time."""
        names = (
            name for name in self._files if name.startswith(("shell/", "chat/")) and name.endswith(".js")
        )
        return "\n".join(
            f'<link rel="modulepreload" href="/static/v/{{{{version}}}}/{name}">' for name in names
        )

    def shell(self, request: Request) -> Response:
        """Answer with the HTML shell and its security headers."""
        return self._shell.response(
            request,
            cache="no-cache",
            headers={
                "Content-Security-Policy": self.policy,
                "Referrer-Policy": "no-referrer",
                "X-Frame-Options": "DENY",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            },
        )

    def static(self, request: Request, path: str) -> Response:
        """Answer with one static file; `path` is looked up among the files read, never opened.

        Raises:
            NotFound: no such file is shipped.
        """
        cache = _FOR_EVER if path.startswith("vendor/") else "no-cache"
        if path.startswith("v/"):
            _, version, path = (*path.split("/", 2), "", "")[:3]
            # A tab that was open during an upgrade asks for the old prefix: give it today's file, uncached.
            cache = _FOR_EVER if version == self.version else "no-cache"
        if path not in self._files:
            raise NotFound(f"there is no file /static/{path}.", fix="Reload the page.")
        return self._files[path].response(
            request, cache=cache, headers={"Content-Security-Policy": "default-src 'none'; sandbox"}
        )


def content_security_policy(html: str) -> str:
    """Return the policy for a page: this origin only, and the page's inline scripts by their hashes."""
    hashes = "".join(
        f" 'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
        for code in _INLINE_SCRIPT.findall(html)
    )
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self'{hashes}",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "object-src 'none'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        )
    )


def accepts_gzip(header: str) -> bool:
    """Tell whether an Accept-Encoding header takes gzip; `gzip;q=0` refuses it."""
    for part in header.lower().split(","):
        coding, _, parameters = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def mount_pages(app: FastAPI, services: Any) -> None:
    """Add the shell and the static files to `app`.

    They are outside the API's schema, and public: they are the same for everybody.

    Args:
        app: the server.
        services: the server's services; pages need none of them, and so work while models still load.
    """
    del services
    pages = Pages(Path(__file__).parent.parent / "web")

    async def shell(request: Request) -> Response:
        return pages.shell(request)

    async def favicon(request: Request) -> Response:
        return pages.static(request, "icons/mark.svg")

    async def static(request: Request) -> Response:
        return pages.static(request, request.path_params["path"])

    endpoints: dict[str, Callable[[Request], Awaitable[Response]]] = dict.fromkeys(SHELL_PATHS, shell)
    endpoints |= {"/favicon.ico": favicon, "/static/{path:path}": static}
    for path, endpoint in endpoints.items():
        app.add_api_route(
            path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_model=None
        )
