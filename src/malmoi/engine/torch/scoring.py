"""Exact scores that compute what rows share only once. T time, N logits that are read, V vocabulary.

A pack of rows is one sequence: the tree of their tokens, in which each token sees those above it and no
others (as token trees are verified by Miao et al. 2023, SpecInfer, section 4). So nothing is padded, a
context with many continuations is computed once, and what all rows of a pack share stays in the cache for the
next pack. Only those logits are computed that a continuation is read from.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.base import Score
from malmoi.engine.torch.batches import score_batch
from malmoi.engine.torch.tries import Row, Trie, build_trie, shared

_LOGIT_BYTES = 256 * 1024 * 1024  # most memory for the logits of one step
_STEP = 1024  # most nodes of one step, so that a long text can be left between steps

# The attention mask of a model's forward for (1, 1, T, K) booleans and the distance of each pair.
_Mask: TypeAlias = Callable[[NDArray[np.bool_], NDArray[np.int64]], Any]


class TreeScorer:
    """Scores of one model. It holds the keys and values of what the last rows shared.

    Args:
        model: a causal language model of transformers.
        mask: how the model takes a mask, see `mask_maker`.
        vocab_size: V.
    """

    def __init__(self, model: Any, mask: _Mask, *, vocab_size: int) -> None:
        self._model = model
        self._mask = mask
        self._most = max(1, _LOGIT_BYTES // (4 * vocab_size))
        self._held: list[int] = []
        self._cache: Any = None

    def score(self, rows: Sequence[Row]) -> list[Score]:
        """Scores of a pack of rows, in their order."""
        order = sorted(range(len(rows)), key=lambda place: rows[place][0])
        ordered = [rows[place] for place in order]
        # The last token before a continuation has to be computed here: its logits are read.
        kept = min(self._reused(ordered), *(start - 1 for _, start in ordered))
        trie = build_trie(ordered, kept=kept)
        self._cut(kept)
        self._held = []  # should the work fail half-way, nothing is known of the cache
        wanted = [
            (path[start - 1 - kept :], ids[start:])
            for (ids, start), path in zip(ordered, trie.paths, strict=True)
        ]
        scores = self._read(trie, wanted, kept)
        self._held = ordered[0][0][: trie.common]
        self._cut(trie.common)
        done = dict(zip(order, scores, strict=True))
        return [
            Score(done[n].logprob, done[n].token_logprobs, done[n].is_greedy, context_tokens=rows[n][1])
            for n in range(len(rows))
        ]

    def _reused(self, ordered: Sequence[Row]) -> int:
        """How much of the cache all rows begin with; of sorted rows the first and last say it for all."""
        return min(shared(self._held, ordered[place][0]) for place in (0, -1))

    def _cut(self, length: int) -> None:
        """Forget all but the first `length` tokens of the cache."""
        from transformers import DynamicCache

        if self._cache is None or length == 0:
            # Without the configuration every layer keeps all tokens; the mask says what a window hides.
            self._cache = DynamicCache()
        elif (extra := self._cache.get_seq_length() - length) > 0:
            self._cache.crop(-extra)

    def _read(self, trie: Trie, wanted: Sequence[tuple[list[int], list[int]]], kept: int) -> list[Score]:
        """Run the tree through the model and read each row's continuation: (nodes, their next tokens)."""
        asked: dict[int, list[tuple[int, int, int]]] = {}  # node -> (row, place in the continuation, token)
        for row, (nodes, targets) in enumerate(wanted):
            for place, (node, token) in enumerate(zip(nodes, targets, strict=True)):
                asked.setdefault(node, []).append((row, place, token))
        logprobs = [[0.0] * len(targets) for _, targets in wanted]
        greedy = [True] * len(wanted)
        for begin, end, nodes in self._steps(trie, sorted(asked)):
            logits = self._forward(trie, begin, end, nodes, kept)
            if not nodes:
                continue
            norms = logits.logsumexp(-1).tolist()  # (N,)
            best = logits.argmax(-1).tolist()
            asks = [(number, *ask) for number, node in enumerate(nodes) for ask in asked[node]]
            values = logits[[ask[0] for ask in asks], [ask[3] for ask in asks]].tolist()
            for (number, row, place, token), value in zip(asks, values, strict=True):
                logprobs[row][place] = value - norms[number]
                greedy[row] = greedy[row] and best[number] == token
        return [
            Score(logprob=sum(values), token_logprobs=tuple(values), is_greedy=flag)
            for values, flag in zip(logprobs, greedy, strict=True)
        ]

    def _steps(self, trie: Trie, asked: Sequence[int]) -> Iterator[tuple[int, int, list[int]]]:
        """Parts of the tree with the nodes whose logits are read there, as much as memory allows."""
        begin, place = 0, 0
        while begin < len(trie.tokens):
            end = min(begin + _STEP, len(trie.tokens))
            nodes = [node for node in asked[place : place + self._most] if node < end]
            if len(nodes) == self._most and place + self._most < len(asked):
                end = min(end, asked[place + self._most])
            place += len(nodes)
            yield begin, end, nodes
            begin = end

    def _forward(self, trie: Trie, begin: int, end: int, nodes: Sequence[int], kept: int) -> Any:
        """The logits after `nodes`, with the nodes `begin` to `end` put into the cache: (N, V)."""
        import torch

        depths = trie.depths[begin:end]
        mask = None
        if not trie.is_chain:
            before = np.ones((end - begin, kept), dtype=np.bool_)
            visible = np.concatenate([before, trie.visible(begin, end)], axis=1)
            columns = np.concatenate([np.arange(kept), trie.depths[:end]])
            mask = self._mask(visible, depths[:, None] - columns[None, :])
        out = self._model(
            input_ids=torch.from_numpy(trie.tokens[begin:end])[None],
            position_ids=torch.from_numpy(depths)[None],
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor([node - begin for node in nodes]) if nodes else 1,
        )
        logits = out.logits[0]
        return logits if logits.dtype == torch.float64 else logits.float()


def open_scorer(model: Any, *, vocab_size: int, start_id: int) -> TreeScorer | None:
    """A scorer for a model, if it computes trees rightly; None: it takes no masks, or not as expected.

    Whether it does is tried, with a small tree against plain rows: that needs no list of architectures.
    """
    # Short and long branches, ones that end inside of others, and one that differs in its last token only.
    words = [token for token in range(vocab_size) if token != start_id][:9]
    tails = ([0, 1, 2, 3, 4], [0, 1, 2, 3, 5], [0, 1, 6], [0, 7, 8, 2, 1, 0], [3, 4])
    rows: list[Row] = [([start_id, *(words[n % len(words)] for n in tail)], 1) for tail in tails]
    expected = [score.logprob for score in score_batch(model, rows, vocab_size=vocab_size)]
    for mask in mask_makers(model):
        scorer = TreeScorer(model, mask, vocab_size=vocab_size)
        try:
            found = [score.logprob for score in scorer.score(rows)]
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError):
            continue  # transformers raises any of these for a mask that a model does not take
        if np.allclose(found, expected, rtol=1e-4, atol=1e-4):
            return scorer
    return None


def mask_makers(model: Any) -> Iterator[_Mask]:
    """The ways in which models take a mask of their own: one, or one for each type of layer."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = sorted(set(getattr(config, "layer_types", None) or ()))
    if kinds and set(kinds) <= {"full_attention", "sliding_attention"}:

        def by_layer(visible: NDArray[np.bool_], distances: NDArray[np.int64]) -> Mapping[str, Any]:
            near = visible if window is None else visible & (distances < window)
            masks = {"full_attention": visible, "sliding_attention": near}
            return {kind: _additive(masks[kind], model.dtype) for kind in kinds}

        yield by_layer
    if not kinds or kinds == ["full_attention"]:
        limit = None if kinds else window

        def single(visible: NDArray[np.bool_], distances: NDArray[np.int64]) -> Any:
            return _additive(visible if limit is None else visible & (distances < limit), model.dtype)

        yield single


def _additive(visible: NDArray[np.bool_], dtype: Any) -> Any:
    """0 where a token is seen, else the least number: (1, 1, T, K), as every attention takes it."""
    import torch

    mask = torch.zeros(visible.shape, dtype=dtype)
    return mask.masked_fill_(torch.from_numpy(~visible), torch.finfo(dtype).min)[None, None]
