"""Published formats of logs: what their files mean, so that nobody has to write a schema for them.

amazon_seq     one user a line, `user item item ...` in order of time (ICLRec's copies of Amazon 2014)
recbole        atomic files: NAME.inter with typed columns, and NAME.item beside it where there is one
amazon2018     NAME_5.json.gz with reviews, and meta_NAME.json.gz beside it; the text of an item is its
               title, categories and brand (as LMRec reads it)
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from malmoi.core.errors import InvalidInput
from malmoi.users.data.columns import read_header
from malmoi.users.data.database import Database
from malmoi.users.data.schema import ItemFiles, Source
from malmoi.users.logs import Items, Logs

_ATOMIC = re.compile(r"\w+:(token|token_seq|float|float_seq)")
_BATCH = 20_000  # lines


def expand(source: Source, path: Path) -> Source:
    """The source with the columns that its published format has; itself where it has none.

    Raises:
        InvalidInput: the file is not of that format, or lacks the one beside it.
    """
    known = source.format
    if known == "recbole" or (known == "auto" and path.name.removesuffix(".gz").endswith(".inter")):
        return _recbole(source, path)
    if known == "amazon2018":
        return _amazon2018(source, path)
    return source


def _recbole(source: Source, path: Path) -> Source:
    columns = read_header(path, "\t", "")
    wrong = [name for name in columns if not _ATOMIC.fullmatch(name)]
    named = {name.partition(":")[0]: name for name in columns}
    if wrong or "user_id" not in named or "item_id" not in named:
        raise InvalidInput(
            f"{path} is no atomic file: its columns are {', '.join(columns[:10])}.",
            field="format",
            fix="The first line must name typed columns: user_id:token, item_id:token, timestamp:float ...",
        )
    items = source.items
    beside = path.with_name(re.sub(r"\.inter(\.gz)?$", r".item\1", path.name))
    if items is None and beside.is_file():
        items = _atomic_items(beside)
    return source.model_copy(
        update={
            "user": named["user_id"],
            "item": named["item_id"],
            "time": named.get("timestamp"),
            "time_unit": "s",
            "delimiter": "\t",
            "quote": "",
            "items": items,
        }
    )


def _atomic_items(path: Path) -> ItemFiles:
    columns = [name for name in read_header(path, "\t", "") if _ATOMIC.fullmatch(name)]
    item = next((name for name in columns if name.startswith("item_id:")), None)
    words = [name for name in columns if name.partition(":")[2] in ("token", "token_seq") and name != item]
    if item is None or not words:
        raise InvalidInput(f"{path} is no atomic file of items with texts.", field="items")
    template = " ".join(f'{{{{ row["{name}"] }}}}' for name in words)
    return ItemFiles(files=(str(path),), item=item, template=template, delimiter="\t", quote="")


def _amazon2018(source: Source, path: Path) -> Source:
    items = source.items
    if items is None:
        stem = re.sub(r"(_5)?\.json(\.gz)?$", "", path.name)
        beside = next(
            (at for end in (".json.gz", ".json") if (at := path.with_name(f"meta_{stem}{end}")).is_file()),
            None,
        )
        if beside is None:
            raise InvalidInput(
                f"{path}: the file with its items, meta_{stem}.json.gz, is not beside it.",
                field="items",
                fix="Put it there, or name it in the schema: [sources.items].",
            )
        template = "{{ title }} {{ (category or []) | join(' ') }} {{ brand }}"
        items = ItemFiles(files=(str(beside),), item="asin", template=template)
    columns = {
        "user": "reviewerID",
        "item": "asin",
        "time": "unixReviewTime",
        "time_unit": "s",
        "items": items,
    }
    return source.model_copy(update=columns)


def read_amazon_seq(path: Path, *, service: str = "shop") -> Logs:
    """Sequences of one user a line, without times and texts.

    Raises:
        InvalidInput: a line does not hold a user and items; the message names it.
    """
    users, lengths, parts = [], [], []
    for row, (user, items) in enumerate(_sequences(path), 1):
        if not items:
            raise InvalidInput(f"{path}, row {row}: {user!r} has no items.")
        users.append(user)
        lengths.append(len(items))
        parts.append(items)
    if not users:
        raise InvalidInput(f"{path} is empty.")
    flat = [item for items in parts for item in items]
    ids = list(dict.fromkeys(flat))
    numbers = {item: number for number, item in enumerate(ids)}
    return Logs(
        users=tuple(users),
        items=Items(tuple(ids), tuple(ids), (service,), np.zeros(len(ids), dtype=np.int16)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        events=np.fromiter((numbers[item] for item in flat), dtype=np.int32, count=len(flat)),
    )


def stage_amazon_seq(database: Database, number: int, path: Path, service: str, limit: int | None) -> int:
    """Put the sequences into the import's events; how many rows there were.

    Raises:
        InvalidInput: the file cannot be read.
    """
    import pyarrow as pa

    rows = place = 0
    lines = islice(_sequences(path), limit)
    while batch := list(islice(lines, _BATCH)):
        people = [user for user, items in batch for _ in items]
        things = [item for _, items in batch for item in items]
        bad = [rows + at for at, (_, items) in enumerate(batch, 1) if not items]
        columns: dict[str, Any] = {
            "place": range(place, place + len(people)),
            "person": people,
            "item": things,
        }
        database.register("sequences", pa.table({name: pa.array(values) for name, values in columns.items()}))
        if people:
            sql = "INSERT INTO events SELECT ?, place, person, item, ?, NULL FROM sequences"
            database.run(sql, [number, service])
        database.unregister("sequences")
        for row in bad:
            database.run("INSERT INTO rejects VALUES (?, ?, ?, '')", [number, row, _NO_ITEMS])
        if bad:
            database.run("INSERT INTO counted VALUES (?, ?, ?)", [number, _NO_ITEMS, len(bad)])
        rows, place = rows + len(batch), place + len(people)
    return rows


_NO_ITEMS = "the line has no items"


def _sequences(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    user, *items = line.split()
                    yield user, items
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as lines of `user item item ...`: {error}.") from error
