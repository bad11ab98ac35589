"""Third pass: parts to the files of the corpus, by what was decided about each document.

write/00002/train.parquet, validation.parquet, rejects.parquet   those that have a document
           /meta.json                                           counts, lengths and scores
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from malmoi.core.files import new_directory, write_json
from malmoi.factory.corpus.documents import (
    Document,
    Reject,
    read_file,
    read_reject_file,
    write_documents,
    write_rejects,
)
from malmoi.factory.corpus.tally import LENGTH_STEPS, QUALITY_CLASSES, Tally

TRAIN, VALIDATION, NEAR_COPY = 0, 1, 2
"""What was decided about a document after the second pass."""
SHARD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one part's documents and rejects lie: they are [start, start + documents) of what was kept."""

    folder: Path | None
    start: int
    documents: int
    rejects: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """Pieces of one source that become one file."""

    source: str
    number: int
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"{self.source}-{self.number:05d}.parquet"


class WriteShard(PipelineStep):
    """All of the third pass.

    Args:
        shards: what each rank writes.
        verdicts: a .npy file with one verdict for each kept document.
        folder: gets a folder for each rank.
        reject_room: bytes of near copies that are kept, for each piece.
    """

    type = "Corpus"
    name = "write"

    def __init__(self, shards: Sequence[Shard], verdicts: Path, folder: Path, reject_room: int) -> None:
        super().__init__()
        self.shards = shards
        self.verdicts = verdicts
        self.folder = folder
        self.reject_room = reject_room

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Write shard `rank`."""
        target = self.folder / f"{rank:05d}"
        if not target.is_dir():
            with new_directory(target) as out:
                self._write(self.shards[rank], out)
        yield from ()

    def _write(self, shard: Shard, out: Path) -> None:
        verdicts = np.load(self.verdicts, mmap_mode="r", allow_pickle=False)
        summary = _Summary(shard.source)
        for verdict, split in ((TRAIN, "train"), (VALIDATION, "validation")):
            path = out / f"{split}.parquet"
            documents = (document for document, decided in _decided(shard, verdicts) if decided == verdict)
            if not write_documents(path, summary.watch(split, documents)):
                path.unlink()
        path = out / "rejects.parquet"
        if not write_rejects(path, self._rejects(shard, verdicts, summary)):
            path.unlink()
        write_json(out / "meta.json", summary.to_json())

    def _rejects(self, shard: Shard, verdicts: np.ndarray, summary: "_Summary") -> Iterator[Reject]:
        for piece in shard.pieces:
            for path in piece.rejects:
                yield from read_reject_file(path)
            room = self.reject_room
            for document, decided in _decided(Shard(shard.source, 0, (piece,)), verdicts):
                size = len(document.text.encode("utf-8"))
                summary.near_copy(size, dropped=decided == NEAR_COPY)
                if decided == NEAR_COPY and size <= room:
                    room -= size
                    yield Reject(document, "near_copies", "near_copy")


def _decided(shard: Shard, verdicts: np.ndarray) -> Iterator[tuple[Document, int]]:
    for piece in shard.pieces:
        if piece.folder is not None:
            decided = verdicts[piece.start : piece.start + piece.documents].tolist()
            yield from zip(read_file(piece.folder / "kept.parquet"), decided, strict=True)


class _Summary:
    """What the report and the mixture need to know about a shard."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tally = Tally()
        self.splits: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}
        self.languages: Counter[str] = Counter()
        self.licenses: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.quality: Counter[int] = Counter()

    def watch(self, split: str, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, counted on their way."""
        for document in documents:
            size = len(document.text.encode("utf-8"))
            self.splits[split].update(documents=1, bytes=size)
            if split == "train":
                self.languages[document.language] += size
                self.licenses[document.license] += 1
                self.lengths[int(np.log2(max(len(document.text), 1)) * LENGTH_STEPS)] += 1
                if document.quality is not None:
                    place = int(document.quality * QUALITY_CLASSES)
                    self.quality[min(max(place, 0), QUALITY_CLASSES - 1)] += 1
            yield document

    def near_copy(self, size: int, *, dropped: bool) -> None:
        """Count a document that was compared with the others."""
        count = self.tally.of("near_copies", self.source)
        count.seen += 1
        count.bytes_seen += size
        if dropped:
            count.dropped["near_copy"] += 1
        else:
            count.kept += 1
            count.bytes_kept += size

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": self.source,
            "tally": self.tally.to_json(),
            "splits": {name: dict(count) for name, count in self.splits.items()},
            "languages": dict(self.languages),
            "licenses": dict(self.licenses),
            "lengths": {str(place): count for place, count in self.lengths.items()},
            "quality": {str(place): count for place, count in self.quality.items()},
        }
