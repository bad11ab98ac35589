"""The recipe's stage that trains a vocabulary on a corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import NEUTRAL, Input, Stage, StageContext
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.factory.corpus.documents import read_documents, read_mixture
from malmoi.factory.tokenizer.opening import open_tokenizer
from malmoi.factory.tokenizer.report import choose_documents, measure, render_table
from malmoi.factory.tokenizer.report_page import write_report
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.train import TrainingSettings, checked_size, train
from malmoi.factory.tokenizer.words import SourceShare, count_words
from malmoi.factory.tokenizer.writing import write_tokenizer


class TokenizerConfig(TrainingSettings):
    """Settings of the stage "tokenizer"."""

    against: tuple[str, ...] = Field((), json_schema_extra=NEUTRAL)
    """Models whose tokenizers the report compares with: installed names such as "small", or paths."""
    report_bytes: int = Field(500_000, ge=0, json_schema_extra=NEUTRAL)
    """Held-out text of each language slice that is measured; 0: no report."""


class TokenizerStage(Stage[TokenizerConfig]):
    """A tokenizer folder of Hugging Face's form from the training split of a corpus.

    What takes long, the analysis of words, is kept under `context.work` as it is made.
    """

    config: ClassVar[type[TokenizerConfig]] = TokenizerConfig
    kind: ClassVar[ArtifactKind] = "tokenizer"
    version: ClassVar[int] = 1
    inputs: ClassVar[Mapping[str, Input]] = {"corpus": Input(("corpus",))}

    def run(
        self,
        config: TokenizerConfig,
        inputs: Mapping[str, Artifact],
        out: Path,
        context: StageContext,
    ) -> Mapping[str, Any]:
        """Count words, train, write, measure.

        Raises:
            InvalidInput: the vocabulary size is too small, or there is no text.
        """
        checked_size(config.vocab_size)  # before anything takes long
        corpus = inputs["corpus"].path
        sources = read_mixture(corpus).sources
        total = sum(source.weight for source in sources) or 1.0
        shares = {s.name: SourceShare(s.weight / total, s.bytes) for s in sources}
        size = min(config.sample_bytes, sum(share.bytes for share in shares.values()))
        with context.progress.task("Count words", total=size, unit="B") as task:
            words = count_words(
                read_documents(corpus), shares, sample_bytes=size, seed=context.seed, task=task
            )
        trained = train(words, config, work=context.work, progress=context.progress)
        write_tokenizer(trained.backend, out)
        for note in trained.notes:
            context.progress.note(note)
        if config.report_bytes:
            self._report(config, corpus, out, context, trained.notes)
        return {
            "kind": config.kind,
            "vocab_size": trained.vocab_size,
            "merges": len(trained.merges),
            "sampled_bytes": sum(words.sampled.values()),
        }

    def _report(
        self,
        config: TokenizerConfig,
        corpus: Path,
        out: Path,
        context: StageContext,
        notes: Sequence[str],
    ) -> None:
        """Measure on held-out documents. The tokenizer is made already: no fault here may lose it."""
        try:
            texts = choose_documents(read_documents(corpus, "validation"), slice_bytes=config.report_bytes)
        except MalmoiError as error:
            context.progress.note(f"No tokenizer report: {error.message}")
            return
        tokenizers = {"this one": Tokenizer.load(out)}
        for ref in config.against:
            try:
                tokenizers[ref] = open_tokenizer(ref, home=context.home)
            except MalmoiError as error:
                context.progress.note(f"Not compared with {ref}: {error.message}")
        report = measure(
            tokenizers,
            texts,
            boundaries=config.boundaries,
            progress=context.progress,
            workers=config.workers,
        )
        write_report(report, out / "about", tokenizer=tokenizers["this one"], texts=texts, notes=notes)
        context.progress.note(render_table(report))
