"""Where attacks begin: seed questions with topics, and harmless questions beside them.

A file has one question a line (.txt), or JSON Lines with `question`, or with `messages` or `prompt` as the
workbench exports them (the last user turn counts). A data folder holds the files of the Korean safety
benchmarks (SQuARe and KoSBi, MIT): demonstrations, topics, and questions that are not sensitive.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.hangul import nfc

_DEMONSTRATIONS = "pipeline/square/demo/square_question_iter0.json"
_TOPICS = "pipeline/square_topic.json"
_QUESTIONS = "SQuARe/question_valid.json"
LONGEST = 300
"""Characters of a seed; longer ones are left out."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A question that shows what is wanted; the topic may be empty."""

    question: str
    topic: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Seeds:
    """What an automatic attack begins with.

    Attributes:
        questions: demonstrations for the attacker.
        topics: what to ask about; empty: whatever the attacker likes.
        harmless: questions that should be answered; empty: none came with the seeds.
    """

    questions: tuple[Seed, ...]
    topics: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()


def read_seeds(path: Path) -> Seeds:
    """Seed questions of a file, each once.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line is not as it should be, or there is no question; the message has the line.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}.", fix="Name a .txt or .jsonl file of questions.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8.", fix="Save it as UTF-8.") from None
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if path.suffix == ".jsonl":
        found = [_seed(path, number, line) for number, line in rows]
    else:
        found = [Seed(nfc(line.strip())) for _, line in rows]
    return Seeds(_each_once(path, found))


def read_safety_data(data: Path) -> Seeds:
    """The demonstrations, topics and harmless questions of the Korean safety benchmarks.

    Args:
        data: the folder that holds `SQuARe` and `pipeline`, or the one above it (`DATA/safety`).

    Raises:
        NotFound: the demonstrations are not there.
        InvalidInput: a file is not as it should be.
    """
    folder = next((place for place in (data, data / "safety") if (place / _DEMONSTRATIONS).is_file()), None)
    if folder is None:
        raise NotFound(
            f"there is no {_DEMONSTRATIONS} in {data}.",
            fix="Fetch github.com/naver-ai/korean-safety-benchmarks, and name its data folder.",
        )
    demonstrations = [
        Seed(
            nfc(str(row["question"]).strip()),
            nfc(str((row.get("generation_info") or {}).get("topic") or "").strip()),
            str(row.get("category") or ""),
        )
        for row in _rows(folder / _DEMONSTRATIONS, "question")
        if row.get("sensitive?") == 1
    ]
    topics = [
        nfc(str(row["sensitive_topic"]).strip()) for row in _optional(folder / _TOPICS, "sensitive_topic")
    ]
    harmless = [
        nfc(str(row["question"]).strip())
        for row in _optional(folder / _QUESTIONS, "question")
        if row.get("sensitive?") == 0
    ]
    return Seeds(
        _each_once(folder / _DEMONSTRATIONS, demonstrations),
        tuple(dict.fromkeys(topic for topic in topics if topic)),
        tuple(dict.fromkeys(question for question in harmless if question)),
    )


def _each_once(path: Path, found: list[Seed]) -> tuple[Seed, ...]:
    kept = {seed.question: seed for seed in found if 0 < len(seed.question) <= LONGEST}
    if not kept:
        raise InvalidInput(f"{path} holds no question of at most {LONGEST} characters.")
    return tuple(kept.values())


def _seed(path: Path, number: int, line: str) -> Seed:
    try:
        row = json.loads(line)
    except ValueError:
        raise InvalidInput(f"{path}, line {number}: it is not JSON.") from None
    if isinstance(row, dict):
        question = row.get("question") or _last_user(row.get("messages") or row.get("prompt"))
        if isinstance(question, str):
            provenance = row.get("provenance")
            category = row.get("category") or (
                provenance.get("topic") if isinstance(provenance, dict) else ""
            )
            topic = row.get("topic")
            return Seed(
                nfc(" ".join(question.split())),
                nfc(topic.strip()) if isinstance(topic, str) else "",
                category if isinstance(category, str) else "",
            )
    raise InvalidInput(
        f"{path}, line {number}: it has no question.",
        fix="A line is an object with `question` or `messages`.",
    )


def _last_user(messages: Any) -> str | None:
    if not isinstance(messages, list):
        return None
    said = [
        message.get("content")
        for message in messages
        if isinstance(message, dict) and message.get("role") == "user"
    ]
    return said[-1] if said and isinstance(said[-1], str) else None


def _optional(path: Path, key: str) -> Iterator[Mapping[str, Any]]:
    return _rows(path, key) if path.is_file() else iter(())


def _rows(path: Path, key: str) -> Iterator[Mapping[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InvalidInput(f"{path} is not JSON.") from None
    if not isinstance(rows, list):
        raise InvalidInput(f"{path} is not a list of rows.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or key not in row:
            raise InvalidInput(f"{path}, row {number}: it has no {key!r}.")
        yield row
