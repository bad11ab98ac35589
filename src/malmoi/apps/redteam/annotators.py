"""Annotators: each account works under a pseudonym, with settings that look after the person."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.redteam.tables import Annotator
from malmoi.apps.redteam.types import AnnotatorOut, AnnotatorPatch
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.identity import Principal, Scope

BREAK_MINUTES = 25
"""Minutes after which a break is due, unless an annotator chooses otherwise."""


class Annotators:
    """Finds and changes the annotator of an account."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def me(self, principal: Principal) -> AnnotatorOut:
        """The caller's annotator; made at the first call."""
        async with self._db.session() as session:
            annotator = await self._find_or_add(session, principal.account_id)
        return _shown(annotator, principal)

    async def change(self, principal: Principal, patch: AnnotatorPatch) -> AnnotatorOut:
        """Change how the caller works."""
        async with self._db.session() as session:
            annotator = await self._find_or_add(session, principal.account_id)
            changes = patch.model_dump(exclude_none=True)
            if changes.pop("warned", False) and annotator.warned_at is None:
                annotator.warned_at = utc_now()
            # A new object: the database sees no change inside the old one.
            annotator.settings = {**annotator.settings, **changes}
        return _shown(annotator, principal)

    async def id_of(self, account_id: str) -> str:
        """The pseudonym of an account; made at the first call."""
        async with self._db.reading() as session:
            found = await session.scalar(select(Annotator.id).where(Annotator.account_id == account_id))
        if found is not None:
            return found
        async with self._db.session() as session:
            return (await self._find_or_add(session, account_id)).id

    async def _find_or_add(self, session: AsyncSession, account_id: str) -> Annotator:
        query = select(Annotator).where(Annotator.account_id == account_id).with_for_update()
        found = await session.scalar(query)
        if found is None:
            found = Annotator(
                id=new_id("ann"), account_id=account_id, settings={}, warned_at=None, created_at=utc_now()
            )
            session.add(found)
            await session.flush()
        return found


def _shown(annotator: Annotator, principal: Principal) -> AnnotatorOut:
    return AnnotatorOut(
        id=annotator.id,
        blur=annotator.settings.get("blur", False),
        break_minutes=annotator.settings.get("break_minutes", BREAK_MINUTES),
        warned=annotator.warned_at is not None,
        sees_results=principal.may(Scope.REDTEAM_RESULTS),
    )
