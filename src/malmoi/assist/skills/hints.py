"""Hints of a schema (`x-malmoi-...`) that come from somewhere else."""

import re
from collections.abc import Mapping
from typing import Any

_PREFIX = "x-malmoi-"
_MOST = 100  # words of a hint


def with_plain_hints(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A foreign schema of arguments whose hints are plain words, of the form that they should have.

    `x-malmoi-near` has expressions; a foreign one can take for ever to match, so here it stands for itself.
    """
    properties = {
        name: {key: value for key, value in one.items() if not str(key).startswith(_PREFIX)} | _plain(one)
        if isinstance(one, Mapping)
        else one
        for name, one in parameters.get("properties", {}).items()
    }
    return {**parameters, "properties": properties}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: schema.get(_PREFIX + name) for name in ("title", "words", "near", "unit", "form", "alone")}
    plain: dict[str, Any] = {
        "near": [re.escape(word) for word in _strings(told["near"])],
        "words": {
            str(value): _strings(words)
            for value, words in (told["words"].items() if isinstance(told["words"], Mapping) else ())
        },
        "title": {
            str(code): text
            for code, text in (told["title"].items() if isinstance(told["title"], Mapping) else ())
            if isinstance(text, str)
        },
        "unit": told["unit"] if isinstance(told["unit"], str) else "",
        "form": told["form"] if isinstance(told["form"], str) else "",
        "alone": told["alone"] is True,
    }
    return {_PREFIX + name: value for name, value in plain.items() if value}


def _strings(value: Any) -> list[str]:
    return [one for one in value[:_MOST] if isinstance(one, str)] if isinstance(value, list) else []
