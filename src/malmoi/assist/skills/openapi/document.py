"""The text of an OpenAPI document, as values and the line on which each of them stands.

JSON always; YAML where PyYAML is installed (it comes with the server's extra). YAML is composed into nodes
only: nothing in it can make an object, and anchors are refused, since a few lines of them can stand for
gigabytes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from malmoi.assist.skills.finding import Finding

Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 100
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+|\n')


@dataclass(frozen=True, slots=True)
class ApiDocument:
    """A parsed document.

    Attributes:
        value: plain values.
        lines: by path, from 1.
        file: its name in messages.
    """

    value: dict[str, Any]
    lines: dict[Path, int]
    file: str

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest one around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def finding(self, level: str, path: Path, message: str) -> Finding:
        """A finding at a value."""
        key = ".".join(str(part) for part in path)
        return Finding("error" if level == "error" else "warning", self.file, self.line(path), key, message)


def read_document(content: bytes, *, file: str) -> tuple[ApiDocument | None, list[Finding]]:
    """Parse a document; JSON where it begins with a brace, else YAML.

    Returns:
        The document, or None where it cannot be read; and what is wrong.
    """

    def fault(line: int, message: str) -> tuple[None, list[Finding]]:
        return None, [Finding("error", file, line, "", message)]

    if len(content) > MAX_BYTES:
        return fault(0, f"the document has {len(content)} bytes, more than {MAX_BYTES}.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return fault(content[: error.start].count(b"\n") + 1, "the file is not UTF-8; save it as UTF-8.")
    try:
        value, lines = _read_json(text) if text.lstrip()[:1] in ("{", "[") else _read_yaml(text)
    except _Wrong as error:
        return fault(error.line, error.message)
    except RecursionError:
        return fault(0, f"the document is nested more than {MAX_DEPTH} levels deep.")
    if not isinstance(value, dict):
        return fault(1, "the document is not an object.")
    return ApiDocument(value, lines, file), []


class _Wrong(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def _read_json(text: str) -> tuple[Any, dict[Path, int]]:
    def no_constant(name: str) -> Any:
        raise _Wrong(0, f"{name} is not JSON.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _Wrong(0, f"the key {twice!r} is given twice in one object.")
        return values

    try:
        value = json.loads(text, parse_constant=no_constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise _Wrong(error.lineno, f"this is not JSON: {error.msg}.") from error
    lines: dict[Path, int] = {(): 1}
    _JsonLines(text, lines).read(())
    return value, lines


class _JsonLines:
    """Walks through valid JSON for the places of its values alone."""

    def __init__(self, text: str, lines: dict[Path, int]) -> None:
        self._lines = lines
        self._line = 1
        self._tokens = self._split(text)
        self._next = next(self._tokens, "")

    def _split(self, text: str) -> Iterator[str]:
        for match in _TOKEN.finditer(text):
            if match[0] == "\n":
                self._line += 1
            else:
                yield match[0]

    def _take(self) -> str:
        token = self._next
        self._next = next(self._tokens, "")
        return token

    def read(self, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            raise RecursionError
        opening = self._take()
        number = 0
        while opening in ("{", "[") and self._next not in ("}", "]"):
            line = self._line
            part: str | int = number
            if opening == "{":
                part = json.loads(self._take())
                self._take()  # the colon
            self._lines[(*path, part)] = line
            self.read((*path, part))
            number += 1
            if self._next == ",":
                self._take()
        if opening in ("{", "["):
            self._take()


def _read_yaml(text: str) -> tuple[Any, dict[Path, int]]:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise _Wrong(
            1, "this is not JSON, and YAML needs PyYAML: pip install 'malmoi[serve]', or save it as JSON."
        ) from error
    lines: dict[Path, int] = {(): 1}
    loader = yaml.SafeLoader(text)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise _Wrong(event.start_mark.line + 1, "aliases are not possible here; write it out.")
        node = loader.get_single_node()
        return _of_node(loader, node, (), lines), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        raise _Wrong(line, f"this is not YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise _Wrong(0, "this is not YAML.") from error
    finally:
        loader.dispose()


def _of_node(loader: Any, node: Any, path: Path, lines: dict[Path, int]) -> Any:
    if len(path) > MAX_DEPTH:
        raise RecursionError
    if node is None:
        return None
    if node.id == "mapping":
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.id != "scalar":
                raise _Wrong(line, "a key is not plain text.")
            key = str(key_node.value)
            if key in values:
                raise _Wrong(line, f"the key {key!r} is given twice in one mapping.")
            lines[(*path, key)] = line
            values[key] = _of_node(loader, value_node, (*path, key), lines)
        return values
    if node.id == "sequence":
        for number, inner in enumerate(node.value):
            lines[(*path, number)] = inner.start_mark.line + 1
        return [_of_node(loader, inner, (*path, number), lines) for number, inner in enumerate(node.value)]
    if node.tag.endswith((":null", ":bool", ":int", ":float")):
        return loader.construct_object(node)
    return str(node.value)  # dates and all else stay what was written
