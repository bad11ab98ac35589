"""Routers as files: one JSON object, or a line for each example, which sheets and scripts can write.

A line with `text` is an example of its `domain`, of its `blocked` subject, or of nothing. One without says
something about them: the `description` of a domain or subject, or else the router's `name`, `description`,
`usual_others` and `safety`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.serve.routers.types import MAX_TEXTS, Content, NewRouter

Form: TypeAlias = Literal["json", "jsonl"]

_KINDS = {"domain": "domains", "blocked": "blocked"}  # the key of a line -> the part of the content
_ABOUT = ("name", "description", "usual_others", "safety")
_MOST_LINES = 2 * MAX_TEXTS  # examples, and lines about topics


def to_text(name: str, description: str, content: Content, form: Form) -> str:
    """A router as a file."""
    if form == "json":
        whole = {"name": name, "description": description, "content": content.model_dump()}
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
    lines: list[dict[str, Any]] = [
        {
            "name": name,
            "description": description,
            "usual_others": content.usual_others,
            "safety": content.safety,
        }
    ]
    for kind, part in _KINDS.items():
        for topic in getattr(content, part):
            if topic.description:
                lines.append({kind: topic.name, "description": topic.description})
            lines += [{kind: topic.name, "text": text} for text in topic.examples]
    lines += [{"text": text} for text in content.others]
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


def read_text(text: str, *, name: str | None = None) -> NewRouter:
    """The router of a file that `to_text` has written, or somebody by hand.

    Args:
        text: of the file: an object with `content`, a content by itself, or lines.
        name: of the router; None: what the file says.

    Raises:
        InvalidInput: something in it is wrong; the message names the line or the key.
    """
    text = text.removeprefix("\ufeff")
    whole = _whole(text) or _of_lines(text)
    if name is not None:
        whole["name"] = name
    if "name" not in whole:
        raise InvalidInput("the file does not say the router's name.", field="name", fix="Give it a name.")
    try:
        return NewRouter.model_validate(whole)
    except ValidationError as error:
        raise InvalidInput(_fault(error, whole), field="text") from error


def _whole(text: str) -> dict[str, Any] | None:
    """The object of a file that is one; None: it has lines."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None  # if it is no JSON at all, a line is named
    if not isinstance(value, dict):
        return None
    if "content" in value:
        return value
    if any(isinstance(value.get(part), list) for part in ("domains", "blocked", "others")):
        about = {key: value.pop(key) for key in ("name", "description") if key in value}
        return {**about, "content": value}
    return None


def _of_lines(text: str) -> dict[str, Any]:
    about: dict[str, Any] = {}
    content: dict[str, Any] = {"others": []}
    topics: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
    for number, line in enumerate(text.split("\n"), start=1):  # other ends of lines may stand in texts
        if not line.strip():
            continue
        if number > _MOST_LINES:
            raise InvalidInput(f"there are more than {_MOST_LINES} lines.", field="text")
        try:
            _take(json.loads(line), about, content, topics)
        except _Wrong as error:
            raise InvalidInput(f"line {number}: {error}", field="text") from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"line {number} is no JSON.", field="text") from error
    for kind, part in _KINDS.items():
        content[part] = list(topics[kind].values())
    return {**about, "content": content}


class _Wrong(Exception):
    """What is wrong with a line."""


def _take(
    line: Any,
    about: dict[str, Any],
    content: dict[str, Any],
    topics: Mapping[str, dict[str, dict[str, Any]]],
) -> None:
    """Take one line in."""
    if not isinstance(line, dict):
        raise _Wrong("it must be an object.")
    kinds = [kind for kind in _KINDS if line.get(kind)]
    if len(kinds) > 1:
        raise _Wrong("an example is for a `domain` or for a `blocked` subject.")
    topic: dict[str, Any] | None = None
    if kinds:
        name = line[kinds[0]]
        if not isinstance(name, str):
            raise _Wrong(f"`{kinds[0]}` must be a name.")
        topic = topics[kinds[0]].setdefault(name, {"name": name, "examples": []})
    if "text" in line:
        known = {"text", *_KINDS}
        if not isinstance(line["text"], str):
            raise _Wrong("`text` must be words.")
        (content["others"] if topic is None else topic["examples"]).append(line["text"])
    elif topic is not None:
        known = {"description", *_KINDS}
        topic["description"] = line.get("description", "")
    else:
        known = {*_ABOUT}
        about |= {key: line[key] for key in ("name", "description") if key in line}
        content |= {key: line[key] for key in ("usual_others", "safety") if key in line}
    if line.keys() - known:
        told = ", ".join(ascii(key) if not key.isprintable() else key for key in sorted(line.keys() - known))
        raise _Wrong(f"{told[:60]} cannot be here; known are {', '.join(sorted(known))}.")


def _fault(error: ValidationError, whole: Mapping[str, Any]) -> str:
    """What is wrong, and where; a topic by its name."""
    fault = error.errors()[0]
    place: Any = whole
    told: list[str] = []
    for part in fault["loc"]:
        place = _within(place, part)
        named = place.get("name") if isinstance(place, dict) and isinstance(part, int) else None
        told.append(repr(named) if isinstance(named, str) else str(part))
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(told) or 'the file'}: {message.rstrip('.')}."


def _within(place: Any, part: str | int) -> Any:
    try:
        return place[part]
    except (KeyError, IndexError, TypeError):
        return None
