"""Rows of runs: what a run did becomes a draft, and is kept beside it as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from malmoi.assist.skills.running.clauses import clauses
from malmoi.serve.skills.trainer.types import NewRow, Original, Stages, Step

if TYPE_CHECKING:
    from malmoi.serve.skills.tables import SkillRunRow, SkillStage

_LONGEST = 20_000
_LONGEST_QUESTION = 2000
_MOST_STEPS = 4


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
    goals = _goals(run, stages)
    calls = _calls(stages)
    if not goals and calls:
        goals = [("", calls[-1]["skill"], calls[-1]["operation"])]
    if not goals:
        return Stages(answer=_answer(stages))
    failed = {one.data["call_id"] for one in stages if one.kind == "observed" and one.data["is_error"]}
    steps: list[Step] = []
    for number, (clause, skill, operation) in enumerate(goals):
        is_last = number == len(goals) - 1
        own = [at for at, one in enumerate(calls) if (one["skill"], one["operation"]) == (skill, operation)]
        place = (own[-1] if is_last else own[0]) if own else len(calls) if is_last else 0
        # What was called on the way to it was looked up for it.
        looked_up = [one for at, one in enumerate(calls[:place]) if at not in own]
        steps += [_step("", one, stages) for one in looked_up if one["call_id"] not in failed]
        if own:
            steps.append(_step(clause, calls[place], stages))
            calls = calls[place + 1 :]
        else:
            planned = _planned(stages, skill, operation)
            steps.append(Step(clause=clause, skill=skill, operation=operation, arguments=planned))
    told = {**steps[-1].model_dump(), "steps": steps[:-1][-_MOST_STEPS:]}
    asked = [str(one.data["question"]) for one in stages if one.kind == "asked"]
    if asked and run.reason == "asked":
        return Stages(**{**told, "result": "", "said": "", "asked": asked[-1][:_LONGEST_QUESTION]})
    return Stages(**told, answer=_answer(stages))


def _goals(run: SkillRunRow, stages: Sequence[SkillStage]) -> list[tuple[str, str, str]]:
    """What the query asked for: the words, where there are several things, skill and operation."""
    routed = [one.data for one in stages if one.kind == "routed"]
    found = [(str(one["skill"]), str(one["operation"])) for one in routed if one["skill"]]
    if len(found) < 2:
        return [("", run.skill, run.operation)] if run.operation else [("", *one) for one in found]
    parts = clauses(run.query)
    words = parts if len(parts) == len(found) else [""] * len(found)
    return [(text, *way) for text, way in zip(words, found, strict=True)]


def _calls(stages: Sequence[SkillStage]) -> list[dict[str, Any]]:
    """What was called, or waited for a yes, in order."""
    return list(
        {one.data["call_id"]: one.data for one in stages if one.kind in ("confirm", "called")}.values()
    )


def _planned(stages: Sequence[SkillStage], skill: str, operation: str) -> dict[str, Any]:
    found = [
        one.data
        for one in stages
        if one.kind in ("planned", "called", "confirm")
        and (one.data["skill"], one.data["operation"]) == (skill, operation)
    ]
    return dict(found[-1]["arguments"]) if found else {}


def _step(clause: str, call: dict[str, Any], stages: Sequence[SkillStage]) -> Step:
    """A call, and what came of it."""
    seen = [one.data for one in stages if one.kind == "observed" and one.data["call_id"] == call["call_id"]]
    return Step(
        clause=clause,
        skill=str(call["skill"]),
        operation=str(call["operation"]),
        arguments=call["arguments"],
        result=str(seen[-1]["text"])[:_LONGEST] if seen else "",
        said=str(seen[-1]["said"])[:_LONGEST] if seen else "",
    )


def _answer(stages: Sequence[SkillStage]) -> str:
    return "".join(str(one.data["text"]) for one in stages if one.kind == "text")[:_LONGEST]
