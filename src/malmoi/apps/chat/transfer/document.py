"""Our own file format, and what every other format is turned into before it is saved.

    {"format": "malmoi.chat", "version": 2, "exported_at": "...", "folders": [...], "personas": [...],
     "conversations": [{"title": ..., "messages": [{"id": ..., "parent_id": ..., ...}], ...}]}

Ids hold within the file only: an import makes new ones, so it never overwrites anything. Those of collections
and documents are the server's own: an import keeps what its reader has there, and leaves out the rest.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from malmoi.apps.chat.types import DocumentChoice, ErrorOut, Grounds, SamplingOptions, UsageOut, at_most
from malmoi.core.hangul import nfc

FORMAT = "malmoi.chat"
VERSION = 2  # 2: the documents of conversations, and the grounds of answers
MAX_IMPORTED_TEXT = 1_000_000


def _plain(text: str) -> str:
    return nfc(text.replace("\x00", ""))


def _utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is outside of the calendar") from error


Plain = Annotated[str, Field(max_length=MAX_IMPORTED_TEXT), AfterValidator(_plain)]
Short = Annotated[str, AfterValidator(_plain), at_most(255)]
Title = Annotated[str, AfterValidator(_plain), at_most(200)]
Moment = Annotated[datetime, AfterValidator(_utc)]
FileId = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileMessage(_Part):
    """A message; `id` and `parent_id` hold within its conversation."""

    id: FileId
    parent_id: FileId | None = None
    role: Literal["user", "assistant"]
    content: Plain
    reasoning: Plain = ""
    status: Literal["complete", "stopped", "interrupted", "failed"] = "complete"
    finish_reason: Annotated[str, AfterValidator(_plain), at_most(32)] | None = None
    error: ErrorOut | None = None
    model: Short | None = None
    usage: UsageOut | None = None
    grounds: Grounds | None = None
    created_at: Moment


class FileForm(_Part):
    """What was filled in when the conversation was begun from a template."""

    language: Literal["ko", "en"]
    values: dict[Short, Plain] = Field(default={}, max_length=20)


class FileConversation(_Part):
    """A conversation; `folder` and `persona` are keys of the file's lists."""

    title: Title = ""
    folder: FileId | None = None
    persona: FileId | None = None
    model: Short | None = None
    sampling: SamplingOptions = SamplingOptions()
    form: FileForm | None = None
    documents: DocumentChoice | None = None
    pinned: bool = False
    active_leaf: FileId | None = None
    created_at: Moment
    updated_at: Moment
    messages: list[FileMessage] = Field(max_length=10_000)


class FileFolder(_Part):
    """A folder; `id` holds within the file."""

    id: FileId
    name: Title
    position: int = Field(default=0, ge=0, le=1_000_000)


class FilePersona(_Part):
    """A persona that a person has made."""

    id: FileId
    name: Title
    description: Annotated[str, Field(max_length=2000), AfterValidator(_plain)] = ""
    system_prompt: Plain = ""
    model: Short | None = None
    sampling: SamplingOptions = SamplingOptions()


class FileHead(BaseModel):
    """Everything but the conversations, which are checked one by one."""

    format: Literal["malmoi.chat"]
    version: int
    folders: list[FileFolder] = Field(default=[], max_length=500)
    personas: list[FilePersona] = Field(default=[], max_length=500)
    conversations: list[Any] = Field(max_length=100_000)


def document(
    folders: list[FileFolder],
    personas: list[FilePersona],
    conversations: list[FileConversation],
    now: datetime,
) -> Mapping[str, Any]:
    """The whole file as JSON."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": now.isoformat(),
        "folders": [folder.model_dump(mode="json") for folder in folders],
        "personas": [_persona(persona) for persona in personas],
        "conversations": [_conversation(conversation) for conversation in conversations],
    }


def _persona(persona: FilePersona) -> dict[str, Any]:
    return persona.model_dump(mode="json") | {"sampling": persona.sampling.to_json()}


def _conversation(conversation: FileConversation) -> dict[str, Any]:
    return conversation.model_dump(mode="json") | {"sampling": conversation.sampling.to_json()}
