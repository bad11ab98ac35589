"""Many texts at a time: their exact scores and their vectors. B batch, T time, V vocabulary, D width."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.base import Score

_BATCH_TOKENS = 4096  # B * T of one batch
_LOGIT_BYTES = 256 * 1024 * 1024  # most memory for the logits of one step


def batches_of(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of rows in batches of like length, longest first, `_BATCH_TOKENS` at most each."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def score_batch(model: Any, rows: Sequence[tuple[list[int], int]], *, vocab_size: int) -> list[Score]:
    """Scores of rows of ids, padded on the right: a causal model does not see what comes after."""
    import torch
    from transformers import DynamicCache

    longest = max(len(ids) for ids, _ in rows)
    ids, mask = _padded([ids for ids, _ in rows])
    first = min(start for _, start in rows) - 1
    # A chunk of all rows at a time, so that no more logits exist at once than memory allows.
    width = max(1, _LOGIT_BYTES // (4 * vocab_size * len(rows)))
    cache = DynamicCache(config=model.config)
    logprobs = torch.zeros(len(rows), longest)
    greedy = torch.ones(len(rows), longest, dtype=torch.bool)
    begin = 0
    while begin < longest - 1:
        # Nothing before the first continuation is scored: there only the cache is filled.
        end = first if begin < first else min(begin + width, longest - 1)
        out = model(
            input_ids=ids[:, begin:end],
            attention_mask=mask[:, :end],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1 if begin < first else 0,
        )
        if begin >= first:
            told = out.logits.float().log_softmax(-1)  # (B, end - begin, V)
            wanted = ids[:, begin + 1 : end + 1]
            logprobs[:, begin + 1 : end + 1] = told.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
            greedy[:, begin + 1 : end + 1] = told.argmax(-1) == wanted
        begin = end
    return [
        _score(logprobs[place, start : len(row)], greedy[place, start : len(row)], start)
        for place, (row, start) in enumerate(rows)
    ]


def embed_batch(model: Any, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """The mean of the last hidden states of each row, of unit length: (B, D)."""
    import torch

    ids, mask = _padded(rows)
    hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    weights = mask.unsqueeze(-1).float()
    mean = (hidden * weights).sum(1) / weights.sum(1)  # (B, D)
    vectors: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return vectors


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Ids and mask of rows, padded on the right: (B, T) both."""
    import torch

    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return ids, mask


def _score(logprobs: Any, greedy: Any, start: int) -> Score:
    values = tuple(logprobs.tolist())
    return Score(sum(values), values, is_greedy=bool(greedy.all()), context_tokens=start)
