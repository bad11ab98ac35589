"""The queries of an evaluation: what a person says, and what should be called for it, if anything."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.rows import read_rows

Split: TypeAlias = Literal["dev", "test"]
Kind: TypeAlias = Literal["plain", "near", "follow", "none"]
_FILES: dict[Split, str] = {"dev": "queries-a.jsonl", "test": "queries-b.jsonl"}


class Query(BaseModel):
    """One query; the days of its arguments are counted from the clock of the evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str = Field(min_length=1)
    language: Literal["ko", "en"]
    query: str = Field(min_length=1)
    turns: tuple[tuple[Literal["user", "assistant"], str], ...] = ()
    """What was said before, oldest first."""
    kind: Kind
    """`near`: with words of another skill; `follow`: understood only with what was said before."""
    skill: str | None
    """None: nothing should be called."""
    operation: str | None
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Those that are judged; an operation may be given others as well."""
    needs_question: bool = False
    """Whether something that is required was not said, so that the person has to be asked."""

    @model_validator(mode="after")
    def _check_goes_together(self) -> Self:
        if (self.skill is None) != (self.operation is None) or (self.skill is None) != (self.kind == "none"):
            raise ValueError("a query of kind none has no skill and no operation; all others have both")
        return self


def load_queries(split: Split = "dev", path: Path | None = None) -> list[Query]:
    """Queries of the package, or from a file of JSON lines.

    Args:
        split: ways are chosen on dev; test is for the figures that are reported.
        path: instead of those of the package.

    Raises:
        InvalidInput: a line is no query, or an id stands twice; the message names the line.
    """
    source = path if path is not None else files(__package__).joinpath(_FILES[split])
    return read_rows(source.read_text(encoding="utf-8"), Query, name=source.name)
