"""JSON as text: only what stands inside its strings is changed, so that it stays JSON."""

import json
import re
from collections.abc import Callable

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?', re.DOTALL)


class CannotCover(Exception):
    """A number outside of a string must be covered, which would no longer fit the form asked for."""


def map_strings(text: str, change: Callable[[str], str], *, change_number: Callable[[str], str]) -> str:
    """JSON with every string changed; a string that stays the same keeps its spelling.

    Args:
        text: valid JSON.
        change: gives the new content of a string.
        change_number: gives what stands in the place of a number, as JSON; it may raise `CannotCover`.
    """

    def one(token: re.Match[str]) -> str:
        written = token.group()
        if not written.startswith('"'):
            return change_number(written)
        try:
            content = json.loads(written, strict=False)
        except ValueError:
            return written  # not JSON after all: whoever asked for JSON has checked it
        changed = change(content)
        return written if changed == content else json.dumps(changed, ensure_ascii=False)

    return _TOKEN.sub(one, text)


def strings_of(text: str) -> list[str]:
    """The contents of all strings of JSON."""
    found: list[str] = []

    def keep(content: str) -> str:
        found.append(content)
        return content

    map_strings(text, keep, change_number=str)
    return found
