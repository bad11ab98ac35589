"""Sentences for people, and prompts for the model, from the files of this package."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.operation import Operation

_SENTENCE_END = re.compile(r"[.;\n](?:\s|$)")
_SUCH_AS = re.compile(r"(?:e\.g\.|for example|such as|like\b|예를 들어|예:)", re.IGNORECASE)
_LABEL = 60  # characters of a description that serves as a label


@lru_cache
def _messages() -> dict[str, dict[str, str]]:
    return tomllib.loads(files(__package__).joinpath("messages.toml").read_text(encoding="utf-8"))


@lru_cache
def prompt(name: str) -> str:
    """A prompt template."""
    return files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").strip()


def say(name: str, language: str, **values: str) -> str:
    """A sentence for a person. Values are put in as they are; braces in them stay."""
    text = _messages()[language if language in ("ko", "en") else "en"][name]
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def label_of(operation: Operation, argument: str, language: str) -> str:
    """What people call an argument: its `title`, the beginning of its description, or its name."""
    schema = operation.parameters.get("properties", {}).get(argument, {})
    titles = schema.get("x-malmoi-title") if isinstance(schema, Mapping) else None
    if isinstance(titles, Mapping) and isinstance(titles.get(language), str):
        return str(titles[language])
    for key in ("title", "description"):
        text = schema.get(key) if isinstance(schema, Mapping) else None
        if isinstance(text, str) and text.strip():
            first = _SENTENCE_END.split(text.strip())[0].strip()
            # "e.g. ..." shows what may be said, and does not name it.
            if first and len(first) <= _LABEL and not _SUCH_AS.match(text.strip()):
                return first
    return argument.replace("_", " ")


def listed(properties: Mapping[str, Any], required: Sequence[str]) -> str:
    """Arguments as the model reads them, one a line."""
    lines: list[str] = []
    for name, schema in properties.items():
        told = schema if isinstance(schema, Mapping) else {}
        kind = told.get("format") or told.get("type") or "any"
        if isinstance(kind, list):
            kind = "/".join(str(one) for one in kind)
        parts = [f"- {name} ({kind}{', required' if name in required else ''})"]
        if isinstance(told.get("description"), str):
            parts.append(" ".join(told["description"].split())[:300])
        if isinstance(told.get("enum"), list):
            parts.append(
                "one of " + ", ".join(json.dumps(one, ensure_ascii=False) for one in told["enum"][:40])
            )
        elif isinstance(told.get("examples"), list) and told["examples"]:
            parts.append(f"such as {json.dumps(told['examples'][0], ensure_ascii=False)[:100]}")
        if "default" in told:
            parts.append(f"default {json.dumps(told['default'], ensure_ascii=False)[:60]}")
        lines.append(": ".join([parts[0], "; ".join(parts[1:])]) if parts[1:] else parts[0])
    return "\n".join(lines)
