"""The training loop shared by everything that trains: pretraining, fine-tuning, preferences, rewards.

A method supplies `loss(model, batch) -> (loss_sum, count)`; this file owns accumulation, clipping, the
schedule, measuring and saving, and nothing else.

- The loss is a *sum* over targets. Gradients of all micro-batches and ranks are added up and divided once, by
  the count of the whole step: one micro-batch of 8 equals 8 of 1, and two ranks equal one (up to rounding).
- Nothing is changed by a step whose loss or gradient is not finite: that is found out before the weights are
  touched.
- A step is a pure function of the state before it: batches come by the step's number, and random numbers are
  seeded by (seed, step, rank). So evaluations disturb nothing, and a run that goes on from a checkpoint ends
  where an uninterrupted one does, bit for bit on the same machine.

Cost: beside forward and backward, one pass over the gradients for their norm, one to scale them, and one
reduction of three numbers over the ranks.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import StageContext, Task
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.blocks import quicken, recompute
from malmoi.factory.train.checkpoint import Checkpoints
from malmoi.factory.train.distributed import ALONE, Ranks, global_sums, local, total_norm
from malmoi.factory.train.precision import Precision
from malmoi.factory.train.schedule import ScheduleSettings, rate_at

LossFunction = Callable[[Any, Batch], tuple[Tensor, int]]
"""(model, micro-batch) -> (loss summed over the targets, number of targets)."""


class Batches(Protocol):
    """Where the data comes from: a pure function of the step."""

    def step(self, number: int) -> Sequence[Batch]:
        """This rank's micro-batches of step `number`, counted from 0."""


class Optimizer(Protocol):
    """What the loop needs of an optimizer (`optim.build_optimizer`)."""

    def set_rate(self, multiplier: float) -> None:
        """Set every group's learning rate to `multiplier` times its own."""

    def step(self) -> None:
        """Change the weights by their gradients."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Tensor]:
        """All its tensors, from the start, not copied: a checkpoint is read into them."""


class LoopSettings(BaseModel):
    """How a run goes, whatever it trains."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    num_steps: int = Field(ge=1)
    """Optimizer steps of the whole run."""
    max_norm: float = Field(1.0, ge=0.0)
    """Gradients longer than this are shortened to it; 0: never."""
    schedule: ScheduleSettings = ScheduleSettings()
    """How the learning rate goes over the run."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the products in forward and backward; parameters and sums are float32."""
    quick_blocks: bool = True
    """Run the blocks of transformers' models by the quicker forward of blocks.py, where it knows them."""
    checkpoint_activations: bool = False
    """Keep only the blocks' inputs and compute the rest again: less memory, a third more time."""
    compile: bool = False
    """torch.compile the blocks' own forward instead of the quicker one; it needs a C++ compiler, and on a
    processor it is slower."""
    evaluate_every: int | None = Field(None, ge=1)
    """Steps between two evaluations; what comes after the last step is the method's own affair."""
    sample_every: int | None = Field(None, ge=1)
    """Steps between two sets of samples."""
    save_every: int | None = Field(None, ge=1)
    """Steps between two checkpoints."""
    skip_bad_steps: int = Field(0, ge=0)
    """So many steps in all may be left out because their loss or gradient is not finite."""


@dataclass(frozen=True, slots=True)
class LoopState:
    """How far a run is."""

    step: int = 0
    """Steps done."""
    tokens: int = 0
    """Targets learned from, over all ranks."""
    skipped: int = 0
    """Steps left out because they were not finite."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a method does beside its loss; nothing of it may change the weights."""

    before_step: Callable[[int], object] | None = None
    """Called with the number of the step that comes next, from 0; may change the model's shape of data."""
    evaluate: Callable[[int], Mapping[str, Any]] | None = None
    """After so many steps: figures for the metrics. Every rank calls it."""
    sample: Callable[[int], str] | None = None
    """After so many steps: text to show. Every rank calls it."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What turns seconds into shares of the machine and into energy; what is unknown is not logged."""

    flops_per_token: Callable[[int], float] | None = None
    """Forward and backward operations for a token at a step."""
    peak_flops: float | None = None
    """Of one rank's device, in operations a second."""
    joules: Callable[[float], float] | None = None
    """Energy of so many seconds."""


def fit(
    model: nn.Module,
    batches: Batches,
    loss: LossFunction,
    settings: LoopSettings,
    context: StageContext,
    *,
    optimizer: Optimizer,
    ranks: Ranks = ALONE,
    checkpoints: Checkpoints | None = None,
    hooks: Hooks | None = None,
    meter: Meter | None = None,
) -> LoopState:
    """Train until `settings.num_steps` are done, from the newest checkpoint if there is one.

    Args:
        model: on its device, sharded already where there are several ranks.
        batches: micro-batches by step.
        loss: sums the loss of a micro-batch.
        settings: how the run goes.
        context: gives the seed, metrics and progress.
        optimizer: of the model's parameters.
        ranks: the processes that train together.
        checkpoints: where to save and to go on from; None: neither.
        hooks: evaluation, samples, and what must happen before a step.
        meter: for MFU and energy.

    Raises:
        MalmoiError: a loss or gradient is not finite; the message names the step.
    """
    hooks, meter = hooks or Hooks(), meter or Meter()
    precision = Precision(settings.precision, ranks.device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    state = _resume(model, optimizer, checkpoints, context, ranks)
    _prepare(model, settings)
    model.train()
    with _task(context, settings, ranks) as task:
        task.at(state.step)
        while state.step < settings.num_steps:
            began = time.perf_counter()
            if hooks.before_step is not None:
                hooks.before_step(state.step)
            _seed(context.seed, state.step, ranks)
            rate = rate_at(state.step, settings.num_steps, settings.schedule)
            loss_sum, count = _accumulate(model, batches.step(state.step), loss, precision, ranks)
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            scale = ranks.world_size / max(count, 1)  # FSDP has averaged over the ranks
            norm = total_norm(gradients, ranks) * scale
            mean = loss_sum / max(count, 1)
            fault = _fault(mean, norm, count)
            if fault is None:
                _multiply(gradients, scale * _shortening(norm, settings.max_norm))
                optimizer.set_rate(rate)
                optimizer.step()
                state = replace(state, step=state.step + 1, tokens=state.tokens + count)
            else:
                state = _skip(state, fault, settings, context, ranks)
            optimizer.zero_grad()
            seconds = time.perf_counter() - began
            row = {"loss": mean, "grad_norm": norm, "rate": rate, "tokens": state.tokens, "seconds": seconds}
            row.update(_speed(meter, state.step - 1, count, seconds, ranks))
            _report(task, context, row if fault is None else {"skipped": fault}, state, settings, ranks)
            _between_steps(model, optimizer, state, settings, context, ranks, checkpoints, hooks)
    return state


def _accumulate(
    model: nn.Module, group: Sequence[Batch], loss: LossFunction, precision: Precision, ranks: Ranks
) -> tuple[float, int]:
    """Add up the gradients of the micro-batches; loss and targets, summed over micro-batches and ranks."""
    total = torch.zeros((), dtype=torch.float64, device=ranks.device)
    count = 0
    for batch in group:
        with precision.forward():
            loss_sum, targets = loss(model, batch.to(ranks.device))
        loss_sum.backward()
        total += loss_sum.detach()
        count += targets
    loss_total, count_total = global_sums([float(total), float(count)], ranks)
    return loss_total, int(count_total)


def _multiply(gradients: Sequence[Tensor], factor: float) -> None:
    torch._foreach_mul_([local(gradient) for gradient in gradients], factor)


def _shortening(norm: float, max_norm: float) -> float:
    return min(1.0, max_norm / (norm + 1e-6)) if max_norm else 1.0


def _fault(mean: float, norm: float, count: int) -> str | None:
    """Why a step must not change the weights; None: it may."""
    if count == 0:
        return "there is nothing to learn in its batch"
    if not math.isfinite(mean):
        return f"its loss is {mean}"
    if not math.isfinite(norm):
        return f"its gradient's norm is {norm}"
    return None


def _skip(
    state: LoopState, fault: str, settings: LoopSettings, context: StageContext, ranks: Ranks
) -> LoopState:
    """The state after leaving a step out.

    Raises:
        MalmoiError: no more may be left out.
    """
    if state.skipped >= settings.skip_bad_steps:
        raise MalmoiError(
            f"step {state.step + 1} of {settings.num_steps} cannot be taken: {fault}.",
            fix="Lower the learning rate or lengthen the warm-up, or let skip_bad_steps leave some out; "
            "the weights of the step before are safe.",
        )
    if ranks.first:
        context.progress.note(f"Step {state.step + 1} is left out: {fault}.")
    return replace(state, step=state.step + 1, skipped=state.skipped + 1)


def _between_steps(
    model: nn.Module,
    optimizer: Optimizer,
    state: LoopState,
    settings: LoopSettings,
    context: StageContext,
    ranks: Ranks,
    checkpoints: Checkpoints | None,
    hooks: Hooks,
) -> None:
    """Evaluate, show samples and save, where it is time to."""
    last = state.step == settings.num_steps  # the method evaluates what it has trained in any case
    if hooks.evaluate is not None and _is_due(state.step, settings.evaluate_every) and not last:
        figures = _without_training(model, hooks.evaluate, state.step)
        if ranks.first:
            context.metrics.log(state.step, **figures)
    if hooks.sample is not None and _is_due(state.step, settings.sample_every) and not last:
        text = _without_training(model, hooks.sample, state.step)
        if ranks.first:
            context.metrics.log(state.step, sample=text)
            context.progress.note(text)
    if checkpoints is not None and (last or _is_due(state.step, settings.save_every)):
        facts = {"loop": asdict(state), "seed": context.seed, "schedule": settings.schedule.model_dump()}
        checkpoints.save(state.step, training_tensors(model, optimizer), facts)


def _without_training(model: nn.Module, function: Callable[[int], Any], step: int) -> Any:
    model.eval()
    try:
        with torch.no_grad():
            return function(step)
    finally:
        model.train()


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _resume(
    model: nn.Module,
    optimizer: Optimizer,
    checkpoints: Checkpoints | None,
    context: StageContext,
    ranks: Ranks,
) -> LoopState:
    """The state of the newest checkpoint, with model and optimizer filled from it; else the beginning."""
    manifest = None if checkpoints is None else checkpoints.load(training_tensors(model, optimizer))
    state = LoopState() if manifest is None else LoopState(**manifest.facts["loop"])
    if ranks.first:
        context.metrics.forget_after(state.step)
        if manifest is not None:
            context.progress.note(f"Training goes on after step {state.step}.")
    return state


def training_tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Everything that a run needs to go on, by name: what is trained, and the optimizer's memory of it."""
    trained = {f"model.{name}": p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return trained | {f"optimizer.{name}": tensor for name, tensor in optimizer.state_dict().items()}


def _prepare(model: Any, settings: LoopSettings) -> None:
    if settings.quick_blocks and not settings.compile and hasattr(model, "base_model"):
        quicken(model)
    if settings.checkpoint_activations:
        recompute(model)
    if settings.compile:
        for block in model.base_model.layers:
            block.compile()


def _seed(seed: int, step: int, ranks: Ranks) -> None:
    """Make the step's random numbers its own, such as dropout's or a sampled completion's."""
    torch.manual_seed(hash_numbers(seed, step, ranks.rank))


def hash_numbers(*numbers: int) -> int:
    """A 63-bit number that mixes all of them, the same in every process (SplitMix64's finaliser)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed >> 1


def _speed(meter: Meter, step: int, count: int, seconds: float, ranks: Ranks) -> dict[str, float]:
    row = {"tokens_per_second": count / seconds}
    if meter.flops_per_token is not None and meter.peak_flops:
        done = meter.flops_per_token(step) * count
        row["mfu"] = done / (seconds * meter.peak_flops * ranks.world_size)
    if meter.joules is not None:
        row["joules"] = meter.joules(seconds) * ranks.world_size
    return row


def _task(context: StageContext, settings: LoopSettings, ranks: Ranks) -> AbstractContextManager[Task]:
    if not ranks.first:
        return nullcontext(_Unseen())
    return context.progress.task("Train", total=settings.num_steps, unit="steps")


class _Unseen:
    """The task of a rank whose progress nobody sees."""

    def advance(self, amount: float = 1.0, **shown: str | float) -> None:
        pass

    def at(self, done: float, **shown: str | float) -> None:
        pass


def _report(
    task: Task,
    context: StageContext,
    row: Mapping[str, Any],
    state: LoopState,
    settings: LoopSettings,
    ranks: Ranks,
) -> None:
    if not ranks.first:
        return
    context.metrics.log(state.step, **row)
    if "loss" not in row:
        task.at(state.step)
        return
    shown: dict[str, str | float] = {"loss": round(row["loss"], 4), "tok/s": round(row["tokens_per_second"])}
    if "mfu" in row:
        shown["mfu"] = f"{row['mfu']:.0%}"
    shown["left"] = duration(row["seconds"] * (settings.num_steps - state.step))
    task.at(state.step, **shown)


def duration(seconds: float) -> str:
    """A time for people: 45s, 12m 05s, 3h 20m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
