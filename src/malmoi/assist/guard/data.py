"""The guard's data: rules, word lists, help lines, messages. Files beside this module, read once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

Language: TypeAlias = Literal["ko", "en"]


@dataclass(frozen=True, slots=True)
class HelpLine:
    """A number to call, in both languages.

    Attributes:
        number: as it is dialled.
        name: who answers there.
        source: the page that says so.
        checked: the day it was read there.
        about: when it answers; empty: nothing is to be said.
    """

    number: str
    name: Mapping[Language, str]
    source: str
    checked: str
    about: Mapping[Language, str] = field(default_factory=dict)

    def said(self, language: Language) -> str:
        """Number, name and hours in a line."""
        hours = f" ({self.about[language]})" if self.about else ""
        return f"{self.number}: {self.name[language]}{hours}"


def read_text(*path: str) -> str:
    """A file of the guard's data."""
    return files("malmoi.assist.guard").joinpath(*path).read_text(encoding="utf-8")


@lru_cache
def read_table(*path: str) -> Mapping[str, Any]:
    """A TOML file of the guard's data."""
    return tomllib.loads(read_text(*path))


@lru_cache
def help_lines() -> Mapping[str, HelpLine]:
    """All help lines by their names."""
    return {name: HelpLine(**line) for name, line in read_table("lines.toml").items()}


def known_lines() -> tuple[str, ...]:
    """Names of the help lines."""
    return tuple(help_lines())


@lru_cache
def known_lists() -> tuple[str, ...]:
    """Names of the word lists."""
    folder = files("malmoi.assist.guard").joinpath("lists")
    return tuple(sorted(entry.name.removesuffix(".txt") for entry in folder.iterdir()))


def read_list(name: str) -> tuple[str, ...]:
    """The entries of a word list; `#` begins a comment, `!` an exception."""
    lines = (line.partition("#")[0].strip() for line in read_text("lists", f"{name}.txt").splitlines())
    return tuple(line for line in lines if line)


def known_topics() -> tuple[str, ...]:
    """Names of the topics that there are rules for."""
    return tuple(read_table("rules", "topics.toml")["topics"])


def known_messages() -> tuple[str, ...]:
    """Names of the messages."""
    return tuple(read_table("messages", "ko.toml"))


def message(name: str, language: Language, lines: tuple[str, ...] = ()) -> str:
    """A message, with the help lines that it names."""
    text = str(read_table("messages", f"{language}.toml")[name]).strip()
    if not lines:
        return text.replace("\n\n{lines}", "").replace("{lines}", "").strip()
    shown = [f"- {help_lines()[name].said(language)}" for name in lines]
    return text.replace("{lines}", "\n".join(shown))
