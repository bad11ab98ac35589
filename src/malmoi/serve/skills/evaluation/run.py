"""Route and plan queries as a run of skills would, without calling anything, and say what was right."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.planning.reading import read_arguments
from malmoi.assist.skills.routing import Before, Demonstration, Embed, Router, Routing
from malmoi.assist.skills.running import RunRequest, SkillRunner
from malmoi.assist.skills.running.events import Planned, Routed
from malmoi.core.errors import SkillUnavailable
from malmoi.core.types import Message
from malmoi.serve.skills.evaluation.judging import is_right

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from malmoi.assist.skills.loading import LoadedSkill
    from malmoi.assist.skills.operation import CallContext, Operation, Provider, Result
    from malmoi.assist.skills.planning import Plan
    from malmoi.assist.skills.planning.thinking import SkillModel
    from malmoi.serve.skills.evaluation.queries import Query

Setting: TypeAlias = Literal["pair", "all"]
CLOCK = datetime(2026, 11, 20, 10, 0, tzinfo=timezone(timedelta(hours=9), "Asia/Seoul"))
"""When the queries are asked; a Friday."""
_LONG = SkillLimits(run_seconds=3600.0, run_tokens=200_000)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one query.

    Attributes:
        id: of the query.
        setting: which skills were on.
        language: of the query.
        kind: of the query.
        on: the skills that were on.
        wanted: "skill.operation"; empty: nothing should be called.
        found: "skill.operation" that it was routed to; empty: none.
        score: of the best skill.
        wanted_arguments: those that are judged.
        arguments: as planned.
        sources: "query", "model", "demonstration" or "shown", by argument.
        right: of the judged arguments that were planned for the right operation, whether they are right.
        is_valid: whether the arguments are complete and fit the schema.
        asks: whether the person would be asked.
        needs_question: whether the person has to be asked.
        seconds: that routing and planning took.
    """

    id: str
    setting: Setting
    language: str
    kind: str
    on: tuple[str, ...]
    wanted: str
    found: str
    score: float
    wanted_arguments: Mapping[str, Any]
    arguments: Mapping[str, Any]
    sources: Mapping[str, str]
    right: Mapping[str, bool]
    is_valid: bool
    asks: bool
    needs_question: bool
    seconds: float = 0.0

    @property
    def is_skill_right(self) -> bool:
        """Whether it went to the right skill."""
        return bool(self.wanted) and self.found.split(".")[0] == self.wanted.split(".")[0]

    @property
    def is_operation_right(self) -> bool:
        """Whether it went to the right operation."""
        return bool(self.wanted) and self.found == self.wanted

    @property
    def are_arguments_right(self) -> bool:
        """Whether each argument that is judged was given, and is right."""
        return self.is_operation_right and all(self.right.get(name, False) for name in self.wanted_arguments)

    @property
    def is_success(self) -> bool:
        """The right operation, with the right arguments or with a question where there has to be one."""
        if self.needs_question:
            return self.is_operation_right and self.asks
        return self.are_arguments_right and self.is_valid

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Outcome:
        """The outcome that `to_json` has told of."""
        return cls(**{**told, "on": tuple(told["on"])})


class _NeverCalled:
    """In the place of a skill's provider: it reads queries as that one does, and calls nothing."""

    def __init__(self, operations: Sequence[Operation], provider: Provider) -> None:
        self._operations = operations
        self._provider = provider

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        return read_arguments(self._provider, operation, query, now)

    async def operations(self) -> Sequence[Operation]:
        return self._operations

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        raise SkillUnavailable(f"{operation} is not called: this is an evaluation.")

    async def close(self) -> None:
        """There is nothing to close."""


class _NoApprovals:
    """Nothing is approved."""

    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        return False


def skills_for(
    query: Query, domains: Mapping[str, str], setting: Setting, *, seed: int = 0
) -> tuple[str, ...]:
    """The skills that are on for a query, by name.

    Args:
        query: the right skill of it is on, and in a pair one drawn skill of another domain; for a query for
            none, two drawn ones.
        domains: of all skills.
        setting: "all" has every skill on, which the platform never has.
        seed: of the draw, with the id of the query.
    """
    if setting == "all":
        return tuple(sorted(domains))
    # What is drawn decides which figures come out, and guards nothing.
    drawing = random.Random(f"{seed}:{query.id}")  # noqa: S311
    on = [query.skill] if query.skill is not None else []
    while len(on) < min(2, len(set(domains.values()))):
        taken = {domains[name] for name in on}
        on.append(drawing.choice([name for name in sorted(domains) if domains[name] not in taken]))
    return tuple(sorted(on))


def sample(queries: Sequence[Query], limit: int, *, seed: int = 0, in_order: bool = True) -> list[Query]:
    """So many queries, drawn evenly; in their order, or as they were drawn."""
    drawn = random.Random(seed).sample(range(len(queries)), min(limit, len(queries)))  # noqa: S311
    return [queries[number] for number in (sorted(drawn) if in_order else drawn)]


def remembering(embed: Embed) -> Embed:
    """Embeds each text once: every index has many of the same examples."""
    known: dict[str, NDArray[np.float32]] = {}

    async def embedded(texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, await embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return embedded


async def evaluate(
    queries: Sequence[Query],
    skills: Sequence[LoadedSkill],
    router: Router,
    *,
    setting: Setting,
    model: SkillModel | None = None,
    seed: int = 0,
    demonstrations: Sequence[Demonstration] = (),
    known: Mapping[str, Outcome] | None = None,
    on_done: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """The outcomes of queries, in their order.

    Queries are worked on in a drawn order, so that what is done when a run is broken off is a fair sample.

    Args:
        queries: whose skills are all among `skills`.
        skills: all that may be on.
        router: finds operations.
        setting: which skills are on.
        model: chooses operations where the router is not sure, and reads arguments; None: neither is done.
        seed: of the draws.
        demonstrations: that people have shown, such as rows of a trainer's set.
        known: outcomes by id that need not be found again.
        on_done: called with each outcome.
    """
    domains = {one.name: one.skill.manifest.domain for one in skills}
    silent = {one.name: replace(one, provider=_NeverCalled(one.operations, one.provider)) for one in skills}
    runner = SkillRunner(router, _NoApprovals(), limits=replace(_LONG, skills=max(2, len(skills))))
    on = {one.id: skills_for(one, domains, setting, seed=seed) for one in queries}
    found: dict[str, Outcome] = dict(known or {})
    for query in sample(queries, len(queries), seed=seed, in_order=False):
        if query.id not in found:
            began = time.monotonic()
            chosen = [silent[name] for name in on[query.id]]
            routing, plan = await _planned(runner, query, chosen, model, demonstrations)
            outcome = judge(query, routing, plan, setting=setting, skills=chosen)
            found[query.id] = replace(outcome, seconds=round(time.monotonic() - began, 2))
        on_done(found[query.id])
    return [found[one.id] for one in queries]


def shown_by(queries: Sequence[Query]) -> list[Demonstration]:
    """What the author of queries would show in a trainer: each query with what is right for it."""
    return [
        Demonstration(one.query, one.skill or "", one.operation or "", one.arguments or None)
        for one in queries
        if one.kind != "follow"  # understood only with what was said before
    ]


async def _planned(
    runner: SkillRunner,
    query: Query,
    skills: Sequence[LoadedSkill],
    model: SkillModel | None,
    demonstrations: Sequence[Demonstration],
) -> tuple[Routing, Plan | None]:
    """The way of a query and its first plan; the run is ended before anything is called."""
    request = RunRequest(
        run_id=query.id,
        account_id="evaluation",
        query=query.query,
        skills=skills,
        now=CLOCK,
        language=query.language,
        model=model,
        credentials={one.name: dict.fromkeys(one.auth.needs(), "none") for one in skills},
        turns=tuple(Message(role, text) for role, text in query.turns),
        before=await _before(runner.router, query, skills, demonstrations),
        demonstrations=demonstrations,
    )
    first: Routing | None = None
    async with aclosing(runner.run(request)) as events:
        async for event in events:
            if isinstance(event, Routed) and first is None:
                first = event.routing
            if isinstance(event, Planned):
                return first or Routing(None, 0.0, (), query.query), event.plan
    return first or Routing(None, 0.0, (), query.query), None


async def _before(
    router: Router, query: Query, skills: Sequence[LoadedSkill], demonstrations: Sequence[Demonstration]
) -> tuple[Before, ...]:
    """What the router itself makes of the queries before this one."""
    before: list[Before] = []
    for role, text in query.turns:
        if role == "user":
            routing = await router.route(text, skills, before=before, demonstrations=demonstrations)
            choice = routing.choice
            before.append(Before(text, choice.skill, choice.operation) if choice else Before(text))
    return tuple(before)


def judge(
    query: Query,
    routing: Routing,
    plan: Plan | None,
    *,
    setting: Setting,
    skills: Sequence[LoadedSkill],
) -> Outcome:
    """What is right about a plan."""
    import jsonschema

    choice = routing.choice
    wanted = f"{query.skill}.{query.operation}" if query.skill else ""
    found = f"{choice.skill}.{choice.operation}" if choice else ""
    right: dict[str, bool] = {}
    is_valid = False
    if plan is not None and found == wanted:
        operation = next(one for one in skills if one.name == plan.skill).operation(plan.operation)
        is_valid = jsonschema.Draft202012Validator(dict(operation.parameters)).is_valid(plan.arguments)
        for name, value in query.arguments.items():
            if name in plan.arguments:
                right[name] = is_right(plan.arguments[name], value, is_math=query.skill == "math")
    return Outcome(
        id=query.id,
        setting=setting,
        language=query.language,
        kind=query.kind,
        on=tuple(sorted(one.name for one in skills)),
        wanted=wanted,
        found=found,
        score=round(max((one.score for one in routing.choices), default=0.0), 4),
        wanted_arguments=query.arguments,
        arguments=plan.arguments if plan else {},
        sources=plan.sources if plan else {},
        right=right,
        is_valid=is_valid,
        asks=plan is not None and not plan.is_ready,
        needs_question=query.needs_question,
    )
