"""The run itself: what may happen is decided here, in code, and never by what a model or a tool says.

- Only operations of the skills that were given are called: whatever names a model, a card or a result brings
  forth, they are looked up there and nowhere else.
- An operation that changes something is called only with an approval: bound to the account, the run, the
  operation and the very arguments, and used once. The run ends at the question, and goes on in a later one.
- Steps, seconds, tokens and sizes are counted here. What is under way is cancelled with the run.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import replace
from secrets import token_hex
from typing import Any, TypeVar

from malmoi.assist.skills.cards import in_language
from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.loading import LoadedSkill, check_arguments, title_of
from malmoi.assist.skills.operation import CallContext, Operation, Result
from malmoi.assist.skills.planning.planner import Observation, Plan, Planner, PlanRequest, conversation
from malmoi.assist.skills.planning.telling import say
from malmoi.assist.skills.planning.thinking import Spent, TokensSpent
from malmoi.assist.skills.routing import Demonstration, Router, Routing, choose_skills
from malmoi.assist.skills.running.answering import answer, plain_sentence
from malmoi.assist.skills.running.clauses import clauses
from malmoi.assist.skills.running.events import (
    Asked,
    Called,
    CardShown,
    Confirm,
    Ended,
    EndReason,
    Event,
    FileMade,
    Observed,
    Planned,
    Routed,
    TextAdded,
)
from malmoi.assist.skills.running.request import Approvals, DirectCall, RunRequest
from malmoi.assist.skills.running.state import Goal, Pending, RunState
from malmoi.assist.skills.trim import fit
from malmoi.core.errors import Conflict, Forbidden, MalmoiError, SkillUnavailable
from malmoi.core.types import Message
from malmoi.engine.base import Usage

_SHOWN_CHOICES = 4  # operations among which the model chooses
_TIED = 0.7  # of the share of the best: how likely others must be for the model to be asked
_MAX_LOOKUPS = 2  # operations that are called to find what another one lacks
T = TypeVar("T")


class SkillRunner:
    """Runs skills for callers. Safe for concurrent use.

    Args:
        router: finds the operation.
        approvals: of calls that change something.
        limits: of every run.
    """

    def __init__(self, router: Router, approvals: Approvals, *, limits: SkillLimits | None = None) -> None:
        self.router = router
        self.approvals = approvals
        self.limits = limits if limits is not None else SkillLimits()

    async def run(self, request: RunRequest) -> AsyncGenerator[Event, None]:
        """The events of one run, up to its end or to the next question.

        Raises:
            Conflict: the switched-on skills do not go together, or nothing waits for an approval.
            Forbidden: a call was not approved, or its approval is used up.
        """
        choose_skills(request.skills, most=self.limits.skills)
        async with aclosing(_Run(self, request).events()) as events:
            async for event in events:
                yield event


class _Stop(Exception):
    """The run ends here, for a reason that the person is told."""

    def __init__(self, reason: EndReason, text: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text


class _Run:
    """One run."""

    def __init__(self, runner: SkillRunner, request: RunRequest) -> None:
        self._runner = runner
        self._limits = runner.limits
        self._request = request
        self._skills = {one.name: one for one in request.skills}
        self._state = request.state or RunState(request.query)
        self._spent = Spent(self._limits.run_tokens)
        self._spent.add(
            Usage(prompt_tokens=self._state.prompt_tokens, completion_tokens=self._state.completion_tokens)
        )
        self._planner = Planner(request.model, self._spent)
        self._began = time.monotonic()
        self._deadline = asyncio.get_running_loop().time() + self._limits.run_seconds
        self._demonstrations: dict[tuple[str, str], Sequence[Demonstration]] = {}

    async def events(self) -> AsyncGenerator[Event, None]:
        reason: EndReason = "answered"
        try:
            async with aclosing(self._work()) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Confirm):
                        reason = "confirm"
                    elif isinstance(event, Asked):
                        reason = "asked"
                    elif isinstance(event, Routed) and event.routing.choice is None:
                        reason = "none"
        except _Stop as stop:
            reason = stop.reason
            yield TextAdded(stop.text, "runner")
        except TokensSpent:
            reason = "tokens"
            yield TextAdded(self._say("tokens"), "runner")
        except TimeoutError:
            reason = "seconds"
            yield TextAdded(self._say("seconds"), "runner")
        yield Ended(reason, self._state.steps, self._spent.usage, time.monotonic() - self._began)

    async def _work(self) -> AsyncGenerator[Event, None]:
        state = self._state
        if state.pending is not None:
            async with aclosing(self._approved(state.pending)) as events:
                async for event in events:
                    yield event
        elif self._request.direct is not None:
            async with aclosing(self._direct(self._request.direct)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Confirm):
                        return
        else:
            async for event in self._route():
                yield event
            if not state.goals:
                return
        while state.goals:
            async with aclosing(self._reach(state.goals[0])) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Confirm | Asked):
                        return
            state.goals.pop(0)
        async with aclosing(self._answer()) as answer:
            async for event in answer:
                yield event

    # -- route

    async def _route(self) -> AsyncIterator[Event]:
        request = self._request
        parts = clauses(request.query)
        routings = [await self._routed(part) for part in parts]
        chosen = {(one.choice.skill, one.choice.operation) for one in routings if one.choice is not None}
        # A part that is not clearly for something of its own is no second wish.
        if len(parts) > 1 and (len(chosen) < len(parts) or not all(one.is_clear for one in routings)):
            parts = [request.query]
            routings = [await self._routed(request.query)]
        for part, routing in zip(parts, routings, strict=True):
            if routing.choice is None:
                yield Routed(routing)
                continue
            earlier = request.before[-1].query if routing.query != part.strip() else ""
            goal = Goal(part, routing.choice.skill, routing.choice.operation, earlier)
            if not routing.is_sure:
                goal = await self._decided(goal, routing)
                choice = replace(routing.choice, operation=goal.operation)
                routing = replace(routing, choice=choice)
            yield Routed(routing)
            self._state.goals.append(goal)
            shown = [one for one in routing.demonstrations if one.operation == goal.operation]
            self._demonstrations[goal.skill, goal.operation] = shown

    async def _decided(self, goal: Goal, routing: Routing) -> Goal:
        """The goal with the operation that the model chooses among those that are about as likely."""
        skill, _ = self._find(goal.skill, goal.operation)
        near = [one for one in routing.choices if one.skill == goal.skill]
        names = [one.operation for one in near if one.share >= _TIED * near[0].share][:_SHOWN_CHOICES]
        shown = [one for one in routing.demonstrations if one.operation in names]
        request = self._plan_request(goal, demonstrations=_one_each(shown))
        operations = {name: skill.operation(name) for name in names}
        name = await self._in_time(self._planner.choose_operation(operations, request))
        return replace(goal, operation=name) if name is not None else goal

    async def _routed(self, query: str) -> Routing:
        request = self._request
        return await self._in_time(
            self._runner.router.route(
                query, request.skills, demonstrations=request.demonstrations, before=request.before
            )
        )

    # -- plan

    async def _reach(self, goal: Goal) -> AsyncGenerator[Event, None]:
        """Plan and call one operation; look up before what it lacks."""
        skill, operation = self._find(goal.skill, goal.operation)
        self._require_credentials(skill)
        plan = await self._plan(skill, operation, goal)
        yield Planned(plan, self._title(operation))
        for _ in range(_MAX_LOOKUPS):
            if plan.is_ready or self._state.steps + 1 >= self._limits.steps:
                break
            way = await self._way(plan, operation, goal)
            if way is None:
                break
            way_skill, way_operation, way_plan = way
            yield Planned(way_plan, self._title(way_operation))
            async for event in self._call(way_skill, way_operation, way_plan.arguments, is_lookup=True):
                yield event
            plan = await self._plan(skill, operation, goal)
            yield Planned(plan, self._title(operation))
        if not plan.is_ready:
            yield TextAdded(plan.question, "runner")
            yield Asked(plan.question, (*plan.missing, *plan.wrong))
            return
        if operation.effect == "write":
            yield self._question(skill, operation, plan.arguments)
            return
        async for event in self._call(skill, operation, plan.arguments):
            yield event

    async def _plan(self, skill: LoadedSkill, operation: Operation, goal: Goal) -> Plan:
        shown = self._demonstrations.get((skill.name, operation.name), ())
        request = self._plan_request(goal, demonstrations=shown)
        return await self._in_time(self._planner.plan(skill, operation, request))

    async def _way(
        self, plan: Plan, operation: Operation, goal: Goal
    ) -> tuple[LoadedSkill, Operation, Plan] | None:
        """A read that is ready to be called and was not called before."""
        skill = self._skills[plan.skill]
        reads = {
            one.name: one for one in skill.operations if one.effect == "read" and one.name != operation.name
        }
        request = self._plan_request(goal)
        name = await self._in_time(self._planner.find_way(operation, plan.missing, reads, request))
        if name is None:
            return None
        found = await self._plan(skill, reads[name], goal)
        if not found.is_ready or self._mark(skill, reads[name], found.arguments) in self._state.seen:
            return None
        return skill, reads[name], found

    def _plan_request(self, goal: Goal, *, demonstrations: Sequence[Demonstration] = ()) -> PlanRequest:
        turns = list(self._request.turns)
        if goal.query != self._state.query:
            turns.append(Message("user", self._state.query))
        return PlanRequest(
            query=goal.query,
            earlier=goal.earlier,
            now=self._request.now,
            language=self._request.language,
            turns=turns,
            demonstrations=demonstrations,
            observations=self._state.observations,
            documents=self._request.at_hand,
            cards=self._request.cards,
        )

    # -- ask and approve

    def _question(self, skill: LoadedSkill, operation: Operation, arguments: dict[str, Any]) -> Confirm:
        pending = Pending(token_hex(12), skill.name, operation.name, arguments)
        state = self._state
        state.pending = pending
        state.prompt_tokens = self._spent.usage.prompt_tokens
        state.completion_tokens = self._spent.usage.completion_tokens
        return Confirm(
            call_id=pending.call_id,
            skill=skill.name,
            operation=operation.name,
            title=self._title(operation),
            arguments=arguments,
            arguments_hash=pending.hash,
            final=operation.is_final,
            state=state,
        )

    async def _approved(self, pending: Pending) -> AsyncGenerator[Event, None]:
        skill, operation = self._find(pending.skill, pending.operation)
        self._require_credentials(skill)
        check_arguments(operation, pending.arguments)
        used = await self._runner.approvals.use(
            account_id=self._request.account_id,
            run_id=self._request.run_id,
            call_id=pending.call_id,
            arguments_hash=pending.hash,
        )
        if not used:
            raise Forbidden(
                "this call was not approved, or its approval is used up.", fix="Ask for it again."
            )
        self._state.pending = None
        async for event in self._call(
            skill, operation, pending.arguments, call_id=pending.call_id, is_approved=True
        ):
            yield event
        if self._state.goals:
            self._state.goals.pop(0)

    async def _direct(self, direct: DirectCall) -> AsyncGenerator[Event, None]:
        skill, operation = self._find(direct.skill, direct.operation)
        self._require_credentials(skill)
        arguments = dict(direct.arguments)
        check_arguments(operation, arguments)
        if operation.effect == "write":
            yield self._question(skill, operation, arguments)
            return
        async for event in self._call(skill, operation, arguments):
            yield event

    # -- call and observe

    async def _call(
        self,
        skill: LoadedSkill,
        operation: Operation,
        arguments: dict[str, Any],
        *,
        call_id: str | None = None,
        is_approved: bool = False,
        is_lookup: bool = False,
    ) -> AsyncGenerator[Event, None]:
        if operation.effect == "write" and not is_approved:
            raise Forbidden(f"{skill.name}.{operation.name} was not approved.")
        state = self._state
        if state.steps >= self._limits.steps:
            raise _Stop("steps", self._say("steps"))
        mark = self._mark(skill, operation, arguments)
        if mark in state.seen:
            raise _Stop("loop", self._say("loop"))
        state.seen.append(mark)
        state.steps += 1
        call_id = call_id or token_hex(12)
        pending = Pending(call_id, skill.name, operation.name, arguments)
        title = self._title(operation)
        yield Called(call_id, skill.name, operation.name, title, operation.effect, arguments, pending.hash)
        began = time.monotonic()
        result, code = await self._result(skill, operation, arguments)
        text = fit(result.data if result.data is not None else result.text, self._limits.result_characters)
        said = plain_sentence(result.text)
        yield Observed(
            call_id,
            skill.name,
            operation.name,
            result.is_error,
            text,
            said,
            round(time.monotonic() - began, 3),
            code,
            result.exchanges,
        )
        for card in result.cards:
            yield CardShown(call_id, skill.name, card)
        for file in result.files:
            yield FileMade(call_id, skill.name, file)
        shown = text if not result.is_error else f"ERROR: {text}"
        state.observations.append(Observation(call_id, skill.name, operation.name, arguments, shown))
        if result.is_error:
            name = "unavailable" if code == SkillUnavailable.code else "refused"
            raise _Stop("failed", self._say(name, title=title, message=said))
        if not is_lookup:
            if said:
                state.said.append(said)
            else:
                state.unsaid = True

    async def _result(
        self, skill: LoadedSkill, operation: Operation, arguments: dict[str, Any]
    ) -> tuple[Result, str]:
        request = self._request
        context = CallContext(
            account_id=request.account_id,
            language=request.language,
            now=request.now,
            credentials=request.credentials.get(skill.name, {}),
            documents=request.documents,
        )
        try:
            return await self._in_time(skill.call(operation.name, arguments, context)), ""
        except MalmoiError as error:
            # Whatever a call fails with is its result: the person is told, and the run ends in order.
            return Result(text=plain_sentence(str(error)), is_error=True), error.code

    # -- answer

    async def _answer(self) -> AsyncGenerator[Event, None]:
        state = self._state
        messages = conversation(self._plan_request(Goal(state.query, "", "")))
        told = answer(state, self._request, messages, self._limits, self._spent, self._in_time)
        async with aclosing(told) as events:
            async for event in events:
                yield event

    # -- what everything uses

    def _find(self, skill: str, operation: str) -> tuple[LoadedSkill, Operation]:
        """An operation of a switched-on skill.

        Raises:
            Conflict: the skill is not switched on.
            UnknownName: it has no such operation.
        """
        loaded = self._skills.get(skill)
        if loaded is None:
            raise Conflict(f"the skill {skill!r} is not switched on.", fix="Switch it on, and ask again.")
        return loaded, loaded.operation(operation)

    def _require_credentials(self, skill: LoadedSkill) -> None:
        missing = skill.missing(self._request.credentials.get(skill.name, {}))
        if missing:
            language, needs = self._request.language, skill.auth.needs()
            title = skill.skill.manifest.people_text(language).name
            labels = ", ".join(in_language(needs[name].title, language) or name for name in missing)
            raise _Stop("credentials", self._say("credentials", title=title, labels=labels))

    def _mark(self, skill: LoadedSkill, operation: Operation, arguments: dict[str, Any]) -> str:
        return Pending("", skill.name, operation.name, arguments).hash

    def _title(self, operation: Operation) -> str:
        return title_of(operation, self._request.language)

    def _say(self, name: str, **values: str) -> str:
        return say(name, self._request.language, **values)

    async def _in_time(self, work: Awaitable[T]) -> T:
        """The result of some work, if it comes before the run's time is over.

        Raises:
            TimeoutError: it does not; the work is cancelled.
        """
        async with asyncio.timeout_at(self._deadline):
            return await work


def _one_each(demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
    """The nearest demonstration of each operation."""
    found: dict[str, Demonstration] = {}
    for one in demonstrations:
        found.setdefault(one.operation, one)
    return list(found.values())
