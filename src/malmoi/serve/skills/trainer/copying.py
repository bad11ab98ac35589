"""Rows of runs: what a run did becomes a draft, and is kept beside it as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from malmoi.serve.skills.trainer.types import NewRow, Original, Stages

if TYPE_CHECKING:
    from malmoi.serve.skills.tables import SkillRunRow, SkillStage

_LONGEST = 20_000
_LONGEST_QUESTION = 2000


def row_of_run(run: SkillRunRow, stages: Sequence[SkillStage], wanted: NewRow) -> NewRow:
    """A run as a row: the operation that it was for, or that of its last call where there was no such.

    Args:
        run: the run.
        stages: of it, in their order.
        wanted: what the row is to be beside that.
    """
    request = run.request
    return NewRow.model_validate(
        {
            "run_id": run.id,
            "query": run.query,
            "turns": [{"role": role, "content": text[:_LONGEST]} for role, text in request["turns"]],
            "language": request["language"],
            "zone": request["zone"],
            "said_at": run.created_at,
            "part": wanted.part,
            "status": wanted.status,
            "stages": _stages(run, stages).model_dump(),
        }
    )


def original_of(run: SkillRunRow, stages: Sequence[SkillStage], copied: Stages) -> Original:
    """What a run did, with what the routing had in mind.

    Args:
        run: the run.
        stages: of it, in their order.
        copied: its stages as a row.
    """
    routed: dict[str, Any] = next((one.data for one in stages if one.kind == "routed"), {})
    planned = [one.data for one in stages if one.kind == "planned"]
    own = [one for one in planned if one["operation"] == copied.operation]
    choices: list[dict[str, Any]] = routed.get("choices", [])
    return Original(
        stages=copied,
        score=choices[0]["score"] if choices else None,
        choices=choices,
        sources=own[-1]["sources"] if own else {},
        reason=run.reason,
    )


def _stages(run: SkillRunRow, stages: Sequence[SkillStage]) -> Stages:
    skill, operation = run.skill, run.operation
    calls = [one.data for one in stages if one.kind in ("planned", "confirm", "called")]
    if not operation and calls:
        skill, operation = str(calls[-1]["skill"]), str(calls[-1]["operation"])
    own = [one for one in calls if (one["skill"], one["operation"]) == (skill, operation)]
    arguments = own[-1]["arguments"] if own else {}
    asked = [str(one.data["question"]) for one in stages if one.kind == "asked"]
    if asked and run.reason == "asked":
        question = asked[-1][:_LONGEST_QUESTION]
        return Stages(skill=skill, operation=operation, arguments=arguments, asked=question)
    seen = [
        one.data
        for one in stages
        if one.kind == "observed" and (one.data["skill"], one.data["operation"]) == (skill, operation)
    ]
    answer = "".join(str(one.data["text"]) for one in stages if one.kind == "text")
    return Stages(
        skill=skill,
        operation=operation,
        arguments=arguments,
        result=str(seen[-1]["text"])[:_LONGEST] if seen else "",
        said=str(seen[-1]["said"])[:_LONGEST] if seen else "",
        answer=answer[:_LONGEST],
    )
