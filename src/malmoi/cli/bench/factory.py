"""The model factory against what others would use: training, bits per byte, corpus and tokenizer.

Corpus, tokenizers and tokens are those of a recipe over `--data`, made once in a home of its own under the
home directory. The speed of training is measured in a child process, which has torch for itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats
from malmoi.cli.bench.quality import compare_quality
from malmoi.cli.bench.recipe import Bench, open_bench
from malmoi.core.child import child_environment
from malmoi.core.errors import EngineError
from malmoi.factory.bench.row import Row

TEXT_BYTES = 8_000_000
"""Text that is encoded, and that vocabularies are trained on."""
STEP_SEQUENCES = 16
"""Sequences of a step where the speed of training is compared."""


PARTS = ("corpus", "text", "speed", "quality")
"""In the order in which they are measured; the last two take most of the time."""


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of the factory, or those of `options.parts`, as they are ready."""
    parts = options.parts or PARTS
    bench = open_bench(options)
    say("corpus, tokenizer and tokens")
    made = bench.run("tokens")
    if "corpus" in parts:
        yield from _corpus(made["corpus"])
    if "text" in parts:
        yield from _text(made, options)
    if "speed" in parts:
        yield from _speed(bench, made["tokens"], options)
    if "quality" in parts:
        yield from compare_quality(bench, options, say)


def say(text: str) -> None:
    """Progress, on standard error."""
    click.echo(click.style(f"  {text} ...", dim=True), err=True)


def _measure(row: Row) -> Measure:
    return of_repeats(
        row.name,
        row.values,
        row.unit,
        peer=row.peer,
        goal=row.goal,
        lower_is_better=row.lower_is_better,
        note=row.note,
    )


def _corpus(corpus: Path) -> Iterator[Measure]:
    """Megabytes a second of one core, by step, as the stage noted them when it made the corpus."""
    steps = json.loads((corpus / "about" / "steps.json").read_text(encoding="utf-8"))["steps"]
    seconds = sum(step["seconds"] for step in steps)
    size = max((step["megabytes"] or 0.0 for step in steps), default=0.0)
    note = f"{size:.1f} MB of text read, {seconds:.0f} s of one core in all steps"
    yield Measure("factory.corpus", size / max(seconds, 1e-9), "MB/s/core", note=note)
    for step in steps:
        if step["megabytes_per_second"] is not None:
            note = f"{step['megabytes']:.1f} MB in {step['seconds']:.1f} s"
            name = f"factory.corpus.{step['name']}"
            yield Measure(name, step["megabytes_per_second"], "MB/s/core", note=note)


def _text(made: dict[str, Path], options: BenchOptions) -> Iterator[Measure]:
    from malmoi.factory.bench.text import choose_text, measure_encoding, measure_vocabulary

    say("encoding")
    documents = choose_text(made["corpus"], max_bytes=TEXT_BYTES)
    for row in measure_encoding(made["tokenizer"], documents, repeats=options.repeats):
        yield _measure(row)
    size = json.loads((made["tokens"] / "tokens.json").read_text(encoding="utf-8"))["vocab_size"]
    repeats = min(options.repeats, 3)
    for row in measure_vocabulary(documents, vocab_size=size, repeats=repeats, say=say):
        yield _measure(row)


def _speed(bench: Bench, tokens: Path, options: BenchOptions) -> Iterator[Measure]:
    say("training speed")
    settings: dict[str, Any] = {
        "tokens": str(tokens),
        "model": bench.pretrain["model"],
        "context_length": bench.pretrain["context_length"],
        "batch_tokens": STEP_SEQUENCES * bench.pretrain["context_length"],
        "micro_batch_tokens": bench.pretrain["micro_batch_tokens"],
        "repeats": options.repeats,
    }
    command = [sys.executable, "-m", "malmoi.factory.bench.speed", json.dumps(settings)]
    environment = child_environment(TRANSFORMERS_VERBOSITY="error")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield _measure(Row(**json.loads(line)))
        finally:
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.terminate()
    if process.returncode:
        raise EngineError(f"measuring the speed of training ended with status {process.returncode}.")
