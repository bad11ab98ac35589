"""Versions: numbered copies of a set and its saved rows, which never change."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from malmoi.core.errors import Conflict
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.skills.trainer.figures import words
from malmoi.serve.skills.trainer.sets import own_set, own_version
from malmoi.serve.skills.trainer.tables import SkillSet, SkillSetRow, SkillSetVersion
from malmoi.serve.skills.trainer.types import ChangedRow, Changes, RowValue, VersionItem

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.serve.db import Database


class SkillSetVersions:
    """The versions of sets. Every method takes the account.

    Args:
        db: the database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, account_id: str, set_id: str) -> list[VersionItem]:
        """Versions of a set, newest first.

        Raises:
            NotFound: the account has no such set.
        """
        async with self._db.reading() as session:
            await own_set(session, account_id, set_id)
            found = await session.scalars(
                select(SkillSetVersion)
                .where(SkillSetVersion.set_id == set_id)
                .order_by(SkillSetVersion.number.desc())
            )
            return [_item(one) for one in found]

    async def create(self, account_id: str, set_id: str) -> VersionItem:
        """Freeze the saved rows; where nothing has changed since the last version, that one.

        Raises:
            NotFound: the account has no such set.
            Conflict: no row is saved.
        """
        async with self._db.session() as session:
            kept = await own_set(session, account_id, set_id, for_update=True)
            content = await _content(session, kept)
            rows = content["rows"]
            if not rows:
                raise Conflict("no row of the set is saved.", fix="Save some first.")
            told = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
            last = await session.scalar(
                select(SkillSetVersion)
                .where(SkillSetVersion.set_id == set_id)
                .order_by(SkillSetVersion.number.desc())
                .limit(1)
            )
            if last is not None and last.content_hash == digest:
                return _item(last)
            train = sum(one["part"] == "train" for one in rows)
            version = SkillSetVersion(
                id=new_id("sver"),
                set_id=set_id,
                number=last.number + 1 if last is not None else 1,
                content_hash=digest,
                train=train,
                test=len(rows) - train,
                content=content,
                created_at=utc_now(),
            )
            session.add(version)
        return _item(version)

    async def changes(self, account_id: str, set_id: str, since: int, until: int | None) -> Changes:
        """What differs between a version and another one, or (None) the saved rows of now.

        Raises:
            NotFound: the account has no such set, or the set no such version.
        """
        _, about, rows = await self.content(account_id, set_id, since)
        _, about_then, rows_then = await self.content(account_id, set_id, until)
        told = [name for name in about if about[name] != about_then.get(name)]
        return _changes(told, rows, rows_then)

    async def content(
        self, account_id: str, set_id: str, number: int | None
    ) -> tuple[str, dict[str, Any], list[RowValue]]:
        """The id, the set and the rows of a version; without a number those of now, and no id.

        Raises:
            NotFound: the account has no such set, or the set no such version.
        """
        async with self._db.reading() as session:
            kept = await own_set(session, account_id, set_id)
            if number is None:
                version_id, content = "", await _content(session, kept)
            else:
                version = await own_version(session, set_id, number)
                found = await session.execute(
                    select(SkillSetVersion.content).where(SkillSetVersion.id == version.id)
                )
                version_id, content = version.id, found.scalar_one()
        return version_id, content["set"], [RowValue.model_validate(one) for one in content["rows"]]


def _changes(about: list[str], before: Sequence[RowValue], after: Sequence[RowValue]) -> Changes:
    left, added = _without(before, after), _without(after, before)
    # A query of both that is not the same row has been changed.
    by_words: dict[str, list[RowValue]] = {}
    for one in left:
        by_words.setdefault(words(one.query), []).append(one)
    changed: list[ChangedRow] = []
    new: list[RowValue] = []
    for one in added:
        earlier = by_words.get(words(one.query))
        if earlier:
            changed.append(ChangedRow(before=earlier.pop(0), after=one))
        else:
            new.append(one)
    removed = [one for some in by_words.values() for one in some]
    return Changes(about=about, added=new, removed=removed, changed=changed)


def _without(rows: Sequence[RowValue], others: Sequence[RowValue]) -> list[RowValue]:
    """The rows that are not among others; one that is there twice stands for two."""
    spare = Counter(map(_marked, others))
    left: list[RowValue] = []
    for one in rows:
        mark = _marked(one)
        if spare[mark]:
            spare[mark] -= 1
        else:
            left.append(one)
    return left


def _marked(row: RowValue) -> str:
    return json.dumps(row.model_dump(mode="json"), sort_keys=True)


async def _content(session: AsyncSession, kept: SkillSet) -> dict[str, Any]:
    found = await session.scalars(
        select(SkillSetRow)
        .where(SkillSetRow.set_id == kept.id, SkillSetRow.status == "saved")
        .order_by(SkillSetRow.id)
    )
    return {
        "set": {name: getattr(kept, name) for name in ("name", "description", "tone", "format", "skills")},
        "rows": [RowValue.model_validate(one, from_attributes=True).model_dump(mode="json") for one in found],
    }


def _item(version: SkillSetVersion) -> VersionItem:
    return VersionItem.model_validate(version, from_attributes=True)
