"""Replies that skills give: what a run is asked, and how its stages become a reply.

The skills room runs them, keeps every stage, and decides what may be called (`malmoi.serve.skills`). Here a
question becomes a run, and a run becomes text: what skills say passes the guard, as what models say does.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from malmoi.apps.chat.prompts import Turn, merge_turns
from malmoi.apps.chat.showing import shown_cards
from malmoi.apps.chat.types import DocumentChoice, Language, StageOut
from malmoi.assist.guard.sentences import language_of
from malmoi.assist.skills.routing import Before
from malmoi.assist.templates import packaged_skills
from malmoi.core.errors import Conflict, Forbidden, MalmoiError, NotFound
from malmoi.core.types import Chat as Prompt
from malmoi.core.types import Message as Said
from malmoi.engine.base import Usage
from malmoi.serve.identity import Scope
from malmoi.serve.skills.reading import SkillReading
from malmoi.serve.skills.service import SkillRun
from malmoi.serve.skills.tables import SkillRunRow

if TYPE_CHECKING:
    from malmoi.apps.chat.generation import Question
    from malmoi.apps.chat.live import LiveReply
    from malmoi.apps.chat.tables import Conversation, Message
    from malmoi.assist.guard import AnswerGuard, Checked, Guard
    from malmoi.assist.skills.running import DirectCall
    from malmoi.serve.db import Database
    from malmoi.serve.documents import Documents
    from malmoi.serve.identity import Principal
    from malmoi.serve.inference import Inference
    from malmoi.serve.skills import Skills
    from malmoi.serve.skills.service import Stage

LONGEST = 4000
"""Characters of a message that skills look at; a longer one is a text to work on, and goes to the model."""

_TURNS = 8  # of what was said before
_TURN = 2000  # characters of each
_BEFORE = 3  # earlier queries that this one may refer to
_AT_HAND = 20  # documents that a skill is told of

_logger = logging.getLogger(__name__)


class SkilledReplies:
    """Begins runs of skills for replies.

    Args:
        db: the database.
        skills: those of the server; None: there are none here.
        inference: has the guards.
        documents: those of the server.
    """

    def __init__(
        self, db: Database, skills: Skills | None, inference: Inference, documents: Documents | None
    ) -> None:
        self._db = db
        self._skills = skills
        self._inference = inference
        self._documents = documents

    @property
    def skills(self) -> Skills:
        """The skills of the server.

        Raises:
            NotFound: there are none.
        """
        if self._skills is None:
            raise NotFound("there are no skills on this server.")
        return self._skills

    async def installed(self) -> Collection[str]:
        """The names of all skills that can be switched on."""
        return frozenset(packaged_skills() if self._skills is None else await self._skills.registry.all())

    def reads(self, principal: Principal, language: Language) -> SkillReading | None:
        """What a template's flow can read; None: there are no skills here, or none for the caller."""
        if self._skills is None or not principal.may(Scope.SKILLS):
            return None
        return SkillReading(self._skills, principal, language)

    def check(self, principal: Principal, *, is_direct: bool) -> None:
        """Refuse a call by a card's button where the caller has no right to skills.

        Raises:
            Forbidden: a key without the right asks.
            NotFound: there are no skills here.
        """
        if not is_direct:
            return
        if not principal.may(Scope.SKILLS):
            raise Forbidden("this API key lacks the right skills.", fix="Use another key.")
        assert self.skills is not None

    async def begin(
        self,
        question: Question,
        conversation: Conversation,
        branch: Sequence[Message],
        told: Sequence[Turn],
        model: str,
        live: LiveReply,
    ) -> SkilledReply | None:
        """Run the skills that are on for a question; None: it is not for them.

        Args:
            question: which.
            conversation: in which it was asked.
            branch: the messages from the first to the question.
            told: the same as models are told of them.
            model: that answers.
            live: the reply.

        Raises:
            MalmoiError: the run could not begin.
        """
        principal, query, direct = question.principal, branch[-1].content, question.direct
        if self._skills is None or not principal.may(Scope.SKILLS):
            return None
        if direct is None and len(query) > LONGEST:
            return None
        query = query[:LONGEST]  # of the words on a button
        names = await self._usable(principal, live)
        if direct is None and not (names and await self._can_chat(model)):
            return None
        guard = self._inference.guard(principal, model)
        checked = await guard.check(Prompt((Said("user", query),)))
        if checked.reply is not None or checked.report.is_blocked:
            return None  # what the guard has to say to it, it says in the model's place
        language: Language = question.language or language_of(query)
        run = SkillRun(
            query=query,
            model=model,
            skills=names,
            conversation=conversation.id,
            turns=[Said(one.role, one.content[:_TURN]) for one in merge_turns(told)[:-1][-_TURNS:]],
            language=language,
            zone=question.zone,
            documents=await self._at_hand(principal, conversation),
            direct=direct,
            before=await self._before(principal, branch),
            cards=await shown_cards(self._db, branch),
        )
        return SkilledReply(self._skills.run(principal, run), live, guard, checked)

    async def approve(
        self, principal: Principal, message: Message, live: LiveReply, *, call_id: str, arguments_hash: str
    ) -> SkilledReply:
        """Say yes to the call that a reply waits for; what happened before is in `live` then.

        Raises:
            Forbidden: a key asks.
            NotFound: no such call of the caller waits.
            Conflict: it waits with other arguments, or not any more; or its skill is off by now.
        """
        skills, run_id = self.skills, message.run_id or ""
        row, _ = await skills.runs.trace(principal.account_id, run_id)
        guard = self._inference.guard(principal, row.model)
        checked = await guard.check(Prompt((Said("user", row.query),)))
        stages = skills.approve(principal, run_id, call_id=call_id, arguments_hash=arguments_hash)
        first = await anext(stages)  # here the yes is given, or refused
        live.go_on(message.content, message.reasoning, await self.stages(principal.account_id, run_id))
        return SkilledReply(stages, live, guard, checked, first=first)

    async def abandon(self, live: LiveReply) -> None:
        """A reply was ended at the moment in which its run asked for a yes: nobody will be asked."""
        call = next((one.data["call_id"] for one in reversed(live.stages) if one.kind == "confirm"), None)
        called = any(one.kind == "called" and one.data["call_id"] == call for one in live.stages)
        if call is None or called or live.run_id is None:
            return
        with contextlib.suppress(Conflict, NotFound):
            await self.skills.runs.deny(live.account_id, live.run_id, call_id=call)

    async def stages(self, account_id: str, run_id: str | None) -> list[StageOut]:
        """The stages of a run so far; none of one that is gone."""
        if run_id is None or self._skills is None:
            return []
        try:
            _, stages = await self._skills.runs.trace(account_id, run_id)
        except NotFound:
            return []
        return [StageOut(run_id=run_id, number=one.number, kind=one.kind, data=one.data) for one in stages]

    async def _can_chat(self, model: str) -> bool:
        try:
            return "chat" in (await self._inference.info(model)).capabilities
        except MalmoiError:  # whoever asks it for an answer is told
            return False

    async def _usable(self, principal: Principal, live: LiveReply) -> list[str]:
        """The skills that are on. One that cannot be opened now is left out, and readers are told."""
        skills = self.skills
        known = await skills.registry.all()
        names = []
        for name in await skills.choices.switched_on(principal.account_id):
            if name not in known:
                continue
            try:
                await skills.load(principal, name)
                names.append(name)
            except MalmoiError as error:  # whatever it lacks: the others can still answer
                _logger.warning("the skill %r is left out of a reply: %s", name, error)
                data = {"skill": name, "message": error.message}
                live.stage(StageOut(run_id="", number=-1, kind="left_out", data=data))
        return names

    async def _before(self, principal: Principal, branch: Sequence[Message]) -> list[Before]:
        """What the earlier questions of this branch were for, oldest first."""
        runs = [one.run_id for one in branch if one.run_id is not None][-_BEFORE:]
        if not runs:
            return []
        async with self._db.reading() as session:
            found = await session.scalars(
                select(SkillRunRow).where(
                    SkillRunRow.account_id == principal.account_id, SkillRunRow.id.in_(runs)
                )
            )
            rows = {row.id: row for row in found}
        return [Before(rows[one].query, rows[one].skill, rows[one].operation) for one in runs if one in rows]

    async def _at_hand(self, principal: Principal, conversation: Conversation) -> list[tuple[str, str]]:
        """The documents that the conversation asks, the newest first where they are many."""
        if self._documents is None or conversation.documents is None:
            return []
        choice = DocumentChoice.model_validate(conversation.documents)
        found: list[tuple[str, str]] = []
        try:
            for document_id in choice.documents[:_AT_HAND]:
                row = await self._documents.library.get(principal, document_id)
                found.append((row.id, row.title or row.name))
            collections: Sequence[str] = choice.collections
            if not choice.documents and not collections:
                collections = [one.id for one in await self._documents.collections.all(principal)]
            for collection_id in collections:
                if len(found) >= _AT_HAND:
                    break
                rows, _ = await self._documents.library.page(principal, collection_id, limit=_AT_HAND)
                found += [(row.id, row.title or row.name) for row in rows if row.status == "ready"]
        except NotFound:
            pass  # gone, or not for the caller any more: what was found before it stays
        return found[:_AT_HAND]


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    Attributes:
        reason: `none`, `confirm`, `asked`, `answered` or what stopped it.
        usage: of all its model calls, which are metered already.
        is_blocked: whether the guard ended what was said.
    """

    reason: str
    usage: Usage
    is_blocked: bool


class SkilledReply:
    """A run of skills, as it is written into a `LiveReply`.

    Attributes:
        first: when the first text came, as `time.perf_counter` tells it.

    Args:
        stages: of the run, or of the part after a yes.
        live: the reply.
        guard: looks at what skills say; what models say it has seen already.
        checked: the question, as the guard has checked it.
        first: a stage that was read already.
    """

    def __init__(
        self,
        stages: AsyncGenerator[Stage, None],
        live: LiveReply,
        guard: Guard,
        checked: Checked,
        *,
        first: Stage | None = None,
    ) -> None:
        self._stages = stages
        self._live = live
        self._guard = guard
        self._checked = checked
        self._first = first
        self._run_id = ""
        self._said: list[Stage] = []  # pieces of one text
        self._speaker: AnswerGuard | None = None
        self._is_blocked = False
        self._begins = bool(live.text)
        self.first: float | None = None

    async def close(self) -> None:
        """End the run where it is; what has happened is kept."""
        await self._stages.aclose()

    async def write(self) -> RunEnd:
        """Write the reply to the end of the run, or to the next call that waits for a yes."""
        data: dict[str, object] = {}
        async with aclosing(self._stages) as stages:
            if self._first is not None:
                await self._take(self._first)
            async for stage in stages:
                await self._take(stage)
                if stage.kind == "ended":
                    data = stage.data
        usage = Usage(
            prompt_tokens=_count(data, "prompt_tokens"),
            completion_tokens=_count(data, "completion_tokens"),
            cached_tokens=_count(data, "cached_tokens"),
        )
        return RunEnd(str(data.get("reason", "")), usage, self._is_blocked)

    async def _take(self, stage: Stage) -> None:
        if stage.kind == "run":
            self._run_id = str(stage.data["run_id"])
        if self._said and (stage.kind != "text" or stage.number != self._said[0].number):
            await self._end_text()
        if stage.kind == "text":
            self._said.append(stage)
            await self._say(str(stage.data["text"]), by_model=stage.data["source"] == "model")
        else:
            self._live.stage(self._shown(stage.number, stage.kind, stage.data))

    async def _say(self, text: str, *, by_model: bool) -> None:
        if self._is_blocked:
            return
        if by_model:  # every answer of a model has passed the guard
            self._add(text)
            return
        if self._speaker is None:
            self._speaker = self._guard.answer(self._checked)
        if self._guard.policy.pii.restore:
            # The person's own data may be said to the person; under their placeholders they pass.
            for name, value in self._checked.vault.own.items():
                text = text.replace(value, name)
        self._add(await self._speaker.feed(text))
        self._look(self._speaker)

    async def _end_text(self) -> None:
        first, pieces, self._said = self._said[0], self._said, []
        speaker, self._speaker = self._speaker, None
        if speaker is not None and not speaker.is_stopped:
            self._add(await speaker.close())
            self._look(speaker)
        text = "".join(str(one.data["text"]) for one in pieces)
        self._live.stage(self._shown(first.number, "text", {**first.data, "text": text}))

    def _look(self, speaker: AnswerGuard) -> None:
        """End what is said where the guard has ended it."""
        if not speaker.is_stopped or self._is_blocked:
            return
        self._is_blocked = True
        if speaker.report.is_blocked:
            self._add(("\n\n" if self._live.text else "") + speaker.report.message)

    def _add(self, text: str) -> None:
        if text and self._begins:
            self._begins = False
            text = f"\n\n{text}"
        if text:
            self.first = self.first or time.perf_counter()
            self._live.add(text, "")

    def _shown(self, number: int, kind: str, data: dict[str, object]) -> StageOut:
        return StageOut(run_id=self._run_id, number=number, kind=kind, data=data)


def direct_of(notes: object) -> DirectCall | None:
    """The call by a card's button that is kept with a question."""
    from malmoi.assist.skills.running import DirectCall

    kept = notes.get("direct") if isinstance(notes, dict) else None
    return DirectCall(**kept) if kept is not None else None


def _count(data: dict[str, object], name: str) -> int:
    value = data.get(name, 0)
    return value if isinstance(value, int) else 0
