"""A template: who answers, how it opens, what is filled in first, and the tests that it must pass.

A file (TOML) beside this module, or anybody's own, holds one. A persona is a template of the simplest kind:
a name, a description and a system prompt.

    position = 10
    kind = "template"                  # "persona": listed among personas, nothing is filled in
    starters = [{ ko = "시작", en = "Start" }]
    skills = ["travel"]                # names; which of them are installed is for others to know

    [name]
    ko = "여행 계획"
    en = "Trip planning"
    [description]
    ...
    [system_prompt]
    ...
    [opening]                          # what the assistant says first; it costs no model call
    ...
    [[fields]]                         # what is filled in before the conversation begins
    id = "place"
    label = { ko = "여행지", en = "Destination" }
    [sampling]
    temperature = 0.3
    [flow]                             # a deterministic driver (flows/)
    name = "trip"
    [[tests]]                          # conversations with checks (trials.py)
    ...
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from malmoi.engine.base import Sampling

Language: TypeAlias = Literal["ko", "en"]
FieldKind: TypeAlias = Literal["line", "text", "number", "choice"]

_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_MOST = {"line": 200, "text": 20_000, "number": 12, "choice": 40}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Localised(_Part):
    """A text in the languages of the interface."""

    ko: str
    en: str

    def of(self, language: Language) -> str:
        """The text in one language."""
        return self.ko if language == "ko" else self.en

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing in any language."""
        return not (self.ko.strip() or self.en.strip())


class Choice(_Part):
    """One of the values of a choice."""

    value: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9_-]+$")]
    label: Localised


class FormField(_Part):
    """Something to be filled in before the conversation begins."""

    id: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]
    label: Localised
    hint: Localised | None = None
    """An example, shown in the empty field."""
    kind: FieldKind = "line"
    choices: tuple[Choice, ...] = ()
    default: str = ""
    required: bool = False
    most: int | None = Field(default=None, ge=1, le=20_000)
    """Most characters; none: 200 of a line, 20,000 of a text."""
    lowest: int = 0
    """Of a number."""
    highest: int = 1_000_000
    """Of a number."""
    in_prompt: bool = True
    """Whether the value is in the system prompt; a flow may use it otherwise."""

    @property
    def length(self) -> int:
        """Most characters of a value."""
        return self.most or _MOST[self.kind]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"{self.id}: a field of the kind 'choice' has choices, and no other has")
        values = [choice.value for choice in self.choices]
        if len(set(values)) != len(values):
            raise ValueError(f"{self.id}: two choices have the same value")
        if self.kind == "choice" and self.default not in values:
            raise ValueError(f"{self.id}: the default {self.default!r} is none of {', '.join(values)}")
        if self.kind == "number" and self.default and not self.default.isdecimal():
            raise ValueError(f"{self.id}: the default {self.default!r} is not a whole number")
        return self


class TemplateSampling(_Part):
    """How answers are chosen; what is not set, the conversation or the model decides."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.5, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)

    def to_sampling(self) -> Sampling:
        """For an engine."""
        return Sampling(**self.model_dump(exclude_none=True))


class FlowSettings(_Part):
    """Which driver writes the answers, and what it is told; the driver checks its own options."""

    name: Annotated[str, Field(pattern=_NAME)]
    options: Mapping[str, Any] = Field(default_factory=dict)


class Checks(_Part):
    """What must hold for an answer; what is not given is not looked at."""

    contains: tuple[str, ...] = ()
    """Texts that stand in it, upper and lower case alike."""
    contains_any: tuple[str, ...] = ()
    """At least one of these stands in it."""
    not_contains: tuple[str, ...] = ()
    """None of these stands in it."""
    language: Language | None = None
    """Most of its letters are of this language."""
    at_least: int | None = Field(default=None, ge=0)
    """Fewest characters."""
    at_most: int | None = Field(default=None, ge=1)
    """Most characters."""
    table: bool | None = None
    """Whether it has a Markdown table with at least one row."""
    ends_with_question: bool | None = None
    """Whether its last line is a question."""
    help_lines: tuple[str, ...] = ()
    """Numbers of help lines that stand in it as numbers of their own."""
    most_calls: int | None = Field(default=None, ge=0)
    """Most calls of the model that it may cost; 0: none."""


class TrialTurn(_Part):
    """What is said in a test, and what must hold for the answer."""

    say: Annotated[str, Field(min_length=1)]
    checks: Checks = Checks()


class Trial(_Part):
    """A conversation that is a test."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    language: Language = "ko"
    values: Mapping[str, str] = Field(default_factory=dict)
    opening: Checks = Checks()
    """What must hold for the assistant's first message."""
    turns: tuple[TrialTurn, ...] = ()


class Template(_Part):
    """A whole template; its file's name is its id."""

    position: int
    """Where it stands in the list."""
    kind: Literal["persona", "template"] = "persona"
    name: Localised
    description: Localised
    system_prompt: Localised
    opening: Localised | None = None
    starters: tuple[Localised, ...] = ()
    fields: tuple[FormField, ...] = Field(default=(), max_length=12)
    skills: tuple[Annotated[str, Field(pattern=_NAME, max_length=40)], ...] = ()
    sampling: TemplateSampling = TemplateSampling()
    flow: FlowSettings | None = None
    tests: tuple[Trial, ...] = ()

    @field_validator("fields")
    @classmethod
    def _ids_differ(cls, fields: tuple[FormField, ...]) -> tuple[FormField, ...]:
        ids = [field.id for field in fields]
        if len(set(ids)) != len(ids):
            raise ValueError("two fields have the same id")
        return fields

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.name.ko.strip() == "" or self.name.en.strip() == "":
            raise ValueError("name: a template has a name in both languages")
        if self.kind == "persona" and self.fields:
            raise ValueError("fields: a persona asks for nothing; make it a 'template'")
        if self.kind == "template" and self.opening is None:
            raise ValueError("opening: a template says something first")
        return self
