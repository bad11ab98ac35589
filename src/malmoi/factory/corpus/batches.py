"""Documents in batches, and what the steps of one rank write down about them.

datatrove's own filters take one document at a time and update several statistics for each; on film reviews of
100 bytes that costs more than the rules do. Our steps pass batches along, so that counting is per batch and
n-grams are hashed for many documents at once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import thread_time
from typing import Any

from datatrove.pipeline.base import PipelineStep

from malmoi.factory.corpus.documents import Document, Reject
from malmoi.factory.corpus.rules import Change, Judge
from malmoi.factory.corpus.tally import Tally

BATCH_CHARACTERS = 1 << 17
BATCH_DOCUMENTS = 4096


@dataclass(slots=True)
class Batch:
    """Documents of one source, with the UTF-8 bytes of each text."""

    documents: list[Document]
    sizes: list[int]


@dataclass
class Ledger:
    """What the steps of one rank have to say; all steps of a pipeline share one."""

    reject_room: int = 0
    """Bytes of dropped text that may still be kept."""
    tally: Tally = field(default_factory=Tally)
    seconds: dict[str, float] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    found: dict[str, list[Any]] = field(default_factory=dict)
    """What a step hands to the writer beside documents, by name."""

    def reject(self, step: str, reason: str, document: Document, size: int) -> None:
        """Keep a dropped document if there is room."""
        if size <= self.reject_room:
            self.reject_room -= size
            self.rejects.append(Reject(document, step, reason))


def batched(documents: Iterable[Document]) -> Iterator[Batch]:
    """Documents in batches that a processor's cache holds."""
    batch = Batch([], [])
    characters = 0
    for document in documents:
        batch.documents.append(document)
        batch.sizes.append(len(document.text.encode("utf-8", "surrogatepass")))
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS or len(batch.documents) >= BATCH_DOCUMENTS:
            yield batch
            batch, characters = Batch([], []), 0
    if batch.documents:
        yield batch


class BatchStep(PipelineStep):
    """A step from batches to batches: counted, timed, its rejects kept.

    Args:
        name: the step's name in counts and reports.
        ledger: the pipeline's ledger.
    """

    type = "Corpus"

    def __init__(self, name: str, ledger: Ledger) -> None:
        self.name = name
        super().__init__()
        self.ledger = ledger

    def run(self, data: Iterable[Batch], rank: int = 0, world_size: int = 1) -> Iterator[Batch]:
        """The batches in their order; those that are empty are not passed on."""
        ledger = self.ledger
        ledger.seconds.setdefault(self.name, 0.0)
        for batch in data:
            source = batch.documents[0].source
            count = ledger.tally.of(self.name, source)
            count.seen += len(batch.documents)
            count.bytes_seen += sum(batch.sizes)
            started = thread_time()
            batch = self.process(batch)
            ledger.seconds[self.name] += thread_time() - started
            count.kept += len(batch.documents)
            count.bytes_kept += sum(batch.sizes)
            if batch.documents:
                yield batch

    def process(self, batch: Batch) -> Batch:
        """The step's work."""
        raise NotImplementedError

    def drop(self, document: Document, size: int, reason: str, *, keep: bool = True) -> None:
        """Count a dropped document, and keep it with its reason unless it is not wanted for looking at."""
        self.ledger.tally.of(self.name, document.source).dropped[reason] += 1
        if keep:
            self.ledger.reject(self.name, reason, document, size)

    def did(self, source: str, kind: str, count: int = 1) -> None:
        """Count what was done to documents."""
        self.ledger.tally.of(self.name, source).did[kind] += count


class JudgeStep(BatchStep):
    """A rule that keeps or drops."""

    def __init__(self, rule: Judge, ledger: Ledger) -> None:
        super().__init__(rule.name, ledger)
        self.rule = rule

    def process(self, batch: Batch) -> Batch:
        """The documents that the rule keeps."""
        kept = Batch([], [])
        for document, size in zip(batch.documents, batch.sizes, strict=True):
            reason = self.rule.judge(document)
            if reason is None:
                kept.documents.append(document)
                kept.sizes.append(size)
            else:
                self.drop(document, size, reason)
        return kept


class ChangeStep(BatchStep):
    """A rule that changes documents; one that it leaves without text is dropped."""

    def __init__(self, rule: Change, ledger: Ledger) -> None:
        super().__init__(rule.name, ledger)
        self.rule = rule

    def process(self, batch: Batch) -> Batch:
        """The documents, changed."""
        kept = Batch([], [])
        for document, size in zip(batch.documents, batch.sizes, strict=True):
            changed, counts = self.rule.change(document)
            for kind, number in counts.items():
                self.did(document.source, kind, number)
            if changed.text is not document.text:
                if not changed.text.strip():
                    self.drop(document, size, "nothing_left")
                    continue
                size = len(changed.text.encode("utf-8", "surrogatepass"))
            kept.documents.append(changed)
            kept.sizes.append(size)
        return kept
