"""The document rules as datatrove steps, so that they run on one core or on a cluster.

Inside a pipeline a document is datatrove's own; its metadata holds `source`, `language`, `license`, `origin`
and `quality`. datatrove is imported with this module: import it only where a pipeline is built.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datatrove.data import Document as PipelineDocument
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter

from malmoi.core.files import write_json
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.readers import read_source
from malmoi.factory.corpus.rules import Change, Judge
from malmoi.factory.corpus.sources import SourceSettings


def into_pipeline(document: Document) -> PipelineDocument:
    """Our document as datatrove's."""
    return PipelineDocument(
        text=document.text,
        id=document.id,
        metadata={
            "source": document.source,
            "language": document.language,
            "license": document.license,
            "origin": document.origin,
            "quality": document.quality,
        },
    )


def from_pipeline(document: PipelineDocument) -> Document:
    """A document of datatrove as ours."""
    metadata = document.metadata
    return Document(
        id=document.id,
        text=document.text,
        source=metadata["source"],
        language=metadata["language"],
        license=metadata["license"],
        origin=metadata["origin"],
        quality=metadata.get("quality"),
    )


class ReadStep(PipelineStep):
    """Documents of all sources; with several ranks, each reads its own files.

    Args:
        sources: what to read, in this order.
        data: the folder that the sources' paths are relative to.
        problems: a folder that gets `<rank>.json` with what could not be read; None: counted only.
    """

    type = "Reader"
    name = "read"

    def __init__(
        self, sources: Sequence[SourceSettings], data: Path, *, problems: Path | None = None
    ) -> None:
        super().__init__()
        self.sources = list(sources)
        self.data = data
        self.problems = problems

    def run(
        self, data: Iterable[PipelineDocument] | None = None, rank: int = 0, world_size: int = 1
    ) -> Iterator[PipelineDocument]:
        """The documents of this rank's share of the files, after those that come in."""
        if data:
            yield from data
        problems = Problems()
        for source in self.sources:
            documents = read_source(source, self.data, problems, rank=rank, world_size=world_size)
            while True:
                with self.track_time():
                    document = next(documents, None)
                if document is None:
                    break
                self.stat_update("total", "forwarded")
                yield into_pipeline(document)
        for reason, count in problems.counts.items():
            self.stat_update("total", "dropped", f"dropped_{reason}", value=count)
        if self.problems is not None:
            write_json(self.problems / f"{rank:05d}.json", problems.report())


class FilterStep(BaseFilter):
    """A rule that keeps or drops.

    Args:
        rule: who decides; its name is the step's.
        exclusion_writer: where the dropped documents go, each with `filter_reason` in its metadata.
    """

    type = "Filter"

    def __init__(self, rule: Judge, exclusion_writer: Any = None) -> None:
        self.name = rule.name
        super().__init__(exclusion_writer)
        self.rule = rule

    def filter(self, doc: PipelineDocument) -> bool | tuple[bool, str]:
        """True, or False with the reason."""
        reason = self.rule.judge(from_pipeline(doc))
        return True if reason is None else (False, reason)


class ChangeStep(PipelineStep):
    """A rule that changes documents; what it did is counted in the step's statistics."""

    type = "Change"

    def __init__(self, rule: Change) -> None:
        self.name = rule.name
        super().__init__()
        self.rule = rule

    def run(
        self, data: Iterable[PipelineDocument], rank: int = 0, world_size: int = 1
    ) -> Iterator[PipelineDocument]:
        """The documents in their order, changed."""
        for document in data:
            self.stat_update("total", "forwarded")
            with self.track_time():
                changed, counts = self.rule.change(from_pipeline(document))
            self._count(counts)
            yield into_pipeline(changed)

    def _count(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            self.stat_update(f"did_{name}", value=count)
