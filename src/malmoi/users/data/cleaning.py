"""From all events to those that are kept: duplicates, order, unknown items, long histories, the k-core.

`kept` is a view: of all events at first, then of a new table for every step that drops any.
"""

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Progress
from malmoi.users.data.database import Database
from malmoi.users.data.schema import ImportSettings
from malmoi.users.data.staging import StagedFile

NEWEST_FIRST = "time DESC, file DESC, row DESC"
OLDEST_FIRST = "time, file, row"


def clean(
    database: Database, files: list[StagedFile], settings: ImportSettings, progress: Progress
) -> tuple[dict[str, int], dict[str, int]]:
    """Make the view `kept`; the events dropped by reason, and what else was seen.

    Raises:
        InvalidInput: some files have times and some have not, or nothing is left.
    """
    dropped: dict[str, int] = {}
    noted: dict[str, int] = {}
    _require_times(database)
    database.run("CREATE OR REPLACE VIEW kept AS SELECT * FROM events")
    everything = left = database.number("SELECT count(*) FROM kept")
    if not everything:
        raise InvalidInput("the files hold no events.", field="files")

    def note(reason: str) -> None:
        nonlocal left
        now = database.number("SELECT count(*) FROM kept")
        if now < left:
            dropped[reason] = left - now
        left = now

    backwards = database.number(
        "SELECT count(*) FROM (SELECT time < lag(time) OVER (PARTITION BY person, file ORDER BY row) AS back "
        "FROM kept) WHERE back"
    )
    if backwards:
        noted["events out of order of time, sorted"] = backwards
    if settings.duplicates == "drop" and database.number(
        "SELECT count(*) FROM (SELECT 1 FROM kept WHERE time IS NOT NULL "
        "GROUP BY person, service, item, time HAVING count(*) > 1)"
    ):
        _keep(
            database,
            "SELECT * FROM kept QUALIFY time IS NULL OR "
            "row_number() OVER (PARTITION BY person, service, item, time ORDER BY file, row) = 1",
        )
        note("duplicate")
    _unknown_items(database, files, settings, noted)
    note("item not in the files of items")
    long = database.number(
        "SELECT count(*) FROM (SELECT person FROM kept GROUP BY person HAVING count(*) > ?)",
        [settings.max_history],
    )
    if long:
        noted["users with more events than max_history, cut to the most recent"] = long
        _keep(
            database,
            "SELECT * FROM kept QUALIFY "  # noqa: S608 - words of ours
            f"row_number() OVER (PARTITION BY person ORDER BY {NEWEST_FIRST}) <= ?",
            settings.max_history,
        )
        note("older than max_history")
    _core(database, settings, progress)
    note("user or item with too few events")
    if not left:
        raise InvalidInput(
            f"none of {everything:,} events is left: "
            + ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
            + ".",
            field="min_user",
            fix="Lower min_user and min_item.",
        )
    return dropped, noted


def _keep(database: Database, sql: str, *values: int) -> None:
    """Let `kept` be what a query over `kept` gives."""
    tables = database.rows("SELECT table_name FROM duckdb_tables() WHERE table_name IN ('kept_a', 'kept_b')")
    new, old = ("kept_b", "kept_a") if ("kept_a",) in tables else ("kept_a", "kept_b")
    database.run(f"CREATE OR REPLACE TABLE {new} AS {sql}", values)
    database.run(f"CREATE OR REPLACE VIEW kept AS SELECT * FROM {new}")  # noqa: S608 - a name of ours
    database.run(f"DROP TABLE IF EXISTS {old}")


def _require_times(database: Database) -> None:
    untimed = database.rows(
        "SELECT path, time IS NULL FROM files JOIN (SELECT file, any_value(time) AS time FROM events "
        "GROUP BY file) AS timed ON timed.file = files.number"
    )
    without = [path for path, is_null in untimed if is_null]
    if without and len(without) < len(untimed):
        raise InvalidInput(
            f"{without[0]} has no times, but other files have.",
            field="time",
            fix="Events of several files can be put in order only where all have times.",
        )


def _unknown_items(
    database: Database, files: list[StagedFile], settings: ImportSettings, noted: dict[str, int]
) -> None:
    """Events whose item is in none of the files of items of their service, where there are such files."""
    unknown = (
        "SELECT kept.file, kept.row FROM kept JOIN catalogued ON catalogued.service = kept.service "
        "ANTI JOIN (SELECT DISTINCT item, service FROM words WHERE level = 0) AS catalog "
        "ON catalog.item = kept.item AND catalog.service = kept.service"
    )
    database.run(
        "CREATE OR REPLACE TEMP TABLE catalogued AS SELECT DISTINCT service FROM words WHERE level = 0"
    )
    count = database.number(f"SELECT count(*) FROM ({unknown})")  # noqa: S608 - words of ours
    if not count:
        return
    drop = any(source.items is not None and source.items.unknown == "drop" for source in settings.sources)
    if drop:
        _keep(
            database,
            f"SELECT kept.* FROM kept ANTI JOIN ({unknown}) AS lost "  # noqa: S608
            "ON lost.file = kept.file AND lost.row = kept.row",
        )
    else:
        noted["events with items that are not in the files of items, their id is their text"] = count


def _core(database: Database, settings: ImportSettings, progress: Progress) -> None:
    """Drop users and items with too few events until none is left that has."""
    if settings.min_user == 1 and settings.min_item == 1:
        return
    with progress.task("dropping rare users and items", unit="rounds") as task:
        before = -1
        while (now := database.number("SELECT count(*) FROM kept")) != before:
            before = now
            _keep(
                database,
                "SELECT kept.* FROM kept SEMI JOIN "
                "(SELECT service, item FROM kept GROUP BY service, item HAVING count(*) >= ?) AS known "
                "ON known.service = kept.service AND known.item = kept.item",
                settings.min_item,
            )
            _keep(
                database,
                "SELECT kept.* FROM kept SEMI JOIN "
                "(SELECT person FROM kept GROUP BY person HAVING count(*) >= ?) AS active "
                "ON active.person = kept.person",
                settings.min_user,
            )
            task.advance()
