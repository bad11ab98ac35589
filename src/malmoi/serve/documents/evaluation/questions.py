"""The questions of an evaluation: what is asked, of which document, and the words that answer it."""

from importlib.resources import files
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.errors import InvalidInput
from malmoi.core.rows import read_rows

Split: TypeAlias = Literal["dev", "test"]


class Question(BaseModel):
    """One question. Without a document, nothing in the collection answers it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str = Field(min_length=1)
    language: Literal["ko", "en"]
    split: Split
    """Ways of searching are chosen on dev; test is for the figures that are reported."""
    question: str = Field(min_length=1)
    document: str | None
    """The name of the document, as in the collection."""
    answer: str | None
    """Words of the document that answer the question."""

    @model_validator(mode="after")
    def _check_has_both(self) -> Self:
        if (self.document is None) != (self.answer is None):
            raise ValueError("a question has a document and an answer, or neither")
        return self

    @property
    def is_answerable(self) -> bool:
        """Whether a document answers it."""
        return self.document is not None


SETS = ("questions.jsonl", "questions-b.jsonl")
"""The sets of the package, which were written independently of each other."""
UNANSWERABLE = "questions-c.jsonl"
"""More questions that no document answers, each near to what a page says."""


def load_questions(path: Path | str = SETS[0]) -> list[Question]:
    """Questions from a file of JSON lines, or from one of the package's by its name.

    Raises:
        InvalidInput: a line is no question, or an id stands twice; the message names the line.
    """
    if isinstance(path, str):
        text = (files("malmoi.serve.documents.evaluation") / path).read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}.", field="questions") from error
    return read_rows(text, Question, name=str(path))
