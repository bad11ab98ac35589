"""What the child writes to standard error: the last lines that may be quoted.

llama.cpp's own warnings and errors, assertions and uncaught exceptions are kept; anything else (a grammar or
a state that it prints whole, and so perhaps somebody's text) is dropped, and long lines are cut.
"""

import asyncio
import re
from collections import deque

_KEPT = re.compile(
    rb"""\d+\.\d+\.\d+\.\d+\ [WE]\      # llama.cpp's log: warnings and errors
    | [^\s:]+\.(?:c|h|cc|cpp|hpp|py):\d+:       # an assertion, with its place
    | terminate\ called | \s+what\(\): | GGML_ | libgomp | ggml_ | llama_
    | (?:[A-Za-z]\w*(?:Error|Exception)):       # the last line of a Python traceback
    """,
    re.VERBOSE,
)
# Warnings of every second request, and ones that quote what was sent.
_DROPPED = re.compile(
    rb"need to evaluate at least 1 token|n_past was set|control-looking|cancel task|grammar|parse"
)


class NativeLog:
    """Reads a child's standard error and keeps its last lines."""

    def __init__(self, *, num_lines: int = 40, width: int = 300) -> None:
        self._lines: deque[str] = deque(maxlen=num_lines)
        self._width = width

    def tail(self, count: int = 4) -> str:
        """The last lines, joined by " | ", for the text of an error; empty when there are none."""
        return " | ".join(list(self._lines)[-count:])

    def feed(self, line: bytes) -> None:
        """Take one line, without its end."""
        if _KEPT.match(line) and not _DROPPED.search(line):
            text = line[: self._width].decode("utf-8", "replace")
            self._lines.append("".join(c if c.isprintable() else " " for c in text).strip())

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Read to the end; a line without an end is cut, so memory stays bounded."""
        rest = b""
        while part := await stream.read(65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self.feed(line)
            rest = rest[:65536]
        self.feed(rest)
