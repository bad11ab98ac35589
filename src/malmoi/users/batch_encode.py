"""Vectors of very many histories: Parquet in, Parquet out, on one machine or through Ray Data on many.

In: the columns `user` (text) and `texts` (list of text, oldest first). Out: `user` and `vector` (list of
float32), in files of their own; other columns are left out.

    encode_files(home, "clue", Path("histories"), Path("vectors"))              # this machine
    encode_files(home, "clue", Path("histories"), Path("vectors"), ray=True)    # Ray, local or a cluster

Both ways encode the same histories with the same code; a model's rows do not affect each other, so the
vectors are equal. On one machine every finished file stays, and a run that was stopped goes on with the next
one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from malmoi.core.errors import InvalidInput, MissingExtra
from malmoi.core.files import write_bytes
from malmoi.core.registry import Registry
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.base import Recommender, build_user_models
from malmoi.users.opening import OpenModel, open_model

Kinds: TypeAlias = Callable[[], Registry[type[Recommender]]]
_COLUMNS = ("user", "texts")


def encode_files(
    home: Path,
    model: str,
    source: Path,
    target: Path,
    *,
    ray: bool = False,
    batch: int = 256,
    concurrency: int = 1,
    kinds: Kinds = build_user_models,
    progress: Progress | None = None,
) -> int:
    """Encode the histories of a Parquet file, or of all in a folder.

    Args:
        home: Malmoi's home; with Ray it must be there on every machine.
        model: name or id of a "users" artifact.
        source: a .parquet file, or a folder of such files.
        target: folder of the vectors; made if need be.
        ray: through Ray Data (the extra [ray]); else in this process.
        batch: histories encoded at once.
        concurrency: models that work at the same time, with Ray.
        kinds: gives the kinds of models; a function, since a registry does not travel to other processes.
        progress: where it tells how far it is.

    Returns:
        How many histories were encoded now.

    Raises:
        InvalidInput: there are no such files, or a column is missing or of another type.
        MissingExtra: Ray is not installed.
        Unsupported: the model gives no vectors.
    """
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files or not all(file.is_file() for file in files):
        raise InvalidInput(f"{source} holds no .parquet file.")
    for file in files:
        _check_columns(file)
    target.mkdir(parents=True, exist_ok=True)
    if ray:
        return _encode_by_ray(home, model, files, target, batch, concurrency, kinds)
    opened = open_model(home, model, registry=kinds())
    return _encode_here(opened, files, target, batch, progress or SilentProgress())


def encode_rows(opened: OpenModel, users: Sequence[str], texts: Sequence[Sequence[str]]) -> dict[str, Any]:
    """One batch: the columns of the output."""
    vectors = opened.encoder.encode([opened.history(list(row)) for row in texts])
    return {"user": list(users), "vector": np.asarray(vectors, dtype=np.float32)}


def _encode_here(
    opened: OpenModel, files: Sequence[Path], target: Path, batch: int, progress: Progress
) -> int:
    import pyarrow.parquet as pq

    total = sum(pq.read_metadata(file).num_rows for file in files)
    done = 0
    with progress.task("encode histories", total=total, unit="users") as task:
        for file in files:
            out = target / file.name
            source = pq.ParquetFile(file)
            if out.is_file():  # it appears whole or not at all
                task.advance(source.metadata.num_rows)
                continue
            tables = []
            for part in source.iter_batches(batch_size=batch, columns=list(_COLUMNS)):
                columns = part.to_pydict()
                tables.append(_table(encode_rows(opened, columns["user"], columns["texts"])))
                task.advance(len(part))
                done += len(part)
            _write(tables, opened.encoder.size, out)
    return done


def _table(columns: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    vectors = columns["vector"]
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), type=pa.float32())
    offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1])
    return pa.table(
        {"user": pa.array(columns["user"], pa.string()), "vector": pa.ListArray.from_arrays(offsets, flat)}
    )


def _write(tables: Sequence[Any], size: int, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    empty = _table({"user": [], "vector": np.zeros((0, size), dtype=np.float32)})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables([empty, *tables]), sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def _check_columns(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{file} is no Parquet file: {error}.") from error
    for name in _COLUMNS:
        if name not in schema.names:
            raise InvalidInput(f"{file} has no column {name!r}.", fix="It needs user and texts.")
    user, texts = schema.field("user").type, schema.field("texts").type
    is_text = (pa.types.is_string, pa.types.is_large_string)
    is_list = pa.types.is_list(texts) or pa.types.is_large_list(texts)
    if not any(check(user) for check in is_text):
        raise InvalidInput(f"{file}: the column 'user' is {user}, not text.")
    if not is_list or not any(check(texts.value_type) for check in is_text):
        raise InvalidInput(f"{file}: the column 'texts' is {texts}, not a list of text.")


class _Actor:
    """Opens the model once in a process of Ray, and encodes batches."""

    def __init__(self, home: str, model: str, kinds: Kinds) -> None:
        self._opened = open_model(Path(home), model, registry=kinds())

    def __call__(self, rows: Any) -> Any:
        columns = rows.to_pydict()
        return _table(encode_rows(self._opened, columns["user"], columns["texts"]))


def _encode_by_ray(
    home: Path,
    model: str,
    files: Sequence[Path],
    target: Path,
    batch: int,
    concurrency: int,
    kinds: Kinds,
) -> int:
    try:
        import ray.data
    except ModuleNotFoundError as error:
        raise MissingExtra("Encoding through Ray", "ray") from error
    rows = ray.data.read_parquet([str(file) for file in files], columns=list(_COLUMNS))
    made = rows.map_batches(
        _Actor,
        fn_constructor_args=(str(home), model, kinds),
        batch_format="pyarrow",
        batch_size=batch,
        compute=ray.data.ActorPoolStrategy(size=concurrency),
    )
    made.write_parquet(str(target))
    return int(rows.count())
