"""Replies: a task each, which goes on whether or not anybody reads along, and saves what it has.

A reply begins as a row with the status `streaming`; while it is written, one task saves the text of all
running replies every second, and it ends as `complete`, `stopped`, `interrupted` or `failed`. A row that
nobody saves any more (its server has died) is marked `interrupted` at the next start, or by another server
on the database. A reply for which a skill needs a person's yes is `waiting`; with the yes it is written on.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.answering import Answering
from malmoi.apps.chat.conversations import (
    find_conversation,
    find_message,
    save_title,
)
from malmoi.apps.chat.generation import Generation, Outcome, Question
from malmoi.apps.chat.grounding import Library
from malmoi.apps.chat.live import LiveEvent, LiveReply
from malmoi.apps.chat.personas import Personas
from malmoi.apps.chat.saving import Running, Saving
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.skilled import SkilledReplies, SkilledReply, direct_of
from malmoi.apps.chat.tables import Conversation, Message
from malmoi.apps.chat.titles import make_title
from malmoi.apps.chat.types import MessageOut, NewMessage, Regenerate
from malmoi.apps.chat.waiting import WaitingReplies
from malmoi.core.errors import Conflict
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference

MAX_MESSAGES = 10_000
"""Most messages of one conversation, in all its branches."""

_POLL = 1.0  # seconds between looks at a reply that another server writes


@dataclass(frozen=True, slots=True)
class Begun:
    """A reply that was asked for.

    Attributes:
        user: the question, when it was sent with the request.
        reply: as it was when it was asked for.
        live: its text while it is written here; None: it is not.
        is_new: whether this request began it; a question that is sent again finds its first reply.
    """

    user: Message | None
    reply: Message
    live: LiveReply | None
    is_new: bool = True


class Replies:
    """Begins, stops and follows replies."""

    def __init__(
        self,
        db: Database,
        inference: Inference,
        index: SearchIndex,
        personas: Personas,
        library: Library,
        skilled: SkilledReplies,
    ) -> None:
        self._db = db
        self._inference = inference
        self._index = index
        self._skilled = skilled
        self._answering = Answering(db, personas, library, skilled)
        self._waiting = WaitingReplies(db, index, skilled)
        self._running: dict[str, Running] = {}
        self._saving = Saving(db, index, self._running, self._waiting)

    async def start(self) -> None:
        """Mark what an earlier run has left, and begin to save running replies."""
        await self._saving.start()

    async def stop(self) -> None:
        """Interrupt all running replies, and save what they have."""
        self._saving.closing = True
        keepers = [running.keeper for running in self._running.values() if running.keeper is not None]
        for running in self._running.values():
            running.finish("interrupted")
        await asyncio.gather(*keepers, return_exceptions=True)
        await self._saving.stop()

    async def ask(self, principal: Principal, conversation_id: str, new: NewMessage) -> Begun:
        """Add a question to a conversation and begin its reply; a known `client_id` finds the first one.

        Raises:
            NotFound: there is no such conversation, or no such parent in it.
            Conflict: the parent is still being written, or the conversation is full.
            Forbidden: a call by a card's button, and the caller has no right to skills.
        """
        account_id = principal.account_id
        self._skilled.check(principal, is_direct=new.direct is not None)
        await self._withdraw(principal, new.parent_id)
        async with self._transaction() as session:
            # Requests with one client_id come one after another through this lock.
            conversation = await find_conversation(session, account_id, conversation_id, lock=True)
            earlier = await session.scalar(
                select(Message).where(
                    Message.conversation_id == conversation_id,
                    Message.account_id == account_id,
                    Message.client_id == new.client_id,
                )
            )
            if earlier is not None:
                return await self._again(session, earlier)
            await self._check_parent(session, account_id, conversation_id, new.parent_id)
            user = _new_message(conversation, new.parent_id, "user", new.content, client_id=new.client_id)
            user.notes = {"direct": new.direct.model_dump()} if new.direct is not None else None
            session.add(user)
            await session.flush()
            title = make_title(new.content) if not conversation.title else ""
            await save_title(session, self._index, conversation, title)
            await self._index.put_message(session, user)
            question = _question(principal, user, new)
            reply = await self._add_reply(session, conversation, question, title or None)
        return Begun(user, reply, self._answer(reply, question))

    async def regenerate(self, principal: Principal, message_id: str, options: Regenerate) -> Begun:
        """Begin another reply to the question that a reply answers (or to a question itself).

        Raises:
            NotFound: there is no such message.
            Conflict: it answers no question, or the conversation is full.
        """
        account_id = principal.account_id
        await self._withdraw(principal, message_id)
        async with self._transaction() as session:
            message = await find_message(session, account_id, message_id)
            conversation = await find_conversation(session, account_id, message.conversation_id, lock=True)
            asked = message
            if message.role != "user":
                if message.parent_id is None:
                    raise Conflict("this message answers no question.")
                asked = await find_message(session, account_id, message.parent_id, conversation.id)
            if asked.role != "user":
                raise Conflict("this message answers no question.")
            question = _question(principal, asked, options)
            reply = await self._add_reply(session, conversation, question, None)
        return Begun(None, reply, self._answer(reply, question))

    async def approve(
        self, principal: Principal, message_id: str, *, call_id: str, arguments_hash: str
    ) -> Begun:
        """A person's yes to the call that a reply waits for: the same reply is written on.

        Raises:
            Forbidden: a key asks; only a person can say yes.
            NotFound: there is no such message, or no such call of it.
            Conflict: the call waits with other arguments, or not any more; or its skill is off by now.
        """
        message = await self.message(principal.account_id, message_id)
        if message.status != "waiting":
            raise Conflict("no call of this reply waits for an answer.")
        live = LiveReply(message.id, message.account_id, message.conversation_id)
        try:
            skilled = await self._skilled.approve(
                principal, message, live, call_id=call_id, arguments_hash=arguments_hash
            )
        except Conflict:
            await self._waiting.look_after([message.id])  # it may be too old
            raise
        try:
            async with self._transaction() as session:
                found = await find_conversation(session, principal.account_id, message.conversation_id)
                found.updated_at = utc_now()
                reply = await find_message(session, principal.account_id, message_id, lock=True)
                if reply.status != "waiting" or self._saving.closing:
                    raise Conflict("this reply does not wait any more.")
                reply.status, reply.saved_at = "streaming", utc_now()
                self._add_running(session, live)
        except BaseException:
            await skilled.close()
            raise
        return Begun(None, reply, self._go_on(reply, skilled), is_new=False)

    async def deny(self, principal: Principal, message_id: str, *, call_id: str) -> Message:
        """A person's no to the call that a reply waits for: nothing is changed, and the reply says so.

        Raises:
            NotFound: there is no such message, or no such call of it.
            Conflict: the call does not wait any more.
        """
        message = await self.message(principal.account_id, message_id)
        await self._waiting.deny(principal, message, call_id)
        return await self.message(principal.account_id, message_id)

    async def stop_reply(self, principal: Principal, message_id: str) -> Message:
        """End a reply that is being written; what has been written stays. A finished one stays as it is.

        For one that waits for a yes it is a no.

        Raises:
            NotFound: there is no such message.
        """
        account_id = principal.account_id
        async with self._db.reading() as session:
            message = await find_message(session, account_id, message_id)
        running = self._running.get(message_id)
        if running is not None:
            running.finish("stopped")
            await running.live.ended()
        elif message.status == "streaming":
            # Another server may be writing it: that one sees the new status when it saves, and stops.
            async with self._db.session() as session:
                await session.execute(
                    update(Message)
                    .where(Message.id == message_id, Message.status == "streaming")
                    .values(status="stopped", saved_at=utc_now())
                )
        elif message.status == "waiting":
            await self._waiting.withdraw(principal, message)
        return await self.message(account_id, message_id)

    async def stop_conversation(self, conversation_id: str) -> None:
        """End the replies of a conversation that goes to the trash."""
        for running in list(self._running.values()):
            if running.live.conversation_id == conversation_id:
                running.finish("stopped")
                await running.live.ended()

    async def message(self, account_id: str, message_id: str) -> Message:
        """A message as it is saved, in a conversation that is not in the trash.

        Raises:
            NotFound: there is none.
        """
        async with self._db.reading() as session:
            return await find_message(session, account_id, message_id)

    async def saved(self, account_id: str, message_id: str) -> Message | None:
        """A message as it is saved, also in the trash."""
        async with self._db.reading() as session:
            query = select(Message).where(Message.id == message_id, Message.account_id == account_id)
            found: Message | None = await session.scalar(query)
            return found

    def shown(self, message: Message) -> MessageOut:
        """A message for its reader, with the newest text while it is written."""
        shown = MessageOut.model_validate(message)
        running = self._running.get(message.id)
        if running is not None:
            shown.content, shown.reasoning = running.live.text, running.live.thought
            shown.grounds = running.live.grounds
            shown.run_id = running.live.run_id
        return shown

    async def attach(self, account_id: str, message_id: str) -> Begun:
        """A reply to read along with, from a snapshot on; one that is finished has no `live`.

        Raises:
            NotFound: there is no such message.
        """
        message = await self.message(account_id, message_id)
        running = self._running.get(message_id)
        return Begun(None, message, running.live if running else None, is_new=False)

    async def events(self, account_id: str, begun: Begun) -> AsyncGenerator[LiveEvent, None]:
        """A reply's events to its end; a new one's from the first character, another's from a snapshot."""
        if begun.live is not None:
            async with aclosing(begun.live.events(snapshot=not begun.is_new)) as events:
                async for event in events:
                    yield event
            return
        message, shown = begun.reply, -1
        while True:
            if len(message.content) + len(message.reasoning) != shown:
                shown = len(message.content) + len(message.reasoning)
                stages = await self._skilled.stages(account_id, message.run_id)
                told = [stage.model_dump() for stage in stages]
                yield LiveEvent("snapshot", message.content, message.reasoning, told)
            if message.status != "streaming" or self._saving.closing:
                yield LiveEvent("done")
                return
            await asyncio.sleep(_POLL)
            message = await self.message(account_id, message.id)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may add a reply; when it fails, the reply was never there."""
        added: list[str] = []
        try:
            async with self._db.session() as session:
                session.info["replies"] = added
                yield session
        except BaseException:
            for message_id in added:
                self._running.pop(message_id, None)
            raise

    async def _withdraw(self, principal: Principal, message_id: str | None) -> None:
        """Whoever goes on does not say yes: the call that a reply waits for is not made any more."""
        if message_id is None:
            return
        async with self._db.reading() as session:
            message = await find_message(session, principal.account_id, message_id)
        await self._waiting.withdraw(principal, message)

    async def _again(self, session: AsyncSession, user: Message) -> Begun:
        reply = await session.scalar(
            select(Message)
            .where(Message.parent_id == user.id, Message.role == "assistant")
            .order_by(Message.id)
        )
        if reply is None:  # the message came by an import
            raise Conflict("this message was sent before, and has no reply.", fix="Ask for a reply to it.")
        running = self._running.get(reply.id)
        return Begun(user, reply, running.live if running else None, is_new=False)

    async def _check_parent(
        self, session: AsyncSession, account_id: str, conversation_id: str, parent_id: str | None
    ) -> None:
        if parent_id is None:
            return
        parent = await find_message(session, account_id, parent_id, conversation_id)
        if parent.status == "streaming":
            raise Conflict("the reply to which this answers is still being written.", fix="Wait, or stop it.")

    async def _add_reply(
        self, session: AsyncSession, conversation: Conversation, question: Question, title: str | None
    ) -> Message:
        count = await session.scalar(select(func.count()).where(Message.conversation_id == conversation.id))
        if (count or 0) >= MAX_MESSAGES:
            raise Conflict(f"this conversation has {count} messages.", fix="Start a new conversation.")
        if self._saving.closing:
            raise Conflict("the server is shutting down.", fix="Try again in a moment.")
        reply = _new_message(conversation, question.message_id, "assistant", "")
        reply.status = "streaming"
        session.add(reply)
        await session.flush()
        conversation.active_leaf_id = reply.id
        conversation.updated_at = utc_now()
        self._add_running(session, LiveReply(reply.id, reply.account_id, conversation.id, title))
        return reply

    def _add_running(self, session: AsyncSession, live: LiveReply) -> None:
        # Known before the row can be seen, so that nobody finds a streaming reply that nobody writes.
        session.info["replies"].append(live.message_id)
        self._running[live.message_id] = Running(live)

    def _answer(self, reply: Message, question: Question) -> LiveReply:
        generation = Generation(self._inference, self._running[reply.id].live)
        return self._begin(reply, generation, self._answering.answer(generation, question))

    def _go_on(self, reply: Message, skilled: SkilledReply) -> LiveReply:
        generation = Generation(self._inference, self._running[reply.id].live)

        async def written() -> Outcome:
            outcome = await generation.use_skills(lambda _: _ready(skilled), model=reply.model or "")
            return outcome or generation.outcome("complete")

        return self._begin(reply, generation, written())

    def _begin(self, reply: Message, generation: Generation, work: Coroutine[Any, Any, Outcome]) -> LiveReply:
        running = self._running[reply.id]
        running.task = asyncio.create_task(work, name=f"reply {reply.id}")
        running.keeper = asyncio.create_task(self._keep(running, generation), name=f"keep {reply.id}")
        if running.ending is not None:  # stopped between commit and here
            running.task.cancel()
        return running.live

    async def _keep(self, running: Running, generation: Generation) -> None:
        """Wait for the end of a reply and save it, whatever the end is."""
        assert running.task is not None  # it has just begun
        await asyncio.wait({running.task})
        if running.task.cancelled():
            outcome = generation.outcome(running.ending or "interrupted")
        else:
            outcome = running.task.result()  # failures are outcomes, too
        try:
            await self._saving.end(running.live, outcome)
            if outcome.status != "waiting":
                await self._skilled.abandon(running.live)
        finally:
            self._running.pop(running.live.message_id, None)
            running.live.end()


def _question(principal: Principal, asked: Message, options: NewMessage | Regenerate) -> Question:
    return Question(
        principal,
        asked.conversation_id,
        asked.id,
        options.model,
        options.sampling,
        options.language,
        options.zone,
        direct_of(asked.notes),
    )


async def _ready(skilled: SkilledReply) -> SkilledReply:
    return skilled


def _new_message(
    conversation: Conversation,
    parent_id: str | None,
    role: str,
    content: str,
    *,
    client_id: str | None = None,
) -> Message:
    now = utc_now()
    return Message(
        id=new_id("msg"),
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        parent_id=parent_id,
        role=role,
        content=content,
        reasoning="",
        status="complete",
        finish_reason=None,
        error=None,
        model=None,
        usage=None,
        client_id=client_id,
        created_at=now,
        saved_at=now,
    )
