"""Skills for callers: what is on, and runs whose every stage is kept."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from malmoi.assist.egress import Egress, EgressRules
from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.planning import ShownCard
from malmoi.assist.skills.routing import Before, Demonstration, Router, choose_skills
from malmoi.assist.skills.running import (
    Called,
    Confirm,
    DirectCall,
    Ended,
    Event,
    FileMade,
    Observed,
    Routed,
    RunRequest,
    RunState,
    SkillRunner,
    TextAdded,
)
from malmoi.core.errors import Conflict, Forbidden, InvalidInput, MalmoiError, Overloaded
from malmoi.core.types import Message
from malmoi.engine.base import Usage
from malmoi.serve.documents.service import DocumentsFor
from malmoi.serve.skills.choices import SkillChoices
from malmoi.serve.skills.model import CallerModel
from malmoi.serve.skills.registry import SkillRegistry
from malmoi.serve.skills.runs import SkillRuns
from malmoi.serve.skills.sandbox import is_sandboxed
from malmoi.serve.skills.sealing import Sealer
from malmoi.serve.skills.trainer import Trainer

if TYPE_CHECKING:
    from malmoi.assist.skills.routing import Embed
    from malmoi.serve.db import Database
    from malmoi.serve.documents import Documents
    from malmoi.serve.identity import Principal
    from malmoi.serve.inference import Inference
    from malmoi.serve.settings import SkillSettings

_LOG = logging.getLogger("malmoi.serve")
_AT_ONCE = 3  # runs of one account


@dataclass(frozen=True, slots=True)
class SkillRun:
    """What a caller asks of the skills.

    Attributes:
        query: what the person says.
        model: that fills in and tells; empty: the server's default.
        skills: names, of those that are on; None: all that are on.
        conversation: whose earlier queries belong to this one; empty: none.
        turns: what was said before, oldest first.
        language: of the person.
        zone: of the person's clock, such as "Asia/Seoul"; empty: the server's.
        documents: `(id, title)` of what the conversation is about; only the caller's own can be read.
        direct: a call that the person has chosen, instead of the query.
        demonstrations: what people have shown.
        before: earlier queries and what they were for, oldest first; None: those of the `conversation`.
        cards: of earlier replies, oldest first.
        shows_applied: whether the rows of the set that the caller applies are shown as well.
        of_set: `skills` are those of a skill set of the caller, and need not be switched on.
    """

    query: str
    model: str = ""
    skills: Sequence[str] | None = None
    conversation: str = ""
    turns: Sequence[Message] = ()
    language: Literal["ko", "en"] = "ko"
    zone: str = ""
    documents: Sequence[tuple[str, str]] = ()
    direct: DirectCall | None = None
    demonstrations: Sequence[Demonstration] = ()
    before: Sequence[Before] | None = None
    cards: Sequence[ShownCard] = ()
    shows_applied: bool = True
    of_set: bool = False


@dataclass(slots=True)
class Stage:
    """An event of a run, as it was kept: its number, its kind, and plain values."""

    number: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class Skills:
    """The skills of one server; `start` it when the database is open.

    Args:
        db: the database.
        home: Malmoi's home.
        settings: what may be reached, and limits.
        inference: runs models.
        documents: of the callers.
        embed: unit-length vectors of texts.
    """

    def __init__(
        self,
        db: Database,
        home: Path,
        settings: SkillSettings,
        inference: Inference,
        documents: Documents,
        embed: Embed,
    ) -> None:
        self.limits = SkillLimits(
            steps=settings.steps,
            run_seconds=settings.run_seconds,
            call_seconds=settings.call_seconds,
            run_tokens=settings.run_tokens,
        )
        self.egress = Egress(
            EgressRules(
                trusted_hosts=settings.trusted_hosts, allow_http=settings.allow_http, ports=settings.ports
            )
        )
        key_file = settings.key_file.expanduser() if settings.key_file else home / "skills.key"
        self._sealer = Sealer(key_file)
        self.choices = SkillChoices(db, self._sealer)
        self.registry = SkillRegistry(db, home, self.egress, self.limits, settings.base_urls, self.choices)
        self.runs = SkillRuns(db)
        self.runner = SkillRunner(Router(embed), self.runs, limits=self.limits)
        self.trainer = Trainer(db, self.registry, self.runs, embed, self.limits, inference)
        self._inference = inference
        self._documents = documents
        self._always_tell = settings.always_tell
        self._running: dict[str, int] = {}

    async def start(self) -> None:
        """Read all manifests."""
        await self.registry.start()
        for name, error in self.registry.broken.items():
            _LOG.warning("the skill %r cannot be used: %s", name, error)

    async def close(self) -> None:
        """Close all skills and connections."""
        await self.trainer.close()
        await self.registry.close()
        await self.egress.close()

    async def switch(self, principal: Principal, name: str, *, on: bool) -> list[str]:
        """Switch a skill on or off for the caller; the names of all that are on then.

        Raises:
            NotFound: there is no such skill.
            Conflict: too many would be on, or two of one domain.
        """
        if on:
            skill = await self.registry.get(name)
            skills = await self.registry.all()
            others = [one for one in await self.choices.switched_on(principal.account_id) if one in skills]
            others = [one for one in others if one != name]
            if len(others) + 1 > self.limits.skills:
                raise Conflict(
                    f"{' and '.join(others)} are on already; at most {self.limits.skills} work together.",
                    fix="Switch one of them off first.",
                )
            for other in others:
                if skills[other].manifest.domain == skill.manifest.domain:
                    both = f"{other!r} and {name!r} are both for {skill.manifest.domain!r}."
                    raise Conflict(both, fix=f"Switch {other} off first.")
        await self.choices.switch(principal.account_id, name, on=on)
        return await self.choices.switched_on(principal.account_id)

    async def load(self, principal: Principal, name: str) -> LoadedSkill:
        """A skill that the caller can call.

        Raises:
            NotFound: there is none of this name.
            KeyNeeded: its server tells what it can do only to those who have a key.
            ConfigError, SkillUnavailable, MissingExtra: it cannot be opened.
        """
        return await self.registry.load(name, principal.account_id)

    async def given(self, principal: Principal, loaded: LoadedSkill) -> dict[str, str]:
        """The caller's credentials for a skill. For the sandbox each account has a token made for it."""
        kept = await self.choices.credentials(principal.account_id, [loaded.name])
        values = kept.get(loaded.name, {})
        if not values and is_sandboxed(loaded.skill) and loaded.auth.kind == "bearer":
            return {"token": self._sealer.derive(f"sandbox {loaded.name}", principal.account_id)}
        return values

    async def run(self, principal: Principal, asked: SkillRun) -> AsyncGenerator[Stage, None]:
        """Run skills for a caller, stage by stage; the first stage names the run.

        Raises:
            Conflict: a skill is not on, or they do not go together.
            Overloaded: too many runs of this account are under way.
            InvalidInput: the time zone is not known.
        """
        now = _now(asked.zone)
        skills = await self._skills(principal, asked.skills, of_set=asked.of_set)
        with self._slot(principal):
            request = {
                "language": asked.language,
                "zone": asked.zone,
                "skills": [one.name for one in skills],
                "turns": [[turn.role, turn.content] for turn in asked.turns],
                "documents": [list(one) for one in asked.documents],
                "of_set": asked.of_set,
            }
            before = asked.before
            if before is None:
                before = await self.runs.before(principal.account_id, asked.conversation)
            run_id = await self.runs.begin(
                principal.account_id,
                query=asked.query,
                model=asked.model,
                conversation=asked.conversation,
                request=request,
            )
            made = await self._request(principal, run_id, asked, skills, now)
            shown = list(asked.demonstrations)
            if asked.shows_applied:
                shown = [*await self.trainer.sets.demonstrations(principal.account_id), *shown]
            made = _with(made, before=before, demonstrations=shown, direct=asked.direct)
            async with aclosing(self._stages(principal, made)) as stages:
                async for stage in stages:
                    yield stage

    async def approve(
        self, principal: Principal, run_id: str, *, call_id: str, arguments_hash: str
    ) -> AsyncGenerator[Stage, None]:
        """A person says yes to a call that waits; the run goes on, stage by stage.

        Raises:
            Forbidden: a key asks; only a person can say yes.
            NotFound: no such call of the caller waits.
            Conflict: it waits with other arguments, or not any more; or its skill is off by now.
        """
        if principal.key_id is not None:
            raise Forbidden("only a person can approve a call.", fix="Approve it in the browser.")
        row, _ = await self.runs.trace(principal.account_id, run_id)
        of_set = bool(row.request.get("of_set"))
        skills = await self._skills(principal, row.request["skills"], of_set=of_set)
        with self._slot(principal):
            row, state = await self.runs.approve(
                principal.account_id, run_id, call_id=call_id, arguments_hash=arguments_hash
            )
            asked = SkillRun(
                query=row.query,
                model=row.model,
                conversation=row.conversation,
                turns=[Message(role, content) for role, content in row.request["turns"]],
                language=row.request["language"],
                zone=row.request["zone"],
                documents=[(one[0], one[1]) for one in row.request["documents"]],
            )
            made = await self._request(principal, run_id, asked, skills, _now(asked.zone))
            async with aclosing(self._stages(principal, _with(made, state=state))) as stages:
                async for stage in stages:
                    yield stage

    async def deny(self, principal: Principal, run_id: str, *, call_id: str) -> None:
        """A person says no to a call that waits: nothing is called.

        Raises:
            NotFound: no such call of the caller waits.
            Conflict: it does not wait any more.
        """
        _, state = await self.runs.deny(principal.account_id, run_id, call_id=call_id)
        pending = state.pending
        assert pending is not None
        call = {
            "call_id": call_id,
            "skill": pending.skill,
            "operation": pending.operation,
            "effect": "write",
            "arguments": pending.arguments,
            "arguments_hash": pending.hash,
        }
        await self.runs.audit(principal, run_id, call, status="denied", seconds=0.0)
        number = await self.runs.next_number(run_id)
        await self.runs.add_stages(run_id, [(number, "denied", {"call_id": call_id})])

    async def _skills(
        self, principal: Principal, names: Sequence[str] | None, *, of_set: bool = False
    ) -> list[LoadedSkill]:
        on = await self.choices.switched_on(principal.account_id)
        known = await self.registry.all()
        on = [name for name in on if name in known]
        chosen = on if names is None else list(dict.fromkeys(names))
        for name in chosen:
            if name not in on and not of_set:
                raise Conflict(f"the skill {name!r} is not switched on.", fix="Switch it on first.")
        loaded = [await self.load(principal, name) for name in chosen]
        choose_skills(loaded, most=self.limits.skills)
        return loaded

    async def _request(
        self, principal: Principal, run_id: str, asked: SkillRun, skills: Sequence[LoadedSkill], now: datetime
    ) -> RunRequest:
        return RunRequest(
            run_id=run_id,
            account_id=principal.account_id,
            query=asked.query,
            skills=skills,
            now=now,
            language=asked.language,
            model=CallerModel(self._inference, principal, asked.model),
            credentials={one.name: await self.given(principal, one) for one in skills},
            turns=asked.turns,
            documents=DocumentsFor(self._documents, principal),
            at_hand=asked.documents,
            cards=asked.cards,
            always_tell=self._always_tell,
        )

    async def _stages(self, principal: Principal, request: RunRequest) -> AsyncGenerator[Stage, None]:
        """Run, keep every stage, and audit every call; whatever ends the run, its end is kept."""
        run_id = request.run_id
        number = await self.runs.next_number(run_id)
        keeper = _Keeper(self.runs, principal, run_id, number)
        yield Stage(keeper.take(), "run", {"run_id": run_id})
        ended: Ended | None = None
        reason = "aborted"
        try:
            async with aclosing(self.runner.run(request)) as events:
                async for event in events:
                    stage = await keeper.keep(event)
                    if isinstance(event, Ended):
                        ended, reason = event, event.reason
                        await self._end(run_id, reason, ended)
                    yield stage
        except MalmoiError as error:
            reason = error.code
            raise
        finally:
            if ended is None:
                await keeper.abandon(reason)
                await self._end(run_id, reason, None)

    async def _end(self, run_id: str, reason: str, ended: Ended | None) -> None:
        usage = ended.usage if ended is not None else Usage()
        await self.runs.end(run_id, reason=reason, steps=ended.steps if ended else 0, usage=usage)

    @contextmanager
    def _slot(self, principal: Principal) -> Iterator[None]:
        account = principal.account_id
        if self._running.get(account, 0) >= _AT_ONCE:
            raise Overloaded(f"{_AT_ONCE} runs of yours are under way already.", retry_after=5)
        self._running[account] = self._running.get(account, 0) + 1
        try:
            yield
        finally:
            self._running[account] -= 1
            if not self._running[account]:
                del self._running[account]


class _Keeper:
    """Keeps the stages of one run as they come; pieces of the answer are kept as one."""

    def __init__(self, runs: SkillRuns, principal: Principal, run_id: str, number: int) -> None:
        self._runs = runs
        self._principal = principal
        self._run_id = run_id
        self._number = number
        self._text: list[str] = []
        self._source = ""
        self._call: Called | None = None

    def take(self) -> int:
        """The next number."""
        self._number += 1
        return self._number - 1

    async def keep(self, event: Event) -> Stage:
        """Keep one event; what goes to the person."""
        if isinstance(event, TextAdded):
            if event.source != self._source:
                await self._flush()
            self._text.append(event.text)
            self._source = event.source
            return Stage(self._number, event.kind, event.to_json())
        await self._flush()
        data = event.to_json()
        if isinstance(event, FileMade):
            data["file_id"] = await self._runs.keep_file(self._run_id, event.call_id, event.file)
        stage = Stage(self.take(), event.kind, data)
        await self._runs.add_stages(self._run_id, [(stage.number, stage.kind, stage.data)])
        if isinstance(event, Routed) and event.routing.choice is not None:
            choice = event.routing.choice
            await self._runs.note_way(self._run_id, choice.skill, choice.operation)
        elif isinstance(event, Called):
            self._call = event
        elif isinstance(event, Observed):
            await self._audit(event.code or ("refused" if event.is_error else "ok"), event.seconds)
        elif isinstance(event, Confirm):
            await self._runs.wait(
                self._principal.account_id,
                self._run_id,
                call_id=event.call_id,
                arguments_hash=event.arguments_hash,
                state=event.state,
            )
        return stage

    async def abandon(self, reason: str) -> None:
        """The run was cut off: what was said stays, and a call under way is in the audit."""
        await self._flush()
        if self._call is not None:
            await self._audit(reason, 0.0)
        await self._runs.add_stages(self._run_id, [(self.take(), "aborted", {"reason": reason})])

    async def _audit(self, status: str, seconds: float) -> None:
        call, self._call = self._call, None
        if call is not None:
            await self._runs.audit(
                self._principal, self._run_id, call.to_json(), status=status, seconds=seconds
            )

    async def _flush(self) -> None:
        if self._text:
            data = {"text": "".join(self._text), "source": self._source}
            self._text = []
            await self._runs.add_stages(self._run_id, [(self.take(), "text", data)])


def _now(zone: str) -> datetime:
    if not zone:
        return datetime.now().astimezone()
    try:
        return datetime.now(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"the time zone {zone[:60]!r} is not known.", field="zone") from error


def _with(request: RunRequest, **changes: Any) -> RunRequest:
    from dataclasses import replace

    return replace(request, **changes)


__all__ = ["RunState", "SkillRun", "Skills", "Stage"]
