"""Context extension: most of the training is at a short context, the last part at a long one.

The HyperCLOVA X report trains 90 % of the tokens at 4,096 and the last 10 % at 32,768 (arXiv 2404.01954,
section 2); the base of the rotary embedding grows at the boundary (arXiv 2309.16039). The tokens of a step
stay the same, so the learning rate's meaning does not change: a step has fewer, longer sequences.

A phase is a pure function of the step, so a run that goes on from a checkpoint is in the right one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.factory.models.context import extend_context


class ExtensionSettings(BaseModel):
    """The last part of the training, at a longer context."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    context_length: int = Field(ge=2)
    """Tokens of a sequence in the last part."""
    share: float = Field(0.1, gt=0.0, lt=1.0)
    """Part of all tokens that is trained at this length."""
    rope_theta: float | None = Field(None, gt=1.0)
    """Base of the rotary embedding from there on; None: the model's, times the growth of the context."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps `first` to `end` - 1, all alike."""

    first: int
    end: int
    context_length: int
    num_sequences: int
    """Sequences of a step, over all ranks."""
    rope_theta: float | None
    """None: the model's own."""
    first_sequence: int
    """Number of the first sequence of the first step in the data's order at this context length."""

    def sequences(self, step: int) -> range:
        """Numbers of the sequences of `step` (counted from 0) in the data's order."""
        start = self.first_sequence + (step - self.first) * self.num_sequences
        return range(start, start + self.num_sequences)


def plan_phases(
    num_steps: int,
    batch_tokens: int,
    context_length: int,
    extension: ExtensionSettings | None,
    *,
    rope_theta: float | None,
) -> tuple[Phase, ...]:
    """The phases of a run, in order, without gaps.

    Args:
        num_steps: of the whole run.
        batch_tokens: tokens of a step, the same in all phases.
        context_length: of the first phase.
        extension: the last phase; None: there is one phase.
        rope_theta: the model's base, from which the extension's is derived where it gives none.

    Raises:
        InvalidInput: the tokens of a step are not a whole number of sequences, or the extension is none.
    """
    if extension is None:
        return (_phase(0, num_steps, context_length, batch_tokens, None, 0, "context_length"),)
    if extension.context_length <= context_length:
        raise InvalidInput(
            f"the extension's context of {extension.context_length} is not longer than {context_length}.",
            field="extension.context_length",
            fix="Give a longer one, or leave the extension out.",
        )
    theta = extension.rope_theta
    if theta is None and rope_theta is not None:
        theta = rope_theta * extension.context_length / context_length
    boundary = num_steps - max(1, round(num_steps * extension.share))
    if boundary < 1:
        raise InvalidInput(
            f"a run of {num_steps} steps has no room for two context lengths.",
            field="extension",
            fix="Train for more steps, or leave the extension out.",
        )
    short = _phase(0, boundary, context_length, batch_tokens, None, 0, "context_length")
    # The long phase reads on in the data where the short one stopped.
    seen = boundary * batch_tokens
    first = -(-seen // extension.context_length)
    where = "extension.context_length"
    return short, _phase(boundary, num_steps, extension.context_length, batch_tokens, theta, first, where)


def _phase(
    first: int,
    end: int,
    context_length: int,
    batch_tokens: int,
    theta: float | None,
    sequence: int,
    field: str,
) -> Phase:
    if batch_tokens % context_length:
        raise InvalidInput(
            f"a step of {batch_tokens} tokens is not a whole number of sequences of {context_length}.",
            field=field,
            fix=f"Set batch_tokens to a multiple of {context_length}.",
        )
    return Phase(first, end, context_length, batch_tokens // context_length, theta, sequence)


def phase_at(phases: Sequence[Phase], step: int) -> Phase:
    """The phase that `step` (counted from 0) belongs to; after the end, the last one."""
    return next((phase for phase in phases if step < phase.end), phases[-1])


def enter_phase(model: Any, phase: Phase) -> None:
    """Give a Hugging Face model the phase's rotary base, and room for its context; twice changes nothing."""
    known = int(model.config.get_text_config().max_position_embeddings)
    extend_context(model, max(phase.context_length, known), phase.rope_theta)
