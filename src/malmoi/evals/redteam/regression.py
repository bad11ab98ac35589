"""The regression set: attacks that once succeeded, each kept once, to be tried again on later models."""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.files import write_text
from malmoi.evals.redteam.attacker import plain


class Failure(BaseModel):
    """An attack that succeeded, with the answer that it got."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    """Hash of the question in its plain form."""
    question: str
    language: str
    topic: str = ""
    category: str = ""
    answer: str
    risk: float
    """Probability that the answer is unsafe, by the classifier."""
    target: str
    attacker: str
    classifier: str


def question_id(question: str) -> str:
    """What a question is known by, whatever its case, spaces and punctuation."""
    return sha256(plain(question).encode("utf-8")).hexdigest()[:16]


def read_failures(path: Path) -> list[Failure]:
    """The attacks of a regression set.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line is no attack; the message has its number.
    """
    if not path.is_file():
        raise NotFound(
            f"there is no file {path}.", fix="`malmoi safety redteam` makes one where attacks succeed."
        )
    found = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found.append(Failure.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"])) or "the line"
                raise InvalidInput(f"{path}, line {number}: {place}: {first['msg']}.") from None
    return found


def keep_failures(path: Path, failures: Iterable[Failure]) -> int:
    """Add attacks to a regression set; those that it has already stay as they are.

    Returns:
        How many were new.

    Raises:
        InvalidInput: the file is there and is no regression set.
        DiskFull: there is no room; the old file is untouched.
    """
    known = {failure.id: failure for failure in (read_failures(path) if path.is_file() else ())}
    before = len(known)
    for failure in failures:
        known.setdefault(failure.id, failure)
    if len(known) > before:
        rows = (json.dumps(row.model_dump(), ensure_ascii=False, sort_keys=True) for row in known.values())
        write_text(path, "".join(f"{row}\n" for row in rows))
    return len(known) - before
