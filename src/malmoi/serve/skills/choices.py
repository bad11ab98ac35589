"""What each account has chosen: the skills that are on, and its own credentials for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from malmoi.assist.skills.manifest import Auth
from malmoi.core.errors import InvalidInput
from malmoi.serve.db import utc_now
from malmoi.serve.skills.sealing import Sealer
from malmoi.serve.skills.tables import SkillCredentials, SkillSwitch

if TYPE_CHECKING:
    from malmoi.serve.db import Database

_LONGEST = 4000


class SkillChoices:
    """Switches and credentials. Every method takes the account.

    Args:
        db: the database.
        sealer: seals credentials.
    """

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

    async def switched_on(self, account_id: str) -> list[str]:
        """Names of the skills that are on, the latest last."""
        async with self._db.reading() as session:
            found = await session.execute(
                select(SkillSwitch.skill)
                .where(SkillSwitch.account_id == account_id)
                .order_by(SkillSwitch.created_at)
            )
            return list(found.scalars())

    async def switch(self, account_id: str, skill: str, *, on: bool) -> None:
        """Switch a skill on or off."""
        async with self._db.session() as session:
            row = await session.get(SkillSwitch, (account_id, skill))
            if on and row is None:
                session.add(SkillSwitch(account_id=account_id, skill=skill, created_at=utc_now()))
            elif not on and row is not None:
                await session.delete(row)

    async def credentials(self, account_id: str, skills: Sequence[str]) -> dict[str, dict[str, str]]:
        """The account's values, by skill. They go to calls and nowhere else."""
        async with self._db.reading() as session:
            found = await session.execute(
                select(SkillCredentials).where(
                    SkillCredentials.account_id == account_id, SkillCredentials.skill.in_(list(skills))
                )
            )
            rows = found.scalars().all()
        return {
            row.skill: self._sealer.open(row.sealed, account_id=account_id, skill=row.skill) for row in rows
        }

    async def keep(self, account_id: str, skill: str, auth: Auth, values: Mapping[str, str]) -> None:
        """Keep the account's values for a skill, in the place of all earlier ones.

        Raises:
            InvalidInput: a value that the skill does not ask for, is missing, or cannot be one.
        """
        needs = auth.needs()
        for name, value in values.items():
            if name not in needs:
                raise InvalidInput(f"the skill does not ask for {name!r}.", field=f"values.{name}")
            if len(value) > _LONGEST or any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
                # The value itself is not told.
                raise InvalidInput(f"{name} is too long or holds control signs.", field=f"values.{name}")
        missing = [name for name, need in needs.items() if need.required and not values.get(name)]
        if missing:
            raise InvalidInput(f"{', '.join(missing)} is missing.", field=f"values.{missing[0]}")
        sealed = self._sealer.seal(values, account_id=account_id, skill=skill)
        async with self._db.session() as session:
            row = await session.get(SkillCredentials, (account_id, skill))
            if row is None:
                session.add(
                    SkillCredentials(account_id=account_id, skill=skill, sealed=sealed, updated_at=utc_now())
                )
            else:
                row.sealed, row.updated_at = sealed, utc_now()

    async def forget(self, account_id: str, skill: str) -> None:
        """Delete the account's values for a skill."""
        async with self._db.session() as session:
            await session.execute(
                delete(SkillCredentials).where(
                    SkillCredentials.account_id == account_id, SkillCredentials.skill == skill
                )
            )
