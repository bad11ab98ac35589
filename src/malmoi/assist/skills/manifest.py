"""The manifest of a skill: `skill.toml`, which says what it is, for whom, and where its operations come from.

name = "car"                         # for the model and in addresses: [a-z0-9-], at most 40
domain = "car"                       # one skill of a domain is switched on at a time, two in all
version = "1"
description = "..."                  # for the model: what it can do, and when to use it
documents = false                    # true: its operations may read the caller's own documents
[people.ko]                          # for people; ko, en or both
name = "렌터카"                       # at most 20 characters
description = "..."
[[examples]]                         # what people say; with arguments it is a demonstration as well
query = "내일 제주공항에서 경차 하루 빌려 줘"
operation = "search_cars"
arguments = { place = "제주공항" }
[source]                             # exactly one of python, openapi, mcp
openapi = "openapi.json"
base_url = "https://cars.example"    # instead of the document's `servers`
[auth]                               # what each person gives; absent: nothing
kind = "bearer"
[operations.book_car]                # by operation, only what differs from the source
effect = "write"
final = false                        # true: it cannot be undone, and the question before it says so
title = { ko = "예약", en = "Book" }
keep = ["items.name", "items.price"] # only these reach the model; lists are gone through
fixed = { currency = "KRW" }         # arguments that are always these; the model does not see them
say = { ko = "{car.name} 예약을 마쳤습니다.", en = "Booked {car.name}." }
[operations.book_car.card]           # how people see a result; see `CardTemplate`
kind = "booking"
title = { ko = "{car.name}" }
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from malmoi.assist.skills.operation import Effect, Language

MANIFEST_NAME = "skill.toml"
_TAKEN = frozenset({"audit", "runs", "validate"})
MAX_MANIFEST_BYTES = 256 * 1024
Origin: TypeAlias = Literal["builtin", "operator", "uploaded"]

SkillName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")]
OperationName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
FieldName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Texts: TypeAlias = Annotated[dict[Language, Annotated[str, Field(min_length=1, max_length=500)]], Field()]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PeopleText(_Part):
    """What people read about a skill, in one language."""

    name: str = Field(min_length=1, max_length=20, pattern=r"^\S(?:[^\n\r]*\S)?$")
    description: str = Field(min_length=1, max_length=300)


class Example(_Part):
    """A query that belongs to the skill.

    Attributes:
        query: as a person would write it.
        operation: the one that is wanted; empty: any of the skill's.
        arguments: that `operation` should be called with; None: not said.
    """

    query: str = Field(min_length=1, max_length=500)
    operation: OperationName | None = None
    arguments: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _named(self) -> "Example":
        if self.arguments is not None and self.operation is None:
            raise ValueError("arguments need an `operation`; add its name to this example.")
        return self


class McpSource(_Part):
    """An MCP server: an address (streamable HTTP), or a command on this machine (operator's folder only)."""

    url: str | None = Field(default=None, max_length=2000)
    command: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=40, strict=False)
    environment: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> "McpSource":
        if (self.url is None) == (self.command is None):
            raise ValueError("give exactly one of `url` and `command`.")
        return self


class Source(_Part):
    """Where the operations come from: exactly one of `python`, `openapi` and `mcp`.

    Attributes:
        python: "package.module:Attribute", a `Provider` class or a function that makes one.
        openapi: the name of a file beside the manifest, or an https address.
        mcp: an MCP server.
        base_url: of an OpenAPI server, instead of the document's `servers`.
        settings: keyword arguments of a Python provider.
    """

    python: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    openapi: str | None = Field(default=None, min_length=1, max_length=2000)
    mcp: McpSource | None = None
    base_url: str | None = Field(default=None, max_length=2000)
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> "Source":
        given = [name for name in ("python", "openapi", "mcp") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of `python`, `openapi` and `mcp`.")
        if self.base_url is not None and self.openapi is None:
            raise ValueError("`base_url` belongs to an `openapi` source; take it out.")
        if self.settings and self.python is None:
            raise ValueError("`settings` belong to a `python` source; take them out.")
        return self

    @property
    def kind(self) -> Literal["python", "openapi", "mcp"]:
        """Which of the three it is."""
        return "python" if self.python is not None else "openapi" if self.openapi is not None else "mcp"


class AuthField(_Part):
    """One value that a person gives. `secret` ones are never shown again."""

    title: Texts = Field(default_factory=dict)
    secret: bool = True
    required: bool = True
    default: str = ""


class Auth(_Part):
    """What each person must give before the skill works for them.

    The names in `CallContext.credentials`: `token` for "bearer", `key` for "api_key", `username` and
    `password` for "basic", and the names of `fields` for "fields" (Python skills).

    Attributes:
        kind: how it is sent; "fields" is for Python skills, which use the values themselves.
        name: of the header or query parameter of an API key.
        place: where an API key goes.
        fields: further values by name, or all of them for "fields".
        help: where a person finds the key.
    """

    kind: Literal["none", "bearer", "api_key", "basic", "fields"] = "none"
    name: str = Field(default="", max_length=100, pattern=r"^[A-Za-z0-9_.-]*$")
    place: Literal["header", "query"] = "header"
    fields: dict[FieldName, AuthField] = Field(default_factory=dict)
    help: Texts = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "Auth":
        if self.kind == "api_key" and not self.name:
            raise ValueError('an "api_key" needs `name`, the header or query parameter it is sent in.')
        if self.kind == "fields" and not self.fields:
            raise ValueError('the kind "fields" needs at least one [auth.fields.<name>].')
        return self

    def needs(self) -> dict[str, AuthField]:
        """Every value that a person gives, by its name in `CallContext.credentials`."""
        titles = _usual_titles()
        told: dict[str, dict[str, AuthField]] = {
            "bearer": {"token": AuthField(title=titles["token"])},
            "api_key": {"key": AuthField(title=titles["key"])},
            "basic": {
                "username": AuthField(title=titles["username"], secret=False),
                "password": AuthField(title=titles["password"]),
            },
        }
        return {**told.get(self.kind, {}), **self.fields}


@cache
def _usual_titles() -> dict[str, Texts]:
    return tomllib.loads(files(__package__).joinpath("needs.toml").read_text(encoding="utf-8"))


class CardField(_Part):
    """A line of a card: `label` by language, and a template for the value, where need be by language as well.

    `words` are what values of the result are called, by language: of a list, each for itself.
    """

    label: Texts
    value: Annotated[str, Field(min_length=1, max_length=300)] | Texts
    words: dict[str, Texts] = Field(default_factory=dict)


class CardButton(_Part):
    """A button of a card: it calls an operation of the same skill; values may be templates."""

    label: Texts
    operation: OperationName
    arguments: dict[str, str | int | float | bool] = Field(default_factory=dict)


class CardTemplate(_Part):
    """How a result becomes cards.

    Texts may hold `{path.to.value}`, which is looked up in the result (in the element, where `each` is given)
    and is always taken for plain text. A line whose value is missing is left out.

    Attributes:
        kind: as in `Card.kind`.
        each: the path of a list: one card for each element; empty: one card of the whole result.
        title: one line, by language.
        subtitle: one line below, by language.
        fields: lines of the card.
        actions: buttons.
        most: how many cards at the most.
    """

    kind: str = Field(min_length=1, max_length=20, pattern=r"^[a-z]+$")
    each: str = ""
    title: Texts
    subtitle: Texts = Field(default_factory=dict)
    fields: tuple[CardField, ...] = Field(default=(), strict=False)
    actions: tuple[CardButton, ...] = Field(default=(), strict=False)
    most: int = Field(default=6, ge=1, le=20)


class OperationText(_Part):
    """What the manifest says of one operation, on top of its source.

    Attributes:
        enabled: False: the operation is left out altogether.
        effect: instead of what the source says.
        final: whether what it changes cannot be undone; instead of what the source says.
        title: for people, by language.
        description: for the model, instead of the source's.
        keep: paths in the result; only these reach the model. Lists are gone through: `items.name`.
        fixed: arguments that are always these; they are taken out of what the model sees.
        say: the result in a sentence, by language; texts may hold `{path.to.value}`. It is left unsaid
            where a value is missing.
        card: how people see a result.
    """

    enabled: bool = True
    effect: Effect | None = None
    final: bool | None = None
    title: Texts = Field(default_factory=dict)
    description: str | None = Field(default=None, min_length=1, max_length=2000)
    keep: tuple[str, ...] = Field(default=(), strict=False, max_length=100)
    fixed: dict[str, Any] = Field(default_factory=dict)
    say: Texts = Field(default_factory=dict)
    card: CardTemplate | None = None


class Manifest(_Part):
    """A whole `skill.toml`; the module's text shows one."""

    name: SkillName
    domain: SkillName
    version: str = Field(min_length=1, max_length=40, pattern=r"^[0-9A-Za-z.+_-]+$")
    description: str = Field(min_length=1, max_length=1000)
    documents: bool = False
    people: dict[Language, PeopleText] = Field(min_length=1)
    examples: tuple[Example, ...] = Field(default=(), max_length=500, strict=False)
    source: Source
    auth: Auth = Auth()
    operations: dict[OperationName, OperationText] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in _TAKEN:
            raise ValueError(f"{name!r} is the address of something else; choose another name.")
        return name

    def people_text(self, language: str) -> PeopleText:
        """What people read, in their language or else in the other one."""
        for code, text in self.people.items():
            if code == language:
                return text
        return next(iter(self.people.values()))


@dataclass(frozen=True, slots=True)
class Skill:
    """A manifest and where it was found.

    Attributes:
        manifest: what the file says.
        folder: where its other files are.
        origin: who has put it there. Python sources need "builtin" or "operator", MCP commands "operator".
    """

    manifest: Manifest
    folder: Traversable
    origin: Origin

    @property
    def name(self) -> str:
        """Its name for the model."""
        return self.manifest.name
