"""Schemas of a document as JSON Schema that stands by itself.

References are resolved within the document alone, and written out; a schema that holds itself is cut where
it would begin again. What 3.0 says in its own way (`nullable`, `example`, exclusive bounds that are true or
false) becomes what JSON Schema 2020-12 says. Keys that say nothing to a model or a checker are left out.
"""

from collections.abc import Mapping
from typing import Any

from malmoi.assist.skills.finding import Finding
from malmoi.assist.skills.openapi.document import ApiDocument, Path

MAX_NESTING = 12
MAX_NODES = 5000  # of one operation's schema
_HOPS = 20

_KEPT = frozenset(
    [
        "type",
        "enum",
        "const",
        "format",
        "description",
        "title",
        "default",
        "examples",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "required",
        "x-malmoi-title",
        "x-malmoi-words",
        "x-malmoi-unit",
        "x-malmoi-form",
        "x-malmoi-near",
        "x-malmoi-alone",
    ]
)
_NESTED = ("items", "additionalProperties", "not")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


class SchemaReader:
    """Reads the schemas of one document, and notes what is wrong with them.

    Args:
        document: where references lead.
        findings: faults are added to it.
    """

    def __init__(self, document: ApiDocument, findings: list[Finding]) -> None:
        self._document = document
        self._findings = findings
        self._is_old = str(document.value.get("openapi", "")).startswith("3.0")
        self._nodes = 0

    def start(self) -> None:
        """Begin a new operation: its schemas together have a size of their own."""
        self._nodes = 0

    def resolve(self, value: Any, path: Path) -> tuple[Any, Path]:
        """What a value is, behind the references it may be, and where that stands.

        A reference that leads nowhere, in a circle, or out of the document is noted, and gives nothing.
        """
        for _ in range(_HOPS):
            if not isinstance(value, Mapping) or not isinstance(value.get("$ref"), str):
                return value, path
            pointer = value["$ref"]
            if not pointer.startswith("#/"):
                self._fault(path, f"{pointer!r} lies outside of this document; write it in here.")
                return {}, path
            told = path
            found: Any = self._document.value
            path = ()
            for part in pointer[2:].split("/"):
                name: str | int = part.replace("~1", "/").replace("~0", "~")
                if isinstance(found, list) and str(name).isdigit() and int(name) < len(found):
                    name = int(name)
                    found = found[name]
                elif isinstance(found, Mapping) and name in found:
                    found = found[name]
                else:
                    self._fault(told, f"{pointer!r} is not in this document.")
                    return {}, told
                path = (*path, name)
            value = found
        self._fault(path, "these references go round in a circle.")
        return {}, path

    def read(self, value: Any, path: Path, *, within: tuple[Path, ...] = ()) -> dict[str, Any]:
        """A schema, written out. `within` are the places of the schemas around it."""
        value, path = self.resolve(value, path)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._fault(path, f"the schemas of this operation have more than {MAX_NODES} parts.")
            return {}
        if value is True or path in within or len(within) >= MAX_NESTING:
            return {}
        if value is False:
            return {"not": {}}
        if not isinstance(value, Mapping):
            self._fault(path, "a schema is an object.")
            return {}
        inner = (*within, path)
        schema: dict[str, Any] = {key: value[key] for key in value if key in _KEPT}
        if isinstance(value.get("properties"), Mapping):
            schema["properties"] = {
                str(name): self.read(one, (*path, "properties", name), within=inner)
                for name, one in value["properties"].items()
                if not (isinstance(one, Mapping) and one.get("readOnly") is True)
            }
            required = value.get("required")
            if isinstance(required, list):
                schema["required"] = [name for name in required if name in schema["properties"]]
        for key in _NESTED:
            if isinstance(value.get(key), Mapping | bool):
                schema[key] = self.read(value[key], (*path, key), within=inner)
                if isinstance(value[key], bool) and key == "additionalProperties":
                    schema[key] = value[key]
        for key in _LISTS:
            if isinstance(value.get(key), list):
                schema[key] = [
                    self.read(one, (*path, key, number), within=inner)
                    for number, one in enumerate(value[key])
                ]
        return self._modern(schema, value)

    def _modern(self, schema: dict[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
        """The words of 3.0 in those of 3.1."""
        if "examples" in schema and not isinstance(schema["examples"], list):
            del schema["examples"]
        if "example" in value and "examples" not in schema:
            schema["examples"] = [value["example"]]
        if not self._is_old:
            return schema
        for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
                schema[exclusive] = schema.pop(bound)
        if value.get("nullable") is True:
            if isinstance(schema.get("type"), str):
                schema["type"] = [schema["type"], "null"]
                if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
                    schema["enum"] = [*schema["enum"], None]
            else:
                schema = {"anyOf": [schema, {"type": "null"}]}
        return schema

    def _fault(self, path: Path, message: str) -> None:
        self._findings.append(self._document.finding("error", path, message))


def merge_all_of(schema: dict[str, Any]) -> dict[str, Any]:
    """An object schema whose `allOf` parts are objects as well, as one object schema."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    properties: dict[str, Any] = dict(merged.get("properties", {}))
    required: list[str] = list(merged.get("required", []))
    for part in parts:
        flat = merge_all_of(part)
        if "properties" not in flat or any(key in flat for key in ("anyOf", "oneOf", "not")):
            return schema
        properties = {**flat["properties"], **properties}
        required += [name for name in flat.get("required", []) if name not in required]
    merged |= {"type": "object", "properties": properties, "required": required}
    return merged
