import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from malmoi.core.errors import ConfigError, DiskFull
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import Account, BrowserSession, LoginAttempt
from malmoi.serve.settings import DatabaseSettings, ServeSettings


def an_account(name: str = "kim") -> Account:
    return Account(id=new_id("acc"), name=name, name_key=name, role="member", created_at=utc_now())


async def count(database: Database, table: str) -> int:
    async with database.reading() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_another_process_that_leaves_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "malmoi.db"
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    async with database.reading() as one, database.reading() as other:  # two connections of the pool
        await one.execute(text("SELECT count(*) FROM accounts"))
        await other.execute(text("SELECT count(*) FROM accounts"))
    log = path.with_name("malmoi.db-wal")
    before = log.stat().st_ino
    leave = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version'); c.close()"
    )
    subprocess.run([sys.executable, "-c", leave, str(path)], check=True, timeout=20)
    assert log.stat().st_ino == before
    async with database.session() as session:
        session.add(an_account())
    await database.close()
    found = sqlite3.connect(path)
    assert found.execute("SELECT name FROM accounts").fetchall() == [("kim",)]
    found.close()


async def test_a_session_commits_at_its_end_and_rolls_back_on_an_error(database: Database) -> None:
    async with database.session() as session:
        session.add(an_account("kim"))

    async def fail() -> None:
        async with database.session() as session:
            session.add(an_account("lee"))
            await session.flush()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await fail()
    assert await count(database, "accounts") == 1


async def test_a_cancelled_session_rolls_back_and_lets_others_on(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.session() as session:
            session.add(an_account("kim"))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.session() as session:
        session.add(an_account("lee"))
    assert await count(database, "accounts") == 1


async def test_objects_stay_usable_after_their_session(database: Database) -> None:
    async with database.session() as session:
        account = an_account("kim")
        session.add(account)
    assert account.name == "kim"


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            session.add(
                BrowserSession(token_hash="x", account_id="nobody", created_at=utc_now(), seen_at=utc_now())
            )


async def test_times_come_back_in_utc(database: Database) -> None:
    seoul = timezone(timedelta(hours=9))
    written = datetime(2026, 3, 1, 8, 30, 15, 123456, tzinfo=seoul)
    async with database.session() as session:
        session.add(LoginAttempt(id="a", subject="name:kim", at=written))
    async with database.reading() as session:
        read = (await session.scalars(select(LoginAttempt.at))).one()
        found = (await session.scalars(select(LoginAttempt.id).where(LoginAttempt.at <= written))).all()
    assert read == written
    assert read.utcoffset() == timedelta(0)
    assert read.astimezone(UTC).day == 28
    assert found == ["a"]


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="zone"):
        async with database.session() as session:
            session.add(LoginAttempt(id="a", subject="name:kim", at=datetime(2026, 1, 1)))


async def test_fifty_writers_lose_no_update(database: Database) -> None:
    async with database.session() as session:
        session.add(an_account("0"))

    async def increment() -> None:
        async with database.session() as session:
            account = (await session.scalars(select(Account).with_for_update())).one()
            await asyncio.sleep(0)
            account.name = str(int(account.name) + 1)

    await asyncio.gather(*(increment() for _ in range(50)))
    async with database.reading() as session:
        assert (await session.scalars(select(Account.name))).one() == "50"


async def test_a_session_inside_a_session_is_an_error_not_a_deadlock(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'a.sqlite'}")
    async with database.session():
        with pytest.raises(RuntimeError, match="pass the outer session on"):
            async with database.session():
                pass
    await database.close()


async def test_reading_goes_on_while_somebody_writes(database: Database) -> None:
    async with database.session() as session:
        session.add(an_account("kim"))
        await session.flush()
        assert await count(database, "accounts") == 0


async def test_sqlite_is_in_wal_mode_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "malmoi.sqlite"
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    async with database.reading() as session:
        for pragma, value in {
            "journal_mode": "wal",
            "synchronous": 1,
            "foreign_keys": 1,
            "busy_timeout": 10_000,
        }.items():
            assert (await session.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await database.close()


@pytest.mark.parametrize("url", ["mysql://h/d", "not a url", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        Database.open(url)


async def test_a_server_that_is_not_there_is_a_clear_error_without_the_password() -> None:
    database = Database.open("postgresql://malmoi:S3cret-canary@127.0.0.1:1/none?connect_timeout=3")
    with pytest.raises(ConfigError, match="cannot open the database") as caught:
        await database.migrate()
    assert "S3cret-canary" not in str(caught.value)
    await database.close()


async def fill(database: Database) -> None:
    for number in range(400):
        async with database.session() as session:
            session.add_all(an_account(f"{number}.{i}" + "x" * 40) for i in range(50))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
async def test_a_full_disk_is_a_typed_error_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "none", disk], check=False).returncode
    ):
        pytest.skip("cannot mount a small disk here")
    database = Database.open(f"sqlite:///{disk / 'malmoi.sqlite'}")
    try:
        await database.migrate()
        with pytest.raises(DiskFull, match="no room"):
            await fill(database)
        kept = await count(database, "accounts")
        assert kept % 50 == 0
        async with database.reading() as session:
            assert (await session.execute(text("PRAGMA integrity_check"))).scalar_one() == "ok"
    finally:
        await database.close()
        subprocess.run(["umount", disk], check=True)


async def test_the_database_of_the_settings_lies_under_home(tmp_path: Path) -> None:
    home = tmp_path / "what? 100% 말모이#1"
    database = Database.of(ServeSettings(home=home))
    await database.migrate()
    assert (home / "malmoi.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [home.name]
    await database.close()
    named = ServeSettings(home=home, database=DatabaseSettings(url=f"sqlite:///{tmp_path / 'other.db'}"))
    assert Database.of(named).url.database == str(tmp_path / "other.db")
