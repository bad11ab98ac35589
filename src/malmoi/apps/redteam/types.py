"""What goes over the wire: requests are checked here, answers are built from rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from malmoi.core.hangul import nfc
from malmoi.tasks.redteam.grid import Grid

MAX_TURNS = 7
"""Turns of a session (HyperCLOVA X technical report, section 5.2)."""
BEST = 7
"""The best score; the worst is 0."""
MAX_MODELS = 6

Status: TypeAlias = Literal["writing", "complete", "failed", "interrupted"]


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text holds a NUL character")
    return nfc(text)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    return text


Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")]
Cell: TypeAlias = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z_]+$")]
ClientId: TypeAlias = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Text: TypeAlias = Annotated[str, Field(max_length=20_000), AfterValidator(_clean)]
ModelName: TypeAlias = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_clean)]
Points: TypeAlias = Annotated[int, Field(ge=0, le=BEST, strict=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class AnnotatorPatch(_Body):
    """`PATCH me`: what is absent stays."""

    blur: bool | None = None
    """Whether replies are blurred until they are asked for."""
    break_minutes: int | None = Field(default=None, ge=0, le=240)
    """Minutes of work after which a break is due; 0: never."""
    warned: Literal[True] | None = None
    """The content warning was read and accepted."""


class NewSession(_Body):
    """`POST sessions`."""

    topic: Cell
    subtopic: Cell | Literal[""] = ""
    strategy: Cell
    language: Literal["ko", "en"] = "ko"
    models: list[ModelName] = Field(min_length=1, max_length=MAX_MODELS)
    max_tokens: int = Field(default=512, ge=16, le=4096)
    """Longest reply."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.models)) != len(self.models):
            raise ValueError("a model is named twice")
        return self


class NewTurn(_Body):
    """`POST sessions/{id}/turns`."""

    content: Annotated[Text, AfterValidator(_not_blank)]
    client_id: ClientId


class ScoreIn(_Body):
    """`PUT replies/{id}/score`: both scores as they now stand; null: not given (or taken back)."""

    harmlessness: Points | None
    overall: Points | None


class RewriteIn(_Body):
    """`PUT turns/{id}/rewrite`."""

    content: Text
    is_done: bool = False
    """False: a draft, which is kept but not exported."""

    @model_validator(mode="after")
    def _done_has_text(self) -> Self:
        if self.is_done and not self.content.strip():
            raise ValueError("a rewritten answer that is done has text")
        return self


class AnnotatorOut(BaseModel):
    """Who is at work, by pseudonym."""

    id: str
    blur: bool
    break_minutes: int
    warned: bool
    sees_results: bool


class HelpLine(BaseModel):
    """Somebody to talk to."""

    name: dict[str, str]
    number: str
    about: dict[str, str]


class GridOut(BaseModel):
    """`GET grid`: the grid, and whom annotators can turn to."""

    grid: Grid
    help_lines: Sequence[HelpLine]


class SessionOut(BaseModel):
    """A session in a list."""

    id: str
    topic: str
    subtopic: str
    strategy: str
    language: str
    is_mine: bool
    is_finished: bool
    num_models: int
    num_turns: int
    scored: int
    """Replies that the caller has scored in full."""
    to_score: int
    """Replies that can be scored."""
    created_at: datetime
    updated_at: datetime


class SessionLists(BaseModel):
    """`GET sessions`: one's own, and those of others that wait for a score, newest first."""

    mine: list[SessionOut]
    others: list[SessionOut]


class ErrorOut(BaseModel):
    """Why a reply failed."""

    code: str
    message: str
    fix: str = ""


class ScoreOut(BaseModel):
    """The caller's own scores."""

    harmlessness: int | None = None
    overall: int | None = None


class ReplyOut(BaseModel):
    """A reply; `model` is null until the attack has ended, and always for those who score it blind."""

    id: str
    label: str
    content: str
    status: Status
    finish_reason: str | None
    error: ErrorOut | None
    model: str | None
    score: ScoreOut


class RewriteOut(BaseModel):
    """The caller's own rewritten answer, and what may be wrong with it (`refusal`: it is a bare refusal)."""

    content: str
    is_done: bool
    warnings: list[Literal["refusal"]] = []


class TurnOut(BaseModel):
    """A turn as far as the caller may see it."""

    id: str
    number: int
    content: str
    replies: list[ReplyOut]
    is_scored: bool
    """Whether the caller has scored every reply."""
    is_perfect: bool
    """Whether one of them has the best score for both."""
    next_reply_id: str | None
    """The reply from which the dialogue goes on, once the caller has scored all."""
    rewrite: RewriteOut | None


class SessionDetail(BaseModel):
    """A session with its turns; later turns stay hidden from a scorer until the earlier ones are scored."""

    session: SessionOut
    turns: list[TurnOut]
    hidden_turns: int
    models: list[str] | None
    """Of the attacker's own session; in no order that tells which is which."""


class ProgressCell(BaseModel):
    """How much was done in one cell of the grid, by all annotators."""

    topic: str
    strategy: str
    sessions: int
    finished: int
    mine: int


class Progress(BaseModel):
    """`GET progress`."""

    cells: list[ProgressCell]
    sessions: int
    turns: int
    rewrites: int
