"""Measurements of versions: their test rows with and without their train rows, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select, update

from malmoi.assist.skills.routing import Router
from malmoi.core.errors import Conflict, MalmoiError, NotFound, Overloaded, RateLimited
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.skills.model import CallerModel
from malmoi.serve.skills.trainer.figures import figure, said
from malmoi.serve.skills.trainer.replaying import Replay
from malmoi.serve.skills.trainer.sets import own_set, own_version, shown
from malmoi.serve.skills.trainer.tables import SkillSetMeasure, SkillSetVersion
from malmoi.serve.skills.trainer.types import Figures, MeasuredRow, MeasureItem, RowValue

if TYPE_CHECKING:
    from malmoi.assist.skills.limits import SkillLimits
    from malmoi.assist.skills.routing import Embed
    from malmoi.serve.db import Database
    from malmoi.serve.identity import Principal
    from malmoi.serve.inference import Inference
    from malmoi.serve.skills.registry import SkillRegistry
    from malmoi.serve.skills.trainer.versions import SkillSetVersions

_LOG = logging.getLogger("malmoi.serve")
_SILENT = timedelta(minutes=15)  # after which a measurement of a server that is gone is over
_TRIES = 5
_LONGEST_WAIT = 30.0
T = TypeVar("T")


class SkillSetMeasures:
    """Measurements. Every method takes the caller; one runs at a time for each account.

    Args:
        db: the database.
        registry: opens skills.
        versions: what is measured.
        embed: unit-length vectors of texts.
        limits: of every run.
        inference: runs models, for the caller.
    """

    def __init__(
        self,
        db: Database,
        registry: SkillRegistry,
        versions: SkillSetVersions,
        embed: Embed,
        limits: SkillLimits,
        inference: Inference,
    ) -> None:
        self._db = db
        self._registry = registry
        self._versions = versions
        self._embed = embed
        self._limits = limits
        self._inference = inference
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starting: set[str] = set()

    async def start(self, principal: Principal, set_id: str, number: int, model: str | None) -> MeasureItem:
        """Begin a measurement.

        Args:
            principal: who measures, and pays for the model.
            set_id: whose version it is.
            number: of the version.
            model: empty: the server's default; None: only what needs no model.

        Raises:
            NotFound: the account has no such set, or the set no such version.
            Conflict: one of the account's is under way, or there are no test rows.
            SkillUnavailable: a skill of the set cannot be opened.
        """
        account = principal.account_id
        version_id, about, rows = await self._versions.content(account, set_id, number)
        train = [one for one in rows if one.part == "train"]
        known = {one for row in train for one in said(row)}
        tests = [one for one in rows if one.part == "test"]
        asked = [one for one in tests if not said(one) & known]
        if not asked:
            raise Conflict(
                f"version {number} has no test rows that are not also train rows.",
                fix="Save some rows with part test, and make a version.",
            )
        skills = [await self._registry.load(name, account) for name in about["skills"]]
        if account in self._tasks or account in self._starting:
            raise Conflict("a measurement of yours is under way.", fix="Wait for it, or stop it.")
        self._starting.add(account)
        try:
            caller = CallerModel(self._inference, principal, model) if model is not None else None
            replay = Replay(skills, Router(self._embed), self._limits, account, caller)
            now = utc_now()
            row = SkillSetMeasure(
                id=new_id("smea"),
                version_id=version_id,
                status="running",
                model=model,
                done=0,
                total=len(asked),
                figures={},
                error="",
                created_at=now,
                updated_at=now,
            )
            async with self._db.session() as session:
                session.add(row)
            work = self._run(
                row.id, replay, asked, train, len(tests) - len(asked), has_model=caller is not None
            )
            task = asyncio.create_task(work, name=row.id)
            self._tasks[account] = task
            task.add_done_callback(lambda _: self._tasks.pop(account, None))
        finally:
            self._starting.discard(account)
        return _item(row, number)

    async def all(self, account_id: str, set_id: str, number: int) -> list[MeasureItem]:
        """Measurements of a version, newest first.

        Raises:
            NotFound: the account has no such set, or the set no such version.
        """
        async with self._db.reading() as session:
            await own_set(session, account_id, set_id)
            version = await own_version(session, set_id, number)
            found = await session.scalars(
                select(SkillSetMeasure)
                .where(SkillSetMeasure.version_id == version.id)
                .order_by(SkillSetMeasure.id.desc())
            )
            return [_item(one, number) for one in found]

    async def get(self, account_id: str, set_id: str, measure_id: str) -> MeasureItem:
        """One of them.

        Raises:
            NotFound: the account has no such set, or the set no such measurement.
        """
        async with self._db.reading() as session:
            await own_set(session, account_id, set_id)
            found = (
                await session.execute(
                    select(SkillSetMeasure, SkillSetVersion.number)
                    .join(SkillSetVersion, SkillSetVersion.id == SkillSetMeasure.version_id)
                    .where(SkillSetMeasure.id == measure_id, SkillSetVersion.set_id == set_id)
                )
            ).one_or_none()
        if found is None:
            raise NotFound(f"the set has no measurement {measure_id!r}.")
        return _item(found[0], found[1])

    async def stop(self, account_id: str, set_id: str, measure_id: str) -> None:
        """Stop a measurement; nothing happens where it is over.

        Raises:
            NotFound: the account has no such set, or the set no such measurement.
        """
        item = await self.get(account_id, set_id, measure_id)
        task = self._tasks.get(account_id)
        if task is not None and task.get_name() == measure_id:
            await _ended(task)
        elif item.status == "running":
            await self._note(measure_id, status="stopped")

    async def close(self) -> None:
        """Stop all of this server's."""
        for task in list(self._tasks.values()):
            await _ended(task)

    async def _run(
        self,
        measure_id: str,
        replay: Replay,
        asked: Sequence[RowValue],
        train: Sequence[RowValue],
        left_out: int,
        *,
        has_model: bool,
    ) -> None:
        demonstrations = shown(train)
        measured: list[MeasuredRow] = []
        try:
            for number, one in enumerate(asked):
                without = await _patiently(partial(replay.run, one, number, ()))
                with_it = await _patiently(partial(replay.run, one, number, demonstrations))
                measured.append(
                    MeasuredRow(
                        query=one.query,
                        skill=one.stages.skill,
                        operation=one.stages.operation,
                        steps=one.stages.steps,
                        without=without,
                        with_demonstrations=with_it,
                    )
                )
                await self._note(measure_id, done=number + 1)
            figures = _figures(measured, len(demonstrations), left_out, has_model=has_model)
            await self._note(measure_id, status="done", figures=figures.model_dump(mode="json"))
        except asyncio.CancelledError:
            await asyncio.shield(self._note(measure_id, status="stopped"))
            raise
        except MalmoiError as error:
            await self._note(measure_id, status="failed", error=str(error)[:1000])
        except Exception:
            # A bug must not leave a measurement that runs for ever; the log has what happened.
            _LOG.exception("the measurement %s failed", measure_id)
            await self._note(measure_id, status="failed", error="Something went wrong in the server.")

    async def _note(self, measure_id: str, **values: Any) -> None:
        async with self._db.session() as session:
            await session.execute(
                update(SkillSetMeasure)
                .where(SkillSetMeasure.id == measure_id)
                .values(**values, updated_at=utc_now())
            )


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do some work again after the caller's limits or the queue have refused it."""
    for _ in range(_TRIES - 1):
        try:
            return await work()
        except (RateLimited, Overloaded) as error:
            await asyncio.sleep(min(error.retry_after, _LONGEST_WAIT))
    return await work()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _figures(rows: Sequence[MeasuredRow], demonstrations: int, left_out: int, *, has_model: bool) -> Figures:
    both = [(one.without, one.with_demonstrations) for one in rows]
    calls = [(one.without, one.with_demonstrations) for one in rows if one.skill]
    remarks = ["Two skills are on for each row: its own and another one. Nothing is called."]
    if not has_model:
        remarks.append("Without a model only the routing is measured.")
    if left_out:
        remarks.append(f"{left_out} test rows were left out: train rows say the same words.")
    return Figures(
        routing=figure([(one.routed, two.routed) for one, two in both]),
        arguments=figure([(bool(one.valid), bool(two.valid)) for one, two in calls]) if has_model else None,
        success=figure([(bool(one.success), bool(two.success)) for one, two in both]) if has_model else None,
        demonstrations=demonstrations,
        left_out=left_out,
        remarks=remarks,
        rows=list(rows),
    )


def _item(row: SkillSetMeasure, number: int) -> MeasureItem:
    is_gone = row.status == "running" and utc_now() - row.updated_at > _SILENT
    return MeasureItem(
        id=row.id,
        version=number,
        status="stopped" if is_gone else row.status,
        model=row.model,
        done=row.done,
        total=row.total,
        figures=Figures.model_validate(row.figures) if row.figures else None,
        error=row.error,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
