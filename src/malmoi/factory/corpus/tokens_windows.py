"""Windows for evaluation: each token of the text predicted exactly once, with the bytes it stands for."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.tokens_files import TokenSet


class EvaluationWindow(NamedTuple):
    """Up to T predictions: feed `ids[:-1]`, score `ids[1:]` where `targets` is True."""

    ids: NDArray[np.int64]  # (n + 1,), n <= T
    targets: NDArray[np.bool_]  # (n,)
    bytes: int
    """UTF-8 bytes of the documents that end in this window. Summed over all windows these are exactly the
    bytes of the scored text, which is what bits per byte divides by."""


def evaluation_windows(
    tokens: TokenSet, split: str, source: str, context_length: int, max_bytes: int | None = None
) -> Iterator[EvaluationWindow]:
    """Consecutive windows over the documents of a source, as in training: contiguous, without overlap.

    The first token of a document is predicted from the end-of-text token before it, which also stands before
    the first document. End-of-text tokens themselves are no targets: they stand for no bytes, so counting
    them would favour long documents.

    Args:
        tokens: the token files.
        split: usually "validation".
        source: a name from `tokens.names(split)`.
        context_length: T, the most predictions in a window.
        max_bytes: stop after so much text. Whole documents are taken, in order; one that would go beyond is
            left out. The choice depends on bytes alone, so models with other tokenizers score the same text.
            When no document is that small, the smallest is taken.

    Raises:
        UnknownName: the split has no such source.
        InvalidInput: `context_length` is not positive.
    """
    if context_length < 1:
        raise InvalidInput(f"a context of {context_length} tokens.", field="context_length")
    held = tokens.source(split, source)
    chosen = _choose(held.bytes, max_bytes)
    ids, ends, sizes = [np.array([tokens.eot_id])], [0], []
    waiting = 1  # tokens in `ids`
    for number in chosen:
        document = held.document(number)
        ids.append(document)
        waiting += len(document)
        ends.append(waiting - 1)  # where its end-of-text token is
        sizes.append(int(held.bytes[number]))
        if waiting <= context_length + 1:
            continue
        stream = np.concatenate(ids).astype(np.int64)
        while len(stream) > context_length + 1:
            yield _window(stream[: context_length + 1], ends, sizes, tokens.eot_id)
            stream = stream[context_length:]
            kept = [(end - context_length, size) for end, size in zip(ends[1:], sizes, strict=True)]
            kept = [(end, size) for end, size in kept if end > 0]
            ends, sizes = [0, *(end for end, _ in kept)], [size for _, size in kept]
        ids, waiting = [stream], len(stream)
    stream = np.concatenate(ids).astype(np.int64)
    if len(stream) > 1:
        yield _window(stream, ends, sizes, tokens.eot_id)


def _window(ids: NDArray[np.int64], ends: list[int], sizes: list[int], eot_id: int) -> EvaluationWindow:
    inside = sum(size for end, size in zip(ends[1:], sizes, strict=True) if end < len(ids))
    return EvaluationWindow(ids, ids[1:] != eot_id, inside)


def _choose(sizes: NDArray[Any], max_bytes: int | None) -> list[int]:
    if max_bytes is None:
        return list(range(len(sizes)))
    chosen, room = [], max_bytes
    for number, size in enumerate(sizes.tolist()):
        if size <= room:
            chosen.append(number)
            room -= size
        if room <= 0:
            break
    return chosen or [int(np.argmin(sizes))]
