"""A vector for every user of some logs, in one Parquet file; a run that was killed goes on.

out              the columns user and vector
.out.parts/      while it is made: a file for each stretch of users, which appears whole or not at all
"""

from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from malmoi.core.files import write_bytes
from malmoi.core.stage import Progress
from malmoi.users.logs import Logs
from malmoi.users.opening import OpenModel
from malmoi.users.ranking import match_items, renumbered

_BATCH = 256
STRETCH = 4096
"""Users of a part."""


def encode_logs(opened: OpenModel, logs: Logs, digest: str, out: Path, progress: Progress) -> None:
    """Encode all users of logs.

    Args:
        opened: the model.
        logs: whose users.
        digest: of the logs' content; parts of other logs or models are not gone on from.
        out: the file; it appears when all are encoded.
        progress: where it tells how far it is.

    Raises:
        Unsupported: the model gives no vectors.
        DiskFull: there is no room; what was encoded is kept.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = opened.encoder.size
    schema = pa.schema([("user", pa.string()), ("vector", pa.list_(pa.float32(), size))])
    schema = schema.with_metadata({"model": opened.version})
    folder = out.with_name(f".{out.name}.parts")
    key = sha256(f"{opened.version} {digest}".encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if not file.name.startswith(key):
            file.unlink()
    places = match_items(logs.items, opened.model.items)
    parts = []
    with progress.task("encoding", total=len(logs), unit="users") as task:
        for start in range(0, len(logs), STRETCH):
            users = range(start, min(start + STRETCH, len(logs)))
            parts.append(folder / f"{key}-{start}.parquet")
            if parts[-1].is_file():
                task.advance(len(users))
                continue
            vectors = np.empty((len(users), size), dtype=np.float32)
            for first in range(0, len(users), _BATCH):
                histories = [logs.history(user) for user in users[first : first + _BATCH]]
                if places is not None:
                    histories = [renumbered(history, places) for history in histories]
                vectors[first : first + len(histories)] = opened.encoder.encode(histories)
                task.advance(len(histories))
            _write(parts[-1], [logs.users[user] for user in users], vectors, schema)
    temporary = folder / f"{key}-whole"
    with pq.ParquetWriter(temporary, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
    temporary.replace(out)
    rmtree(folder)


def _write(path: Path, users: list[str], vectors: np.ndarray, schema: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(vectors.reshape(-1), type=pa.float32())
    columns = [pa.array(users, pa.string()), pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink)
    write_bytes(path, sink.getvalue().to_pybytes())
