"""Values that a model gives in a plan: taken where they come from what was said, and else refused."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import NOW, Model, operation, skill

from malmoi.assist.skills.planning import Planner, PlanRequest, Spent
from malmoi.assist.skills.routing import Demonstration


async def planned(query: str, schema: dict[str, Any], value: str) -> Any:
    """The argument that a model's value becomes; None: it is refused."""
    noted = operation("note", "write", about={"type": "string"}, when={"type": "string", **schema})
    loaded, _ = skill("notes", [noted], {"적어 줘": "note"})
    planner = Planner(Model([{"about": "모임", "when": value}]), Spent(1000))
    plan = await planner.plan(loaded, noted, PlanRequest(query=query, now=NOW, language="ko"))
    return plan.arguments.get("when")


@pytest.mark.parametrize("key", ["format", "x-malmoi-form"])
@pytest.mark.parametrize(
    ("form", "made_up"), [("date", "2031-05-06"), ("email", "boss@example.com"), ("uri", "https://e.example")]
)
async def test_takes_nothing_that_a_model_has_made_up(key: str, form: str, made_up: str) -> None:
    assert await planned("모임을 적어 줘", {key: form}, made_up) is None
    assert await planned(f"{made_up} 모임을 적어 줘", {key: form}, made_up) == made_up


async def test_takes_no_moment_that_nobody_has_named() -> None:
    assert await planned("모임을 적어 줘", {"x-malmoi-form": "moment"}, "2031-05-06T09:00") is None
    assert await planned("모임을 적어 줘", {"x-malmoi-form": "none", "format": "date"}, "2031-05-06") is None


@pytest.mark.parametrize(
    ("query", "shown", "arguments"),
    [
        ("회의 적어 줘", {"about": "모임"}, {"about": "모임"}),
        ("오늘 회의 적어 줘", {"when": "2025-03-01"}, {"when": "2026-11-22"}),
        ("오늘 3시 회의", {"about": "모임", "when": "2025-03-01T15:00"}, {"when": "2026-11-22"}),
        ("올해 회의", {"year": 2025}, {}),
        ("2025년 회의", {"year": 2025}, {"year": 2025}),
    ],
    ids=["plain", "day", "moment", "this year", "year that is named"],
)
async def test_a_demonstration_of_another_day_is_not_taken_word_for_word(
    query: str, shown: dict[str, Any], arguments: dict[str, Any]
) -> None:
    when = {"type": "string", "x-malmoi-form": "date"}
    noted = operation("note", "write", about={"type": "string"}, when=when, year={"type": "integer"})
    loaded, _ = skill("notes", [noted], {"적어 줘": "note"})
    same = Demonstration(query, "notes", "note", shown)
    request = PlanRequest(query=query, now=NOW, language="ko", demonstrations=[same])
    plan = await Planner(None, Spent(1000)).plan(loaded, noted, request)
    assert plan.arguments == arguments
