"""The skill trainer over the wire, and the values that its parts share."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Part: TypeAlias = Literal["train", "test"]
Status: TypeAlias = Literal["draft", "saved"]
Language: TypeAlias = Literal["ko", "en"]
SkillName = Annotated[str, Field(min_length=1, max_length=40)]
_TEXT = 20_000
MAX_SKILLS = 10
_MAX_STEPS = 4  # before a row's own operation; a run makes no more calls than six
_LATER = ("clause", "steps")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Step(_Body):
    """A call that comes before the row's own: for another part of the query, or to look something up."""

    clause: str = Field("", max_length=4000)
    """The words of the query that it is for; empty: it looks up what comes after needs."""
    skill: str = Field("", max_length=40)
    operation: str = Field("", max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict)
    result: str = Field("", max_length=_TEXT)
    """The answer of the API, as the model reads it."""
    said: str = Field("", max_length=_TEXT)
    """What the skill says itself, word for word."""


class Stages(_Body):
    """What should come of a query, stage by stage."""

    skill: str = Field("", max_length=40)
    """Empty: the query is for no skill."""
    operation: str = Field("", max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict)
    result: str = Field("", max_length=_TEXT)
    """The answer of the API, as the model reads it."""
    said: str = Field("", max_length=_TEXT)
    """What the skill says itself, word for word."""
    answer: str = Field("", max_length=_TEXT)
    """The final answer."""
    asked: str = Field("", max_length=2000)
    """The question that is right instead of a call: arguments that the operation needs were not said."""
    clause: str = Field("", max_length=4000)
    """The words of the query that the operation is for; empty: all. Left out where it is."""
    steps: list[Step] = Field(default_factory=list, max_length=_MAX_STEPS)
    """Calls that come before, in their order. Left out where there are none."""

    @model_serializer(mode="wrap")
    def _told(self, told: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Rows of one operation are written as they were before others could be: versions keep their hashes.
        values: dict[str, Any] = told(self)
        return {name: value for name, value in values.items() if value or name not in _LATER}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The fields, which a serializer would hide."""
        return handler({**core_schema, "serialization": None})

    def calls(self) -> "list[Step]":
        """All calls, in their order, the row's own last; none where the query is for no skill."""
        if not self.skill:
            return []
        own = {name: getattr(self, name) for name in Step.model_fields}
        return [*self.steps, Step(**own)]


class StagesPatch(_Body):
    """Stages that are changed; the others stay."""

    skill: str | None = Field(None, max_length=40)
    operation: str | None = Field(None, max_length=64)
    arguments: dict[str, Any] | None = None
    result: str | None = Field(None, max_length=_TEXT)
    said: str | None = Field(None, max_length=_TEXT)
    answer: str | None = Field(None, max_length=_TEXT)
    asked: str | None = Field(None, max_length=2000)
    clause: str | None = Field(None, max_length=4000)
    steps: list[Step] | None = Field(None, max_length=_MAX_STEPS)


class TrainerTurn(_Body):
    """Something that was said before."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=_TEXT)


class TrainerCall(_Body):
    """A call that the person has put together."""

    skill: SkillName
    operation: str = Field(min_length=1, max_length=64)
    arguments: dict[str, Any] = Field(default_factory=dict)


class NewSet(_Body):
    """A new set."""

    name: str = Field(min_length=1, max_length=60, pattern=r"\S")
    description: str = Field("", max_length=4000)
    tone: str = Field("", max_length=500)
    """How answers sound."""
    format: str = Field("", max_length=500)
    """How answers are laid out."""
    skills: list[SkillName] = Field(min_length=1, max_length=MAX_SKILLS)


class SetPatch(_Body):
    """What is changed of a set."""

    name: str | None = Field(None, min_length=1, max_length=60, pattern=r"\S")
    description: str | None = Field(None, max_length=4000)
    tone: str | None = Field(None, max_length=500)
    format: str | None = Field(None, max_length=500)
    skills: list[SkillName] | None = Field(None, min_length=1, max_length=MAX_SKILLS)


class SetItem(BaseModel):
    """A set."""

    id: str
    name: str
    description: str
    tone: str
    format: str
    skills: list[str]
    drafts: int
    train: int
    test: int
    versions: int
    applied: bool
    applied_version: int | None
    """None: the saved rows as they are now, if it is applied."""
    created_at: datetime
    updated_at: datetime


class SetList(BaseModel):
    """All sets of the caller."""

    sets: list[SetItem]


class NewRow(_Body):
    """A new row: from a run, whose stages it copies, or from a query."""

    run_id: str = Field("", max_length=64)
    query: str = Field("", max_length=4000)
    turns: list[TrainerTurn] = Field(default_factory=list, max_length=20)
    language: Language = "ko"
    zone: str = Field("", max_length=64)
    said_at: AwareDatetime | None = None
    part: Part = "train"
    status: Status = "draft"
    stages: Stages = Field(default_factory=Stages)


class RowPatch(_Body):
    """What is changed of a row."""

    query: str | None = Field(None, min_length=1, max_length=4000)
    turns: list[TrainerTurn] | None = Field(None, max_length=20)
    part: Part | None = None
    status: Status | None = None
    stages: StagesPatch | None = None


class RowValue(BaseModel):
    """A row without its name and history: what a version freezes."""

    query: str
    turns: list[TrainerTurn]
    language: Language
    zone: str
    said_at: AwareDatetime
    part: Part
    stages: Stages


class Original(BaseModel):
    """What the run did, before anybody corrected it."""

    stages: Stages
    score: float | None
    """The probability of the skill that routing chose."""
    choices: list[dict[str, Any]]
    """Operations that routing had in mind, best first."""
    sources: dict[str, str]
    """Where each argument came from: query, model or demonstration."""
    reason: str
    """How the run ended."""


class RowItem(RowValue):
    """A row."""

    id: str
    run_id: str | None
    status: Status
    original: Original | None
    """None: the row was not made of a run."""
    undos: int
    """How many edits can be taken back."""
    created_at: datetime
    updated_at: datetime


class RowPage(BaseModel):
    """Rows, in the order that was asked for."""

    rows: list[RowItem]
    total: int


class VersionItem(BaseModel):
    """A frozen copy of the saved rows."""

    number: int
    content_hash: str
    train: int
    test: int
    created_at: datetime


class VersionList(BaseModel):
    """Versions, newest first."""

    versions: list[VersionItem]


class ChangedRow(BaseModel):
    """A query whose row is another one now."""

    before: RowValue
    after: RowValue


class Changes(BaseModel):
    """What differs between two versions, or a version and the saved rows of now."""

    about: list[str]
    """Of name, description, tone, format and skills."""
    added: list[RowValue]
    removed: list[RowValue]
    changed: list[ChangedRow]


class SetRunBody(_Body):
    """A query that is tried with skills of a set; they need not be switched on."""

    query: str = Field(min_length=1, max_length=4000, pattern=r"\S")
    skills: list[SkillName] = Field(min_length=1, max_length=2)
    shown: bool = True
    """Whether the run is shown the saved train rows of the set, applied or not."""
    model: str = Field("", max_length=255)
    turns: list[TrainerTurn] = Field(default_factory=list, max_length=20)
    language: Language = "ko"
    zone: str = Field("", max_length=64)
    direct: TrainerCall | None = None
    """This call instead of what would be planned. One that changes something still waits for a yes."""


class ApplyBody(_Body):
    """What is applied."""

    version: int | None = Field(None, ge=1, le=1_000_000)
    """None: the saved rows as they are at any time."""


class NewMeasure(_Body):
    """A measurement that is asked for."""

    model: str | None = Field("", max_length=255)
    """Empty: the server's default; null: no model, so that only what needs none is measured."""


class Rate(BaseModel):
    """A share of rows with Wilson's 95 % interval."""

    count: int
    total: int
    value: float | None
    low: float
    high: float


class Gain(BaseModel):
    """With demonstrations less without, on the same rows, with Newcombe's 95 % interval."""

    value: float | None
    low: float
    high: float
    gained: int
    """Rows that are right only with demonstrations."""
    lost: int
    """Rows that are right only without."""


class Figure(BaseModel):
    """One figure with and without demonstrations."""

    without: Rate
    with_demonstrations: Rate
    gain: Gain


class Outcome(BaseModel):
    """What came of one test row."""

    skill: str
    operation: str
    arguments: dict[str, Any] | None
    reason: str
    answer: str
    """The question, where one was asked."""
    routed: bool
    valid: bool | None
    success: bool | None
    calls: list[dict[str, Any]] = Field(default_factory=list)
    """Of a row with several steps: skill, operation and arguments of each call, in their order."""


class MeasuredRow(BaseModel):
    """One test row, both ways."""

    query: str
    skill: str
    operation: str
    steps: list[Step] = Field(default_factory=list)
    """Calls that come before."""
    without: Outcome
    with_demonstrations: Outcome


class Figures(BaseModel):
    """What was measured."""

    routing: Figure
    arguments: Figure | None
    """Of the rows that are for an operation: routed right, and called with arguments that fit, or asked
    where the row asks. None without a model."""
    success: Figure | None
    """None without a model."""
    demonstrations: int
    left_out: int
    """Test rows whose words are also those of a train row."""
    remarks: list[str]
    rows: list[MeasuredRow]


class MeasureItem(BaseModel):
    """A measurement."""

    id: str
    version: int
    status: str
    model: str | None
    done: int
    total: int
    figures: Figures | None
    error: str
    created_at: datetime
    updated_at: datetime


class MeasureList(BaseModel):
    """Measurements of a version, newest first."""

    measures: list[MeasureItem]


class ImportBody(_Body):
    """Rows as the export writes them."""

    text: str = Field(min_length=1, max_length=4 * 1024 * 1024)
    """JSON lines."""
    part: Part | None = None
    """None: what each line says."""


class Imported(BaseModel):
    """What was imported."""

    rows: int
