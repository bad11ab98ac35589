"""The skill trainer as one service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from malmoi.serve.skills.trainer.exporting import read_lines, to_csv, to_lines
from malmoi.serve.skills.trainer.measuring import SkillSetMeasures
from malmoi.serve.skills.trainer.rows import SkillSetRows
from malmoi.serve.skills.trainer.sets import SkillSets
from malmoi.serve.skills.trainer.versions import SkillSetVersions

if TYPE_CHECKING:
    from malmoi.assist.skills.limits import SkillLimits
    from malmoi.assist.skills.routing import Embed
    from malmoi.serve.db import Database
    from malmoi.serve.inference import Inference
    from malmoi.serve.skills.registry import SkillRegistry
    from malmoi.serve.skills.runs import SkillRuns
    from malmoi.serve.skills.trainer.types import ImportBody, Part


class Trainer:
    """Sets, rows, versions and measurements of one server.

    Args:
        db: the database.
        registry: which skills there are.
        runs: where stages are copied from.
        embed: unit-length vectors of texts.
        limits: of every run.
        inference: runs models.
    """

    def __init__(
        self,
        db: Database,
        registry: SkillRegistry,
        runs: SkillRuns,
        embed: Embed,
        limits: SkillLimits,
        inference: Inference,
    ) -> None:
        self._registry = registry
        self.sets = SkillSets(db, registry)
        self.rows = SkillSetRows(db, registry, runs)
        self.versions = SkillSetVersions(db)
        self.measures = SkillSetMeasures(db, registry, self.versions, embed, limits, inference)

    async def close(self) -> None:
        """Stop what runs in the background."""
        await self.measures.close()

    async def lines(
        self, account_id: str, set_id: str, *, number: int | None, part: Part | None
    ) -> tuple[str, int]:
        """Saved rows as JSON lines, and how many had nothing to learn; without a number those of now.

        Raises:
            NotFound: the account has no such set, or the set no such version.
            SkillUnavailable: a skill of the set cannot be opened.
        """
        _, about, rows = await self.versions.content(account_id, set_id, number)
        skills = [await self._registry.load(name, account_id) for name in about["skills"]]
        return to_lines(about, [one for one in rows if part in (None, one.part)], skills)

    async def table(self, account_id: str, set_id: str, *, number: int | None, part: Part | None) -> str:
        """Saved rows in the Studio's columns, as CSV.

        Raises:
            NotFound: the account has no such set, or the set no such version.
        """
        _, about, rows = await self.versions.content(account_id, set_id, number)
        return to_csv(about, [one for one in rows if part in (None, one.part)])

    async def read(self, account_id: str, set_id: str, body: ImportBody) -> int:
        """Add rows that were exported, all of them or none; how many.

        Raises:
            NotFound: the account has no such set.
            InvalidInput: a line is wrong, or its call does not fit the set's skills.
        """
        await self.sets.get(account_id, set_id)
        return len(await self.rows.add(account_id, set_id, read_lines(body.text, body.part)))
