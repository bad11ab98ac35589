"""Several answers at the same time: one pass through the model writes a token of each. B rows, V vocabulary.

Prompts are padded on the left, so that all end at the same place: what lies between two tokens of a row is
then what lies between their places, also for layers that see a window only.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.types import FinishReason
from malmoi.engine.base import Chunk
from malmoi.engine.torch.answers import Answer


class Rows:
    """The keys and values of several rows that grow at the same pace.

    Args:
        model: a causal language model of transformers.
        rows: ids of each prompt; none is empty.
    """

    def __init__(self, model: Any, rows: Sequence[Sequence[int]]) -> None:
        import torch
        from transformers import DynamicCache

        longest = max(map(len, rows))
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._ids = torch.zeros(len(rows), longest, dtype=torch.long)
        self._mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for place, row in enumerate(rows):
            self._ids[place, longest - len(row) :] = torch.tensor(row)
            self._mask[place, longest - len(row) :] = 1
        self._computed = 0

    def prefill(self, most: int) -> NDArray[np.float32] | None:
        """Compute the next columns of the prompts; the logits after them, (B, V), once all are done."""
        begin, end = self._computed, min(self._computed + most, self._ids.shape[1])
        logits = self._forward(self._ids[:, begin:end], self._mask[:, :end])
        return logits if end == self._ids.shape[1] else None

    def step(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Put one token behind each row; the logits after it: (B, V)."""
        import torch

        self._mask = torch.cat([self._mask, torch.ones(len(tokens), 1, dtype=torch.long)], dim=1)
        return self._forward(torch.tensor(tokens)[:, None], self._mask)

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but these."""
        import torch

        chosen = torch.tensor(places, dtype=torch.long)
        self._mask = self._mask[chosen]
        self._cache.batch_select_indices(chosen)

    def _forward(self, ids: Any, mask: Any) -> NDArray[np.float32]:
        # A token's position counts the tokens of its own row; padding has none, and is not seen.
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._computed += ids.shape[1]
        logits: NDArray[np.float32] = out.logits[:, -1].float().numpy()
        return logits


async def write_together(
    run: Callable[..., Awaitable[Any]], model: Any, answers: Sequence[Answer], *, prefill: int
) -> list[list[Chunk]]:
    """Write answers at the same time, each with its own sampling, until all have ended.

    Args:
        run: does one piece of work in the engine's thread.
        model: a causal language model of transformers.
        answers: begun, with room for a token each.
        prefill: columns of the prompts that one piece of work computes.

    Returns:
        The chunks of each, the last one with its reason and usage.
    """
    started = time.perf_counter()
    chunks: list[list[Chunk]] = [[] for _ in answers]
    rows = await run(Rows, model, [answer.ids for answer in answers])
    logits = None
    while logits is None:
        logits = await run(rows.prefill, prefill)
    first = time.perf_counter()
    active = list(range(len(answers)))
    while active:
        taken = await run(_take_all, [answers[place] for place in active], logits)
        ended: dict[int, FinishReason] = {}
        for place, (chunk, reason) in zip(active, taken, strict=True):
            chunks[place].append(chunk)
            if reason is not None:
                ended[place] = reason
        now = time.perf_counter()
        for place, reason in ended.items():
            times = {"prompt_seconds": first - started, "completion_seconds": now - first}
            chunks[place].append(answers[place].end(reason, **times))
        kept = [row for row, place in enumerate(active) if place not in ended]
        if kept and ended:
            await run(rows.keep, kept)
        active = [active[row] for row in kept]
        if active:
            logits = await run(rows.step, [answers[place].ids[-1] for place in active])
    return chunks


def _take_all(
    answers: Sequence[Answer], logits: NDArray[np.float32]
) -> list[tuple[Chunk, FinishReason | None]]:
    return [answer.take(row) for answer, row in zip(answers, logits, strict=True)]
