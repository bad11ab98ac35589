"""Documents on disk: the parquet files of a corpus, and the mixture beside them.

    corpus artifact
    ├── train/*.parquet, validation/*.parquet   documents (zstd)
    ├── rejects/*.parquet                       the same columns, with the step and its reason
    ├── mixture.json                            sources with their groups, weights and epochs
    └── counts.json                             seen, kept and dropped documents and bytes by step

The bytes of a file depend on its documents alone, so that the same corpus has the same checksum.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, MalmoiError
from malmoi.core.files import full, sync_directory

Group = Literal["korean", "other", "code"]
"""The three parts that a mixture balances."""

ROWS_A_GROUP = 8192
BYTES_A_GROUP = 16 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its provenance."""

    id: str
    text: str
    source: str
    """Name of its source, a key of the mixture."""
    language: str
    """ISO 639-1 code such as "ko", or "code"."""
    license: str
    """SPDX name, or what the source says."""
    origin: str
    """Where it was read, `relative/path#record`."""
    quality: float | None = None
    """Score of the quality filter, in [0, 1]; None: not scored."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A document that a step dropped, and why."""

    document: Document
    step: str
    reason: str


class MixtureSource(BaseModel):
    """One source of a mixture."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    group: Group
    license: str
    weight: float
    """Share of the training tokens that come from it; the weights of a mixture sum to 1."""
    epochs: float
    """How often its documents are seen when the whole mixture is seen once."""
    documents: int
    bytes: int
    """UTF-8 bytes of its training documents."""


class Mixture(BaseModel):
    """What training draws from each source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sources: tuple[MixtureSource, ...]


def read_mixture(folder: Path) -> Mixture:
    """The mixture of the corpus in `folder`.

    Raises:
        InvalidInput: there is none, or it is not a mixture.
    """
    path = folder / "mixture.json"
    try:
        return Mixture.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(f"{folder} is not a corpus: it has no mixture.json.") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(f"{path}: {where}: {fault['msg']}.") from None


def read_documents(folder: Path, split: str = "train") -> Iterator[Document]:
    """The documents of a split, in the order of the files and rows.

    Args:
        folder: a corpus artifact.
        split: "train" or "validation".

    Raises:
        InvalidInput: the corpus has no such split, or a file of it cannot be read; the message names it.
    """
    if not (folder / split).is_dir():
        raise InvalidInput(f"{folder} has no documents of the split {split!r}.")
    for path in sorted((folder / split).glob("*.parquet")):
        yield from read_file(path)


def read_rejects(folder: Path) -> Iterator[Reject]:
    """The dropped documents of a corpus, by source."""
    for path in sorted((folder / "rejects").glob("*.parquet")):
        yield from read_reject_file(path)


def read_reject_file(path: Path) -> Iterator[Reject]:
    """The dropped documents of one parquet file."""
    for row in _rows(path):
        step, reason = row.pop("step"), row.pop("reason")
        yield Reject(Document(**row), step, reason)


def read_file(path: Path) -> Iterator[Document]:
    """The documents of one parquet file."""
    for row in _rows(path):
        yield Document(**row)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, use_threads=False)
                columns = [table.column(name).to_pylist() for name in table.column_names]
                names = table.column_names
                del table
                for values in zip(*columns, strict=True):
                    yield dict(zip(names, values, strict=True))
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", fix="Make the corpus again.") from error


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write documents as one parquet file that appears when it is whole; returns how many.

    Raises:
        DiskFull: there is no room.
    """
    rows = ((d.id, d.text, d.source, d.language, d.license, d.origin, d.quality) for d in documents)
    return _write(path, rows, rejects=False)


def write_rejects(path: Path, rejects: Iterable[Reject]) -> int:
    """`write_documents` for dropped documents."""
    rows = (
        (d.id, d.text, d.source, d.language, d.license, d.origin, d.quality, r.step, r.reason)
        for r in rejects
        for d in (r.document,)
    )
    return _write(path, rows, rejects=True)


def _write(path: Path, rows: Iterable[tuple[Any, ...]], *, rejects: bool) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["id", "text", "source", "language", "license", "origin"]
    fields = [pa.field(name, pa.string(), nullable=False) for name in names]
    fields.append(pa.field("quality", pa.float32()))
    if rejects:
        fields += [pa.field(name, pa.string(), nullable=False) for name in ("step", "reason")]
    schema = pa.schema(fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    written = 0
    try:
        with pq.ParquetWriter(
            temporary, schema, compression="zstd", compression_level=3, use_dictionary=names[2:5]
        ) as writer:
            for group in _groups(rows):
                columns = [
                    pa.array(column, field.type)
                    for column, field in zip(zip(*group, strict=True), schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                written += len(group)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise full(error, path) from error
    except UnicodeEncodeError as error:
        raise MalmoiError(f"a document for {path.name} holds half a character: {error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return written


def _groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Row groups: cut where the rows say so and nowhere else, so that the bytes depend on them alone."""
    group: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row[1])
        if len(group) >= ROWS_A_GROUP or size >= BYTES_A_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group
