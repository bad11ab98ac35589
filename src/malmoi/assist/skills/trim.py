"""What of a result reaches the model: chosen paths, and no more characters than there is room for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_DEPTH = 40


def keep_paths(value: Any, paths: Sequence[str]) -> Any:
    """Only what lies on the paths, in the same shape; lists are gone through without being named.

    `keep_paths({"items": [{"name": 1, "x": 2}], "n": 3}, ["items.name"])` is `{"items": [{"name": 1}]}`.
    No paths: everything.
    """
    return _kept(value, [path.split(".") for path in paths]) if paths else value


def _kept(value: Any, paths: list[list[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        return [_kept(one, paths) for one in value]
    if not isinstance(value, Mapping):
        return None
    kept: dict[str, Any] = {}
    for key, inner in value.items():
        below = [path[1:] for path in paths if path[0] == key]
        if below:
            kept[key] = _kept(inner, below)
    return kept


def look_up(value: Any, path: str) -> Any:
    """What lies on a path, None where nothing does. A number chooses an element of a list."""
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def fit(value: Any, most: int) -> str:
    """A value as JSON of at most `most` characters; what had to be left out is said in words.

    Lists lose their last elements first, then long texts their ends. Only as a last step is the JSON itself
    cut, so that the model reads whole values as long as that is possible.
    """
    text = _dumped(value)
    for elements, characters in ((20, 2000), (10, 500), (5, 200), (3, 80), (1, 40)):
        if len(text) <= most:
            return text
        text = _dumped(_shortened(value, elements, characters))
    if len(text) <= most:
        return text
    mark = " …(cut)"
    return text[: max(0, most - len(mark))] + mark


def _shortened(value: Any, elements: int, characters: int, depth: int = 0) -> Any:
    if depth > _DEPTH:
        return "…"
    if isinstance(value, str):
        return value if len(value) <= characters else value[:characters] + "…"
    if isinstance(value, Mapping):
        return {key: _shortened(one, elements, characters, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        short = [_shortened(one, elements, characters, depth + 1) for one in value[:elements]]
        left = len(value) - len(short)
        return [*short, f"… ({left} more)"] if left else short
    return value


def _dumped(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
