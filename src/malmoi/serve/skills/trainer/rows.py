"""Rows of a set: made from runs, corrected stage by stage, saved. Every edit keeps the value before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.assist.skills.loading import check_arguments
from malmoi.core.errors import Conflict, InvalidInput, NotFound, UnknownName
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.skills.trainer.copying import original_of, row_of_run
from malmoi.serve.skills.trainer.sets import own_set
from malmoi.serve.skills.trainer.tables import SkillSet, SkillSetRow
from malmoi.serve.skills.trainer.types import (
    NewRow,
    Original,
    Part,
    RowItem,
    RowPage,
    RowPatch,
    Stages,
    StagesPatch,
    Status,
    Step,
)

if TYPE_CHECKING:
    from malmoi.assist.skills.loading import LoadedSkill
    from malmoi.serve.db import Database
    from malmoi.serve.skills.registry import SkillRegistry
    from malmoi.serve.skills.runs import SkillRuns

MAX_ROWS = 2000
_EDITS = 50
_TOGETHER = 2  # skills of a run
_EDITED = ("query", "turns", "part", "status", "stages")


class SkillSetRows:
    """The rows of sets. Every method takes the account.

    Args:
        db: the database.
        registry: opens skills, whose operations say what arguments fit.
        runs: where stages are copied from.
    """

    def __init__(self, db: Database, registry: SkillRegistry, runs: SkillRuns) -> None:
        self._db = db
        self._registry = registry
        self._runs = runs

    async def page(
        self,
        account_id: str,
        set_id: str,
        *,
        part: Part | None,
        status: Status | None,
        limit: int,
        offset: int,
        skill: str | None = None,
        search: str = "",
        newest: bool = False,
    ) -> RowPage:
        """Rows of a set, oldest first or newest first.

        Args:
            account_id: whose set it is.
            set_id: the set.
            part: only these.
            status: only these.
            limit: rows at the most.
            offset: rows before them.
            skill: only rows for it; empty: only rows for none.
            search: only queries that have these words.
            newest: newest first.

        Raises:
            NotFound: the account has no such set.
        """
        wanted = [SkillSetRow.set_id == set_id]
        if part is not None:
            wanted.append(SkillSetRow.part == part)
        if status is not None:
            wanted.append(SkillSetRow.status == status)
        if skill is not None:
            wanted.append(SkillSetRow.stages["skill"].as_string() == skill)
        if search.strip():
            wanted.append(func.lower(SkillSetRow.query).contains(search.strip().lower(), autoescape=True))
        order = SkillSetRow.id.desc() if newest else SkillSetRow.id
        async with self._db.reading() as session:
            await own_set(session, account_id, set_id)
            total = (await session.execute(select(func.count()).where(*wanted))).scalar_one()
            found = await session.scalars(
                select(SkillSetRow).where(*wanted).order_by(order).limit(limit).offset(offset)
            )
            return RowPage(rows=[item(one) for one in found], total=total)

    async def get(self, account_id: str, set_id: str, row_id: str) -> RowItem:
        """One row.

        Raises:
            NotFound: the account has no such set, or the set no such row.
        """
        async with self._db.reading() as session:
            await own_set(session, account_id, set_id)
            return item(await _own_row(session, set_id, row_id))

    async def create(self, account_id: str, set_id: str, wanted: NewRow) -> RowItem:
        """A new row: a run's stages, or what is given.

        Raises:
            NotFound: the account has no such set or run.
            InvalidInput: there is no query, or a saved row's stages do not fit; `field` says which.
            Conflict: the set is full.
        """
        original: Original | None = None
        if wanted.run_id:
            run, stages = await self._runs.trace(account_id, wanted.run_id)
            wanted = row_of_run(run, stages, wanted)
            original = original_of(run, stages, wanted.stages)
        return (await self.add(account_id, set_id, [wanted], original=original))[0]

    async def add(
        self,
        account_id: str,
        set_id: str,
        wanted: Sequence[NewRow],
        *,
        original: Original | None = None,
    ) -> list[RowItem]:
        """Add rows, all of them or none.

        Args:
            account_id: whose set it is.
            set_id: the set.
            wanted: the rows.
            original: what the run of a single row did.

        Raises:
            NotFound: the account has no such set.
            InvalidInput: something of a row does not fit; `field` says which.
            Conflict: the set is full.
        """
        async with self._db.reading() as session:
            kept = await own_set(session, account_id, set_id)
        for one in wanted:
            if not one.query.strip():
                raise InvalidInput("a row needs a query, or a run that has one.", field="query")
            _check_zone(one.zone)
            if one.status == "saved":
                _check(kept, one.stages, await self._opened(kept, one.stages))
        now = utc_now()
        rows = [
            SkillSetRow(
                id=new_id("srow"),
                set_id=set_id,
                run_id=one.run_id or None,
                query=one.query,
                turns=[turn.model_dump() for turn in one.turns],
                language=one.language,
                zone=one.zone,
                said_at=one.said_at or now,
                part=one.part,
                status=one.status,
                stages=_ordered(one.stages).model_dump(),
                original=original.model_dump(mode="json") if original is not None else None,
                history=[],
                created_at=now,
                updated_at=now,
            )
            for one in wanted
        ]
        async with self._db.session() as session:
            await own_set(session, account_id, set_id, for_update=True)
            owned = select(func.count()).where(SkillSetRow.set_id == set_id)
            if (await session.execute(owned)).scalar_one() + len(rows) > MAX_ROWS:
                raise Conflict(f"a set holds at most {MAX_ROWS} rows.", fix="Delete some first.")
            session.add_all(rows)
        return [item(one) for one in rows]

    async def change(self, account_id: str, set_id: str, row_id: str, patch: RowPatch) -> RowItem:
        """Correct a row, save it, or make it a draft again.

        Raises:
            NotFound: the account has no such set, or the set no such row.
            InvalidInput: the stages do not fit; `field` says which.
        """
        async with self._db.reading() as session:
            kept = await own_set(session, account_id, set_id)
            row = await _own_row(session, set_id, row_id)
        # Opened before: a skill's server may be slow, and nobody else could write meanwhile.
        opened = await self._opened(kept, _patched(row, patch.stages))
        async with self._db.session() as session:
            row = await _own_row(session, set_id, row_id, for_update=True)
            before = {name: getattr(row, name) for name in _EDITED}
            changes: dict[str, Any] = patch.model_dump(exclude_none=True)
            if patch.stages is not None:
                changes["stages"] = _patched(row, patch.stages).model_dump()
            after = {**before, **changes}
            if after == before:
                return item(row)
            way = patch.stages is not None and patch.stages.model_dump(exclude_none=True).keys() & {
                "skill",
                "operation",
                "arguments",
                "asked",
                "steps",
            }
            if way or after["status"] == "saved":
                _check(kept, Stages(**after["stages"]), opened)
            for name, value in changes.items():
                setattr(row, name, value)
            row.history = [*row.history, before][-_EDITS:]
            row.updated_at = utc_now()
            return item(row)

    async def undo(self, account_id: str, set_id: str, row_id: str) -> RowItem:
        """Take back the last edit.

        Raises:
            NotFound: the account has no such set, or the set no such row.
            Conflict: there is nothing to take back.
        """
        async with self._db.session() as session:
            await own_set(session, account_id, set_id)
            row = await _own_row(session, set_id, row_id, for_update=True)
            if not row.history:
                raise Conflict("this row was not edited.")
            for name, value in row.history[-1].items():
                setattr(row, name, value)
            row.history = row.history[:-1]
            row.updated_at = utc_now()
            return item(row)

    async def delete(self, account_id: str, set_id: str, row_id: str) -> None:
        """Delete a row; versions that have it keep it.

        Raises:
            NotFound: the account has no such set, or the set no such row.
        """
        async with self._db.session() as session:
            await own_set(session, account_id, set_id)
            await session.delete(await _own_row(session, set_id, row_id))

    async def _opened(self, kept: SkillSet, stages: Stages) -> dict[str, LoadedSkill]:
        names = sorted({one.skill for one in stages.calls()} & set(kept.skills))
        return {name: await self._registry.load(name, kept.account_id) for name in names}


def item(row: SkillSetRow) -> RowItem:
    """A row over the wire."""
    return RowItem.model_validate(
        {
            **{name: getattr(row, name) for name in RowItem.model_fields if name != "undos"},
            "stages": Stages(**row.stages),
            "undos": len(row.history),
        }
    )


def _check(kept: SkillSet, stages: Stages, opened: Mapping[str, LoadedSkill]) -> None:
    """See that operations of the set's skills would be called with these arguments."""
    if not stages.skill:
        return
    for number, step in enumerate(stages.steps):
        _check_call(kept, step, "", opened, f"stages.steps.{number}")
    _check_call(kept, stages.calls()[-1], stages.asked, opened, "stages")
    domains = {one.name: one.skill.manifest.domain for one in opened.values()}
    if len(domains) > _TOGETHER or len(set(domains.values())) < len(domains):
        told = ", ".join(domains)
        message = f"{told} cannot be on together: a run has at most two skills, of two domains."
        raise InvalidInput(message, field="stages.steps")


def _check_call(
    kept: SkillSet, call: Step, asked: str, opened: Mapping[str, LoadedSkill], field: str
) -> None:
    """See that one call fits, or that its question is right."""
    if call.skill not in kept.skills:
        told = ", ".join(kept.skills)
        message = f"the set has no skill {call.skill!r}; it has {told}." if call.skill else "choose a skill."
        raise InvalidInput(message, field=f"{field}.skill")
    if call.skill not in opened:
        raise Conflict("the row was edited by somebody else meanwhile.", fix="Read it again.")
    try:
        operation = opened[call.skill].operation(call.operation)
    except UnknownName as error:
        raise InvalidInput(error.message, field=f"{field}.operation", fix=error.fix) from error
    lacking = [name for name in operation.parameters.get("required", ()) if name not in call.arguments]
    if lacking and not asked:
        raise InvalidInput(
            f"{operation.name}: {lacking[0]} is needed.",
            field=f"{field}.arguments.{lacking[0]}",
            fix="Fill it in, or write the question that is right instead.",
        )
    if asked and not lacking:
        message = f"{operation.name}: nothing that it needs is missing, so there is nothing to ask."
        raise InvalidInput(message, field=f"{field}.asked", fix="Take an argument out, or do not ask.")
    if asked:
        operation = replace(operation, parameters={**operation.parameters, "required": []})
    try:
        check_arguments(operation, call.arguments)
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"{field}.{error.field}", fix=error.fix) from error


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"the time zone {zone[:60]!r} is not known.", field="zone") from error


def _patched(row: SkillSetRow, patch: StagesPatch | None) -> Stages:
    changes = patch.model_dump(exclude_none=True) if patch is not None else {}
    return _ordered(Stages(**{**row.stages, **changes}))


def _ordered(stages: Stages) -> Stages:
    """A query that is for no skill has only an answer, and one that is asked back no result."""
    if not stages.skill:
        return Stages(answer=stages.answer)
    if stages.asked.strip():
        return stages.model_copy(update={"result": "", "said": "", "answer": ""})
    return stages.model_copy(update={"asked": ""})


async def _own_row(
    session: AsyncSession, set_id: str, row_id: str, *, for_update: bool = False
) -> SkillSetRow:
    query = select(SkillSetRow).where(SkillSetRow.id == row_id, SkillSetRow.set_id == set_id)
    if for_update:
        query = query.with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"the set has no row {row_id!r}.")
    return found
