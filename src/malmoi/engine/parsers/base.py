"""What an output parser gives, and how its pieces add up."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from malmoi.core.types import ToolCall
from malmoi.engine.base import ToolCallDelta

NewId: TypeAlias = Callable[[int], str]
"""Gives the id of the call with this index."""


@dataclass(frozen=True, slots=True)
class ParsedDelta:
    """A piece of a model's turn: visible text, reasoning, or pieces of tool calls."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A whole turn of a model."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@runtime_checkable
class OutputParser(Protocol):
    """Takes a model's text apart while it arrives. One parser reads one turn."""

    def push(self, text: str) -> list[ParsedDelta]:
        """What is certain after `text`, which may end anywhere; a marker begun at its end is held back."""
        ...

    def finish(self) -> list[ParsedDelta]:
        """What was held back, when no more text comes.

        Of a call that was cut off, what came stays: if its name is known, it is a call with the arguments so
        far (no valid JSON, then); if not, it is text.
        """
        ...


def random_id(index: int) -> str:
    """An id that no other call has."""
    return f"call_{secrets.token_hex(12)}"


def collect(deltas: Iterable[ParsedDelta]) -> Parsed:
    """The whole turn that the pieces add up to."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, _Call] = {}
    for delta in deltas:
        text.append(delta.text)
        reasoning.append(delta.reasoning)
        for piece in delta.tool_calls:
            call = calls.setdefault(piece.index, _Call())
            call.id = piece.id or call.id
            call.name = piece.name or call.name
            call.arguments.append(piece.arguments)
    return Parsed(
        "".join(text),
        "".join(reasoning),
        tuple(ToolCall(call.id, call.name, "".join(call.arguments)) for _, call in sorted(calls.items())),
    )


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Pieces:
    """Gathers what one step gives and joins neighbours of one kind, so that a step gives few deltas."""

    def __init__(self) -> None:
        self._done: list[ParsedDelta] = []
        self._kind = ""
        self._texts: list[str] = []
        self._calls: list[ToolCallDelta] = []

    def text(self, text: str) -> None:
        """Visible text."""
        if text:
            self._switch("text")
            self._texts.append(text)

    def reasoning(self, text: str) -> None:
        """Reasoning."""
        if text:
            self._switch("reasoning")
            self._texts.append(text)

    def call(self, index: int, call_id: str, name: str) -> None:
        """A new tool call."""
        self._switch("calls")
        self._calls.append(ToolCallDelta(index, call_id, name))

    def arguments(self, index: int, text: str) -> None:
        """More of a call's arguments."""
        if not text:
            return
        self._switch("calls")
        last = self._calls[-1] if self._calls else None
        if last is not None and last.index == index:
            self._calls[-1] = ToolCallDelta(index, last.id, last.name, last.arguments + text)
        else:
            self._calls.append(ToolCallDelta(index, arguments=text))

    def deltas(self) -> tuple[ParsedDelta, ...]:
        """Everything so far, in order."""
        self._switch("")
        return tuple(self._done)

    def _switch(self, kind: str) -> None:
        if kind == self._kind:
            return
        joined = "".join(self._texts)
        if self._kind == "text":
            self._done.append(ParsedDelta(text=joined))
        elif self._kind == "reasoning":
            self._done.append(ParsedDelta(reasoning=joined))
        elif self._kind == "calls":
            self._done.append(ParsedDelta(tool_calls=tuple(self._calls)))
        self._kind, self._texts, self._calls = kind, [], []
