"""The parts of the workbench, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from malmoi.apps.redteam.annotators import Annotators
from malmoi.apps.redteam.exports import preference_rows, render_rows, sft_rows
from malmoi.apps.redteam.findings import read_findings
from malmoi.apps.redteam.replies import Replies
from malmoi.apps.redteam.scoring import Scoring
from malmoi.apps.redteam.sessions import Sessions
from malmoi.apps.redteam.statistics import Statistics, build_statistics
from malmoi.apps.redteam.types import GridOut, HelpLine
from malmoi.assist.guard.data import help_lines
from malmoi.tasks.redteam.grid import load_grid

if TYPE_CHECKING:
    from malmoi.serve.db import Database
    from malmoi.serve.inference import Inference

_LINES = ("suicide_109", "mental_15770199", "lifeline_15889191", "youth_1388")
"""Whom annotators can turn to."""


class Redteam:
    """What the routes call.

    Attributes:
        annotators: who works, by pseudonym.
        replies: what the models say.
        sessions: attacks and their course.
        scoring: scores and rewritten answers.
    """

    def __init__(self, db: Database, inference: Inference) -> None:
        self._db = db
        self.annotators = Annotators(db)
        self.replies = Replies(db, inference)
        self.sessions = Sessions(db, inference, self.replies)
        self.scoring = Scoring(db)

    def grid(self) -> GridOut:
        """The grid, and whom annotators can turn to."""
        lines = [help_lines()[name] for name in _LINES]
        return GridOut(
            grid=load_grid(),
            help_lines=[
                HelpLine(number=line.number, name=dict(line.name), about=dict(line.about)) for line in lines
            ],
        )

    async def statistics(self, annotator_id: str, threshold: int) -> Statistics:
        """Success rates and agreement over all finished sessions."""
        found = await read_findings(self._db)
        # A thousand resamples of each figure would hold up the other requests.
        return await asyncio.to_thread(build_statistics, found, me=annotator_id, threshold=threshold)

    async def export_sft(self) -> bytes:
        """Rewritten answers, as JSON Lines."""
        return render_rows(sft_rows(await read_findings(self._db)))

    async def export_pairs(self) -> bytes:
        """Preference pairs, as JSON Lines."""
        return render_rows(preference_rows(await read_findings(self._db)))
