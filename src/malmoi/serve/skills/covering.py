"""Arguments as the audit keeps them: what was done can be seen, what somebody is like cannot."""

import re
from collections.abc import Mapping
from typing import Any

from malmoi.core.pii import find_pii

_LONGEST = 120
_MOST = 40
_DEPTH = 6
_SECRET = re.compile(r"passw|secret|token|api_?key|credential|pin$", re.IGNORECASE)


def covered(value: Any, name: str = "", depth: int = 0) -> Any:
    """A value without personal data, secrets and long texts."""
    if _SECRET.search(name):
        return "***"
    if depth > _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key)[:60]: covered(one, str(key), depth + 1) for key, one in list(value.items())[:_MOST]}
    if isinstance(value, list | tuple):
        return [covered(one, name, depth + 1) for one in value[:_MOST]]
    if isinstance(value, str):
        text = value[: 10 * _LONGEST]
        for found in sorted(find_pii(text), key=lambda one: -one.start):
            text = text[: found.start] + "***" + text[found.end :]
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return value
