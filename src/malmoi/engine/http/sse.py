"""Server-sent events, as far as streaming APIs use them: bytes in, the `data` of each event out."""

from collections.abc import AsyncIterator

from malmoi.core.errors import EngineError

MAX_EVENT_BYTES = 4 * 1024 * 1024


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each event, however the bytes are cut. Comments and other fields are left out.

    An event that the end of the stream cuts off is not delivered (WHATWG HTML, 9.2.6).

    Raises:
        EngineError: an event larger than `MAX_EVENT_BYTES`, or bytes that are not UTF-8.
    """
    pending = b""
    data: list[bytes] = []
    size = 0
    async for chunk in chunks:
        # "\r\n" may be cut between two chunks; a lone "\r" as line end is not used by any server.
        lines = (pending + chunk).split(b"\n")
        pending = lines.pop()
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
            elif not line and data:
                yield _decode(b"\n".join(data))
                data, size = [], 0
        if size + len(pending) > MAX_EVENT_BYTES:
            raise EngineError("the upstream sent an event that is too large.")


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EngineError("the upstream sent bytes that are not UTF-8.") from error
