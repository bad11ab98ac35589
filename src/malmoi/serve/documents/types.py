"""Documents as others see them: what a search finds, what a principal may do, and what goes over the wire."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from malmoi.assist.retrieval.document import Passage
from malmoi.core.hangul import nfc

Status: TypeAlias = Literal["waiting", "parsing", "indexing", "ready", "failed"]
Order: TypeAlias = Literal["terms", "vectors"]
"""The two ways by which passages are ranked before the rankings are fused."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, or several neighbours as one.

    Attributes:
        document_id: where it stands.
        collection_id: of the document.
        title: of the document: its own, or the name of the file.
        passage: its span of the document's text, and where that is.
        text: the words of the span, exactly as in the document's text.
        score: the fused rank, or the reranker's score; it orders one search and compares with no other.
        ranks: its place in each ranking that has it, from 1: "terms", "vectors".
        name: of the file.
        features: what the order was made of (`assist.retrieval.ordering`); empty where there was none.
    """

    document_id: str
    collection_id: str
    title: str
    passage: Passage
    text: str
    score: float
    ranks: Mapping[str, int] = field(default_factory=dict)
    name: str = ""
    features: Mapping[str, float] = field(default_factory=dict)


Rerank: TypeAlias = Callable[[str, Sequence[Hit]], Awaitable[Sequence[Hit]]]
"""Puts the hits of a query into a better order; it may leave some out."""


class MemberRole(StrEnum):
    """What a member of a collection may do."""

    READER = "reader"
    """Search it, and read its documents."""
    WRITER = "writer"
    """Also add and delete documents."""


Right: TypeAlias = Literal["read", "write", "own"]


def _line(text: str) -> str:
    text = " ".join(nfc(text).split())
    if not text or not text.isprintable():
        raise ValueError("a name has at least one character, and none that cannot be seen")
    return text


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text holds a NUL character")
    return nfc(text)


Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")]
CollectionName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Description: TypeAlias = Annotated[str, Field(max_length=2000), AfterValidator(_plain)]
Query: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_plain)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class NewCollection(_Body):
    """A collection to be made."""

    name: CollectionName
    description: Description = ""


class CollectionPatch(_Body):
    """What is to change; what is not named stays."""

    name: CollectionName | None = None
    description: Description | None = None
    everybody: bool | None = None
    """Whether every account of the server may read it; only admins change this."""


class NewMember(_Body):
    """Somebody who may use a collection from now on."""

    name: str = Field(min_length=1, max_length=128)
    """The account's name."""
    role: MemberRole = MemberRole.READER


class SearchBody(_Body):
    """What is searched for, and where."""

    query: Query
    collections: tuple[Id, ...] = Field(default=(), max_length=100)
    """Only in these; empty: in all that the caller may read."""
    documents: tuple[Id, ...] = Field(default=(), max_length=100)
    """Only in these."""
    limit: int = Field(default=8, ge=1, le=50)


class MemberOut(BaseModel):
    """A member of a collection."""

    account_id: str
    name: str
    role: MemberRole


class CollectionOut(BaseModel):
    """A collection as its reader sees it."""

    id: str
    name: str
    description: str
    everybody: bool
    right: Right
    owner: str
    documents: int
    unfinished: int
    created_at: datetime
    updated_at: datetime


class DocumentOut(BaseModel):
    """A document in a list."""

    id: str
    collection_id: str
    name: str
    title: str
    version: int
    format: str
    size: int
    pages: int | None
    length: int
    status: Status
    progress: float
    error: dict[str, Any] | None
    remarks: list[str]
    created_at: datetime
    updated_at: datetime


class UploadOut(BaseModel):
    """What became of an upload."""

    document: DocumentOut
    created: bool
    """False: the collection has this content already."""


class BlockOut(BaseModel):
    """A block of a document's text."""

    kind: str
    start: int
    end: int
    level: int
    page: int | None
    place: str
    rows: list[list[str]]


class TextOut(BaseModel):
    """A document to be read: its text, and what stands where in it."""

    document: DocumentOut
    text: str
    blocks: list[BlockOut]
    properties: dict[str, str]


class HitOut(BaseModel):
    """Something that was found. Spans count characters (code points) of the document's text."""

    document_id: str
    collection_id: str
    title: str
    name: str
    start: int
    end: int
    headings: list[str]
    page: int | None
    place: str
    text: str
    matches: list[tuple[int, int]]
    """Where words of the query stand in `text`, as UTF-16 offsets, as browsers count."""
    score: float
    ranks: dict[str, int]


class SearchOut(BaseModel):
    """What was found, best first."""

    items: list[HitOut]


class Page(BaseModel):
    """A page of documents, newest first."""

    items: list[DocumentOut]
    next_cursor: str | None
