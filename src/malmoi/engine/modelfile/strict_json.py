"""JSON from files that nobody vouches for: size capped, no duplicate keys, no NaN, objects only."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid


def parse_object(raw: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ModelFileInvalid: not UTF-8, not JSON, not an object, too deep, or a key comes twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            double = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise ModelFileInvalid(f"{name}: the key {double[:100]!r} comes twice.")
        return found

    def refuse(constant: str) -> None:
        raise ModelFileInvalid(f"{name}: {constant} is not JSON.")

    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise ModelFileInvalid(f"{name}: is not UTF-8 at byte {error.start}.") from error
    except RecursionError as error:
        raise ModelFileInvalid(f"{name}: is nested too deep.") from error
    except ValueError as error:
        raise ModelFileInvalid(f"{name}: is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelFileInvalid(f"{name}: is not a JSON object.")
    return value


def read_object(path: Path, *, limit: int) -> dict[str, Any]:
    """Parse the JSON object in a file of at most `limit` bytes."""
    size = path.stat().st_size
    if size > limit:
        raise ModelFileInvalid(f"{path.name}: has {size} bytes, over {limit}.")
    return parse_object(path.read_bytes(), path.name)
