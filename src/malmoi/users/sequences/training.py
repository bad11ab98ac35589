"""The training loop of user models: any `Trainable`, in steps that can be killed and gone on with.

A model supplies the micro-batches of a step and the loss of one; this file owns the optimizer, the schedule,
clipping, validation with patience, checkpoints and metrics, and nothing else.

- A step is a pure function of the state before it: batches come by the step's number, and torch's random
  numbers (dropout) are seeded by (seed, step). So validations disturb nothing, and a fit that goes on from a
  checkpoint ends where an uninterrupted one does, bit for bit on the same machine.
- The losses of a step's micro-batches add up to the step's loss: who cuts a batch divides each part by the
  count of the whole. One micro-batch of 8 then equals 8 of 1.
- A step whose loss or gradient is not finite changes nothing and ends the fit.

Cost: beside forward and backward one pass over the gradients for their norm, and a checkpoint every
`save_seconds` that writes four times the weights (weights, two moments, best weights).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import NEUTRAL, Task
from malmoi.factory.train.loop import hash_numbers
from malmoi.factory.train.precision import Precision, PrecisionName, choose_precision
from malmoi.factory.train.schedule import ScheduleSettings, rate_at
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.sequences.training_state import State, fill, identity_of, load_state, save_state

Gradients = Callable[[Sequence[Any]], Mapping[str, float]]
"""Adds the gradients of a step's parts to the parameters and gives the step's figures, "loss" among them."""


class Trainable(Protocol):
    """What the loop needs of a model that learns."""

    module: nn.Module
    """What is trained: its parameters that require a gradient."""
    batch_size: int
    """Examples of a step, for the speed that is shown."""

    def parts(self, step: int) -> Sequence[Any]:
        """The micro-batches of a step, from 0: a pure function of its number (and of the fit's seed)."""
        ...

    def loss(self, part: Any) -> Mapping[str, Tensor]:
        """Scalars of a part; "loss" is minimised. Every scalar adds up over the parts of a step."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Figures of the model as it is, without a gradient and in evaluation mode; may be empty."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """What decides which weights are the best."""

    figure: str
    """A name in what `validate` gives."""
    goal: Literal["higher", "lower"] = "higher"
    """Which way is better."""

    def improves(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best so far."""
        if best is None:
            return not math.isnan(value)
        return value > best if self.goal == "higher" else value < best


class TrainingSettings(UserModelSettings):
    """How a fit goes, whatever it fits."""

    num_steps: int = Field(2000, ge=1)
    """Steps at most."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW, at its highest."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled; of matrices only, norms and biases do not decay."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's averages of the gradient and of its square."""
    eps: float = Field(1e-6, gt=0)
    """AdamW's epsilon."""
    max_norm: float = Field(1.0, ge=0)
    """Gradients longer than this are shortened to it; 0: never."""
    schedule: ScheduleSettings = ScheduleSettings(kind="cosine", warmup_share=0.01, final_share=0.1)
    """How the learning rate goes over the fit."""
    precision: PrecisionName = "auto"
    """Of the products: bf16, fp32, or auto: bf16 where the processor computes it."""
    validate_every: int = Field(100, ge=1)
    """Steps between two validations."""
    patience: int | None = Field(None, ge=1)
    """Stop when so many steps have brought no better validation; None: never."""
    save_seconds: float = Field(30.0, ge=0, json_schema_extra=NEUTRAL)
    """Between two checkpoints."""
    log_every: int = Field(10, ge=1, json_schema_extra=NEUTRAL)
    """Steps between two lines of metrics."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a fit ended."""

    steps: int
    """Steps done."""
    best_step: int
    """The step whose weights the module holds now."""
    best_figure: float | None
    """What they reached; None: nothing was validated."""


def fit(
    trainable: Trainable,
    settings: TrainingSettings,
    context: FitContext,
    *,
    watch: Watch | None = None,
    identity: Mapping[str, Any] | None = None,
    gradients: Gradients | None = None,
    title: str = "Train",
) -> Trained:
    """Train from the checkpoint in `context.work`, if there is one, to the last step or until patience ends.

    Afterwards the module holds the weights that validated best (the last ones where nothing is watched) and
    is in evaluation mode.

    Args:
        trainable: the model, its batches and its losses.
        settings: how the fit goes.
        context: gives work, seed, metrics and progress.
        watch: which figure of `validate` decides; None: the last weights are kept.
        identity: JSON values that must be the same for a checkpoint to be gone on from, such as a digest of
            the logs; the training settings and the seed always count.
        gradients: takes the place of forward and backward over the parts, for losses that need all parts at
            once (cached gradients, several processes).
        title: of the progress bar.

    Raises:
        MalmoiError: a loss or gradient is not finite; the message names the step.
        Conflict: the checkpoint belongs to another fit.
    """
    module = trainable.module
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    optimizer, memory = _optimizer(weights, settings)
    best = {name: parameter.detach().clone() for name, parameter in weights.items()}
    chosen = choose_precision(settings.precision, next(iter(weights.values())).device)
    precision = Precision(chosen, next(iter(weights.values())).device)
    accumulate = gradients or (lambda parts: _accumulate(trainable, parts, precision))
    facts = {"settings": settings.model_dump(mode="json", exclude={"save_seconds", "log_every"})}
    key = identity_of({**facts, "seed": context.seed, "of": dict(identity or {})})
    state = State(identity=key)
    context.work.mkdir(parents=True, exist_ok=True)
    saved = load_state(context.work, key)
    if saved is not None:
        state, tensors = saved
        for prefix, own in (("model.", weights), ("optimizer.", memory), ("best.", best)):
            fill(own, tensors, prefix)
        context.progress.note(f"{title} goes on after step {state.step}.")
    context.metrics.forget_after(state.step)

    def save() -> None:
        parts = (("model.", weights), ("optimizer.", memory), ("best.", best))
        save_state(context.work, state, {p + name: t for p, own in parts for name, t in own.items()})

    clock = _Clock(time.monotonic(), time.monotonic())
    with context.progress.task(title, total=settings.num_steps, unit="steps") as task:
        task.at(state.step)
        while not state.finished:
            figures = _step(trainable, accumulate, weights, optimizer, settings, context.seed, state.step)
            state = state.model_copy(update={"step": state.step + 1})
            _report(task, figures, state, settings, context, clock, trainable.batch_size)
            last = state.step >= settings.num_steps
            if last or state.step % settings.validate_every == 0:
                began = time.monotonic()
                state = _validate(trainable, precision, state, watch, weights, best, context)
                clock.logged += time.monotonic() - began  # the speed is that of training alone
            tired = settings.patience is not None and state.step - state.best_step >= settings.patience
            stop = last or (tired and watch is not None and state.best_figure is not None)
            if stop:
                state = state.model_copy(update={"finished": True})
            if stop or time.monotonic() - clock.saved >= settings.save_seconds:
                save()
                clock.saved = time.monotonic()
    with torch.no_grad():
        if watch is not None and state.best_figure is not None:
            for name, parameter in weights.items():
                parameter.copy_(best[name])
    module.eval()
    return Trained(state.step, state.best_step or state.step, state.best_figure)


@dataclass
class _Clock:
    """When metrics and checkpoint were last written, and the steps since the metrics."""

    logged: float
    saved: float
    steps: int = 0


def _optimizer(
    weights: Mapping[str, nn.Parameter], settings: TrainingSettings
) -> tuple[torch.optim.AdamW, dict[str, Tensor]]:
    """AdamW and its memory by name, complete from the start so that a checkpoint can be read into it."""
    groups = [
        {"params": [p for p in weights.values() if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in weights.values() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate, betas=settings.betas, eps=settings.eps, fused=True,
    )  # fmt: skip
    memory = {}
    for name, parameter in weights.items():
        state = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
        }
        optimizer.state[parameter] = state
        memory.update({f"{name}.{what}": tensor for what, tensor in state.items()})
    return optimizer, memory


def _accumulate(trainable: Trainable, parts: Sequence[Any], precision: Precision) -> dict[str, float]:
    """Gradients and figures of all parts, added up."""
    totals: dict[str, float] = {}
    for part in parts:
        with precision.forward():
            terms = trainable.loss(part)
        terms["loss"].backward()
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
    return totals


def _step(
    trainable: Trainable,
    accumulate: Gradients,
    weights: Mapping[str, nn.Parameter],
    optimizer: torch.optim.AdamW,
    settings: TrainingSettings,
    seed: int,
    step: int,
) -> dict[str, float]:
    """One change of the weights.

    Raises:
        MalmoiError: the loss or the gradient is not finite; the weights are as they were.
    """
    trainable.module.train()
    parts = trainable.parts(step)
    torch.manual_seed(hash_numbers(seed, step))
    figures = dict(accumulate(parts))
    gradients = [p.grad for p in weights.values() if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    for what, value in (("loss", figures["loss"]), ("gradient's norm", norm)):
        if not math.isfinite(value):
            raise MalmoiError(
                f"step {step + 1} of {settings.num_steps} cannot be taken: its {what} is {value}.",
                fix="Lower the learning rate, lengthen the warm-up or lower max_norm.",
            )
    if settings.max_norm and norm > settings.max_norm:
        torch._foreach_mul_(gradients, settings.max_norm / (norm + 1e-6))
    rate = settings.learning_rate * rate_at(step, settings.num_steps, settings.schedule)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**figures, "grad_norm": norm, "rate": rate}


def _report(
    task: Task,
    figures: Mapping[str, float],
    state: State,
    settings: TrainingSettings,
    context: FitContext,
    clock: _Clock,
    batch_size: int,
) -> None:
    clock.steps += 1
    if state.step % settings.log_every and state.step != settings.num_steps:
        task.advance(loss=figures["loss"])
        return
    now = time.monotonic()
    speed = batch_size * clock.steps / max(now - clock.logged, 1e-9)
    clock.logged, clock.steps = now, 0
    context.metrics.log(state.step, **figures, examples_per_second=round(speed, 1))
    task.at(state.step, loss=figures["loss"], examples_per_second=round(speed))


def _validate(
    trainable: Trainable,
    precision: Precision,
    state: State,
    watch: Watch | None,
    weights: Mapping[str, nn.Parameter],
    best: Mapping[str, Tensor],
    context: FitContext,
) -> State:
    """The state after a look at the validation figures; `best` takes over weights that are better."""
    trainable.module.eval()
    with torch.no_grad(), precision.forward():
        figures = dict(trainable.validate())
    if not figures:
        return state
    context.metrics.log(state.step, **{f"validation_{name}": value for name, value in figures.items()})
    if watch is None or not watch.improves(figures[watch.figure], state.best_figure):
        return state
    for name, parameter in weights.items():
        best[name].copy_(parameter.detach())
    return state.model_copy(update={"best_step": state.step, "best_figure": float(figures[watch.figure])})
