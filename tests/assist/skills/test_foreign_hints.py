"""Hints in schemas that come from somewhere else are words, and never expressions."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import operation, skill

from malmoi.assist.skills.planning.extraction import extract
from malmoi.assist.skills.planning.filling import fill, may_be_said

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SLOW = "(a+)+$"


def foreign(**hints: Any) -> Any:
    """An operation of an uploaded skill whose argument has these hints."""
    schema = {"type": "string", **{f"x-malmoi-{name}": value for name, value in hints.items()}}
    loaded, _ = skill(
        "cafe", [operation("find", place=schema)], origin="uploaded", source={"openapi": "openapi.json"}
    )
    return loaded.operations[0]


def test_an_expression_stands_for_itself() -> None:
    found = foreign(near=[SLOW, 5])
    schema = found.parameters["properties"]["place"]
    query = "a" * 40 + "!"
    started = time.process_time()
    assert not may_be_said("place", schema, query, extract(query, NOW), is_required=False)
    assert time.process_time() - started < 1
    said = f"카페 {SLOW}"
    assert may_be_said("place", schema, said, extract(said, NOW), is_required=False)


@pytest.mark.parametrize(
    "hints",
    [
        {"near": "("},
        {"near": ["("]},
        {"words": ["서울"]},
        {"words": {"seoul": "서울"}},
        {"title": "Place"},
        {"form": {}},
        {"unit": 5},
    ],
    ids=["text", "broken", "list", "word", "title", "form", "unit"],
)
def test_hints_of_another_form_do_no_harm(hints: dict[str, Any]) -> None:
    found = foreign(**hints)
    query = "서울 카페 '모모' 찾아줘 ("
    assert fill(found, query, extract(query, NOW), NOW).get("place") in (None, "모모")


def test_words_and_titles_stay() -> None:
    title, words = {"ko": "도시", "en": "the city"}, {"seoul": ["서울"]}
    schema = foreign(title=title, words=words, alone=True).parameters["properties"]["place"]
    assert schema["x-malmoi-title"] == title
    assert schema["x-malmoi-words"] == words
    assert schema["x-malmoi-alone"] is True
