"""The import's own database: a file that may be larger than memory, which a killed import finds again.

    files(number, path, size, changed, rows)        read to the end
    events(file, row, person, item, service, time)
    words(level, file, row, item, service, fields)  columns of texts as JSON; level 0: from a file of items
    rejects(file, row, reason, value)               the first bad rows
    counted(file, reason, rows)                     all bad rows

Values are always bound, names always quoted, and no extension is fetched from anywhere.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput, MalmoiError
from malmoi.core.files import full

TABLES = (
    "files(number INTEGER, path VARCHAR, size BIGINT, changed BIGINT, rows BIGINT)",
    "events(file INTEGER, row BIGINT, person VARCHAR, item VARCHAR, service VARCHAR, time BIGINT)",
    "words(level INTEGER, file INTEGER, row BIGINT, item VARCHAR, service VARCHAR, fields VARCHAR)",
    "rejects(file INTEGER, row BIGINT, reason VARCHAR, value VARCHAR)",
    "counted(file INTEGER, reason VARCHAR, rows BIGINT)",
)


class Database:
    """One connection; use it in a `with`."""

    def __init__(self, folder: Path, *, memory: float, threads: int | None) -> None:
        import duckdb

        self._duckdb = duckdb
        config: dict[str, Any] = {
            "memory_limit": f"{memory * 1e9:.0f}B",
            "temp_directory": str(folder / "spilled"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": True,
        }
        if threads is not None:
            config["threads"] = threads
        path = folder / "import.duckdb"
        try:
            self._connection = duckdb.connect(str(path), config=config)
        except duckdb.Error:
            # Half-written by a process that was killed: reading again costs less than trusting it.
            path.unlink(missing_ok=True)
            path.with_suffix(".duckdb.wal").unlink(missing_ok=True)
            self._connection = duckdb.connect(str(path), config=config)
        self.run("SET TimeZone = 'UTC'")
        for table in TABLES:
            self.run(f"CREATE TABLE IF NOT EXISTS {table}")

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Execute one statement with bound values.

        Raises:
            MalmoiError: it needs more memory or disk than there is.
        """
        try:
            return self._connection.execute(sql, list(values))
        except self._duckdb.OutOfMemoryException as error:
            raise MalmoiError(
                f"the import needs more memory than it may take: {_first_line(error)}",
                fix="Raise `memory`, or free some disk space for what does not fit.",
            ) from error
        except self._duckdb.IOException as error:
            known = full(error, Path("the import's files"))
            if isinstance(known, MalmoiError):
                raise known from error
            raise InvalidInput(f"a file cannot be read: {_first_line(error)}") from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of the result."""
        found: list[tuple[Any, ...]] = self.run(sql, values).fetchall()
        return found

    def number(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The first number of the result."""
        return int(self.rows(sql, values)[0][0] or 0)

    def batches(self, sql: str, size: int = 200_000) -> Iterator[Any]:
        """The result as Arrow record batches, so that it is never in memory whole."""
        yield from self._connection.sql(sql).to_arrow_reader(size)

    def errors(self) -> Any:
        """What the database raises."""
        return self._duckdb.Error

    def register(self, name: str, table: Any) -> None:
        """Let an Arrow table be read by a name."""
        self._connection.register(name, table)

    def unregister(self, name: str) -> None:
        """Forget it."""
        self._connection.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing."""
        self.run("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self.run("COMMIT")


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
