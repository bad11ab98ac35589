"""Second pass: each part through all rules.

    clean/00007/kept.parquet            documents that every rule kept
               /signatures.npy          (D, S) uint32 MinHash
               /sizes.npy, quality.npy  (D,) uint32 bytes; float32 scores, NaN where there is none
               /matches.jsonl           texts of evaluation sets that were found
               /rejects.parquet, meta.json, seconds.json

Cheap rules come first: what was chosen before (copies, samples), the language, the filters in their order,
then the learned scorer. The evaluation sets are looked for before personal data is taken out, for that
changes the text; and texts are signed last, as they will stay.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from malmoi.core.files import new_directory, write_json, write_text
from malmoi.factory.corpus.batches import Batch, BatchStep, ChangeStep, JudgeStep, Ledger, batched
from malmoi.factory.corpus.decontaminate import ContaminationIndex, Match, cut_lines
from malmoi.factory.corpus.documents import Document, read_file, write_documents, write_rejects
from malmoi.factory.corpus.language import Identify
from malmoi.factory.corpus.minhash import MinHashSettings, signatures
from malmoi.factory.corpus.pii import RemovePii
from malmoi.factory.corpus.quality import QualityScorer, QualityThreshold, ScoreQuality
from malmoi.factory.corpus.rules import build_filters
from malmoi.factory.corpus.settings import CorpusConfig
from malmoi.factory.corpus.sources import SourceSettings

KEEP, COPY, OVER = 0, 1, 2
"""What was chosen about a document after the first pass."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part file of the first pass: its documents are [start, start + documents) of the corpus."""

    path: Path
    source: str
    start: int
    documents: int


class ReadPart(PipelineStep):
    """The documents of a rank's part."""

    type = "Corpus"
    name = "part"

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = parts

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Read part `rank`."""
        yield from batched(read_file(self.parts[rank].path))


class Choose(BatchStep):
    """Drops copies and what is over a source's limit, as was decided when all documents were known.

    Args:
        parts: all parts.
        choices: a .npy file with one choice for each document of the first pass.
        ledger: the pipeline's ledger.
    """

    def __init__(self, parts: Sequence[Part], choices: Path, ledger: Ledger) -> None:
        super().__init__("choose", ledger)
        self.parts = parts
        self.choices = choices
        self._left: Iterator[int] = iter(())

    def run(self, data: Iterable[Batch], rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """The batches without what is dropped."""
        part = self.parts[rank]
        choices = np.load(self.choices, mmap_mode="r", allow_pickle=False)
        self._left = iter(choices[part.start : part.start + part.documents].tolist())
        yield from super().run(data, rank, world_size)

    def process(self, batch: Batch) -> Batch:
        """The documents that were chosen; the copies among the others are kept for looking at."""
        kept = Batch([], [])
        for document, size in zip(batch.documents, batch.sizes, strict=True):
            choice = next(self._left)
            if choice == KEEP:
                kept.documents.append(document)
                kept.sizes.append(size)
            elif choice == COPY:
                self.drop(document, size, "exact_copy")
            else:
                self.drop(document, size, "over_max_bytes", keep=False)
        return kept


class Languages:
    """Keeps the languages that were asked for."""

    name = "languages"

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = frozenset(languages)

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        return None if document.language in self._languages else "other_language"


class Decontaminate(BatchStep):
    """Drops documents that hold texts of evaluation sets; of long ones, the lines that do.

    Args:
        index: the folder of the index.
        ledger: the pipeline's ledger.
    """

    def __init__(self, index: Path, ledger: Ledger) -> None:
        super().__init__("decontaminate", ledger)
        self.index = index
        ledger.found["matches"] = []

    def process(self, batch: Batch) -> Batch:
        """The documents without texts of evaluation sets."""
        index = _load_index(self.index)
        kept = Batch([], [])
        found = index.find([document.text for document in batch.documents])
        for document, size, matches in zip(batch.documents, batch.sizes, found, strict=True):
            if matches:
                rest = cut_lines(document.text, matches)
                cut = len(document.text) > index.settings.long_document and bool(rest.strip())
                self._note(document, matches, "lines cut" if cut else "document dropped")
                if not cut:
                    self.drop(document, size, "evaluation_text")
                    continue
                self.did(document.source, "lines_cut", document.text.count("\n") - rest.count("\n"))
                document = replace(document, text=rest)
                size = len(rest.encode("utf-8"))
            kept.documents.append(document)
            kept.sizes.append(size)
        return kept

    def _note(self, document: Document, matches: Sequence[Match], action: str) -> None:
        for match in matches:
            self.ledger.found["matches"].append(
                {
                    "document": document.id,
                    "origin": document.origin,
                    "found": document.text[match.start : match.end][:160],
                    "evaluation": match.item.file,
                    "item": match.item.text,
                    "action": action,
                }
            )


@lru_cache(maxsize=1)
def _load_index(folder: Path) -> ContaminationIndex:
    return ContaminationIndex.load(folder)


class Sign(BatchStep):
    """Signs what is left for the search of near-duplicates."""

    def __init__(self, settings: MinHashSettings, ledger: Ledger) -> None:
        super().__init__("sign", ledger)
        self.settings = settings
        ledger.found["signatures"] = []

    def process(self, batch: Batch) -> Batch:
        """The same documents."""
        texts = [document.text for document in batch.documents]
        languages = [document.language for document in batch.documents]
        self.ledger.found["signatures"].append(signatures(texts, languages, self.settings))
        return batch


class WriteClean(PipelineStep):
    """The end of the second pass."""

    type = "Corpus"
    name = "write clean"

    def __init__(self, parts: Sequence[Part], folder: Path, columns: int, ledger: Ledger) -> None:
        super().__init__()
        self.parts = parts
        self.folder = folder
        self.columns = columns
        self.ledger = ledger

    def run(self, data: Iterable[Batch], rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """Write all that comes."""
        target = self.folder / f"{rank:05d}"
        if not target.is_dir():
            with new_directory(target) as out:
                self._write(data, rank, out)
        yield from ()

    def _write(self, data: Iterable[Batch], rank: int, out: Path) -> None:
        documents: list[Document] = []
        sizes: list[int] = []
        for batch in data:
            documents += batch.documents
            sizes += batch.sizes
        write_documents(out / "kept.parquet", documents)
        quality = [np.nan if document.quality is None else document.quality for document in documents]
        np.save(out / "sizes.npy", np.array(sizes, dtype=np.uint32), allow_pickle=False)
        np.save(out / "quality.npy", np.array(quality, dtype=np.float32), allow_pickle=False)
        found = self.ledger.found
        empty = np.zeros((0, self.columns), dtype=np.uint32)
        signed = np.concatenate([empty, *found.get("signatures", [])])
        if not found.get("signatures"):  # near-duplicates are not looked for: nothing is like anything
            signed = np.full((len(documents), self.columns), 0xFFFFFFFF, dtype=np.uint32)
        np.save(out / "signatures.npy", signed, allow_pickle=False)
        if self.ledger.rejects:
            write_rejects(out / "rejects.parquet", self.ledger.rejects)
        lines = [json.dumps(match, ensure_ascii=False) + "\n" for match in found.get("matches", [])]
        write_text(out / "matches.jsonl", "".join(lines))
        meta = {
            "source": self.parts[rank].source,
            "documents": len(documents),
            "tally": self.ledger.tally.to_json(),
        }
        write_json(out / "meta.json", meta)
        write_json(out / "seconds.json", self.ledger.seconds)


def clean_pipeline(
    config: CorpusConfig,
    sources: Sequence[SourceSettings],
    parts: Sequence[Part],
    choices: Path,
    index: Path | None,
    scorer: Path | None,
    folder: Path,
    reject_room: int,
) -> list[PipelineStep]:
    """All rules in their order.

    Args:
        config: the stage's settings.
        sources: what is read, for the filters of its own that a source may have.
        parts: what the first pass wrote.
        choices: one choice for each of its documents.
        index: the folder of the n-grams of evaluation sets; None: there are none.
        scorer: the folder of the quality scorer; None: there is none.
        folder: gets a folder for each part.
        reject_room: bytes of rejects that each part may keep.

    Raises:
        UnknownName: a setting names a filter that is not there.
        ConfigError: a filter's settings are wrong.
    """
    ledger = Ledger(reject_room)
    by_source = {source.name: source.filters for source in sources if source.filters}
    columns = config.minhash.num_bands * config.minhash.rows_per_band
    steps: list[PipelineStep] = [
        ReadPart(parts),
        Choose(parts, choices, ledger),
        ChangeStep(Identify(), ledger),
    ]
    if config.languages:
        steps.append(JudgeStep(Languages(config.languages), ledger))
    steps += [JudgeStep(rule, ledger) for rule in build_filters(config.filters, by_source)]
    if scorer is not None:
        steps.append(ChangeStep(ScoreQuality(QualityScorer.load(scorer)), ledger))
        if config.quality.lowest > 0:
            steps.append(JudgeStep(QualityThreshold(config.quality.lowest, config.quality.languages), ledger))
    if index is not None:
        steps.append(Decontaminate(index, ledger))
    if config.pii.kinds:
        steps.append(ChangeStep(RemovePii(config.pii), ledger))
    if config.minhash.enabled:
        steps.append(Sign(config.minhash, ledger))
    return [*steps, WriteClean(parts, folder, columns, ledger)]
