"""Assistants: how long a search in documents takes, and how fast documents are indexed."""

import asyncio
from collections.abc import Iterator

import click

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats

PARTS = ("search", "index")
DOCUMENTS = 1000
QUESTIONS = 40
GOAL_MS = 200.0
"""Milliseconds a search may take at the median, from the question to the hits."""
PAGES = 200
GOAL_SECONDS = 60.0
"""Seconds until a document of `PAGES` pages is found by its words."""


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of assistants, or those of `options.parts`, as they are ready."""
    parts = options.parts or PARTS
    if "search" in parts:
        yield from _search(options)
    if "index" in parts:
        yield from _index(options)


def _search(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.serve.documents.bench.search import search_times

    _say(f"indexing {DOCUMENTS:,} generated documents, then {options.repeats} times {QUESTIONS} questions")
    medians, passages = asyncio.run(search_times(DOCUMENTS, QUESTIONS, options.repeats))
    yield of_repeats(
        "assist.search",
        medians,
        "ms",
        goal=GOAL_MS,
        lower_is_better=True,
        note=f"{DOCUMENTS:,} documents, {passages:,} passages, SQLite; from the question to the hits",
    )


def _index(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.serve.documents.bench.search import index_rates

    _say(f"indexing a document of {PAGES} pages")
    found, ready = zip(
        *(asyncio.run(index_rates(PAGES)) for _ in range(min(options.repeats, 3))), strict=True
    )
    note = f"one text of {PAGES} pages of 1,800 characters"
    yield of_repeats("assist.index", ready, "pages/s", note=f"{note}, until all is indexed")
    yield of_repeats(
        "assist.index_words", found, "pages/s", goal=PAGES / GOAL_SECONDS, note=f"{note}, until it is found"
    )


def _say(text: str) -> None:
    click.echo(click.style(f"  {text} ...", dim=True), err=True)
