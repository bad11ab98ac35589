"""A simulated company as files, such as a real one would hand over."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from malmoi.core.files import write_text
from malmoi.users.simulate.generator import Simulation

COLUMNS = ("user", "item", "time", "title")


def write_simulation(made: Simulation, folder: Path, layout: Literal["csv", "jsonl"]) -> list[Path]:
    """One file of events a service, traits.csv, and schema.toml by which they are imported."""
    folder.mkdir(parents=True, exist_ok=True)
    logs = made.logs
    assert logs.times is not None, "a simulation has times"
    owners = np.repeat(np.arange(len(logs)), logs.lengths)
    written, sources = [], []
    for number, service in enumerate(logs.items.services):
        own = np.flatnonzero(logs.items.service[logs.events] == number)
        own = own[np.argsort(logs.times[own], kind="stable")]
        rows = [
            (
                logs.users[owners[at]],
                logs.items.ids[logs.events[at]],
                datetime.fromtimestamp(int(logs.times[at]), UTC).isoformat(),
                logs.items.texts[logs.events[at]],
            )
            for at in own.tolist()
        ]
        path = folder / f"{service}.{layout}"
        if layout == "csv":
            write_text(path, _csv([COLUMNS, *rows]))
        else:
            lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in rows]
            write_text(path, "".join(line + "\n" for line in lines))
        written.append(path)
        sources.append(f'[[sources]]\nfiles = ["{path.name}"]\nservice_name = "{service}"\ntext = "title"\n')
    names = list(made.traits)
    values = zip(*(made.traits[name].tolist() for name in names), strict=True)
    traits = [(user, *row) for user, row in zip(logs.users, values, strict=True)]
    write_text(folder / "traits.csv", _csv([("user", *names), *traits]))
    write_text(folder / "schema.toml", "\n".join(sources))
    return [*written, folder / "traits.csv", folder / "schema.toml"]


def write_traits(made: Simulation, path: Path) -> None:
    """The traits of users as Parquet: user, booking, campaign, region."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: values.tolist() for name, values in made.traits.items()}
    pq.write_table(pa.table({"user": list(made.logs.users), **columns}), path)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
