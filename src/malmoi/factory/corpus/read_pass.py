"""First pass: files to parts of plain documents, with the keys by which copies and samples are chosen.

    read/00003/part-00000.parquet ...   normalised documents, about 4 MB of text each
              /keys.npy                 (D, 2) uint64, equal for texts that differ in case and spaces alone
              /draws.npy, sizes.npy     (D,) uint64 a number drawn for each document; uint32 its bytes
              /rejects.parquet, meta.json, seconds.json

A folder appears by one rename when it is whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from malmoi.core.files import new_directory, write_json
from malmoi.factory.corpus.batches import Batch, BatchStep, ChangeStep, JudgeStep, Ledger, batched
from malmoi.factory.corpus.dedup import draw, exact_key
from malmoi.factory.corpus.documents import Document, write_documents, write_rejects
from malmoi.factory.corpus.inputs import Inputs, ReadTask
from malmoi.factory.corpus.normalize import Normalize
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.provenance import Provenance
from malmoi.factory.corpus.readers import read_file
from malmoi.factory.corpus.settings import CorpusConfig

PART_BYTES = 4 << 20


class ReadFiles(BatchStep):
    """The documents of a rank's files."""

    def __init__(self, tasks: Sequence[ReadTask], data: Path, ledger: Ledger) -> None:
        super().__init__("read", ledger)
        self.tasks = tasks
        self.data = data

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Read the files of task `rank`."""
        task = self.tasks[rank]
        problems = Problems()
        yield from super().run(_Timed(self._batches(task, problems), self))
        self.ledger.found["problems"] = [problems.report()]

    def _batches(self, task: ReadTask, problems: Problems) -> Iterator[Batch]:
        for name in task.files:
            yield from batched(read_file(task.source, self.data, name, problems))

    def process(self, batch: Batch) -> Batch:
        """Nothing more to do."""
        return batch


class _Timed:
    """Batches of an iterator, whose time is the step's."""

    def __init__(self, batches: Iterator[Batch], step: BatchStep) -> None:
        self._batches = batches
        self._step = step

    def __iter__(self) -> "Iterator[Batch]":
        return self

    def __next__(self) -> Batch:
        from time import thread_time

        started = thread_time()
        try:
            return next(self._batches)
        finally:
            seconds = self._step.ledger.seconds
            seconds[self._step.name] = seconds.get(self._step.name, 0.0) + thread_time() - started


class WriteParts(PipelineStep):
    """The end of the first pass."""

    type = "Corpus"
    name = "write parts"

    def __init__(self, tasks: Sequence[ReadTask], folder: Path, seed: int, ledger: Ledger) -> None:
        super().__init__()
        self.tasks = tasks
        self.folder = folder
        self.seed = seed
        self.ledger = ledger

    def run(self, data: Iterable[Batch], rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Write all that comes."""
        target = self.folder / f"{rank:05d}"
        if not target.is_dir():
            with new_directory(target) as out:
                self._write(data, self.tasks[rank], out)
        yield from ()

    def _write(self, data: Iterable[Batch], task: ReadTask, out: Path) -> None:
        keys: list[bytes] = []
        draws: list[int] = []
        sizes: list[int] = []
        parts: list[int] = []
        waiting: list[Document] = []
        room = PART_BYTES
        for batch in data:
            for document, size in zip(batch.documents, batch.sizes, strict=True):
                keys.append(exact_key(document.text))
                draws.append(draw(self.seed, "sample", document.id) if task.source.max_bytes else 0)
                sizes.append(size)
                waiting.append(document)
                room -= size
                if room <= 0:
                    parts.append(write_documents(out / f"part-{len(parts):05d}.parquet", waiting))
                    waiting, room = [], PART_BYTES
        if waiting:
            parts.append(write_documents(out / f"part-{len(parts):05d}.parquet", waiting))
        np.save(
            out / "keys.npy", np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2), allow_pickle=False
        )
        np.save(out / "draws.npy", np.array(draws, dtype=np.uint64), allow_pickle=False)
        np.save(out / "sizes.npy", np.array(sizes, dtype=np.uint32), allow_pickle=False)
        if self.ledger.rejects:
            write_rejects(out / "rejects.parquet", self.ledger.rejects)
        meta = {
            "source": task.source.name,
            "parts": parts,
            "tally": self.ledger.tally.to_json(),
            "problems": self.ledger.found["problems"][0],
        }
        write_json(out / "meta.json", meta)
        write_json(out / "seconds.json", self.ledger.seconds)


def read_pipeline(
    config: CorpusConfig, inputs: Inputs, tasks: Sequence[ReadTask], folder: Path, seed: int, reject_room: int
) -> list[PipelineStep]:
    """Read, bring into one form, and leave out what may not be used: cheap, and before copies are chosen.

    Raises:
        InvalidInput: an opt-out list cannot be read.
    """
    ledger = Ledger(reject_room)
    return [
        ReadFiles(tasks, inputs.data, ledger),
        ChangeStep(Normalize(), ledger),
        JudgeStep(Provenance(config.provenance, inputs.data), ledger),
        WriteParts(tasks, folder, seed, ledger),
    ]
