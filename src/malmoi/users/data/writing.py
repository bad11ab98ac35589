"""From the import's database to the files of logs, a part at a time."""

from pathlib import Path

import numpy as np

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import Progress
from malmoi.users.data.cleaning import OLDEST_FIRST
from malmoi.users.data.database import Database
from malmoi.users.data.staging import StagedFile
from malmoi.users.data.texts import tidy
from malmoi.users.logs import Items, save_items


def write_logs(database: Database, files: list[StagedFile], out: Path, progress: Progress) -> dict[str, int]:
    """Fill `out` with what `load_logs` reads; what was seen of the items' texts.

    Users are in order of their first event in the files, items in order of service and id.
    """
    database.run(
        "CREATE OR REPLACE TABLE people AS "
        "SELECT person, events, row_number() OVER (ORDER BY first) - 1 AS number "
        "FROM (SELECT person, count(*) AS events, min(file * (1::BIGINT << 44) + row) AS first "
        "FROM kept GROUP BY person)"
    )
    database.run(
        "CREATE OR REPLACE TABLE things AS "
        "SELECT service, item, row_number() OVER (ORDER BY service, item) - 1 AS number "
        "FROM (SELECT DISTINCT service, item FROM kept)"
    )
    noted = _write_items(database, files, out, progress)
    _write_users(database, out)
    _write_events(database, out, progress)
    return noted


def _write_items(
    database: Database, files: list[StagedFile], out: Path, progress: Progress
) -> dict[str, int]:
    by_number = {file.number: file for file in files}
    templates = {file.number: file.texts for file in files if file.texts.is_given}
    ids: list[str] = []
    texts: list[str] = []
    names: list[str] = []
    empty = failed = 0
    said = ""
    total = database.number("SELECT count(*) FROM things")
    with progress.task("rendering texts", total=total, unit="items") as task:
        for batch in database.batches(
            "SELECT things.service, things.item, best.file, best.fields FROM things LEFT JOIN "
            "(SELECT service, item, unnest(arg_min(struct_pack(file := file, fields := fields), "
            "level * (1::BIGINT << 60) + file * (1::BIGINT << 44) + row)) FROM words GROUP BY service, item) "
            "AS best ON best.service = things.service AND best.item = things.item ORDER BY things.number"
        ):
            for row in batch.to_pylist():
                text = ""
                if row["fields"] is not None:
                    try:
                        text = templates[row["file"]].render(row["fields"])
                    except MalmoiError as error:
                        failed += 1
                        said = said or f"{by_number[row['file']].path}, item {row['item']}: {error}"
                    else:
                        empty += not text
                ids.append(row["item"])
                names.append(row["service"])
                texts.append(text or tidy(row["item"]))
            task.advance(batch.num_rows)
    services = sorted(set(names))
    numbers = {name: number for number, name in enumerate(services)}
    service = np.array([numbers[name] for name in names], dtype=np.int16)
    save_items(Items(tuple(ids), tuple(texts), tuple(services), service), out)
    noted = {}
    if empty:
        noted["items without text, their id is their text"] = empty
    if failed:
        noted["items whose template failed, their id is their text"] = failed
        progress.note(said)
    return noted


def _write_users(database: Database, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("user", pa.string())])
    lengths = [np.zeros(1, dtype=np.int64)]
    with pq.ParquetWriter(out / "users.parquet", schema) as writer:
        for batch in database.batches("SELECT person, events FROM people ORDER BY number"):
            writer.write_table(pa.table({"user": batch.column("person").cast(pa.string())}, schema=schema))
            lengths.append(batch.column("events").to_numpy(zero_copy_only=False).astype(np.int64))
    np.save(out / "offsets.npy", np.cumsum(np.concatenate(lengths)), allow_pickle=False)


def _write_events(database: Database, out: Path, progress: Progress) -> None:
    from numpy.lib.format import open_memmap

    total = database.number("SELECT count(*) FROM kept")
    timed = database.number("SELECT count(time) FROM kept") > 0
    events = open_memmap(out / "events.npy", mode="w+", dtype=np.int32, shape=(total,))
    times = open_memmap(out / "times.npy", mode="w+", dtype=np.int64, shape=(total,)) if timed else None
    at = 0
    with progress.task("writing", total=total, unit="events") as task:
        for batch in database.batches(
            "SELECT things.number AS item, time FROM kept JOIN people USING (person) "  # noqa: S608
            f"JOIN things USING (service, item) ORDER BY people.number, {OLDEST_FIRST}"
        ):
            place = slice(at, at + batch.num_rows)
            events[place] = batch.column("item").to_numpy(zero_copy_only=False)
            if times is not None:
                times[place] = batch.column("time").to_numpy(zero_copy_only=False)
            at += batch.num_rows
            task.advance(batch.num_rows)
    events.flush()
    if times is not None:
        times.flush()
