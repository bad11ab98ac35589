"""What the guard costs: time a sentence and a request, text held back in streams; and what it finds.

The policy is `strict`, with every classifier that the home directory holds. Where the package ko-pii is
installed beside Malmoi, both look for the same kinds of personal data in the same made-up sentences.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

import click

from malmoi.cli.bench.guard_texts import Marked, personal_texts
from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats

if TYPE_CHECKING:
    from malmoi.assist.guard import Guard

GOAL_MS = 3.0
"""Milliseconds a sentence may take at the median."""
SENTENCES = 400
MARKED = 2000
_KO_PII = {
    "RRN": "rrn",
    "FRN": "foreigner",
    "PHONE": "phone",
    "FAX": "phone",
    "EMAIL": "email",
    "CARD": "card",
    "ACCOUNT": "account",
    "PASSPORT": "passport",
    "IP": "ip",
}


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of the guard, as they are ready."""
    from malmoi.assist.guard import Guard, load_policy

    guard = Guard(load_policy("strict"), options.home)
    labels = guard.judge.labels
    note = f"strict policy; labels of classifiers: {', '.join(labels) or 'none installed'}"
    texts = sentences(SENTENCES)
    say("sentences")
    yield from _latency(guard, texts, options.repeats, note)
    say("streams")
    yield from _streams(guard, texts, options.repeats, note)
    say("personal data")
    yield from _personal(options.repeats)


def say(text: str) -> None:
    """Progress, on standard error."""
    click.echo(click.style(f"  {text} ...", dim=True), err=True)


def sentences(count: int) -> list[str]:
    """Different Korean sentences of the generated corpus, with some that hold personal data."""
    from malmoi.assist.guard.sentences import sentences as cut
    from malmoi.factory.corpus.synthetic import iter_texts

    found: dict[str, None] = {marked.text: None for marked in personal_texts(count // 10, 1)}
    for text in islice(iter_texts("korean", 7), 5000):
        for start, end in cut(text.text):
            found[text.text[start:end].strip()] = None
        if len(found) > count:
            break
    return [text for text in found if text][:count]


def _latency(guard: Guard, texts: Sequence[str], repeats: int, note: str) -> Iterator[Measure]:
    """Milliseconds to judge an answer of one sentence, and to check a question."""

    async def answers(offset: str) -> list[float]:
        checked = await guard.check("질문")
        taken: list[float] = []
        for text in texts:
            answer = guard.answer(checked)
            began = time.perf_counter()
            await answer.whole(f"{offset}{text}")
            taken.append((time.perf_counter() - began) * 1000)
        return taken

    async def questions(offset: str) -> list[float]:
        taken: list[float] = []
        for text in texts:
            began = time.perf_counter()
            await guard.check(f"{offset}{text}")
            taken.append((time.perf_counter() - began) * 1000)
        return taken

    for name, run in (("sentence", answers), ("question", questions)):
        asyncio.run(run("준비 "))  # classifiers are opened at their first use
        # A new beginning in each round: what was judged before is remembered.
        rounds = [sorted(asyncio.run(run(f"{number} "))) for number in range(repeats)]
        length = round(median(map(len, texts)))
        yield of_repeats(
            f"guard.{name}_ms",
            [median(taken) for taken in rounds],
            "ms",
            goal=GOAL_MS,
            lower_is_better=True,
            note=f"{note}; {len(texts)} sentences of {length} characters at the median",
        )
        if name == "sentence":
            # What one core works, where the time that passes also counts what other programs take.
            began = time.process_time()
            asyncio.run(run(f"{repeats} "))
            each = (time.process_time() - began) * 1000 / len(texts)
            yield Measure(
                "guard.sentence_cpu_ms", each, "ms", goal=GOAL_MS, lower_is_better=True, note="mean"
            )
        ninth = [taken[int(len(taken) * 0.95)] for taken in rounds]
        yield of_repeats(f"guard.{name}_p95_ms", ninth, "ms", note="the slowest twentieth")


def _streams(guard: Guard, texts: Sequence[str], repeats: int, note: str) -> Iterator[Measure]:
    """What a stream of single characters waits for, and how fast text passes."""
    from malmoi.assist.guard import Guard, load_policy

    whole = " ".join(texts)

    async def first(one: Guard, text: str) -> tuple[int, float]:
        """Characters that were fed, and seconds of work, before anything left."""
        answer = one.answer(await one.check("질문"))
        began = time.perf_counter()
        for fed, char in enumerate(text, 1):
            if await answer.feed(char):
                return fed, time.perf_counter() - began
        await answer.close()
        return len(text), time.perf_counter() - began

    async def passing(one: Guard, salt: int) -> float:
        answer = one.answer(await one.check("질문"))
        text = f"{salt} {whole}"
        began = time.perf_counter()
        for at in range(0, len(text), 3):
            await answer.feed(text[at : at + 3])
        await answer.close()
        return len(text.encode()) / 1e6 / (time.perf_counter() - began)

    free = Guard(load_policy("default"), None)
    for name, one in (("default", free), ("strict", guard)):
        held = [asyncio.run(first(one, f"{text} 다음 말입니다.")) for text in texts[:100]]
        told = "characters that have come when the first leaves; " + note if one is guard else "holds nothing"
        yield Measure(f"guard.first_text.{name}", median(fed for fed, _ in held), "characters", note=told)
        own = [seconds * 1000 for _, seconds in held]
        yield Measure(
            f"guard.first_text_work.{name}", median(own), "ms", note="work until then, at the median"
        )
    rates = [asyncio.run(passing(guard, number)) for number in range(repeats)]
    yield of_repeats("guard.stream", rates, "MB/s", note=f"3 characters a piece; {note}")


def _personal(repeats: int) -> Iterator[Measure]:
    """Recall, precision and speed of finding personal data, and those of ko-pii where it is installed."""
    from malmoi.core.pii import find_pii

    texts = list(personal_texts(MARKED, 3))

    def ours(text: str) -> list[tuple[str, int, int]]:
        return [(one.kind, one.start, one.end) for one in find_pii(text)]

    yield from _quality("guard.pii", ours, texts, repeats, peer=None)
    if find_spec("ko_pii") is None:
        click.echo("  ko-pii is not installed: nothing to compare with.", err=True)
        return
    from importlib import import_module
    from importlib.metadata import version

    detect = import_module("ko_pii").detect_all

    def theirs(text: str) -> list[tuple[str, int, int]]:
        found = [(_KO_PII.get(str(one.label).upper()), one.start, one.end) for one in detect(text)]
        return [(kind, start, end) for kind, start, end in found if kind is not None]

    yield from _quality("guard.pii_peer", theirs, texts, min(repeats, 2), peer=f"ko-pii {version('ko-pii')}")


def _quality(
    name: str,
    find: Callable[[str], list[tuple[str, int, int]]],
    texts: Sequence[Marked],
    repeats: int,
    *,
    peer: str | None,
) -> Iterator[Measure]:
    """A finding counts when it overlaps a place; of what kind it is called does not matter."""
    size = sum(len(marked.text.encode()) for marked in texts) / 1e6
    rates: list[float] = []
    answers: list[list[tuple[str, int, int]]] = []
    for _ in range(repeats):
        began = time.perf_counter()
        answers = [find(marked.text) for marked in texts]
        rates.append(size / (time.perf_counter() - began))
    true = sum(len(marked.places) for marked in texts)
    found = sum(map(len, answers))
    hit = right = 0
    for marked, answer in zip(texts, answers, strict=True):
        hit += sum(any(_overlap(place, one) for one in answer) for place in marked.places)
        right += sum(any(_overlap(place, one) for place in marked.places) for one in answer)
    note = f"{len(texts)} made-up sentences with {true} pieces of personal data"
    yield Measure(f"{name}.recall", hit / true, "share", peer=peer, note=note)
    yield Measure(f"{name}.precision", right / max(1, found), "share", peer=peer, note=note)
    yield of_repeats(f"{name}.speed", rates, "MB/s", peer=peer)


def _overlap(a: tuple[str, int, int], b: tuple[str, int, int]) -> bool:
    return a[1] < b[2] and b[1] < a[2]
