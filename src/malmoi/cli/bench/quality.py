"""Bits per byte of held-out Korean text after the same time of training: the recipe against a plain baseline.

The baseline is what most would write: byte-level BPE of the same size, a Llama of the same depth and width,
AdamW with a cosine. It goes through the same stages, loop and precision, over the same corpus. First the
steps of both are timed, in turn; from that follow the steps that fill the time; then both train, in turn.
"""

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats
from malmoi.cli.bench.recipe import Bench, Trained

SLICE = "language/ko"
GOAL = 0.92
BASELINE_RATE = 0.003
"""AdamW's rate of the baseline, the best of those in docs/experiments.md."""
EVALUATE_BYTES = 2_000_000
"""Held-out text of each source."""
MOST_PAIRS = 3
_PROBE_STEPS = 8
_PROBE_WARMUP = 3

BASELINE: Mapping[str, Any] = {
    "tokenizer.kind": "byte",
    "pretrain.model.architecture": "llama",
    "pretrain.model.use_post_norm": False,
    "pretrain.model.mup": False,
    "pretrain.optim": {"optimizer": "adamw", "learning_rate": BASELINE_RATE, "weight_decay": 0.1},
    "pretrain.schedule": {"kind": "cosine", "warmup_share": 0.05, "final_share": 0.1},
}


def compare_quality(bench: Bench, options: BenchOptions, say: Callable[[str], None]) -> Iterator[Measure]:
    """Bits per byte of both sides, and their ratio."""
    batch = _batch_tokens(bench)
    common: dict[str, Any] = {
        "pretrain.evaluate_every": None,
        "pretrain.sample_every": None,
        "pretrain.prompts": [],
        "pretrain.batch_tokens": batch,
        "pretrain.evaluate_bytes": EVALUATE_BYTES,
    }
    sides: dict[str, dict[str, Any]] = {"ours": common, "baseline": {**common, **BASELINE}}
    steps = _steps_in(bench, sides, 60 * options.minutes, say)
    results: dict[str, list[Trained]] = {name: [] for name in sides}
    pairs = min(options.repeats, MOST_PAIRS)
    for pair in range(pairs):
        for name in list(sides)[:: -1 if pair % 2 else 1]:
            say(f"bits per byte, {name}, {steps[name]} steps, pair {pair + 1} of {pairs}")
            changes = {"pretrain.num_steps": steps[name], "pretrain.seed": 100 + pair}
            results[name].append(bench.train({**sides[name], **changes}))
    values = {name: [trained.bits_per_byte[SLICE] for trained in rows] for name, rows in results.items()}
    ratios = [ours / theirs for ours, theirs in zip(values["ours"], values["baseline"], strict=True)]
    notes = {name: _note(rows, steps[name]) for name, rows in results.items()}
    peer = f"byte-level BPE, Llama, AdamW {BASELINE_RATE}, cosine: {notes['baseline']}"
    yield of_repeats("factory.bits_per_byte_ratio", ratios, "x", peer=peer, goal=GOAL, lower_is_better=True,
                     note=f"held-out Korean, ours over the baseline; ours: {notes['ours']}")  # fmt: skip
    yield of_repeats("factory.bits_per_byte", values["ours"], "bits/byte", lower_is_better=True)
    yield of_repeats("factory.bits_per_byte_baseline", values["baseline"], "bits/byte", lower_is_better=True)


def _batch_tokens(bench: Bench) -> int:
    """The recipe's batch; where it leaves that to the dial, one that suits minutes."""
    return int(bench.pretrain["batch_tokens"] or max(8192, bench.pretrain["context_length"]))


def _steps_in(
    bench: Bench,
    sides: Mapping[str, Mapping[str, Any]],
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, int]:
    """How many steps of each side fill the time."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for burst in range(2):
        for name, changes in sides.items():
            say(f"timing the steps of {name}, {burst + 1} of 2")
            probe = {"pretrain.num_steps": _PROBE_STEPS, "pretrain.evaluate_bytes": 1}
            trained = bench.train({**changes, **probe, "pretrain.seed": burst})
            times[name] += trained.seconds[_PROBE_WARMUP:]
    return {name: max(2, round(seconds / median(rows))) for name, rows in times.items()}


def _note(rows: list[Trained], steps: int) -> str:
    seconds = ", ".join(f"{sum(trained.seconds):.0f}" for trained in rows)
    return f"{rows[0].parameters / 1e6:.2f} M parameters, {steps} steps in {seconds} s"
