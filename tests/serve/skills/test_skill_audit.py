"""The audit of skills, page by page: every row once, whatever the clocks did."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.serve.db import Database, new_id
from malmoi.serve.skills.runs import SkillRuns
from malmoi.serve.skills.tables import SkillAudit

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database.open(database_url)
    await database.migrate()
    yield database
    await database.close()


async def noted(db: Database, *moments: datetime, account: str = "acc_me") -> list[str]:
    """Rows that came in this order, at these times."""
    ids = [new_id("saudit") for _ in moments]
    async with db.session() as session:
        for row_id, at in zip(ids, moments, strict=True):
            session.add(
                SkillAudit(
                    id=row_id,
                    at=at,
                    account_id=account,
                    key_id=None,
                    run_id="run",
                    call_id="call",
                    skill="cars",
                    operation="book",
                    effect="write",
                    arguments_hash="",
                    arguments={},
                    status="ok",
                    milliseconds=1,
                )
            )
    return ids


async def paged(runs: SkillRuns, account: str | None, limit: int) -> list[str]:
    """The ids of all rows, read page by page."""
    read: list[str] = []
    for page in count():
        assert page < 20
        rows = await runs.audited(account, limit=limit, before=read[-1] if read else None)
        read += [row.id for row in rows]
        if len(rows) < limit:
            return read
    raise AssertionError


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_have_every_row_once(db: Database, limit: int) -> None:
    hour = timedelta(hours=1)
    # Three in one moment, and a clock that was set back.
    mine = await noted(db, NOON, NOON, NOON, NOON + hour, NOON - hour, NOON, NOON + hour)
    theirs = await noted(db, NOON, NOON - hour, account="acc_other")
    runs = SkillRuns(db)
    assert sorted(await paged(runs, "acc_me", limit)) == sorted(mine)
    assert sorted(await paged(runs, None, limit)) == sorted([*mine, *theirs])
    assert (await paged(runs, "acc_me", limit))[-1] == mine[4]  # the oldest, though it came late


async def test_a_page_does_not_begin_at_the_row_of_another(db: Database) -> None:
    (theirs,) = await noted(db, NOON, account="acc_other")
    for before in (theirs, "saudit_nowhere"):
        with pytest.raises(InvalidInput) as caught:
            await SkillRuns(db).audited("acc_me", limit=2, before=before)
        assert caught.value.field == "before"
