"""Assistants: searches in documents, how fast those are indexed, and how soon a skill answers."""

import asyncio
from collections.abc import Iterator

import click

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats

PARTS = ("search", "index", "pdf", "skill")
DOCUMENTS = 1000
QUESTIONS = 40
GOAL_MS = 200.0
"""Milliseconds a search may take at the median, from the question to the hits."""
PAGES = 200
GOAL_SECONDS = 60.0
"""Seconds until a document of `PAGES` pages is found by its words."""
GOAL_FIRST_TOKEN = 3.0
"""Seconds until the first word of a skill's answer, where its prompt was read before."""


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of assistants, or those of `options.parts`, as they are ready."""
    parts = options.parts or PARTS
    if "search" in parts:
        yield from _search(options)
    if "index" in parts:
        yield from _index(options)
    if "pdf" in parts:
        yield from _pdf(options)
    if "skill" in parts:
        yield from _skill(options)


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


def _pdf(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.serve.documents.bench.search import pdf_times

    _say(f"indexing a PDF of {PAGES} pages")
    found, ready = zip(*(asyncio.run(pdf_times(PAGES)) for _ in range(min(options.repeats, 3))), strict=True)
    note = f"a Korean PDF of {PAGES} pages"
    yield of_repeats(
        "assist.pdf_words",
        found,
        "s",
        goal=GOAL_SECONDS,
        lower_is_better=True,
        note=f"{note}, until a search finds its last page by its words",
    )
    yield of_repeats(
        "assist.pdf_vectors", ready, "s", lower_is_better=True, note=f"{note}, until all vectors are there"
    )


def _skill(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.serve.skills.first_token import first_token_times

    _say(f"asking {options.model} about holidays")
    cold, warm = asyncio.run(first_token_times(options.model, options.home, min(options.repeats, 3)))
    note = f"{options.model}; a query that a skill answers, until the model's first word"
    yield of_repeats(
        "assist.skill_first_token", cold, "s", lower_is_better=True, note=f"{note}, without kept prompts"
    )
    yield of_repeats(
        "assist.skill_first_token_kept",
        warm,
        "s",
        goal=GOAL_FIRST_TOKEN,
        lower_is_better=True,
        note=f"{note}, the same query again",
    )


def _say(text: str) -> None:
    click.echo(click.style(f"  {text} ...", dim=True), err=True)
