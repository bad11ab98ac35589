"""From files to a corpus: three passes over the text, and between them decisions on small arrays.

    read     files -> parts         normalise, licence and opt-out       (read_pass)
             decide                 exact copies; samples of sources with a limit
    clean    parts -> kept, rejects all rules, contamination, PII, sign  (clean_pass)
             decide                 near copies, validation split
    write    kept -> corpus files                                        (write_pass)

Each pass is a datatrove pipeline whose ranks write a folder each, by one rename; what a killed run has done
is found again. Every decision depends on the documents in their order alone, so that neither the number of
processes nor a crash changes a byte.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor as Pool
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from malmoi.core.errors import InvalidInput
from malmoi.core.files import full, new_directory, write_bytes
from malmoi.core.stage import Progress
from malmoi.factory.corpus.clean_pass import COPY, KEEP, OVER, Part, clean_pipeline
from malmoi.factory.corpus.decontaminate import ContaminationIndex
from malmoi.factory.corpus.dedup import best_of_each, first_of_each, sampled
from malmoi.factory.corpus.evaluation_texts import read_evaluation_texts
from malmoi.factory.corpus.executor import CorpusExecutor, open_pool
from malmoi.factory.corpus.inputs import Inputs, evaluation_texts_of
from malmoi.factory.corpus.minhash import find_clusters
from malmoi.factory.corpus.normalize import normalize
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.quality import train_scorer
from malmoi.factory.corpus.read_pass import read_pipeline
from malmoi.factory.corpus.readers import read_source
from malmoi.factory.corpus.settings import CorpusConfig
from malmoi.factory.corpus.split import choose_held_out
from malmoi.factory.corpus.tally import Tally
from malmoi.factory.corpus.write_pass import (
    NEAR_COPY,
    SHARD_BYTES,
    TRAIN,
    VALIDATION,
    Piece,
    Shard,
    WriteShard,
)


@dataclass
class CorpusResult:
    """What the passes made, under `work`."""

    shards: list[Shard]
    folders: list[Path]
    """The folder of each shard, with its train, validation and rejects files."""
    summaries: list[dict[str, Any]]
    tally: Tally
    seconds: dict[str, float]
    matches: list[Path]
    scorer: Path | None
    problems: dict[str, Any]


class CorpusPipeline:
    """The passes over one set of inputs.

    Args:
        config: the stage's settings.
        inputs: what is read.
        work: a folder that a crash leaves in place.
        seed: decides samples and the validation split.
        progress: shows the passes.
    """

    def __init__(
        self, config: CorpusConfig, inputs: Inputs, work: Path, seed: int, progress: Progress
    ) -> None:
        self.config = config
        self.inputs = inputs
        self.work = work
        self.seed = seed
        self.progress = progress
        self.tasks = inputs.tasks()

    def run(self) -> CorpusResult:
        """Make everything that is not there yet.

        Raises:
            InvalidInput: nothing could be read, or nothing is left; the message says what took it.
            MalmoiError: a setting is wrong, or a worker was killed.
        """
        for stale in self.work.glob("*/.*.tmp"):
            shutil.rmtree(stale, ignore_errors=True)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = self.config.num_workers or min(cores, 32)
        with open_pool(workers) as pool:
            self._read(pool)
            parts = self._parts()
            index, scorer = self._index(), self._scorer()
            choices = self._choose(parts)
            self._clean(pool, parts, choices, index, scorer)
            verdicts = self._decide(parts)
            shards = self._write(pool, parts, verdicts)
        return self._result(parts, shards)

    def _pass(
        self,
        name: str,
        title: str,
        pipeline: Sequence[PipelineStep],
        tasks: int,
        pool: Pool | None,
        unit: str,
    ) -> None:
        (self.work / name).mkdir(parents=True, exist_ok=True)
        with self.progress.task(title, total=tasks, unit=unit) as bar:
            executor = CorpusExecutor(
                pipeline,
                tasks=tasks,
                folder=self.work / "ranks" / name,
                pool=pool,
                done=lambda rank: bar.advance(1),
            )
            executor.run()

    def _read(self, pool: Pool | None) -> None:
        room = self._reject_room(len(self.tasks), share=0.25)
        pipeline = read_pipeline(self.config, self.inputs, self.tasks, self.work / "read", self.seed, room)
        self._pass("read", "Read", pipeline, len(self.tasks), pool, "tasks")

    def _reject_room(self, ranks: int, share: float) -> int:
        """Bytes of rejects that each rank of a pass may keep: known before it begins."""
        return int(self.config.max_reject_megabytes * 1e6 * share / max(ranks, 1))

    def _metas(self, name: str, count: int) -> list[dict[str, Any]]:
        return [json.loads((self.work / name / f"{n:05d}" / "meta.json").read_bytes()) for n in range(count)]

    def _parts(self) -> list[Part]:
        """All parts in the order of the corpus."""
        parts, start = [], 0
        problems = Problems()
        for rank, meta in enumerate(self._metas("read", len(self.tasks))):
            for number, documents in enumerate(meta["parts"]):
                path = self.work / "read" / f"{rank:05d}" / f"part-{number:05d}.parquet"
                parts.append(Part(path, meta["source"], start, documents))
                start += documents
            problems.extend(meta["problems"])
        if not parts:
            tally = self._tally("read", len(self.tasks))
            if tally.total("read").kept:
                raise InvalidInput(_nothing_left(tally), fix=_LOOSEN)
        problems.require_documents(start, str(self.inputs.data))
        return parts

    def _tally(self, name: str, count: int) -> Tally:
        tally = Tally()
        for meta in self._metas(name, count):
            tally.add(Tally.from_json(meta["tally"]))
        return tally

    def _index(self) -> Path | None:
        """The n-grams of the evaluation sets; None where there are none."""
        names = evaluation_texts_of(self.inputs.evaluation)
        if not self.config.decontamination.enabled or not names:
            return None
        folder = self.work / "evaluation"
        if not folder.is_dir():
            with (
                self.progress.task("Index evaluation sets", total=len(names), unit="files") as bar,
                new_directory(folder) as out,
            ):
                started = thread_time()

                def texts() -> Iterator[tuple[str, str]]:
                    for name in names:
                        for text in read_evaluation_texts([self.inputs.data / name]):
                            yield name, text.text
                        bar.advance(1)

                ContaminationIndex.build(texts(), self.config.decontamination).save(out)
                _note_seconds(out, "index_evaluation", started)
        return folder

    def _scorer(self) -> Path | None:
        """The quality scorer, trained on the examples of the settings; None where there are none."""
        settings = self.config.quality
        if not settings.good:
            return None
        folder = self.work / "quality"
        if not folder.is_dir():
            with (
                self.progress.task("Train the quality scorer", total=None, unit="") as bar,
                new_directory(folder) as out,
            ):
                started = thread_time()
                problems = Problems()
                sides = [
                    [
                        normalize(document.text)[0]
                        for source in sources
                        for document in read_source(source, self.inputs.data, problems)
                    ]
                    for sources in (settings.good, settings.bad)
                ]
                for name, texts in zip(("good", "bad"), sides, strict=True):
                    problems.require_documents(len(texts), f"the {name} examples of the quality scorer")
                train_scorer(*sides, seed=self.seed, settings=settings.training).save(out)
                _note_seconds(out, "train_scorer", started)
                bar.advance(1)
        return folder

    def _choose(self, parts: Sequence[Part]) -> Path:
        """One choice for each document: the first of its copies, within its source's limit."""
        path = self.work / "choices.npy"
        if path.exists():
            return path
        folders = [self.work / "read" / f"{rank:05d}" for rank in range(len(self.tasks))]
        keys, draws, sizes = (
            np.concatenate([np.load(folder / f"{name}.npy", allow_pickle=False) for folder in folders])
            for name in ("keys", "draws", "sizes")
        )
        choices = np.where(first_of_each(keys), KEEP, COPY).astype(np.uint8)
        for source in self.inputs.sources:
            if source.max_bytes is not None:
                spans = [np.arange(p.start, p.start + p.documents) for p in parts if p.source == source.name]
                own = np.concatenate([np.zeros(0, dtype=np.int64), *spans])
                own = own[choices[own] == KEEP]
                choices[own[~sampled(draws[own], sizes[own].astype(np.int64), source.max_bytes)]] = OVER
        _save(path, choices)
        return path

    def _clean(
        self,
        pool: Pool | None,
        parts: Sequence[Part],
        choices: Path,
        index: Path | None,
        scorer: Path | None,
    ) -> None:
        pipeline = clean_pipeline(
            self.config,
            self.inputs.sources,
            parts,
            choices,
            index,
            scorer,
            self.work / "clean",
            self._reject_room(len(parts), share=0.5),
        )
        self._pass("clean", "Clean", pipeline, len(parts), pool, "parts")

    def _decide(self, parts: Sequence[Part]) -> Path:
        """One verdict for each kept document: train, validation, or a near copy of another."""
        path = self.work / "verdicts.npy"
        if path.exists():
            return path
        metas = self._metas("clean", len(parts))
        if not sum(meta["documents"] for meta in metas):
            tally = self._tally("read", len(self.tasks))
            tally.add(self._tally("clean", len(parts)))
            raise InvalidInput(_nothing_left(tally), fix=_LOOSEN)
        with self.progress.task("Find near copies", total=None, unit="") as bar:
            started = thread_time()
            clusters = find_clusters(self._signatures(metas), self.config.minhash)
            sizes = self._gather("sizes", len(parts))
            quality = self._gather("quality", len(parts))
            best = best_of_each(clusters.same, quality, sizes)
            verdicts = np.where(best, TRAIN, NEAR_COPY).astype(np.uint8)
            ids, sources = self._names(metas)
            held = choose_held_out(
                clusters.related, best, ids, sources, self.config.validation_share, self.seed
            )
            verdicts[held & best] = VALIDATION
            bar.advance(1)
        _note_seconds(self.work, "near_copies", started)
        _save(path, verdicts)
        return path

    def _signatures(self, metas: Sequence[dict[str, Any]]) -> np.ndarray:
        """All signatures as one memory map."""
        count = sum(meta["documents"] for meta in metas)
        columns = self.config.minhash.num_bands * self.config.minhash.rows_per_band
        path = self.work / "signatures.npy"
        signed = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint32, shape=(count, columns))
        # Its blocks now: writing to a map on a full disk would end the process.
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise full(error, path) from None
        start = 0
        for rank, meta in enumerate(metas):
            own = np.load(self.work / "clean" / f"{rank:05d}" / "signatures.npy", allow_pickle=False)
            signed[start : start + meta["documents"]] = own
            start += meta["documents"]
        with suppress(OSError):
            path.unlink()  # the map stays until it is let go
        return signed

    def _gather(self, name: str, ranks: int) -> np.ndarray:
        folders = [self.work / "clean" / f"{rank:05d}" for rank in range(ranks)]
        return np.concatenate([np.load(folder / f"{name}.npy", allow_pickle=False) for folder in folders])

    def _names(self, metas: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
        """Ids and sources of the kept documents."""
        import pyarrow.parquet as pq

        ids: list[str] = []
        sources: list[str] = []
        for rank, meta in enumerate(metas):
            path = self.work / "clean" / f"{rank:05d}" / "kept.parquet"
            ids += pq.read_table(path, columns=["id"], use_threads=False).column("id").to_pylist()
            sources += [meta["source"]] * meta["documents"]
        return ids, sources

    def _write(self, pool: Pool | None, parts: Sequence[Part], verdicts: Path) -> list[Shard]:
        shards = list(self._shards(parts, np.load(verdicts, allow_pickle=False)))
        room = self._reject_room(len(parts), share=0.25)
        step = WriteShard(shards, verdicts, self.work / "write", room)
        self._pass("write", "Write", [step], len(shards), pool, "files")
        return shards

    def _shards(self, parts: Sequence[Part], verdicts: np.ndarray) -> Iterator[Shard]:
        """Pieces of a source together until a file is full; rejects go with the pieces."""
        sizes = self._gather("sizes", len(parts)) if parts else np.zeros(0)
        metas = self._metas("clean", len(parts))
        first: dict[str, list[Path]] = {source.name: [] for source in self.inputs.sources}
        for rank, task in enumerate(self.tasks):
            path = self.work / "read" / f"{rank:05d}" / "rejects.parquet"
            if path.exists():
                first[task.source.name].append(path)
        start = 0
        pieces: dict[str, list[tuple[Piece, int]]] = {name: [] for name in first}
        for rank, (part, meta) in enumerate(zip(parts, metas, strict=True)):
            folder = self.work / "clean" / f"{rank:05d}"
            stop = start + meta["documents"]
            rejects = [*first[part.source], *([p] if (p := folder / "rejects.parquet").exists() else [])]
            first[part.source] = []
            kept = int(sizes[start:stop][verdicts[start:stop] != NEAR_COPY].sum())
            pieces[part.source].append((Piece(folder, start, meta["documents"], tuple(rejects)), kept))
            start = stop
        for name, paths in first.items():  # sources of which nothing but rejects came out of reading
            if paths:
                pieces[name].append((Piece(None, 0, 0, tuple(paths)), 0))
        for name, own in pieces.items():
            number, gathered, size = 0, list[Piece](), 0
            for piece, kept in own:
                gathered.append(piece)
                size += kept
                if size >= SHARD_BYTES:
                    yield Shard(name, number, tuple(gathered))
                    number, gathered, size = number + 1, [], 0
            if gathered:
                yield Shard(name, number, tuple(gathered))

    def _result(self, parts: Sequence[Part], shards: list[Shard]) -> CorpusResult:
        tally = self._tally("read", len(self.tasks))
        tally.add(self._tally("clean", len(parts)))
        tally.add(self._tally("write", len(shards)))
        seconds: Counter[str] = Counter()
        for pattern in ("*/*/seconds.json", "seconds-*.json", "*/seconds-*.json"):
            for path in sorted(self.work.glob(pattern)):
                seconds.update(json.loads(path.read_bytes()))
        problems = self.inputs.problems
        for meta in self._metas("read", len(self.tasks)):
            problems.extend(meta["problems"])
        return CorpusResult(
            shards=shards,
            folders=[self.work / "write" / f"{rank:05d}" for rank in range(len(shards))],
            summaries=self._metas("write", len(shards)),
            tally=tally,
            seconds=dict(seconds),
            matches=[self.work / "clean" / f"{rank:05d}" / "matches.jsonl" for rank in range(len(parts))],
            scorer=path if (path := self.work / "quality").is_dir() else None,
            problems=problems.report(),
        )


_LOOSEN = "Loosen the rules that drop most, or give more text."


def _nothing_left(tally: Tally) -> str:
    reasons: Counter[str] = Counter()
    for step in tally.steps:
        reasons.update({f"{step}: {reason}": n for reason, n in tally.total(step).dropped.items()})
    most = ", ".join(f"{count:,} by {reason}" for reason, count in reasons.most_common(5))
    read = tally.total("read").seen
    return f"no document is left of the {read:,} that were read; dropped {most}."


def _save(path: Path, array: np.ndarray) -> None:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def _note_seconds(folder: Path, name: str, started: float) -> None:
    from malmoi.core.files import write_json

    write_json(folder / f"seconds-{name}.json", {name: thread_time() - started})
