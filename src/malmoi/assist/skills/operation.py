"""What a skill can do, and what comes of doing it: the words that skills, their runner and the page share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from malmoi.core.types import JsonSchema

Effect: TypeAlias = Literal["read", "write"]
Language: TypeAlias = Literal["ko", "en"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a skill can do.

    Attributes:
        name: for the model: letters, digits, `_` and `-`, at most 64; unique in its skill.
        description: for the model.
        parameters: JSON Schema of its arguments, an object.
        effect: "write" changes something somewhere, and is never done before a person has said yes.
        title: for people, by language; empty: `name`.
        is_final: what a "write" changes cannot be undone, as far as is known; the question before says so.
    """

    name: str
    description: str
    parameters: JsonSchema
    effect: Effect
    title: Mapping[str, str] = field(default_factory=dict)
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file that a skill has made; `content` is kept by the server, and people download it by its name."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CardAction:
    """A button of a card: it calls an operation of the same skill (a write is confirmed first)."""

    label: str
    operation: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Card:
    """A result as people like to see it. All texts are plain; a page never takes them for HTML.

    Attributes:
        kind: for the icon and the layout: "place", "booking", "car", "event", "mail", "formula", "table",
            "plot", "weather" or "note".
        title: one line.
        subtitle: one line below.
        fields: labels and values.
        columns: of a table.
        rows: of a table.
        file: the name of one of the result's files, such as a plot to show.
        actions: buttons.
    """

    kind: str
    title: str
    subtitle: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    file: str = ""
    actions: tuple[CardAction, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """What went over the wire in a call, for the trace and the audit; secrets are taken out."""

    method: str
    url: str
    body: str = ""
    status: int | None = None
    response: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call.

    Attributes:
        data: for the model, plain JSON values; trimmed before it reads them.
        text: the result in a sentence or two, ready to be said, where the skill can say it itself; a
            deterministic skill (mathematics, a booking) says its own figures: no model miscopies them.
        cards: for people.
        files: that were made.
        is_error: the call was understood and refused, or failed; `text` says why.
        exchanges: what went over the wire.
    """

    data: Any = None
    text: str = ""
    cards: tuple[Card, ...] = ()
    files: tuple[File, ...] = ()
    is_error: bool = False
    exchanges: tuple[Exchange, ...] = ()


class Documents(Protocol):
    """The caller's documents, as skills may see them: nobody else's can be reached through it."""

    async def text(self, document_id: str) -> str:
        """The text of a document.

        Raises:
            NotFound: there is none, or it is not the caller's.
        """
        ...

    async def tables(self, document_id: str) -> Sequence[Sequence[Sequence[str]]]:
        """The tables of a document, each as rows of cells.

        Raises:
            NotFound: there is none, or it is not the caller's.
        """
        ...


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom a skill works, and when.

    Attributes:
        account_id: the caller; what a skill keeps, it keeps for this account alone.
        language: of the caller.
        now: the caller's time, with its zone: "tomorrow" is counted from here.
        credentials: the caller's own keys for this skill, by the names of its manifest's `auth`.
        documents: the caller's; None: this skill may not see them.
    """

    account_id: str
    language: Language
    now: datetime
    credentials: Mapping[str, str] = field(default_factory=dict)
    documents: Documents | None = None


class Provider(Protocol):
    """Where a skill's operations are carried out: an OpenAPI server, an MCP server, or Python here."""

    async def operations(self) -> Sequence[Operation]:
        """What it can do.

        Raises:
            SkillUnavailable: its server does not answer.
        """
        ...

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Do it. Arguments have been checked against the operation's schema, and a write was confirmed.

        Raises:
            SkillUnavailable: its server does not answer in time.
            InvalidInput: an argument that no schema can refuse; `field` says which.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and child processes."""
        ...
