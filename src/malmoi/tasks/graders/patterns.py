"""Patterns of task files: they come from anybody, and some take for ever, so each has only so much time."""

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from malmoi.core.errors import InvalidInput, MissingExtra

SECONDS = 5.0  # for one answer; ordinary patterns take a thousandth of it

Found = TypeVar("Found")


def check_pattern(pattern: str) -> str:
    """A pattern that compiles.

    Raises:
        ValueError: it does not.
    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


def find_all(pattern: str, text: str) -> list[Any]:
    """Every match of a pattern, as match objects.

    Raises:
        InvalidInput: it takes too long, or is no pattern.
    """
    return _in_time(pattern, lambda regex: list(regex.finditer(pattern, text, timeout=SECONDS)))


def is_found(pattern: str, text: str, *, whole: bool = False) -> bool:
    """Whether a pattern matches somewhere in a text, or all of it. Raises what `find_all` raises."""

    def find(regex: Any) -> bool:
        return (regex.fullmatch if whole else regex.search)(pattern, text, timeout=SECONDS) is not None

    return _in_time(pattern, find)


def _in_time(pattern: str, find: Callable[[Any], Found]) -> Found:
    try:
        regex = import_module("regex")
    except ImportError as error:
        raise MissingExtra("A task with patterns", "eval") from error
    try:
        return find(regex)
    except TimeoutError:
        raise InvalidInput(
            f"the pattern {pattern!r} takes longer than {SECONDS:g} s on an answer.",
            field="pattern",
            fix="Write it without a repeat inside of a repeat.",
        ) from None
    except regex.error as error:
        raise InvalidInput(f"{pattern!r} is not a regular expression: {error}.", field="pattern") from error
