"""Reading `skill.toml`: what is wrong in it is told with its line and its key."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from malmoi.assist.skills.finding import Finding, refuse_errors
from malmoi.assist.skills.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest, Origin, Skill
from malmoi.assist.skills.toml_lines import Path as KeyPath
from malmoi.assist.skills.toml_lines import toml_lines
from malmoi.core.errors import ConfigError
from malmoi.core.fields import EXTRA, field_names, nearest


def load_skill(folder: Path | Traversable, *, origin: Origin = "operator") -> Skill:
    """Read the manifest of a folder. Its source is not read yet.

    Raises:
        ConfigError: there is no manifest, or something in it is wrong; every fault with its line and key.
    """
    file = folder / MANIFEST_NAME
    try:
        content = file.read_bytes()
    except (OSError, FileNotFoundError) as error:
        raise ConfigError(
            f"{file} cannot be read ({error.__class__.__name__}).",
            fix=f"A skill's folder has a {MANIFEST_NAME}.",
        ) from error
    manifest, findings = read_manifest(content, file=str(file), origin=origin)
    refuse_errors(findings)
    assert manifest is not None
    return Skill(manifest, folder, origin)


def read_manifest(
    content: bytes, *, file: str = MANIFEST_NAME, origin: Origin = "operator"
) -> tuple[Manifest | None, list[Finding]]:
    """Check the text of a manifest.

    Args:
        content: UTF-8.
        file: its name in messages.
        origin: decides which sources are allowed.

    Returns:
        The manifest, or None where there is an error; and all findings.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        message = f"the file has {len(content)} bytes, more than {MAX_MANIFEST_BYTES}."
        return None, [Finding("error", file, 0, "", message)]
    try:
        text = content.decode("utf-8-sig")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return None, [Finding("error", file, line, "", "the file is not UTF-8; save it as UTF-8.")]
    except tomllib.TOMLDecodeError as error:
        line, message = _toml_fault(error)
        return None, [Finding("error", file, line, "", f"this is not TOML: {message}.")]
    lines = toml_lines(text)
    try:
        manifest = Manifest.model_validate(_plain(values))
    except ValidationError as error:
        return None, [_fault(fault, file, lines) for fault in error.errors(include_url=False)]
    findings = list(_origin_faults(manifest, file, lines, origin))
    return (None if any(f.level == "error" for f in findings) else manifest), findings


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of a key, or of the nearest one above it that the file has."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _origin_faults(
    manifest: Manifest, file: str, lines: Mapping[KeyPath, int], origin: Origin
) -> list[Finding]:
    def fault(path: KeyPath, message: str) -> Finding:
        return Finding("error", file, line_of(lines, path), ".".join(map(str, path)), message)

    found: list[Finding] = []
    source = manifest.source
    if source.python is not None and origin == "uploaded":
        found.append(
            fault(("source", "python"), "an uploaded skill cannot run Python here; an operator's folder can.")
        )
    if source.mcp is not None and source.mcp.command is not None and origin == "uploaded":
        message = "an uploaded skill cannot start a command here; give `url`, or use the operator's folder."
        found.append(fault(("source", "mcp", "command"), message))
    if manifest.auth.kind == "fields" and source.python is None:
        message = 'the kind "fields" is for Python skills; use "bearer", "api_key" or "basic".'
        found.append(fault(("auth", "kind"), message))
    return found


def _plain(value: Any) -> Any:
    """TOML values as JSON has them: dates and times become their ISO texts."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _toml_fault(error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """The line and the words of a syntax error; Python 3.11 has both in its text only."""
    message, _, place = str(error).rpartition(" (at ")
    words = place.replace(",", " ").split()
    if words[:1] == ["line"] and words[1].isdigit():
        return int(words[1]), message
    return 0, message or str(error)


def _fault(fault: Any, file: str, lines: Mapping[KeyPath, int]) -> Finding:
    path: KeyPath = tuple(part for part in fault["loc"] if part != "[key]")
    kind = fault["type"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == EXTRA:
        near = nearest(str(path[-1]), field_names(Manifest, path[:-1]))
        message = f"this key is not known{f'; did you mean `{near}`?' if near else '.'}"
    elif kind == "missing":
        message = "this key is missing; add it."
    elif kind == "string_pattern_mismatch":
        message = f"{fault['input']!r} does not fit {fault['ctx']['pattern']}."
    return Finding("error", file, line_of(lines, path), ".".join(map(str, path)), message)
