"""Test rows run again: routed and planned as ever, while no operation is called.

Each skill keeps its operations, but its provider answers with what the row has recorded, and only where the
call is the recorded one. So a measurement changes nothing anywhere, needs nobody's keys, and is the same
tomorrow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
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
from malmoi.serve.skills.trainer.types import Outcome, RowValue

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
        self.row: RowValue | None = None

    async def operations(self) -> Sequence[Operation]:
        """What the skill can do."""
        return list(self._operations.values())

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """The recorded answer, if this is the recorded call."""
        row = self.row
        parameters = self._operations[operation].parameters
        if (
            row is None
            or row.stages.operation != operation
            or not same_arguments(arguments, row.stages.arguments, parameters)
        ):
            return Result(text="no answer was recorded for this call.", is_error=True)
        return Result(data=_data(row.stages.result), text=row.stages.said)

    async def close(self) -> None:
        """Nothing is open."""


class _NoApprovals:
    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        return False


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
        self._runner = SkillRunner(router, _NoApprovals(), limits=limits)
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
        on = self._on(row.stages.skill, number)
        for name, provider in self._providers.items():
            provider.row = row if name == row.stages.skill else None
        request = RunRequest(
            run_id="measure",
            account_id=self._account_id,
            query=row.query,
            skills=on,
            now=_moment(row),
            language=row.language,
            model=self._model,
            turns=[Message(turn.role, turn.content) for turn in row.turns],
            demonstrations=demonstrations,
        )
        skill = operation = reason = ""
        arguments: dict[str, Any] | None = None
        goals = 0
        text: list[str] = []
        ready = False
        async with aclosing(self._runner.run(request)) as events:
            async for event in events:
                if isinstance(event, Routed) and event.routing.choice is not None:
                    goals += 1
                    if goals == 1:
                        skill, operation = event.routing.choice.skill, event.routing.choice.operation
                elif isinstance(event, Planned) and event.plan.operation == operation:
                    arguments, ready = event.plan.arguments, event.plan.is_ready
                elif isinstance(event, Called | Confirm) and event.operation == operation:
                    arguments, ready = event.arguments, True
                elif isinstance(event, TextAdded):
                    text.append(event.text)
                elif isinstance(event, Ended):
                    reason = event.reason
        outcome = Outcome(
            skill=skill,
            operation=operation,
            arguments=arguments,
            reason=reason,
            answer="".join(text)[:4000],
            routed=(skill, operation) == (row.stages.skill, row.stages.operation) and goals <= 1,
            valid=None,
            success=None,
        )
        return self._judged(row, outcome, ready=ready)

    def _judged(self, row: RowValue, outcome: Outcome, *, ready: bool) -> Outcome:
        """The outcome with whether it is right; without a model only the routing is judged."""
        if self._model is None:
            return outcome
        stages = row.stages
        if not stages.skill:
            return outcome.model_copy(update={"success": outcome.routed})
        if stages.asked:
            ready = outcome.reason == "asked"
        known = next(one for one in self._skills if one.name == stages.skill).operation(stages.operation)
        valid = outcome.routed and ready
        right = valid and same_arguments(outcome.arguments or {}, stages.arguments, known.parameters)
        if right and not stages.asked and known.effect == "read" and (stages.result or stages.said):
            right = outcome.reason == "answered" and has_numbers_of(outcome.answer, stages.answer)
        return outcome.model_copy(update={"valid": valid, "success": right})

    def _on(self, skill: str, number: int) -> list[LoadedSkill]:
        """The skills that are on for a row: its own, and another one of another domain, as in use."""
        skills = self._skills
        first = next((place for place, one in enumerate(skills) if one.name == skill), number % len(skills))
        on = [skills[first]]
        for step in range(1, len(skills)):
            other = skills[(first + step) % len(skills)]
            if other.skill.manifest.domain != on[0].skill.manifest.domain:
                return [on[0], other]
        return on


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
