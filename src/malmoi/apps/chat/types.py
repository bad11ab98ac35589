"""What goes over the wire: requests are checked here, answers are built from rows."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from malmoi.core.hangul import nfc
from malmoi.engine.base import Sampling
from malmoi.serve.skills.types import DirectBody

MAX_TEXT = 200_000
"""Most characters of a message or a system prompt."""

Status: TypeAlias = Literal["complete", "streaming", "waiting", "stopped", "interrupted", "failed"]
"""A reply is `waiting` while a call of a skill waits for a person's yes."""
Language: TypeAlias = Literal["ko", "en"]
Role: TypeAlias = Literal["system", "user", "assistant"]


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text holds a NUL character")
    return nfc(text)


def _trimmed(text: str) -> str:
    return " ".join(_clean(text).split())


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    return text


def _zone(name: str) -> str:
    """The name of a time zone that is known here, or nothing."""
    try:
        return name and ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("this time zone is not known; name one such as Asia/Seoul") from error


def _plain_call(call: DirectBody) -> DirectBody:
    """A call whose arguments any database keeps."""
    try:
        json.dumps(call.arguments, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("the arguments hold what JSON has no words for") from error
    return call


def at_most(length: int) -> AfterValidator:
    """A bound that counts after other validators; composing a text can make it longer."""

    def check(text: str) -> str:
        if len(text) > length:
            raise ValueError(f"the text has more than {length} characters")
        return text

    return AfterValidator(check)


# The first bound keeps the work on a huge text small; the second one counts what is kept.
Line: TypeAlias = Annotated[str, Field(max_length=800), AfterValidator(_trimmed), at_most(200)]
Name: TypeAlias = Annotated[Line, AfterValidator(_not_blank)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_clean)]
Content: TypeAlias = Annotated[Text, AfterValidator(_not_blank)]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")]
ClientId: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Zone: TypeAlias = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
ModelName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=255), AfterValidator(_clean), at_most(255)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class SamplingOptions(_Body):
    """How answers are chosen; what is not set, the persona, the conversation or the model decides."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always takes the likeliest token; higher is more surprising."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Only the likeliest tokens that together have this probability."""
    top_k: int | None = Field(default=None, ge=0, le=1000)
    """Only this many of the likeliest tokens; 0: no limit."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Only tokens at least this likely, relative to the likeliest."""
    repetition_penalty: float | None = Field(default=None, ge=0.5, le=2)
    """Above 1, tokens that were already used become less likely."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0, tokens that were used at all become less likely."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0, tokens become less likely each time they are used."""
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    """Longest answer, in tokens."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """The same seed and text give the same answer."""
    stop: list[Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_clean)]] | None = Field(
        default=None, max_length=4
    )
    """Texts that end the answer."""
    thinking: bool | None = None
    """Whether a reasoning model thinks before it answers."""

    def over(self, other: "SamplingOptions") -> "SamplingOptions":
        """These options, and those of `other` where these have none."""
        return SamplingOptions(**(other.to_json() | self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """The options that are set."""
        return self.model_dump(exclude_none=True)

    def to_sampling(self, *, max_tokens: int | None = None) -> Sampling:
        """For an engine; `max_tokens` counts where the options have none."""
        options = self.to_json()
        options.pop("thinking", None)
        stop = tuple(options.pop("stop", ()))
        return Sampling(**({"max_tokens": max_tokens} | options), stop=stop)


class NewForm(_Body):
    """What is filled in when a conversation begins from a template."""

    language: Literal["ko", "en"] = "ko"
    """In which the template speaks."""
    values: dict[Annotated[str, Field(max_length=40)], Text] = Field(default={}, max_length=20)
    """By the ids of the template's fields."""


class DocumentChoice(_Body):
    """What replies are looked up in; with neither, in all documents that the caller may read."""

    collections: list[Id] = Field(default=[], max_length=50)
    documents: list[Id] = Field(default=[], max_length=200)


class NewConversation(_Body):
    """`POST conversations`."""

    title: Line | None = None
    folder_id: Id | None = None
    model: ModelName | None = None
    persona_id: Id | None = None
    sampling: SamplingOptions = SamplingOptions()
    form: NewForm | None = None
    """Begin from the template `persona_id`: it says its opening first."""
    documents: DocumentChoice | None = None
    """Answer from documents; none: from the model alone."""


class _Patch(_Body):
    """A change: fields that are absent stay as they are."""

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that were given, also those set to null."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def refuse_null(self, *names: str) -> Self:
        """For fields that cannot be unset."""
        for name in names:
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class ConversationPatch(_Patch):
    """`PATCH conversations/{id}`."""

    title: Name | None = None
    folder_id: Id | None = None
    model: ModelName | None = None
    persona_id: Id | None = None
    sampling: SamplingOptions | None = None
    pinned: bool | None = None
    active_leaf_id: Id | None = None
    documents: DocumentChoice | None = None
    """Null: answer from the model alone."""

    @model_validator(mode="after")
    def _no_null(self) -> Self:
        return self.refuse_null("title", "sampling", "pinned", "active_leaf_id")


class NewMessage(_Body):
    """`POST conversations/{id}/messages`."""

    content: Content
    parent_id: Id | None = None
    client_id: ClientId
    model: ModelName | None = None
    sampling: SamplingOptions = SamplingOptions()
    language: Language | None = None
    """In which skills speak; none: that of the message."""
    zone: Zone = ""
    """Of the person's clock, such as Asia/Seoul; empty: the server's."""
    direct: Annotated[DirectBody, AfterValidator(_plain_call)] | None = None
    """A call that the person has chosen by a card's button, whose words are the content."""


class Regenerate(_Body):
    """`POST messages/{id}/regenerate`."""

    model: ModelName | None = None
    sampling: SamplingOptions = SamplingOptions()
    language: Language | None = None
    zone: Zone = ""


class NewFolder(_Body):
    """`POST folders`; without a position it goes last."""

    name: Name
    position: int | None = Field(default=None, ge=0, le=1_000_000)


class FolderPatch(_Patch):
    """`PATCH folders/{id}`."""

    name: Name | None = None
    position: int | None = Field(default=None, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _no_null(self) -> Self:
        return self.refuse_null("name", "position")


class NewPersona(_Body):
    """`POST personas`."""

    name: Name
    description: Annotated[str, Field(max_length=2000), AfterValidator(_trimmed)] = ""
    system_prompt: Text = ""
    model: ModelName | None = None
    sampling: SamplingOptions = SamplingOptions()


class PersonaPatch(_Patch):
    """`PATCH personas/{id}`."""

    name: Name | None = None
    description: Annotated[str, Field(max_length=2000), AfterValidator(_trimmed)] | None = None
    system_prompt: Text | None = None
    model: ModelName | None = None
    sampling: SamplingOptions | None = None

    @model_validator(mode="after")
    def _no_null(self) -> Self:
        return self.refuse_null("name", "description", "system_prompt", "sampling")


class Localised(BaseModel):
    """A text in the languages of the interface."""

    ko: str
    en: str


class FolderOut(BaseModel):
    """A folder."""

    id: str
    name: str
    position: int


class PersonaOut(BaseModel):
    """A persona; a built-in one has its name and description in each language."""

    id: str
    name: str | Localised
    description: str | Localised
    system_prompt: str | Localised
    model: str | None
    sampling: dict[str, Any]
    builtin: bool
    kind: Literal["persona", "template"] = "persona"
    """A template begins with a form or an opening (`GET templates`)."""


class ChoiceOut(BaseModel):
    """One of the values of a choice."""

    value: str
    label: Localised


class FieldOut(BaseModel):
    """Something to be filled in."""

    id: str
    label: Localised
    hint: Localised | None
    kind: Literal["line", "text", "number", "choice"]
    choices: list[ChoiceOut]
    default: str
    required: bool
    length: int
    """Most characters."""
    lowest: int
    highest: int


class SkillName(BaseModel):
    """A skill that a template uses, and whether it is here."""

    name: str
    installed: bool


class TemplateOut(BaseModel):
    """A template to begin a conversation from."""

    id: str
    kind: Literal["persona", "template"]
    name: Localised
    description: Localised
    starters: list[Localised]
    """Messages to begin with."""
    fields: list[FieldOut]
    skills: list[SkillName]
    flow: str | None
    """The driver that writes the answers; none: the model does."""


class ConversationOut(BaseModel):
    """A conversation without its messages."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    title: str
    folder_id: str | None
    model: str | None
    persona_id: str | None
    sampling: dict[str, Any]
    pinned: bool
    active_leaf_id: str | None
    documents: DocumentChoice | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class ErrorOut(BaseModel):
    """Why a reply failed."""

    code: str
    message: str
    fix: str = ""


Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class UsageOut(BaseModel):
    """What a reply used. `first_token_seconds` counts from the request, with waiting in the queue."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: Seconds = 0.0
    first_token_seconds: Seconds | None = None
    tokens_per_second: Seconds | None = None
    dropped_turns: int = 0
    """Oldest turns that were left out because the conversation is longer than the model's context."""


class SourceOut(BaseModel):
    """A passage that was found for a question. Its span counts characters of the document's text."""

    number: int
    document_id: Id
    title: str
    place: str
    headings: list[str] = []
    start: int
    end: int


class CitationOut(BaseModel):
    """Words of a document that support a sentence of a reply.

    `start` and `end` count characters of the document's text; `answer_start` and `answer_end` UTF-16 code
    units of the reply, as JavaScript counts.
    """

    number: int
    document_id: Id
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int
    score: Annotated[float, Field(allow_inf_nan=False)]


class ExtractOut(BaseModel):
    """The best sentences of the sources, to be shown until the model writes."""

    text: str
    citations: list[CitationOut]


class Grounds(BaseModel):
    """What a reply rests on."""

    sources: list[SourceOut] = []
    citations: list[CitationOut] = []
    unsupported: list[tuple[int, int]] = []
    """Sentences of the reply that no source supports, in UTF-16 code units."""
    suggestions: list[str] = []
    """Better queries, when the documents hardly answer."""
    extract: ExtractOut | None = None


class StageOut(BaseModel):
    """Something that happened in the run of skills that a reply comes from, as the run keeps it."""

    run_id: str
    number: int
    kind: str
    data: dict[str, Any]


class MessageOut(BaseModel):
    """A message."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    reasoning: str
    status: Status
    finish_reason: str | None
    error: ErrorOut | None
    model: str | None
    usage: UsageOut | None
    grounds: Grounds | None = None
    """For replies from documents."""
    run_id: str | None = None
    """The run of skills that it came from; `GET /api/skills/runs/{id}` has its stages."""
    created_at: datetime


class ConversationPage(BaseModel):
    """One page of a list; `next_cursor` asks for the next."""

    items: list[ConversationOut]
    next_cursor: str | None


class ConversationTree(BaseModel):
    """A conversation with all its branches."""

    conversation: ConversationOut
    messages: list[MessageOut]


class SearchItem(BaseModel):
    """A place where a search term stands.

    `ranges` are the matches in `snippet`, in UTF-16 code units, as JavaScript counts. A hit in the title has
    no message.
    """

    conversation_id: str
    title: str
    message_id: str | None
    role: Role | None
    snippet: str
    ranges: list[tuple[int, int]]
    created_at: datetime


class Skipped(BaseModel):
    """A conversation of an import that was left out."""

    index: int
    title: str
    reason: str


class ImportReport(BaseModel):
    """What an import did."""

    imported: int
    skipped: list[Skipped]
