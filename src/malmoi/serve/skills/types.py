"""Skills over the wire: what pages and programs send and get."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Language = Literal["ko", "en"]
Name = Annotated[str, Field(min_length=1, max_length=64)]
NO_NUL = r"^[^\x00]*$"
"""What ids and words in an address are, which no gate looks at before: no database takes U+0000."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Need(BaseModel):
    """A value that a person gives for a skill."""

    name: str
    title: dict[str, str]
    secret: bool
    required: bool


class SkillItem(BaseModel):
    """A skill, as people see it."""

    name: str
    domain: str
    version: str
    description: str
    people: dict[str, dict[str, str]]
    """Name and description by language."""
    examples: list[str]
    source: str
    origin: str
    switched_on: bool
    needs: list[Need]
    has_credentials: bool


class SkillList(BaseModel):
    """All skills, and those that cannot be used."""

    skills: list[SkillItem]
    most: int
    """How many can be on together."""
    broken: dict[str, str]
    """What is wrong with skills that cannot be used; for admins."""


class OperationItem(BaseModel):
    """An operation of a skill."""

    name: str
    title: dict[str, str]
    description: str
    effect: str
    final: bool
    """Whether what it changes cannot be undone."""
    parameters: dict[str, Any]


class SkillDetail(SkillItem):
    """A skill with its operations."""

    operations: list[OperationItem]
    key_needed: bool = False
    """Its server tells what it can do only when you have given your key, and knows it."""


class SwitchedOn(BaseModel):
    """The skills that are on."""

    skills: list[str]


class CredentialsBody(_Body):
    """The caller's values for a skill; they are never returned."""

    values: dict[Name, SecretStr] = Field(max_length=20)


class NewSkill(_Body):
    """A skill to be checked or installed."""

    manifest: str = Field(max_length=256 * 1024)
    """The text of skill.toml."""
    document_name: str = Field("", max_length=255, pattern=r"^[A-Za-z0-9._-]*$")
    """What the manifest calls the OpenAPI document."""
    document: str | None = Field(None, max_length=2 * 1024 * 1024)
    """The text of the OpenAPI document."""


class FindingItem(BaseModel):
    """What a check has to say."""

    level: str
    file: str
    line: int
    key: str
    message: str


class Checked(BaseModel):
    """What was found; `installed` is the skill's name once it is kept."""

    findings: list[FindingItem]
    installed: str | None = None


class Turn(_Body):
    """Something that was said before."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class DocumentAtHand(_Body):
    """A document that the conversation is about."""

    id: str = Field(min_length=1, max_length=64)
    title: str = Field("", max_length=255)


class DirectBody(_Body):
    """A call that the person has chosen, such as by a card's button."""

    skill: Name
    operation: Name
    arguments: dict[str, Any] = Field(default_factory=dict)


class RunBody(_Body):
    """What skills are asked for."""

    query: str = Field("", max_length=4000)
    model: str = Field("", max_length=255)
    skills: list[Name] | None = Field(None, max_length=2)
    """Of those that are on; none: all that are on."""
    conversation: str = Field("", max_length=64)
    turns: list[Turn] = Field(default_factory=list, max_length=20)
    language: Language = "ko"
    zone: str = Field("", max_length=64)
    """Of the person's clock, such as Asia/Seoul."""
    documents: list[DocumentAtHand] = Field(default_factory=list, max_length=20)
    direct: DirectBody | None = None


class ApproveBody(_Body):
    """A yes to one call with these very arguments."""

    call_id: str = Field(min_length=1, max_length=40)
    arguments_hash: str = Field(pattern=r"^[0-9a-f]{64}$")


class DenyBody(_Body):
    """A no to one call."""

    call_id: str = Field(min_length=1, max_length=40)


class StageItem(BaseModel):
    """Something that happened in a run."""

    number: int
    kind: str
    data: dict[str, Any]
    at: datetime


class Trace(BaseModel):
    """A run with all its stages."""

    run_id: str
    query: str
    status: str
    reason: str
    skill: str
    operation: str
    steps: int
    prompt_tokens: int
    completion_tokens: int
    created_at: datetime
    stages: list[StageItem]


class AuditItem(BaseModel):
    """A call that was made, refused or denied."""

    id: str
    at: datetime
    account_id: str
    key_id: str | None
    run_id: str
    call_id: str
    skill: str
    operation: str
    effect: str
    arguments_hash: str
    arguments: dict[str, Any]
    status: str
    milliseconds: int


class AuditPage(BaseModel):
    """Rows of the audit, newest first."""

    rows: list[AuditItem]
