"""Runs as they are kept: their stages, files, approvals, and the audit of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import CursorResult, and_, or_, select, update

from malmoi.assist.skills.operation import File
from malmoi.assist.skills.routing import Before
from malmoi.assist.skills.running import RunState
from malmoi.core.errors import Conflict, InvalidInput, NotFound
from malmoi.engine.base import Usage
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.skills.covering import covered
from malmoi.serve.skills.tables import SkillApproval, SkillAudit, SkillFile, SkillRunRow, SkillStage

if TYPE_CHECKING:
    from malmoi.serve.db import Database
    from malmoi.serve.identity import Principal

_WAITS = timedelta(minutes=15)
_BEFORE = 3


class SkillRuns:
    """Runs in the database. Every method takes the account; runs of others are not found.

    Args:
        db: the database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def begin(
        self, account_id: str, *, query: str, model: str, conversation: str, request: Mapping[str, Any]
    ) -> str:
        """Note a new run; its id."""
        run_id, now = new_id("run"), utc_now()
        async with self._db.session() as session:
            session.add(
                SkillRunRow(
                    id=run_id,
                    account_id=account_id,
                    conversation=conversation,
                    query=query,
                    model=model,
                    status="running",
                    reason="",
                    skill="",
                    operation="",
                    request=dict(request),
                    state=None,
                    steps=0,
                    prompt_tokens=0,
                    completion_tokens=0,
                    created_at=now,
                    updated_at=now,
                )
            )
        return run_id

    async def before(self, account_id: str, conversation: str) -> list[Before]:
        """The last queries of a conversation and what they were for, oldest first."""
        if not conversation:
            return []
        async with self._db.reading() as session:
            found = await session.execute(
                select(SkillRunRow.query, SkillRunRow.skill, SkillRunRow.operation)
                .where(SkillRunRow.account_id == account_id, SkillRunRow.conversation == conversation)
                .order_by(SkillRunRow.created_at.desc())
                .limit(_BEFORE)
            )
            rows = found.all()
        return [Before(query, skill, operation) for query, skill, operation in reversed(rows)]

    async def add_stages(self, run_id: str, stages: Sequence[tuple[int, str, dict[str, Any]]]) -> None:
        """Keep what has happened."""
        if not stages:
            return
        now = utc_now()
        async with self._db.session() as session:
            session.add_all(
                SkillStage(run_id=run_id, number=number, kind=kind, data=data, at=now)
                for number, kind, data in stages
            )

    async def next_number(self, run_id: str) -> int:
        """The number of the next stage."""
        async with self._db.reading() as session:
            found = await session.execute(
                select(SkillStage.number)
                .where(SkillStage.run_id == run_id)
                .order_by(SkillStage.number.desc())
                .limit(1)
            )
            last = found.scalar_one_or_none()
        return 0 if last is None else last + 1

    async def note_way(self, run_id: str, skill: str, operation: str) -> None:
        """Note what the query is for."""
        async with self._db.session() as session:
            await session.execute(
                update(SkillRunRow)
                .where(SkillRunRow.id == run_id, SkillRunRow.skill == "")
                .values(skill=skill, operation=operation)
            )

    async def wait(
        self, account_id: str, run_id: str, *, call_id: str, arguments_hash: str, state: RunState
    ) -> None:
        """A call waits for its yes."""
        now = utc_now()
        async with self._db.session() as session:
            row = await session.get(SkillRunRow, run_id)
            assert row is not None
            row.status, row.state = "waiting", state.to_json()
            session.add(
                SkillApproval(
                    call_id=call_id,
                    run_id=run_id,
                    account_id=account_id,
                    arguments_hash=arguments_hash,
                    status="waiting",
                    expires_at=now + _WAITS,
                    created_at=now,
                )
            )

    async def end(self, run_id: str, *, reason: str, steps: int, usage: Usage) -> None:
        """The run, or this part of it, is over."""
        async with self._db.session() as session:
            row = await session.get(SkillRunRow, run_id)
            if row is None:  # the account was deleted meanwhile
                return
            if reason != "confirm":
                row.status, row.state = "ended", None
            row.reason, row.steps = reason[:16], steps
            row.prompt_tokens = usage.prompt_tokens
            row.completion_tokens = usage.completion_tokens
            row.updated_at = utc_now()

    async def approve(
        self, account_id: str, run_id: str, *, call_id: str, arguments_hash: str
    ) -> tuple[SkillRunRow, RunState]:
        """A person says yes to one call: the run, which goes on from its state.

        Raises:
            NotFound: no such call of this account waits.
            Conflict: other arguments were approved than those that wait, or too late.
        """
        async with self._db.session() as session:
            row = await self._own(session, account_id, run_id, for_update=True)
            approval = await session.get(SkillApproval, call_id)
            if approval is None or approval.run_id != run_id or approval.account_id != account_id:
                raise NotFound(f"no call {call_id!r} waits in this run.")
            if approval.arguments_hash != arguments_hash:
                raise Conflict("the approval is for other arguments than those of the call.")
            if row.status != "waiting" or row.state is None or approval.status != "waiting":
                raise Conflict("this call does not wait any more.")
            if approval.expires_at < utc_now():
                raise Conflict("this question is too old.", fix="Ask again.")
            changed = cast(
                "CursorResult[Any]",
                await session.execute(
                    update(SkillApproval)
                    .where(SkillApproval.call_id == call_id, SkillApproval.status == "waiting")
                    .values(status="given")
                ),
            )
            if changed.rowcount != 1:
                raise Conflict("this call does not wait any more.")
            state = RunState.from_json(row.state)
            row.status, row.updated_at = "running", utc_now()
        return row, state

    async def deny(self, account_id: str, run_id: str, *, call_id: str) -> tuple[SkillRunRow, RunState]:
        """A person says no: nothing is called, and the run is over.

        Raises:
            NotFound: no such call of this account waits.
            Conflict: it does not wait any more.
        """
        async with self._db.session() as session:
            row = await self._own(session, account_id, run_id, for_update=True)
            approval = await session.get(SkillApproval, call_id)
            if approval is None or approval.run_id != run_id or approval.account_id != account_id:
                raise NotFound(f"no call {call_id!r} waits in this run.")
            if approval.status != "waiting" or row.state is None:
                raise Conflict("this call does not wait any more.")
            state = RunState.from_json(row.state)
            approval.status = "denied"
            row.status, row.reason, row.state, row.updated_at = "ended", "denied", None, utc_now()
        return row, state

    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        """Use up an approval; True once."""
        async with self._db.session() as session:
            changed = cast(
                "CursorResult[Any]",
                await session.execute(
                    update(SkillApproval)
                    .where(
                        SkillApproval.call_id == call_id,
                        SkillApproval.run_id == run_id,
                        SkillApproval.account_id == account_id,
                        SkillApproval.arguments_hash == arguments_hash,
                        SkillApproval.status == "given",
                        SkillApproval.expires_at >= utc_now(),
                    )
                    .values(status="used")
                ),
            )
            return changed.rowcount == 1

    async def trace(self, account_id: str, run_id: str) -> tuple[SkillRunRow, list[SkillStage]]:
        """A run and its stages.

        Raises:
            NotFound: there is none of this account.
        """
        async with self._db.reading() as session:
            row = await self._own(session, account_id, run_id)
            found = await session.execute(
                select(SkillStage).where(SkillStage.run_id == run_id).order_by(SkillStage.number)
            )
            return row, list(found.scalars())

    async def keep_file(self, run_id: str, call_id: str, file: File) -> str:
        """Keep a file; its id."""
        file_id = new_id("sfile")
        async with self._db.session() as session:
            session.add(
                SkillFile(
                    id=file_id,
                    run_id=run_id,
                    call_id=call_id,
                    name=file.name[:255],
                    media_type=file.media_type[:100],
                    content=file.content,
                    created_at=utc_now(),
                )
            )
        return file_id

    async def file(self, account_id: str, run_id: str, file_id: str) -> tuple[SkillFile, bytes]:
        """A file of a run.

        Raises:
            NotFound: there is none of this account.
        """
        async with self._db.reading() as session:
            await self._own(session, account_id, run_id)
            row = await session.get(SkillFile, file_id)
            if row is None or row.run_id != run_id:
                raise NotFound(f"there is no file {file_id!r}.")
            content = (
                await session.execute(select(SkillFile.content).where(SkillFile.id == file_id))
            ).scalar_one()
            return row, content

    async def audit(
        self,
        principal: Principal,
        run_id: str,
        call: Mapping[str, Any],
        *,
        status: str,
        seconds: float,
    ) -> None:
        """Note a call that was made or denied."""
        async with self._db.session() as session:
            session.add(
                SkillAudit(
                    id=new_id("saudit"),
                    at=utc_now(),
                    account_id=principal.account_id,
                    key_id=principal.key_id,
                    run_id=run_id,
                    call_id=str(call["call_id"]),
                    skill=str(call["skill"]),
                    operation=str(call["operation"]),
                    effect=str(call["effect"]),
                    arguments_hash=str(call["arguments_hash"]),
                    arguments=covered(call["arguments"]),
                    status=status[:32],
                    milliseconds=round(seconds * 1000),
                )
            )

    async def audited(
        self, account_id: str | None, *, limit: int, before: str | None = None
    ) -> list[SkillAudit]:
        """Rows of the audit, newest first; of one account, or (None) of all.

        Args:
            account_id: whose calls.
            limit: most rows.
            before: the id of the last row of the page before.

        Raises:
            InvalidInput: `before` is no row of this audit.
        """
        at, row_id = SkillAudit.at, SkillAudit.id
        query = select(SkillAudit)
        if account_id is not None:
            query = query.where(SkillAudit.account_id == account_id)
        async with self._db.reading() as session:
            if before is not None:
                last = await session.scalar(query.where(row_id == before))
                if last is None:
                    raise InvalidInput(f"there is no row {before!r}.", field="before")
                query = query.where(or_(at < last.at, and_(at == last.at, row_id < last.id)))
            rows = await session.scalars(query.order_by(at.desc(), row_id.desc()).limit(limit))
            return list(rows)

    async def _own(
        self, session: Any, account_id: str, run_id: str, *, for_update: bool = False
    ) -> SkillRunRow:
        from sqlalchemy.orm import undefer

        query = (
            select(SkillRunRow)
            .where(SkillRunRow.id == run_id, SkillRunRow.account_id == account_id)
            .options(undefer(SkillRunRow.state))
        )
        if for_update:
            query = query.with_for_update()
        row = (await session.execute(query)).scalar_one_or_none()
        if row is None:
            raise NotFound(f"there is no run {run_id!r}.")
        return cast("SkillRunRow", row)
