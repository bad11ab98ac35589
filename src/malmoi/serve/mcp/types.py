"""What the tools take and give. The schemas that clients see are made of these."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.serve.documents.types import Id, Query
from malmoi.serve.skills.types import Language, Name


class Arguments(BaseModel):
    """What every tool has: an argument that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Nothing(Arguments):
    """A tool without arguments."""


class Search(Arguments):
    """Arguments of `search_documents`."""

    query: Query
    """A question or words, in Korean or English."""
    collections: list[Id] = Field(default_factory=list, max_length=100)
    """Ids of collections to search in; empty: all that you may read."""
    limit: int = Field(8, ge=1, le=50)
    """Most passages."""


class Read(Arguments):
    """Arguments of `read_document`."""

    document_id: Id
    """As `search_documents` gives it."""
    start: int = Field(0, ge=0)
    """Where to begin, in characters from the start of the document."""
    length: int = Field(4000, ge=1, le=20_000)
    """Most characters."""


class Run(Arguments):
    """Arguments of `run_skill`: a query, or an operation with its arguments."""

    query: str = Field("", max_length=4000)
    """What is wanted, in the person's words; the operation and its arguments are found in them."""
    skill: Name | None = None
    """Name of the skill; with a query: only this one."""
    operation: Name | None = None
    """An operation of the skill that only reads, instead of a query."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Of the operation, as `list_skills` describes them."""
    language: Language = "ko"
    """Of the answer."""
    zone: str = Field("", max_length=64)
    """Time zone of the person, such as Asia/Seoul; empty: the server's."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Run:
        if self.operation is None:
            if not self.query.strip():
                raise ValueError("give a query, or a skill with an operation")
            if self.arguments:
                raise ValueError("arguments need an operation")
        elif self.skill is None:
            raise ValueError("an operation needs its skill")
        return self


class Answer(BaseModel):
    """What every answer may have."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class PassageItem(Answer):
    """A passage that was found."""

    document_id: str
    collection_id: str
    title: str
    name: str
    """Of the file."""
    start: int
    """Where the passage begins in the document's text, in characters."""
    end: int
    """Behind its last character."""
    headings: list[str]
    place: str
    """Where that is, for people: "p. 3"."""
    text: str
    """The words, between the marks that `notice` tells of."""


class Passages(Answer):
    """Answer of `search_documents`, best first."""

    notice: str
    """What the marks around texts mean."""
    passages: list[PassageItem]


class DocumentPart(Answer):
    """Answer of `read_document`."""

    notice: str
    """What the marks around the text mean."""
    document_id: str
    collection_id: str
    title: str
    name: str
    length: int
    """Characters of the whole document."""
    start: int
    end: int
    next_start: int | None
    """Where to go on; null: this is the end."""
    text: str


class CollectionItem(Answer):
    """A collection of documents."""

    id: str
    name: str
    description: str
    documents: int
    owner: str
    right: str
    """read, write or own."""


class CollectionItems(Answer):
    """Answer of `list_collections`."""

    collections: list[CollectionItem]


class SkillOperation(Answer):
    """An operation of a skill that is on."""

    name: str
    description: str
    reads: bool
    """false: it changes something, so that only a person can have it done."""
    parameters: dict[str, Any]
    """JSON Schema of its arguments."""


class SkillListing(Answer):
    """A skill."""

    name: str
    title: str
    description: str
    switched_on: bool
    examples: list[str]
    operations: list[SkillOperation]
    """Empty unless the skill is on."""
    problem: str
    """Why the skill cannot be used now; empty: nothing."""


class SkillListings(Answer):
    """Answer of `list_skills`."""

    skills: list[SkillListing]


class CallMade(Answer):
    """A call that a run has made."""

    skill: str
    operation: str
    arguments: dict[str, Any]
    is_error: bool
    result: str
    """What came of it, between marks."""


class FileMade(Answer):
    """A file that a call has made; it is fetched from the server with the same key."""

    name: str
    media_type: str
    size: int
    path: str


class RunOutcome(Answer):
    """Answer of `run_skill`."""

    notice: str
    """What the marks around texts mean."""
    run_id: str
    outcome: str
    """answered; none: no skill that is on is for this; asked: `question` has to be answered first, in a new
    query; credentials, failed, steps, seconds, tokens, loop: it was not finished for that reason."""
    skill: str
    operation: str
    answer: str
    """Between marks; empty: there is none."""
    question: str
    calls: list[CallMade]
    files: list[FileMade]


class ModelListing(Answer):
    """A model."""

    name: str
    title: str
    description: str
    state: str
    """ready, loading, installed, downloading, available or failed."""
    default: bool
    capabilities: list[str]
    context_length: int | None


class ModelListings(Answer):
    """Answer of `list_models`."""

    models: list[ModelListing]
