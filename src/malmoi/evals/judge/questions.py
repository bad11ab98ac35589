"""Questions of several turns: MT-Bench (Zheng et al. 2023), its Korean versions, and files of that layout.

    question.jsonl           {"question_id": 81, "category": "writing", "turns": ["...", "..."]}
    reference_answer/*.jsonl {"question_id": 111, "choices": [{"turns": ["...", "..."]}]}

A question may hold its reference answers itself (`reference`), and the language of its answers
(`reply_language`: ko, en, or empty for any).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.hangul.language import text_language

_SOURCES = (
    "MT-Bench: github.com/lm-sys/FastChat, folder fastchat/llm_judge/data/mt_bench; "
    "a Korean one: the hub's data set LGAI-EXAONE/KoMT-Bench or LogicKor's questions.jsonl"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks, turn by turn.

    Attributes:
        id: unique in its file.
        category: such as `writing` or `math`.
        turns: at least one.
        reference: a right answer to each turn, where there is one; may be shorter than `turns`.
        language: in which an answer must be (`ko` or `en`); empty: any.
    """

    id: str
    category: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()
    language: str = ""


def read_questions(path: Path) -> list[Question]:
    """The questions of a file, or of a folder with `question.jsonl` and, perhaps, `reference_answer/*.jsonl`.

    Raises:
        NotFound: there is no such file; the message says where such files come from.
        InvalidInput: a line is not a question; the message has its number.
    """
    file = path / "question.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise NotFound(f"there is no file of questions {file}.", fix=f"Fetch one. {_SOURCES}.")
    references = dict(_references(file.parent))
    questions = [_question(row, place, references) for place, row in _rows(file)]
    if not questions:
        raise InvalidInput(f"{file} has no questions.", fix=f"Fetch it again. {_SOURCES}.")
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise InvalidInput(f"{file}: the question {question.id} is there twice.", field="question_id")
        seen.add(question.id)
    return questions


def _references(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for file in sorted((folder / "reference_answer").glob("*.jsonl")):
        for place, row in _rows(file):
            try:
                yield str(row["question_id"]), _texts(row["choices"][0]["turns"], place)
            except (KeyError, IndexError, TypeError):
                raise InvalidInput(f"{place}: it is not a reference answer.", fix="Fetch it again.") from None


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is not UTF-8.", fix="Fetch it again.") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidInput(f"{place}: it is not JSON.", fix="Fetch it again, or mend the line.") from None
        if not isinstance(row, dict):
            raise InvalidInput(f"{place}: it is not an object.", fix="Fetch it again, or mend the line.")
        yield place, row


def _question(row: Mapping[str, Any], place: str, references: Mapping[str, tuple[str, ...]]) -> Question:
    number = row.get("question_id", row.get("id"))
    turns = _texts(row.get("turns", row.get("questions")), place)
    if number is None or not turns:
        raise InvalidInput(f"{place}: it has no question_id or no turns.", fix="Fetch it again.")
    own = row.get("reference", row.get("references"))
    reference = _texts(own, place) if own else references.get(str(number), ())
    language = row.get("reply_language")
    return Question(
        id=str(number),
        category=str(row.get("category", "")),
        turns=turns,
        reference=reference,
        language=str(language) if language is not None else (text_language("\n".join(turns)) or ""),
    )


def _texts(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts; a missing one is an empty text."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(text, str) or text is None for text in value):
        raise InvalidInput(f"{place}: it has no list of texts.", fix="Fetch it again.")
    return tuple(text or "" for text in value)
