"""Scripts: ordered rules that say what the scripted engine answers, how fast, and how it fails.

As a file (`scripted:demo.toml`), TOML or JSON:

    context_length = 8192
    [[rules]]
    contains = "안녕"
    reply = "안녕하세요!"
    [[rules]]
    when = "(?i)weather"
    tool_calls = [{ name = "weather", arguments = { city = "Seoul" } }]
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from malmoi.core.errors import ConfigError
from malmoi.core.types import Chat, FinishReason

Failure: TypeAlias = Literal["engine_error", "engine_unavailable", "overloaded"]


class ScriptedCall(BaseModel):
    """A tool call to make. `arguments` is an object, or text that is sent as it is (even broken JSON)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)
    id: str | None = None

    def arguments_text(self) -> str:
        """The arguments as the model writes them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


class UsageOverride(BaseModel):
    """Counts to report instead of the true ones, for tests of a server that must not trust its engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Rule(BaseModel):
    """One line of a script: when it applies, and what is answered then. All given conditions must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    when: str | None = None
    """A regular expression that must be found."""
    contains: str | None = None
    """Text that must be found."""
    where: Literal["user", "any"] = "user"
    """Where to look: in the last user message, or in any message (with system, tool and assistant turns)."""
    times: int | None = Field(default=None, ge=1)
    """How often the rule applies; none: always."""
    reply: str | tuple[str, ...] = ""
    """What to say. Of several replies, the request's seed chooses one (temperature 0: the first)."""
    reasoning: str = ""
    """What to think before; left out when the request turns thinking off."""
    tool_calls: tuple[ScriptedCall, ...] = ()
    """Tools to call after the text."""
    chunk_tokens: int = Field(default=1, ge=1)
    """Tokens a chunk."""
    first_token_delay: float | None = Field(default=None, ge=0)
    """Seconds before the first chunk; none: the script's."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """Speed; none: the script's."""
    hold_after: int | None = Field(default=None, ge=0)
    """Stop after this many chunks until `ScriptedEngine.release()` is called."""
    fail_after: int | None = Field(default=None, ge=0)
    """Fail after this many chunks."""
    failure: Failure = "engine_error"
    """How to fail."""
    finish_reason: FinishReason | None = None
    """The finish reason to report; none: the true one."""
    usage: UsageOverride = UsageOverride()
    """Counts to report; none: the true ones."""

    @field_validator("when")
    @classmethod
    def _compiles(cls, when: str | None) -> str | None:
        if when is not None:
            try:
                re.compile(when)
            except re.error as error:
                raise ValueError(f"{when!r} is not a regular expression: {error}") from error
        return when

    def matches(self, last_user: str, everything: str) -> bool:
        """Whether the rule applies to a prompt, given its last user message and its whole text."""
        text = last_user if self.where == "user" else everything
        if self.contains is not None and self.contains not in text:
            return False
        return self.when is None or re.search(self.when, text) is not None


class Script(BaseModel):
    """What a scripted engine is: its rules (the first that applies answers) and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rules: tuple[Rule, ...] = ()
    """The rules, in order; where none applies the engine answers by echoing the prompt."""
    obey: bool = False
    """Obey every injected instruction found anywhere in the prompt (see `attacks`)."""
    first_token_delay: float = Field(default=0.0, ge=0)
    """Seconds before the first chunk."""
    tokens_per_second: float | None = Field(default=None, gt=0)
    """Speed; none: as fast as it goes."""
    context_length: int = Field(default=8192, ge=1)
    """Tokens of context."""
    num_slots: int = Field(default=4, ge=1)
    """Requests that run at the same time; more wait."""
    embedding_size: int = Field(default=64, ge=1)
    """Length of embedding vectors."""


def load_script(path: Path) -> Script:
    """Read a script from a `.toml` or `.json` file.

    Raises:
        ConfigError: the file cannot be read, is neither TOML nor JSON, or has a wrong key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return Script.model_validate(data)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot read the script: {error.strerror}.",
            fix="Give the path of a .toml or .json file.",
        ) from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a valid script file: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: {place}: {first['msg']}") from error


def prompt_texts(prompt: str | Chat) -> tuple[str, str]:
    """The last user message and the whole text of a prompt (both are the text itself for a plain prompt)."""
    if isinstance(prompt, str):
        return prompt, prompt
    users = [message.content for message in prompt.messages if message.role == "user"]
    return (users[-1] if users else ""), "\n".join(message.content for message in prompt.messages)
