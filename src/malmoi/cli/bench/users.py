"""Recommenders: training against an existing library, and how fast vectors and recommendations come.

The library is rectools in an environment of its own (`make bench-peers`), for it needs older releases of
what we stand on. Data: `--data` names a file of sequences (`user item item ...` a line) or a folder with
Beauty.txt; without it, generated logs.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats
from malmoi.core.child import child_environment
from malmoi.core.errors import EngineError, NotFound

if TYPE_CHECKING:
    from malmoi.users.logs import Logs

PARTS = ("sasrec", "encode", "recommend")
EPOCHS = 3
GOAL_MS = 10.0
"""Milliseconds a recommendation among `ITEMS` items may take at the median, on one core."""
ITEMS = 100_000


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of users, or those of `options.parts`, as they are ready."""
    parts = options.parts or PARTS
    if "sasrec" in parts:
        yield from _sasrec(options)
    if "encode" in parts:
        yield from _encode(options)
    if "recommend" in parts:
        yield from _recommend(options)


def say(text: str) -> None:
    """Progress, on standard error."""
    click.echo(click.style(f"  {text} ...", dim=True), err=True)


def peer_python() -> Path:
    """The interpreter that has rectools: MALMOI_PEERS, or `.venv-peers` where one stands.

    Raises:
        NotFound: there is none.
    """
    folder = Path(os.environ.get("MALMOI_PEERS", ".venv-peers"))
    python = folder / "bin" / "python"
    if not python.is_file():
        raise NotFound(
            f"there is no environment {folder} with rectools to compare with.",
            fix="Make it: make bench-peers; or say where it is: MALMOI_PEERS=FOLDER.",
        )
    return python


def _logs(options: BenchOptions) -> "tuple[Logs, str]":
    """What users did, and what it is called."""
    if options.data is not None:
        from malmoi.users.data.known import read_amazon_seq

        path = options.data / "Beauty.txt" if options.data.is_dir() else options.data
        return read_amazon_seq(path), path.stem
    from malmoi.users.simulate import SimulationSettings, simulate

    return simulate(SimulationSettings(users=10_000, items=4_000, seed=0)).logs, "generated logs"


def _sasrec(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.users.bench.sasrec import compare_sasrec

    python = peer_python()
    logs, name = _logs(options)
    threads = os.cpu_count() or 1
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        say(f"SASRec on {name}, {options.repeats} pairs of {EPOCHS} passes")
        for pair in compare_sasrec(
            logs, python, Path(folder), epochs=EPOCHS, threads=threads, repeats=options.repeats
        ):
            pairs.append(pair)
            say(f"pair {len(pairs)}: {pair[0].seconds:.1f} s and {pair[1].seconds:.1f} s")
    note = f"{name}, {EPOCHS} passes of 128 sequences, width 64, 2 layers, full softmax"
    told = pairs[0][1].version
    ratios = [one.examples_per_second / two.examples_per_second for one, two in pairs]
    yield of_repeats("users.train_ratio", ratios, "x", peer=told, note=note)
    yield of_repeats("users.train", [one.examples_per_second for one, _ in pairs], "examples/s")
    yield of_repeats("users.train_peer", [two.examples_per_second for _, two in pairs], "examples/s")
    yield of_repeats("users.ndcg", [one.ndcg for one, _ in pairs], "NDCG@10", note=note)
    yield of_repeats("users.ndcg_peer", [two.ndcg for _, two in pairs], "NDCG@10", peer=told, note=note)


def _encode(options: BenchOptions) -> Iterator[Measure]:
    from malmoi.users.bench.vectors import encode_rates

    say("encoding users")
    for kind, rates in encode_rates(options.repeats).items():
        note = "generated logs, 20 events a user"
        yield of_repeats(f"users.encode_{kind.replace('-', '_')}", rates, "users/s", note=note)


def _recommend(options: BenchOptions) -> Iterator[Measure]:
    say(f"recommending among {ITEMS:,} items")
    one = child_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    asked = [
        sys.executable,
        "-m",
        "malmoi.users.bench.vectors",
        "recommend",
        str(ITEMS),
        str(options.repeats),
    ]
    done = subprocess.run(asked, capture_output=True, text=True, env=one, check=False)
    if done.returncode:
        raise EngineError(f"the measurement failed: {done.stderr.strip().splitlines()[-1]}")
    for name, times in json.loads(done.stdout.splitlines()[-1]).items():
        yield of_repeats(
            f"users.{name}",
            times,
            "ms",
            goal=GOAL_MS if name == "recommend" else None,
            lower_is_better=True,
            note=f"texts to ten of {ITEMS:,} items, one thread, median of 200 requests",
        )
