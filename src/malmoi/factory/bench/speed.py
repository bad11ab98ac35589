"""Training speed: our loop and transformers' Trainer on the same model, batch, data and optimizer.

    python -m malmoi.factory.bench.speed '{"tokens": FOLDER, ...}'

Both run in this process, in turn, so that a machine whose speed drifts slows both. Trainer is first tried
with every way to cut the batch and with both of its AdamWs; it is compared in the way that was fastest.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.stage import StageContext
from malmoi.core.store import Store
from malmoi.factory.bench.row import Row
from malmoi.factory.bench.trainer import Way, best_ways, time_trainer, trainer_name
from malmoi.factory.corpus.tokens import TokenMixture, load_tokens
from malmoi.factory.models.build import build_model
from malmoi.factory.models.settings import ModelSettings, model_config
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.loop import Hooks, LoopSettings, fit
from malmoi.factory.train.loss import language_model_loss
from malmoi.factory.train.optim import build_optimizer
from malmoi.factory.train.precision import choose_precision
from malmoi.factory.train.schedule import ScheduleSettings
from malmoi.factory.train.settings import OptimSettings

Precision = Literal["fp32", "bf16"]
_RATE = 1e-3
GOAL = 1.3


class SpeedSettings(BaseModel):
    """What is trained, and how often it is timed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    tokens: Path
    """Token files to train on."""
    model: ModelSettings = ModelSettings()
    context_length: int = Field(512, ge=2)
    batch_tokens: int = Field(8192, ge=2)
    """Tokens of an optimizer step."""
    micro_batch_tokens: int = Field(8192, ge=2)
    """Tokens that our loop puts through the model at once."""
    repeats: int = Field(5, ge=1)
    warmup_steps: int = Field(2, ge=1)
    """Steps of each run that are not timed."""
    num_steps: int = Field(6, ge=1)
    """Steps of each run that are timed."""
    precisions: tuple[Precision, ...] = ("bf16", "fp32")


class Setup:
    """The model, the batches and the clock that both sides share."""

    def __init__(self, settings: SpeedSettings) -> None:
        self.settings = settings
        tokens = load_tokens(settings.tokens)
        self.config = model_config(
            settings.model,
            vocab_size=tokens.vocab_size,
            context_length=settings.context_length,
            eot_id=tokens.eot_id,
        )
        self.rows_per_step = max(1, settings.batch_tokens // settings.context_length)
        self.total_steps = settings.warmup_steps + settings.num_steps
        self._mixture = TokenMixture(tokens, context_length=settings.context_length, seed=1)

    def new_model(self) -> Any:
        """The same model each time."""
        return build_model(self.config, seed=1)

    def step(self, number: int) -> list[Batch]:
        """The micro-batches of a step of our loop."""
        size = max(1, self.settings.micro_batch_tokens // self.settings.context_length)
        first, end = number * self.rows_per_step, (number + 1) * self.rows_per_step
        return [self._mixture.batch(range(at, min(at + size, end))) for at in range(first, end, size)]

    def sequences(self) -> torch.Tensor:
        """The inputs of all steps, (steps * rows, T)."""
        return self._mixture.batch(range(self.total_steps * self.rows_per_step)).input_ids

    def rate(self, ends: Sequence[float]) -> float:
        """Tokens a second, from the moments at which steps ended, without those of the warm-up."""
        timed = ends[self.settings.warmup_steps - 1 :]
        tokens = self.rows_per_step * self.settings.context_length
        return tokens * (len(timed) - 1) / (timed[-1] - timed[0])


def measure_speed(settings: SpeedSettings, say: Callable[[str], None]) -> Iterator[Row]:
    """Rows of each precision; bf16 only where the processor has it."""
    setup = Setup(settings)
    for precision in settings.precisions:
        if precision == "bf16" and choose_precision("auto", torch.device("cpu")) != "bf16":
            say("this processor has no bfloat16: only fp32 is measured")
            continue
        yield from _compare(setup, precision, say)


def _compare(setup: Setup, precision: Precision, say: Callable[[str], None]) -> Iterator[Row]:
    tried: dict[Way, float] = {}
    for way in best_ways(setup.rows_per_step):
        tried[way] = time_trainer(setup, precision, way)
        say(f"{precision}: Trainer, {way}: {tried[way]:.0f} tokens/s")
    # The micro-batch first, then torch's unfused AdamW with the best of them.
    best = max(tried, key=lambda way: tried[way])
    plain = Way(best.rows, "adamw_torch")
    tried[plain] = time_trainer(setup, precision, plain)
    say(f"{precision}: Trainer, {plain}: {tried[plain]:.0f} tokens/s")
    best = max(tried, key=lambda way: tried[way])
    rates: dict[str, list[float]] = {"adamw": [], "muon": [], "trainer": []}
    sides: Mapping[str, Callable[[], float]] = {
        "adamw": partial(time_ours, setup, precision, "adamw"),
        "trainer": partial(time_trainer, setup, precision, best),
        "muon": partial(time_ours, setup, precision, "muon"),
    }
    for repeat in range(setup.settings.repeats):
        for name in list(sides)[:: -1 if repeat % 2 else 1]:
            rates[name].append(sides[name]())
        say(
            f"{precision}, {repeat + 1} of {setup.settings.repeats}: "
            + ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items())
        )
    peer = f"{trainer_name()}, {best}"
    ways = ", ".join(f"{way}: {rate:.0f}" for way, rate in tried.items())
    model = (
        f"{setup.config.num_hidden_layers} layers of {setup.config.hidden_size}, vocabulary "
        f"{setup.config.vocab_size}, {setup.rows_per_step} sequences of "
        f"{setup.settings.context_length} a step"
    )

    def row(name: str, values: list[float], unit: str, **rest: Any) -> Row:
        return Row(f"factory.{name}_{precision}", values, unit, **rest)

    def over(name: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(rates[name], rates["trainer"], strict=True)]

    yield row("train_ratio", over("adamw"), "x", peer=peer, goal=GOAL,
              note=f"AdamW on both sides, {model}, {torch.get_num_threads()} threads; Trainer's ways in "
                   f"tokens/s: {ways}")  # fmt: skip
    yield row("train_ratio_muon", over("muon"), "x", peer=peer, note="ours with Muon, Trainer with AdamW")
    yield row("train", rates["adamw"], "tokens/s", note=f"AdamW, torch {torch.__version__}")
    yield row("train_muon", rates["muon"], "tokens/s", note="Muon for the hidden matrices")
    yield row("train_peer", rates["trainer"], "tokens/s", note=peer)


def time_ours(setup: Setup, precision: Precision, optimizer: Literal["adamw", "muon"]) -> float:
    """Tokens a second of our loop."""
    settings = OptimSettings(
        optimizer=optimizer, learning_rate=_RATE, muon_learning_rate=10 * _RATE, weight_decay=0.1
    )
    model = setup.new_model()
    ends: list[float] = []

    def mark(step: int) -> None:
        if step:
            ends.append(time.perf_counter())

    with TemporaryDirectory() as folder:
        fit(
            model,
            setup,
            language_model_loss,
            LoopSettings(
                num_steps=setup.total_steps,
                schedule=ScheduleSettings(kind="constant", warmup_steps=0),
                precision=precision,
            ),
            StageContext(
                store=Store(Path(folder)), name="bench", work=Path(folder), seed=1, home=Path(folder)
            ),
            optimizer=build_optimizer(model, settings, precision=precision),
            hooks=Hooks(before_step=mark),
        )
        ends.append(time.perf_counter())
    return setup.rate(ends)


def main() -> None:
    """Measure as the one argument says; rows go to standard output, progress to standard error."""
    settings = SpeedSettings.model_validate_json(sys.argv[1])

    def say(text: str) -> None:
        sys.stderr.write(f"  {text}\n")

    for row in measure_speed(settings, say):
        sys.stdout.write(row.line() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
