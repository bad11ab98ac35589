"""The smallest value that fits a JSON Schema, for the scripted engine's constrained answers."""

import math
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from malmoi.core.errors import Unsupported
from malmoi.core.types import JsonSchema

_MAX_DEPTH = 48
_FORMATS = {
    "date": "2024-10-09",
    "date-time": "2024-10-09T09:00:00Z",
    "time": "09:00:00Z",
    "email": "user@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
_EMPTY: dict[str, Any] = {"null": None, "boolean": False}


def minimal_instance(schema: JsonSchema) -> Any:
    """A small value that fits `schema`: required properties only, least numbers, shortest strings.

    Raises:
        Unsupported: no such value was found (patterns, `not`, recursion without an end).
    """
    value = _build(schema, schema, 0)
    try:
        # An empty registry: a remote `$ref` is an error, never a download.
        valid: bool = Draft202012Validator(dict(schema), registry=Registry()).is_valid(value)
    except Unresolvable as error:
        raise Unsupported(f"the scripted engine cannot follow the reference {error.ref!r}.") from error
    if not valid:
        raise Unsupported(
            "the scripted engine found no value for this JSON schema.",
            fix="Give the answer by a rule of the script.",
        )
    return value


def _build(schema: Any, root: JsonSchema, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise Unsupported("this JSON schema nests too deeply for the scripted engine.")
    if not isinstance(schema, Mapping):
        return None
    schema = _flatten(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kinds = schema.get("type", _guess(schema))
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: _build(properties.get(name, {}), root, depth + 1) for name in schema.get("required", ())
        }
    if kind == "array":
        return _array(schema, root, depth)
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "").ljust(schema.get("minLength", 0), "가")
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return _EMPTY.get(str(kind))


def _flatten(schema: Mapping[str, Any], root: JsonSchema, depth: int) -> dict[str, Any]:
    """`schema` with its references, `allOf` and the first `anyOf`/`oneOf` drawn in."""
    merged: dict[str, Any] = {}
    parts: list[Any] = [schema]
    for _ in range(_MAX_DEPTH):
        if not parts:
            return merged
        part = parts.pop()
        if not isinstance(part, Mapping):
            continue
        if "$ref" in part:
            parts.append(_resolve(str(part["$ref"]), root))
        parts.extend(part.get("allOf", ()))
        for choice in ("anyOf", "oneOf"):
            parts.extend(part.get(choice, ())[:1])
        for key, value in part.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = list(dict.fromkeys([*merged.get(key, []), *value]))
            elif key not in ("$ref", "allOf", "anyOf", "oneOf"):
                merged.setdefault(key, value)
    raise Unsupported("this JSON schema refers to itself without an end.")


def _resolve(reference: str, root: JsonSchema) -> Any:
    if not reference.startswith("#"):
        raise Unsupported(f"the scripted engine cannot follow the reference {reference!r}.")
    value: Any = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, Mapping) or key not in value:
            raise Unsupported(f"the scripted engine cannot follow the reference {reference!r}.")
        value = value[key]
    return value


def _guess(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema else "string"


def _array(schema: Mapping[str, Any], root: JsonSchema, depth: int) -> list[Any]:
    first = schema.get("prefixItems", [])
    size = schema.get("minItems", 0)
    if size > 1000:
        raise Unsupported(f"the scripted engine does not write arrays of {size} items.")
    items = [_build(item, root, depth + 1) for item in first[:size]]
    items += [_build(schema.get("items", {}), root, depth + 1) for _ in range(size - len(items))]
    return items


def _number(schema: Mapping[str, Any], *, whole: bool) -> float | int:
    step = schema.get("multipleOf", 1 if whole else 0)
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    value: float = 0
    if not (low <= 0 <= high and above < 0 < below):
        grain = step or 0.5
        if low > 0 or above >= 0:
            value = math.ceil(max(low, above) / grain) * grain
            value += grain if value <= above else 0
        else:
            value = math.floor(min(high, below) / grain) * grain
            value -= grain if value >= below else 0
    return int(value) if whole else value
