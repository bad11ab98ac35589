"""Downloading one file over http(s): resumed, checked, and put in its place by rename.

Redirects are followed here, not by the client: at most five, to http and https only, never from https down
to http, and credentials go to the first host alone. What has arrived lies beside the target with a note of
where it came from; it is gone on with only where the server confirms that the file is still the same, or
where a checksum will tell.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from malmoi.engine.catalog.blocking import in_thread
from malmoi.engine.catalog.disk import require_room
from malmoi.engine.catalog.part import Again, Arrived, Part, Remote, failed

MAX_REDIRECTS = 5
ATTEMPTS = 4
_STEP = 1 << 20


def client() -> httpx.AsyncClient:
    """A client for downloads: long reads, the user's proxies, no automatic redirects."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(60.0, connect=15.0),
        follow_redirects=False,
        headers={"User-Agent": "malmoi", "Accept-Encoding": "identity"},
    )


async def download(
    http: httpx.AsyncClient,
    remote: Remote,
    target: Path,
    *,
    on_bytes: Callable[[int, int], None],
    pause: float = 0.5,
) -> Arrived:
    """Fetch `remote` to `target`, going on from what an earlier try has left.

    Args:
        http: from `client()`.
        remote: what to fetch.
        target: the file; beside it lie `target.part` and `target.note` until it is whole.
        on_bytes: told (bytes that have arrived, bytes in all; 0: not known).
        pause: seconds before the second attempt; doubled for each further one.

    Raises:
        DownloadFailed: the server or the network failed; what has arrived is kept.
        ModelFileInvalid: the contents are not those that were promised; they are removed.
        DiskFull: no room.
    """
    part = Part(remote, target)
    await in_thread(part.resume)
    if part.is_whole:
        return await in_thread(part.finish)
    failures = 0
    while True:
        before = part.size
        try:
            await _attempt(http, remote, part, on_bytes)
            return await in_thread(part.finish)
        except (Again, httpx.TransportError) as error:
            failures = 1 if part.size > before else failures + 1  # as long as it moves, it goes on
            if failures == ATTEMPTS:
                raise failed(remote, str(error) or type(error).__name__) from error
        await asyncio.sleep(pause * 2 ** (failures - 1))


async def _attempt(
    http: httpx.AsyncClient, remote: Remote, part: "Part", on_bytes: Callable[[int, int], None]
) -> None:
    async with _get(http, remote, part.request_headers()) as response:
        if response.status_code == 416:  # what we have is not a beginning of what is there
            part.restart()
            raise Again("the server has another file now")
        if response.status_code not in (200, 206):
            _refuse_status(remote, response.status_code)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise failed(remote, "the server sent it compressed though asked not to")
        total = part.begin(response)
        if total:
            require_room(part.path.parent, total - part.size)
        waiting: list[bytes] = []
        try:
            async for piece in response.aiter_raw():
                waiting.append(piece)
                if sum(map(len, waiting)) >= _STEP:
                    pieces, waiting = waiting, []
                    await in_thread(lambda _, pieces=pieces: part.write(pieces))  # type: ignore[misc]
                    on_bytes(part.size, total)
        finally:  # what came before the connection broke is worth keeping
            part.write(waiting)
        on_bytes(part.size, total)
        if total and part.size < total:
            raise Again(f"it ended after {part.size} of {total} bytes")


async def ask_size(http: httpx.AsyncClient, remote: Remote) -> int:
    """The size that the server tells, in bytes, without fetching the contents; 0: it does not tell.

    Raises:
        DownloadFailed: the server or the network failed.
    """
    try:
        async with _get(http, remote, {}) as response:
            if response.status_code != 200:
                _refuse_status(remote, response.status_code)
            length = response.headers.get("content-length", "")
            return int(length) if length.isdigit() else 0
    except (Again, httpx.TransportError) as error:
        raise failed(remote, str(error) or type(error).__name__) from error


@asynccontextmanager
async def _get(
    http: httpx.AsyncClient, remote: Remote, headers: Mapping[str, str]
) -> AsyncIterator[httpx.Response]:
    """GET with our own redirects."""
    try:
        async with _follow(http, remote, headers) as response:
            yield response
    except httpx.InvalidURL as error:  # the client looks at the next address itself, before we can
        raise failed(remote, f"the address is not followed: {error}") from error


@asynccontextmanager
async def _follow(
    http: httpx.AsyncClient, remote: Remote, headers: Mapping[str, str]
) -> AsyncIterator[httpx.Response]:
    url = httpx.URL(remote.url)
    origin = (url.scheme, url.host, url.port)
    for _ in range(MAX_REDIRECTS + 1):
        private = remote.headers if (url.scheme, url.host, url.port) == origin else {}
        async with http.stream("GET", url, headers={**headers, **private}) as response:
            if not response.is_redirect:
                yield response
                return
            onward = url.join(response.headers["location"])
        if onward.scheme not in ("http", "https") or (url.scheme == "https" and onward.scheme != "https"):
            raise failed(remote, f"it redirects to {onward.scheme or 'nothing'}:, which is not followed")
        url = onward
    raise failed(remote, f"it redirects more than {MAX_REDIRECTS} times")


def _refuse_status(remote: Remote, status: int) -> None:
    if status in (408, 425, 429) or status >= 500:
        raise Again(f"the server answered {status}")
    raise failed(remote, f"the server answered {status}")
