"""The one way by which every API and every app runs a model.

It resolves the model, checks what it can do, reserves the caller's limits, waits for a slot, streams, and settles the
usage exactly once, whatever the end: finished, cancelled, disconnected or failed (what was generated is billed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from malmoi.engine.base import Prompt, Sampling

Source: TypeAlias = Literal["openai", "studio", "chat"]


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One request for text.

    Attributes:
        model: a model's name; empty: the server's default model.
        prompt: text, token ids or a chat.
        sampling: how to choose tokens; with `json_schema` the answer is validated.
        source: which API or app asks; it is written to the usage row.
        request_id: unique; the usage row has it as its key.
        on_queue: told the place in the queue (1 = next) whenever it changes, and 0 when the request starts to run.
    """

    model: str
    prompt: Prompt
    sampling: Sampling
    source: Source
    request_id: str
    on_queue: Callable[[int], None] | None = None
