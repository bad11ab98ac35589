"""Skill sets, and which of them is applied to an account's runs. Sets of others are not found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.assist.skills.routing import Demonstration
from malmoi.core.errors import Conflict, InvalidInput, NotFound
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.identity.accounts import name_key
from malmoi.serve.skills.trainer.tables import SkillSet, SkillSetApplied, SkillSetRow, SkillSetVersion
from malmoi.serve.skills.trainer.types import NewSet, RowValue, SetItem, SetPatch

if TYPE_CHECKING:
    from malmoi.serve.db import Database
    from malmoi.serve.skills.registry import SkillRegistry

MAX_SETS = 50
MAX_SHOWN = 300
"""Demonstrations that runs are given: the newest ones. Routing solves a system of their size."""


class SkillSets:
    """The sets of a server. Every method takes the account.

    Args:
        db: the database.
        registry: which skills there are.
    """

    def __init__(self, db: Database, registry: SkillRegistry) -> None:
        self._db = db
        self._registry = registry

    async def all(self, account_id: str) -> list[SetItem]:
        """The account's sets, by name."""
        async with self._db.reading() as session:
            found = await session.scalars(
                select(SkillSet).where(SkillSet.account_id == account_id).order_by(SkillSet.name_key)
            )
            return [await _item(session, one) for one in found.all()]

    async def get(self, account_id: str, set_id: str) -> SetItem:
        """One of them.

        Raises:
            NotFound: the account has none of this id.
        """
        async with self._db.reading() as session:
            return await _item(session, await own_set(session, account_id, set_id))

    async def create(self, account_id: str, wanted: NewSet) -> SetItem:
        """A new, empty set.

        Raises:
            Conflict: the account has one of that name, or too many.
            InvalidInput: there is no such skill.
        """
        await self._check(wanted.skills)
        set_id, now = new_id("sset"), utc_now()
        try:
            async with self._db.session() as session:
                owned = select(func.count()).where(SkillSet.account_id == account_id)
                if (await session.execute(owned)).scalar_one() >= MAX_SETS:
                    raise Conflict(f"you have {MAX_SETS} sets already.", fix="Delete one first.")
                session.add(
                    SkillSet(
                        id=set_id,
                        account_id=account_id,
                        name=wanted.name.strip(),
                        name_key=name_key(wanted.name),
                        description=wanted.description,
                        tone=wanted.tone,
                        format=wanted.format,
                        skills=list(dict.fromkeys(wanted.skills)),
                        created_at=now,
                        updated_at=now,
                    )
                )
        except IntegrityError as error:
            raise _taken(wanted.name) from error
        return await self.get(account_id, set_id)

    async def change(self, account_id: str, set_id: str, patch: SetPatch) -> SetItem:
        """Rename or describe it, or choose other skills; its rows stay as they are.

        Raises:
            NotFound: the account has none of this id.
            Conflict: the account has another one of that name.
            InvalidInput: there is no such skill.
        """
        if patch.skills is not None:
            await self._check(patch.skills)
        try:
            async with self._db.session() as session:
                kept = await own_set(session, account_id, set_id, for_update=True)
                for name, value in patch.model_dump(exclude_none=True).items():
                    setattr(kept, name, value)
                if patch.name is not None:
                    kept.name, kept.name_key = patch.name.strip(), name_key(patch.name)
                if patch.skills is not None:
                    kept.skills = list(dict.fromkeys(patch.skills))
                kept.updated_at = utc_now()
        except IntegrityError as error:
            raise _taken(str(patch.name)) from error
        return await self.get(account_id, set_id)

    async def delete(self, account_id: str, set_id: str) -> None:
        """Delete it with its rows and versions; it is not applied any more.

        Raises:
            NotFound: the account has none of this id.
        """
        async with self._db.session() as session:
            await own_set(session, account_id, set_id)
            await session.execute(delete(SkillSet).where(SkillSet.id == set_id))

    async def apply(self, account_id: str, set_id: str, number: int | None) -> SetItem:
        """Show the train rows of a version, or the saved ones of any time, to the account's runs.

        Raises:
            NotFound: the account has no such set, or the set no such version.
        """
        async with self._db.session() as session:
            await own_set(session, account_id, set_id)
            if number is not None:
                await own_version(session, set_id, number)
            row = await session.get(SkillSetApplied, account_id)
            if row is None:
                row = SkillSetApplied(account_id=account_id)
                session.add(row)
            row.set_id, row.number, row.applied_at = set_id, number, utc_now()
        return await self.get(account_id, set_id)

    async def unapply(self, account_id: str, set_id: str) -> None:
        """Do not show it any more; nothing happens where it was not applied.

        Raises:
            NotFound: the account has none of this id.
        """
        async with self._db.session() as session:
            await own_set(session, account_id, set_id)
            await session.execute(
                delete(SkillSetApplied).where(
                    SkillSetApplied.account_id == account_id, SkillSetApplied.set_id == set_id
                )
            )

    async def demonstrations(self, account_id: str) -> list[Demonstration]:
        """What the applied set shows, oldest first; at most `MAX_SHOWN`, the newest."""
        async with self._db.reading() as session:
            applied = await session.get(SkillSetApplied, account_id)
            if applied is None:
                return []
            # Whose set it is, is asked again: what is applied must be the account's own.
            await own_set(session, account_id, applied.set_id)
            if applied.number is not None:
                version = await own_version(session, applied.set_id, applied.number)
                content = await session.execute(
                    select(SkillSetVersion.content).where(SkillSetVersion.id == version.id)
                )
                values = [RowValue.model_validate(one) for one in content.scalar_one()["rows"]]
                return shown([one for one in values if one.part == "train"])
            found = await session.scalars(
                select(SkillSetRow)
                .where(
                    SkillSetRow.set_id == applied.set_id,
                    SkillSetRow.part == "train",
                    SkillSetRow.status == "saved",
                )
                .order_by(SkillSetRow.id.desc())
                .limit(MAX_SHOWN)
            )
            rows = [RowValue.model_validate(one, from_attributes=True) for one in found]
        return shown(rows[::-1])

    async def _check(self, skills: Sequence[str]) -> None:
        known = await self._registry.all()
        for number, name in enumerate(skills):
            if name not in known:
                raise InvalidInput(f"there is no skill {name!r}.", field=f"skills.{number}")


def shown(rows: Sequence[RowValue]) -> list[Demonstration]:
    """Rows as runs are shown them: a row's operation, and each step that has words of its own."""
    found: list[Demonstration] = []
    for row in rows[-MAX_SHOWN:]:
        calls = row.stages.calls()
        if not calls:
            found.append(Demonstration(row.query))
            continue
        *before, own = calls
        asking = [(one.clause, one) for one in before if one.clause.strip()]
        for words, one in [*asking, (own.clause.strip() or row.query, own)]:
            found.append(Demonstration(words, one.skill, one.operation, one.arguments))
    return found[-MAX_SHOWN:]


async def own_set(
    session: AsyncSession, account_id: str, set_id: str, *, for_update: bool = False
) -> SkillSet:
    """A set of the account.

    Raises:
        NotFound: the account has none of this id.
    """
    query = select(SkillSet).where(SkillSet.id == set_id, SkillSet.account_id == account_id)
    if for_update:
        query = query.with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"there is no skill set {set_id!r}.")
    return found


async def own_version(session: AsyncSession, set_id: str, number: int) -> SkillSetVersion:
    """A version of a set that is known to be the account's.

    Raises:
        NotFound: the set has none of this number.
    """
    query = select(SkillSetVersion).where(SkillSetVersion.set_id == set_id, SkillSetVersion.number == number)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"the set has no version {number}.")
    return found


async def _item(session: AsyncSession, kept: SkillSet) -> SetItem:
    counts = await session.execute(
        select(SkillSetRow.status, SkillSetRow.part, func.count())
        .where(SkillSetRow.set_id == kept.id)
        .group_by(SkillSetRow.status, SkillSetRow.part)
    )
    count = {(status, part): number for status, part, number in counts}
    versions = await session.execute(select(func.count()).where(SkillSetVersion.set_id == kept.id))
    applied = await session.get(SkillSetApplied, kept.account_id)
    is_applied = applied is not None and applied.set_id == kept.id
    return SetItem(
        id=kept.id,
        name=kept.name,
        description=kept.description,
        tone=kept.tone,
        format=kept.format,
        skills=kept.skills,
        drafts=count.get(("draft", "train"), 0) + count.get(("draft", "test"), 0),
        train=count.get(("saved", "train"), 0),
        test=count.get(("saved", "test"), 0),
        versions=versions.scalar_one(),
        applied=is_applied,
        applied_version=applied.number if applied is not None and is_applied else None,
        created_at=kept.created_at,
        updated_at=kept.updated_at,
    )


def _taken(name: str) -> Conflict:
    return Conflict(f"you have a skill set named {name!r} already.", fix="Choose another name.")
