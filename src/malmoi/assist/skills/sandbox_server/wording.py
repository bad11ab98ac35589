"""What people call arguments and their values, laid over an OpenAPI document."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any


def with_wording(document: dict[str, Any], part: str) -> dict[str, Any]:
    """The document itself, with `x-malmoi-title`, `-words`, `-unit` and `-near` in its schemas.

    Args:
        document: of one part of the sandbox; it is changed.
        part: its name in `wording.toml`.
    """
    told = tomllib.loads(files(__package__).joinpath("wording.toml").read_text(encoding="utf-8"))
    wording = {**told["all"], **told[part]} if part in told else told["all"]
    for name, schema in _arguments(document):
        said = wording.get(name)
        if said is None:
            continue
        schema["x-malmoi-title"] = said["title"]
        for hint in ("unit", "near"):
            if hint in said:
                schema[f"x-malmoi-{hint}"] = said[hint]
        words = {
            value: said["words"][value] for value in schema.get("enum", ()) if value in said.get("words", {})
        }
        if words:
            schema["x-malmoi-words"] = words
    return document


def _arguments(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every argument with its schema: of addresses, and of bodies."""
    for methods in document["paths"].values():
        for told in methods.values():
            for parameter in told.get("parameters", ()):
                yield parameter["name"], parameter["schema"]
    for schema in document.get("components", {}).get("schemas", {}).values():
        yield from schema.get("properties", {}).items()
