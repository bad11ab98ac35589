"""The database: SQLite by default, PostgreSQL by URL, one asynchronous interface.

SQLite runs in WAL mode with `synchronous=NORMAL`: a crash of the program loses nothing, a power cut may lose
the last transactions but never corrupts. A writing session takes SQLite's write lock at its first statement
(`BEGIN IMMEDIATE`), so that what it has read still holds when it writes; sessions of one process queue in
order instead of polling the lock. On PostgreSQL, a session that reads and then writes must lock what it reads
(`with_for_update`).
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from sqlalchemy import URL, NullPool, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from malmoi.core.errors import ConfigError, DiskFull, MissingExtra

if TYPE_CHECKING:
    from malmoi.serve.settings import ServeSettings

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_BUSY_TIMEOUT_MS = 10_000  # how long a writer waits for another process
_LITTLE_ROOM = 1024 * 1024  # bytes; an input/output error with less room than this means "full"


class Database:
    """An open database: `Database.open(url)`, then `await migrate(...)`, and at the end `await close()`."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self._engine = _create_engine(url)
        self._write_lock = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None

    @classmethod
    def open(cls, url: str) -> Self:
        """Prepare connections to `sqlite:///file` or `postgresql://user@host/name`; nothing is read yet.

        Raises:
            ConfigError: the URL is not one of a supported database.
            MissingExtra: the driver of PostgreSQL is not installed.
        """
        return cls(_parse_url(url))

    @classmethod
    def of(cls, settings: "ServeSettings") -> Self:
        """As `open`, for the database of the settings: `malmoi.db` under their home unless they name one.

        Raises:
            ConfigError: the URL is not one of a supported database.
            MissingExtra: the driver of PostgreSQL is not installed.
        """
        if settings.database.url is not None:
            return cls.open(settings.database.url)
        # Not put together as text: a home directory may have a question mark in its name.
        return cls(_absolute(URL.create("sqlite+aiosqlite", database=str(settings.home / "malmoi.db"))))

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database this is."""
        return "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"

    @property
    def safe_url(self) -> str:
        """The URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write: committed at the end of the block, rolled back when the block raises.

        Keep it short, and never hold it while a model generates: on SQLite it is the only writer. Use
        `reading()` for queries. Objects stay usable after the block.

        Raises:
            DiskFull: there is no room for the change; nothing was changed.
        """
        if self.dialect != "sqlite":
            async with self._transaction(write=True) as session:
                yield session
            return
        task = asyncio.current_task()
        if task is not None and task is self._writer:
            raise RuntimeError("session() inside session() would wait for itself; pass the outer session on")
        async with self._write_lock:
            self._writer = task
            try:
                async with self._transaction(write=True) as session:
                    yield session
            finally:
                self._writer = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction for queries only: sees one state of the database and never waits for writers."""
        async with self._transaction(write=False) as session:
            yield session

    async def migrate(self, locations: Sequence[Path] = ()) -> None:
        """Bring the schema up to date: the server's own tables, then those of the apps at `locations`.

        Args:
            locations: folders of Alembic revision files, one branch each.

        Raises:
            ConfigError: the database cannot be reached, or was written by a newer version.
        """
        from malmoi.serve.db.migrate import upgrade

        async with self.connect_for_schema() as connection:
            await connection.run_sync(upgrade, locations, self.safe_url)

    @asynccontextmanager
    async def connect_for_schema(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which tables may be rebuilt, in one transaction, committed at the end of the block.

        On SQLite, foreign keys are not enforced on it: rebuilding a table drops it, and would take its
        children along.

        Raises:
            ConfigError: the database cannot be reached.
        """
        engine = _create_engine(self.url, for_schema=True)
        try:
            async with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            self._raise_if_full(error)
            if error.connection_invalidated or not _has_connected(error):
                raise ConfigError(
                    f"cannot open the database {self.safe_url}: {error.orig}.",
                    fix="Check database.url, and that the database runs.",
                ) from error
            raise
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, *, write: bool) -> AsyncIterator[AsyncSession]:
        engine = self._engine if write else self._engine.execution_options(malmoi_reading=True)
        session = AsyncSession(engine, expire_on_commit=False)
        try:
            yield session
            await session.commit()
        except DBAPIError as error:
            await session.rollback()
            self._raise_if_full(error)
            raise
        finally:
            # Also on cancellation: the connection must go back to the pool before anything else happens.
            await asyncio.shield(session.close())

    def _raise_if_full(self, error: DBAPIError) -> None:
        if _says_full(error.orig) or (self._is_out_of_room() and _says_io_error(error.orig)):
            raise DiskFull(
                f"there is no room left for the database {self.safe_url}; the change was not made.",
                fix="Free some space; the server goes on as soon as there is room.",
            ) from error

    def _is_out_of_room(self) -> bool:
        if self.dialect != "sqlite" or not self.url.database:
            return False
        return shutil.disk_usage(Path(self.url.database).parent).free < _LITTLE_ROOM


def _parse_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text is not repeated: it may hold a password.
        raise ConfigError("database.url is not a database URL.", fix=_URL_FIX) from error
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ConfigError(f"database.url names {url.drivername!r}, which is not supported.", fix=_URL_FIX)
    url = url.set(drivername=driver)
    if driver.startswith("sqlite"):
        if url.database in {None, "", ":memory:"}:
            raise ConfigError("database.url names no file.", fix=_URL_FIX)
        url = _absolute(url)
    return url


def _absolute(url: URL) -> URL:
    return url.set(database=str(Path(str(url.database)).expanduser().absolute()))


_URL_FIX = "Use sqlite:///FILE or postgresql://USER@HOST/NAME."


def _create_engine(url: URL, *, for_schema: bool = False) -> AsyncEngine:
    options: dict[str, Any] = {"poolclass": NullPool} if for_schema else {}
    if url.get_backend_name() != "sqlite":
        options |= {"pool_pre_ping": True} if not for_schema else {}
        try:
            return create_async_engine(url, **options)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise MissingExtra("PostgreSQL", "postgres") from error
    engine = create_async_engine(url, **options)
    _prepare_sqlite(engine, Path(str(url.database)), foreign_keys=not for_schema)
    return engine


def _prepare_sqlite(engine: AsyncEngine, path: Path, *, foreign_keys: bool) -> None:
    pragmas = (
        f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}",
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=NORMAL",
        "PRAGMA secure_delete=ON",  # what is deleted is overwritten in the file
        f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}",
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def create_private(*_: object) -> None:
        # The file holds conversations and key hashes: for this user only. SQLite's side files take its mode.
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A file that is there is never opened here: closing it would drop every lock that SQLite holds on it
        # in this process (POSIX), and another process that leaves would take the log away from under us.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own; see `begin`
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("malmoi_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _says_full(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(error, "sqlstate", None) == "53100"  # disk_full


def _says_io_error(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def _has_connected(error: DBAPIError) -> bool:
    return error.statement is not None
