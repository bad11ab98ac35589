"""Learning-rate schedules: pure functions of the step.

    wsd       warm up, stay, decay: Hu et al. 2024, "MiniCPM", arXiv 2404.06395, section 4; a run can be made
              longer later, because only its last part knows where it ends
    cosine    warm up, then half a cosine down: Loshchilov and Hutter 2017, arXiv 1608.03983
    constant  warm up, then stay

A schedule gives a multiplier in [0, 1] of each parameter group's own learning rate.
"""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.errors import InvalidInput


class ScheduleSettings(BaseModel):
    """How the learning rate goes over a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["wsd", "cosine", "constant"] = "wsd"
    """wsd: warm up, stay, decay; cosine: warm up, then half a cosine; constant: warm up, then stay."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps of linear warm-up; takes the place of warmup_share."""
    warmup_share: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the run that warms up."""
    decay_share: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of the run, at its end, in which a wsd schedule decays."""
    decay_shape: Literal["linear", "sqrt"] = "linear"
    """How a wsd schedule decays: linear, or 1 - sqrt (Hägele et al. 2024, arXiv 2405.18392, equation 2)."""
    final_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """What the rate falls towards, as a share of the full rate; the last step is one notch above it."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.kind == "wsd" and self.warmup_steps is None and self.warmup_share + self.decay_share > 1.0:
            raise ValueError(
                f"warmup_share {self.warmup_share} and decay_share {self.decay_share} are more than the "
                "whole run; make their sum at most 1"
            )
        return self


def rate_at(step: int, num_steps: int, settings: ScheduleSettings) -> float:
    """The multiplier of step `step` of `num_steps` (the first is 0).

    A warm-up begins one notch above 0 and a decay ends one above `final_share`: a step at rate 0 is wasted.

    Raises:
        InvalidInput: `num_steps` is not positive, or `step` is not in [0, num_steps).
    """
    if num_steps <= 0:
        raise InvalidInput(f"a run of {num_steps} steps has no schedule.", field="num_steps")
    if not 0 <= step < num_steps:
        raise InvalidInput(f"step {step} is not in a run of {num_steps} steps.", field="step")
    warmup = min(warmup_steps(num_steps, settings), num_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    final = settings.final_share
    if settings.kind == "constant":
        return 1.0
    if settings.kind == "cosine":
        done = (step - warmup + 1) / (num_steps - warmup + 1)
        return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done))
    decay = min(round(settings.decay_share * num_steps), num_steps - warmup)
    left = num_steps - step  # steps still to take, with this one
    if left > decay:
        return 1.0
    done = 1.0 - left / (decay + 1)
    lost = done if settings.decay_shape == "linear" else math.sqrt(done)
    return final + (1.0 - final) * (1.0 - lost)


def warmup_steps(num_steps: int, settings: ScheduleSettings) -> int:
    """The steps of the warm-up in a run of `num_steps`."""
    if settings.warmup_steps is not None:
        return settings.warmup_steps
    return round(settings.warmup_share * num_steps)
