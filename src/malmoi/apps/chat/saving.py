"""Saving replies while they are written, so that a server that dies loses a second of text at the most."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import DBAPIError

from malmoi.apps.chat.conversations import mark_interrupted
from malmoi.apps.chat.generation import Outcome
from malmoi.apps.chat.live import LiveReply
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.tables import Message
from malmoi.apps.chat.waiting import WaitingReplies
from malmoi.core.errors import MalmoiError
from malmoi.serve.db import Database, utc_now

_SAVE_EVERY = 0.8  # seconds
_BEAT = timedelta(seconds=5)  # a running reply is saved at least so often, also when it has no new text
_LOST = timedelta(seconds=30)  # a reply that was not saved for so long has lost its server

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """A reply that is written here: its text, the task that writes it, and the one that saves its end."""

    live: LiveReply
    task: asyncio.Task[Outcome] | None = None
    ending: Literal["stopped", "interrupted"] | None = None
    keeper: asyncio.Task[None] | None = field(default=None)

    def finish(self, how: Literal["stopped", "interrupted"]) -> None:
        """End it; the first reason counts. Once is enough: what it has to save at its end takes a moment."""
        if self.ending is None and self.task is not None:
            self.task.cancel()
        self.ending = self.ending or how


class Saving:
    """Saves the running replies every second, and looks after those that wait.

    Attributes:
        closing: the server ends: what cannot be saved now is not tried again.
    """

    def __init__(
        self, db: Database, index: SearchIndex, running: Mapping[str, Running], waiting: WaitingReplies
    ) -> None:
        self._db = db
        self._index = index
        self._running = running
        self._waiting = waiting
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    async def start(self) -> None:
        """Mark what an earlier run has left, and begin."""
        # SQLite has one server, so nobody else can be writing.
        before = None if self._db.dialect == "sqlite" else utc_now() - _LOST
        async with self._db.session() as session:
            await mark_interrupted(session, before, self._index)
        await self._waiting.look_after()
        self._task = asyncio.create_task(self._regularly(), name="chat replies")

    async def stop(self) -> None:
        """Save no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def end(self, live: LiveReply, outcome: Outcome) -> None:
        """Save a reply for the last time; tried again while the database does not answer."""
        values = {
            "content": live.text,
            "reasoning": live.thought,
            "status": outcome.status,
            "finish_reason": outcome.finish_reason,
            "error": outcome.error.model_dump() if outcome.error else None,
            "usage": outcome.usage.model_dump() if outcome.usage else None,
            "model": outcome.model,
            "run_id": live.run_id,
            "grounds": live.grounds.model_dump(exclude={"extract"}) if live.grounds else None,
            "notes": dict(outcome.notes) if outcome.notes is not None else None,
        }
        for pause in (0.5, 1.0, 2.0, 4.0, 0.0):
            try:
                async with self._db.session() as session:
                    message = await session.scalar(
                        select(Message).where(Message.id == live.message_id).with_for_update()
                    )
                    if message is None:  # deleted for good meanwhile
                        return
                    if message.status != "streaming":  # stopped through another server
                        values["status"] = message.status
                    for name, value in values.items():
                        setattr(message, name, value)
                    message.saved_at = utc_now()
                    await self._index.put_message(session, message)
                    return
            except (MalmoiError, DBAPIError) as error:
                _logger.warning("the reply %s could not be saved: %s", live.message_id, error)
                if self.closing:
                    return  # what was saved last stays, and is marked at the next start
                await asyncio.sleep(pause)

    async def _regularly(self) -> None:
        beat = swept = utc_now()
        while True:
            await asyncio.sleep(_SAVE_EVERY)
            now = utc_now()
            try:
                await self.save(all_of_them=now - beat >= _BEAT)
                beat = now if now - beat >= _BEAT else beat
                if now - swept >= _LOST:
                    swept = now
                    async with self._db.session() as session:
                        await mark_interrupted(
                            session, now - _LOST, self._index, written_here=list(self._running)
                        )
                    await self._waiting.look_after()
            except (MalmoiError, DBAPIError) as error:
                # A full disk or a database that restarts: the next round saves it all.
                _logger.warning("running replies could not be saved: %s", error)

    async def save(self, *, all_of_them: bool) -> None:
        """Save the replies with new text, or every one, so that it counts as alive."""
        changed = [
            running
            for running in self._running.values()
            if running.task is not None
            and not running.task.done()
            and (all_of_them or running.live.size != running.live.saved_size)
        ]
        if not changed:
            return
        sizes = {}
        async with self._db.session() as session:
            for running in changed:
                live = running.live
                sizes[live.message_id] = live.size
                result = await session.execute(
                    update(Message)
                    .where(Message.id == live.message_id, Message.status == "streaming")
                    .values(
                        content=live.text,
                        reasoning=live.thought,
                        run_id=live.run_id,
                        saved_at=utc_now(),
                    )
                )
                assert isinstance(result, CursorResult)
                if result.rowcount == 0 and live.message_id in self._running:
                    running.finish("stopped")  # through another server, or the row is gone
        for running in changed:
            running.live.saved_size = sizes[running.live.message_id]
