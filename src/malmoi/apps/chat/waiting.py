"""Replies that wait for a person's yes: the no, the yes that never comes, and the one that came elsewhere.

A waiting reply is nobody's task: it is a row, as its run is, so it can wait through a restart. Its run says
how it stands; the server looks after all of them from time to time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select

from malmoi.apps.chat.tables import Message
from malmoi.core.errors import Conflict, NotFound
from malmoi.serve.db import utc_now
from malmoi.serve.skills.tables import SkillApproval, SkillRunRow, SkillStage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.apps.chat.search import SearchIndex
    from malmoi.apps.chat.skilled import SkilledReplies
    from malmoi.serve.db import Database
    from malmoi.serve.identity import Principal

Refusal = Literal["denied", "expired"]

_LOST = timedelta(minutes=15)  # a run that goes on elsewhere and was not heard of for so long has ended there


class WaitingReplies:
    """Ends replies that wait.

    Args:
        db: the database.
        index: is told of their last text.
        skilled: the skills of replies.
    """

    def __init__(self, db: Database, index: SearchIndex, skilled: SkilledReplies) -> None:
        self._db = db
        self._index = index
        self._skilled = skilled

    async def deny(self, principal: Principal, message: Message, call_id: str | None = None) -> None:
        """Say no to the call that a reply waits for: nothing is called, and the reply says so.

        Args:
            principal: who says it.
            message: the reply.
            call_id: of the call; None: the one that waits.

        Raises:
            NotFound: no such call of the caller waits.
            Conflict: it does not wait any more.
        """
        if message.status != "waiting" or message.run_id is None:
            raise Conflict("no call of this reply waits for an answer.")
        call = call_id if call_id is not None else await self._call(message)
        await self._skilled.skills.deny(principal, message.run_id, call_id=call)
        await self.look_after([message.id])

    async def withdraw(self, principal: Principal, message: Message) -> None:
        """A no by going on: the person has said something else, or asks for another reply."""
        if message.status != "waiting":
            return
        try:
            await self.deny(principal, message)
        except (Conflict, NotFound):  # answered or gone meanwhile
            await self.look_after([message.id])

    async def look_after(self, message_ids: Sequence[str] | None = None) -> None:
        """End waiting replies whose call does not wait any more.

        Args:
            message_ids: of these; None: of all, of every account.
        """
        async with self._db.session() as session:
            query = select(Message).where(Message.status == "waiting")
            if message_ids is not None:
                query = query.where(Message.id.in_(message_ids))
            for message in list(await session.scalars(query.with_for_update(skip_locked=True))):
                if await self._end(session, message):
                    message.saved_at = utc_now()
                    await self._index.put_message(session, message)

    async def _call(self, message: Message) -> str:
        async with self._db.reading() as session:
            found = await session.scalar(
                select(SkillApproval.call_id).where(
                    SkillApproval.run_id == message.run_id,
                    SkillApproval.account_id == message.account_id,
                    SkillApproval.status == "waiting",
                )
            )
        if found is None:
            raise NotFound("no call of this reply waits.")
        return str(found)

    async def _end(self, session: AsyncSession, message: Message) -> bool:
        """End one reply as its run has ended; False: it still waits."""
        run = await session.scalar(
            select(SkillRunRow)
            .where(SkillRunRow.id == message.run_id, SkillRunRow.account_id == message.account_id)
            .with_for_update()
        )
        if run is None:  # deleted
            message.status = "interrupted"
            return True
        if run.status == "waiting":
            approval = await session.scalar(
                select(SkillApproval).where(SkillApproval.run_id == run.id, SkillApproval.status == "waiting")
            )
            if approval is not None:
                if approval.expires_at >= utc_now():
                    return False
                approval.status = "expired"
            run.status, run.reason, run.state, run.updated_at = "ended", "expired", None, utc_now()
            await self._refuse(session, message, run, "expired")
        elif run.reason in ("denied", "expired"):
            await self._refuse(session, message, run, "denied" if run.reason == "denied" else "expired")
        elif run.status == "running":
            # The yes was given by another way; the run writes its stages, and this looks again.
            if run.updated_at > utc_now() - _LOST:
                return False
            message.status = "interrupted"
        else:
            said = [one.data["text"] for one in await _stages(session, run.id, "text")]
            message.content, message.status, message.finish_reason = "".join(said), "complete", "stop"
        return True

    async def _refuse(self, session: AsyncSession, message: Message, run: SkillRunRow, how: Refusal) -> None:
        asked = await _stages(session, run.id, "confirm")
        title = str(asked[-1].data["title"]) if asked else run.operation
        text = _texts()[how][run.request["language"]].replace("{title}", title)
        message.content = f"{message.content}\n\n{text}".strip()
        message.status, message.finish_reason = "complete", how


async def _stages(session: AsyncSession, run_id: str, kind: str) -> list[SkillStage]:
    found = await session.scalars(
        select(SkillStage)
        .where(SkillStage.run_id == run_id, SkillStage.kind == kind)
        .order_by(SkillStage.number)
    )
    return list(found)


def _texts() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("skilled.toml").read_text(encoding="utf-8"))
