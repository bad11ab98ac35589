"""What else answers a question than the words that it quotes, as it was judged.

What several ways of searching found first for the questions of the package was pooled, shuffled, and graded
by written rules without telling which way had found it (`judgments.jsonl`): 2, the passage alone answers the
question; 1, it helps. Passages that have the quoted answer, and those that hold another one of their grade or
a better one, are left out. What was not in the pool counts as not helping.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.core.rows import read_rows
from malmoi.serve.documents.evaluation.judging import Graded, Span, fold_text, places_of

JUDGMENTS = "judgments.jsonl"
_DIGITS = 6


class Judgment(BaseModel):
    """Some words of a document that were judged for a question."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    question: str = Field(min_length=1)
    """The id of one of the questions of the package."""
    document: str = Field(min_length=1)
    start: int = Field(ge=0)
    """In letters and digits (`fold_text`): a reader of files that keeps other marks changes nothing."""
    end: int
    grade: Literal[1, 2]
    digest: str = Field(min_length=_DIGITS, max_length=_DIGITS)
    """How the SHA-256 of these letters begins: whether they are still the same."""


def load_judgments() -> list[Judgment]:
    """Those of the package."""
    text = (files("malmoi.serve.documents.evaluation") / JUDGMENTS).read_text(encoding="utf-8")
    return read_rows(text, Judgment, name=JUDGMENTS)


def grades_of(judgments: Iterable[Judgment], texts: Mapping[str, str]) -> dict[str, list[Graded]]:
    """What was judged for each question, by its id.

    Args:
        judgments: of any questions.
        texts: the texts of the documents by name.

    Raises:
        InvalidInput: a document is not there or has changed; the message names the questions.
    """
    judgments = list(judgments)
    folded = {name: fold_text(texts.get(name, "")) for name in {one.document for one in judgments}}
    places = {name: places_of(texts.get(name, "")) for name in folded}
    found: dict[str, list[Graded]] = {}
    changed: dict[str, None] = {}
    for one in judgments:
        if digest_of(folded[one.document][one.start : one.end]) != one.digest:
            changed[one.question] = None
            continue
        own = places[one.document]
        span = Span(one.document, own[one.start], own[one.end - 1] + 1)
        found.setdefault(one.question, []).append(Graded(span, one.grade))
    if changed:
        raise InvalidInput(
            f"what was judged for {', '.join([*changed][:10])} ({len(changed)} in all) is not there.",
            field="data",
            fix="Evaluate on the documents that were judged, or give your questions with --questions.",
        )
    return found


def digest_of(letters: str) -> str:
    """What tells whether these are the letters that were judged."""
    return hashlib.sha256(letters.encode()).hexdigest()[:_DIGITS]
