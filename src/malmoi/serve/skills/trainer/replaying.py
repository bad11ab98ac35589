"""Test rows run again: routed and planned as ever, while no operation is called.

Each skill keeps its operations, but its provider answers with what the row has recorded, and only where the
call is the recorded one. So a measurement changes nothing anywhere, needs nobody's keys, and is the same
tomorrow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from malmoi.assist.skills.manifest import Auth
from malmoi.assist.skills.operation import CallContext, Operation, Result
from malmoi.assist.skills.running import (
    Called,
    Confirm,
    Ended,
    Planned,
    Routed,
    RunRequest,
    SkillRunner,
    TextAdded,
)
from malmoi.core.types import Message
from malmoi.serve.skills.trainer.figures import has_numbers_of, same_arguments
from malmoi.serve.skills.trainer.types import Outcome, RowValue, Step

if TYPE_CHECKING:
    from malmoi.assist.skills.limits import SkillLimits
    from malmoi.assist.skills.loading import LoadedSkill
    from malmoi.assist.skills.planning.thinking import SkillModel
    from malmoi.assist.skills.routing import Demonstration, Router


class Recorded:
    """A provider that answers with what was recorded, and reaches nothing.

    Args:
        operations: of the skill.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = {one.name: one for one in operations}
        self.calls: Sequence[Step] = ()

    async def operations(self) -> Sequence[Operation]:
        """What the skill can do."""
        return list(self._operations.values())

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """The recorded answer, if this is the recorded call."""
        parameters = self._operations[operation].parameters
        for one in self.calls:
            if one.operation == operation and same_arguments(arguments, one.arguments, parameters):
                return Result(data=_data(one.result), text=one.said)
        return Result(text="no answer was recorded for this call.", is_error=True)

    async def close(self) -> None:
        """Nothing is open."""


class _RecordedApprovals:
    """Says yes: a run goes on after a step that changes something, and no call leaves `Recorded`."""

    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        return True


@dataclass(slots=True)
class _Seen:
    """What a run has done.

    Attributes:
        ways: skills and operations that the query was found to be for, in order.
        calls: that were made or waited for a yes, by their ids, in order.
        planned: the last arguments of each operation, and whether they were all there.
        text: of the answer.
        reason: why it has ended.
    """

    ways: list[tuple[str, str]] = field(default_factory=list)
    calls: dict[str, Step] = field(default_factory=dict)
    planned: dict[tuple[str, str], tuple[dict[str, Any], bool]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    reason: str = ""


class Replay:
    """Runs rows again.

    Args:
        skills: of the set.
        router: finds operations.
        limits: of every run.
        account_id: who measures.
        model: None: only routing is meant to be judged.
    """

    def __init__(
        self,
        skills: Sequence[LoadedSkill],
        router: Router,
        limits: SkillLimits,
        account_id: str,
        model: SkillModel | None,
    ) -> None:
        self._providers = {one.name: Recorded(one.operations) for one in skills}
        self._skills = [_recorded(one, self._providers[one.name]) for one in skills]
        self._runner = SkillRunner(router, _RecordedApprovals(), limits=limits)
        self._account_id = account_id
        self._model = model

    async def run(self, row: RowValue, number: int, demonstrations: Sequence[Demonstration]) -> Outcome:
        """What comes of a row.

        Args:
            row: what is asked, and what should come of it.
            number: of the row; rows for no skill are asked with other skills on by it.
            demonstrations: what is shown.

        Raises:
            MalmoiError: the model fails.
        """
        calls = row.stages.calls()
        for name, provider in self._providers.items():
            provider.calls = [one for one in calls if one.skill == name]
        request: RunRequest | None = RunRequest(
            run_id="measure",
            account_id=self._account_id,
            query=row.query,
            skills=self._on(list(dict.fromkeys(one.skill for one in calls)), number),
            now=_moment(row),
            language=row.language,
            model=self._model,
            turns=[Message(turn.role, turn.content) for turn in row.turns],
            demonstrations=demonstrations,
        )
        seen = _Seen()
        while request is not None:
            request = await self._follow(request, seen, len(calls))
        # What the query is for; what a step without words of its own looks up is no wish of the person's.
        wished = [(one.skill, one.operation) for one in calls[:-1] if one.clause.strip()]
        wished += [(one.skill, one.operation) for one in calls[-1:]]
        way = (
            seen.ways[len(wished) - 1]
            if 0 < len(wished) <= len(seen.ways)
            else next(iter(seen.ways), ("", ""))
        )
        outcome = Outcome(
            skill=way[0],
            operation=way[1],
            arguments=seen.planned[way][0] if way in seen.planned else None,
            reason=seen.reason,
            answer="".join(seen.text)[:4000],
            routed=seen.ways == wished,
            valid=None,
            success=None,
            calls=[_told(one) for one in seen.calls.values()] if len(calls) > 1 else [],
        )
        return self._judged(row, outcome, seen)

    async def _follow(self, request: RunRequest, seen: _Seen, most: int) -> RunRequest | None:
        """Take in what a run does; the run that goes on after a yes, while other steps are to come."""
        later: RunRequest | None = None
        async with aclosing(self._runner.run(request)) as events:
            async for event in events:
                if isinstance(event, Routed) and event.routing.choice is not None:
                    seen.ways.append((event.routing.choice.skill, event.routing.choice.operation))
                elif isinstance(event, Planned):
                    plan = event.plan
                    seen.planned[plan.skill, plan.operation] = (plan.arguments, plan.is_ready)
                elif isinstance(event, Called | Confirm):
                    seen.planned[event.skill, event.operation] = (event.arguments, True)
                    seen.calls[event.call_id] = Step(
                        skill=event.skill, operation=event.operation, arguments=event.arguments
                    )
                    if isinstance(event, Confirm) and len(seen.calls) < most:
                        later = replace(request, state=event.state)
                elif isinstance(event, TextAdded):
                    seen.text.append(event.text)
                elif isinstance(event, Ended):
                    seen.reason = event.reason
        return later

    def _judged(self, row: RowValue, outcome: Outcome, seen: _Seen) -> Outcome:
        """The outcome with whether it is right; without a model only the routing is judged."""
        if self._model is None:
            return outcome
        stages = row.stages
        if not stages.skill:
            return outcome.model_copy(update={"success": outcome.routed})
        known = self._operation(stages.skill, stages.operation)
        arguments, ready = seen.planned.get((stages.skill, stages.operation), ({}, False))
        if stages.asked:
            ready = outcome.reason == "asked"
        before = self._made(stages.steps, seen)
        valid = outcome.routed and ready and before is not None
        right = valid and bool(before) and same_arguments(arguments, stages.arguments, known.parameters)
        if right and not stages.asked and known.effect == "read" and (stages.result or stages.said):
            right = outcome.reason == "answered" and has_numbers_of(outcome.answer, stages.answer)
        return outcome.model_copy(update={"valid": valid, "success": right})

    def _made(self, steps: Sequence[Step], seen: _Seen) -> bool | None:
        """Whether all steps were called in order, with their arguments; None: one was not called at all."""
        calls = iter(seen.calls.values())
        is_right = True
        for step in steps:
            call = next(
                (one for one in calls if (one.skill, one.operation) == (step.skill, step.operation)), None
            )
            if call is None:
                return None
            parameters = self._operation(step.skill, step.operation).parameters
            is_right = is_right and same_arguments(call.arguments, step.arguments, parameters)
        return is_right

    def _operation(self, skill: str, operation: str) -> Operation:
        return next(one for one in self._skills if one.name == skill).operation(operation)

    def _on(self, names: Sequence[str], number: int) -> list[LoadedSkill]:
        """The skills that are on for a row: its own, and another one of another domain, as in use."""
        skills = self._skills
        own = [one for name in names for one in skills if one.name == name]
        if len(own) > 1:
            return own
        first = skills.index(own[0]) if own else number % len(skills)
        on = [skills[first]]
        for step in range(1, len(skills)):
            other = skills[(first + step) % len(skills)]
            if other.skill.manifest.domain != on[0].skill.manifest.domain:
                return [on[0], other]
        return on


def _told(call: Step) -> dict[str, Any]:
    return {"skill": call.skill, "operation": call.operation, "arguments": call.arguments}


def _recorded(loaded: LoadedSkill, provider: Recorded) -> LoadedSkill:
    """A skill that answers from records: it asks for no keys, and what it says was trimmed before."""
    manifest = loaded.skill.manifest.model_copy(update={"operations": {}})
    return replace(loaded, skill=replace(loaded.skill, manifest=manifest), provider=provider, auth=Auth())


def _moment(row: RowValue) -> datetime:
    return row.said_at.astimezone(ZoneInfo(row.zone) if row.zone else None)


def _data(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
