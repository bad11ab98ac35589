"""Histories and items as tokens: the logs' texts joined by a separator, an end-of-text token last.

    history   text SEP text SEP text EOS
    item      text EOS

or, with EOS for SEP, `text EOS text EOS text EOS`: then every beginning of a history is one itself, and one
pass over it gives the features of all. In a stream for the language model the last EOS of a history or
document is written as its complement, a negative number: what follows is another's.

An item is a history of itself, so one decoder reads both; the feature of either is its state at EOS.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.users.logs import Logs
from malmoi.users.sequences.vocabulary import build_table

_SEPARATOR = "<|endofturn|>"
_PIECE = 1 << 16  # events that are rendered at a time


@dataclass(frozen=True)
class Texts:
    """Tokens of R texts behind each other, each followed by the separator.

    Attributes:
        ids: all tokens, int32.
        offsets: text r is ids[offsets[r]:offsets[r + 1]], the separator its last, (R + 1,) int64.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Renderer:
    """Makes token rows of texts.

    Args:
        tokenizer: any; one without `<|endofturn|>` separates by what it makes of a line end.
        item_length: tokens of a text at most.
        length: tokens of a history at most, EOS with them.
        separator: "token", or "end" for EOS.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        item_length: int,
        length: int,
        separator: Literal["token", "end"] = "token",
    ) -> None:
        self.tokenizer = tokenizer
        self.end = tokenizer.eot_id
        special = tokenizer.special.get(_SEPARATOR)
        own = tokenizer.encode("\n")[-1] if special is None else special
        self._separator = self.end if separator == "end" else own
        self._item_length = item_length
        self._length = length

    def texts(self, texts: Sequence[str]) -> Texts:
        """Tokens of texts; control tokens in a text stay text."""
        table = build_table(self.tokenizer, texts, longest=self._item_length)
        rows = np.concatenate([table.ids, np.zeros((len(texts), 1), np.int32)], axis=1)
        lengths = table.lengths.astype(np.int64)
        rows[np.arange(len(texts)), lengths] = self._separator
        kept = np.arange(rows.shape[1]) <= lengths[:, None]
        return Texts(rows[kept].astype(np.int32), np.concatenate([[0], np.cumsum(lengths + 1)]))

    def history(self, texts: Texts, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """The newest whole texts of a history that fit; EOS alone for an empty one."""
        newest = rows[-self._length :]
        sizes = (texts.offsets[newest + 1] - texts.offsets[newest])[::-1]
        newest = newest[len(newest) - int((np.cumsum(sizes) <= self._length).sum()) :]
        parts = [texts.ids[texts.offsets[row] : texts.offsets[row + 1]] for row in newest]
        ids = np.concatenate(parts) if parts else np.zeros(1, np.int32)
        ids[-1] = self.end
        return ids

    def item(self, texts: Texts, row: int) -> NDArray[np.int32]:
        """One text alone."""
        ids = texts.ids[texts.offsets[row] : texts.offsets[row + 1]].copy()
        ids[-1] = self.end
        return ids

    def log_stream(self, texts: Texts, logs: Logs) -> NDArray[np.int32]:
        """Every user's whole history, one behind the other, each with its EOS as the complement.

        Args:
            texts: of the logs' items.
            logs: what the language model may read: no event of a validation or test case.
        """
        return np.concatenate([np.empty(0, np.int32), *self._pieces(texts, logs)])

    def _pieces(self, texts: Texts, logs: Logs) -> Iterator[NDArray[np.int32]]:
        sizes = np.diff(texts.offsets)
        last = np.zeros(logs.num_events, np.bool_)
        last[logs.offsets[1:][logs.lengths > 0] - 1] = True
        for start in range(0, logs.num_events, _PIECE):
            events = np.asarray(logs.events[start : start + _PIECE])
            counts = sizes[events]
            ends = np.cumsum(counts)
            inside = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
            ids = texts.ids[np.repeat(texts.offsets[events], counts) + inside]
            ids[ends[last[start : start + _PIECE]] - 1] = ~self.end
            yield ids

    def text_stream(self, documents: Iterable[str]) -> NDArray[np.int32]:
        """Plain documents, one behind the other, each with its EOS as the complement."""
        found = self.tokenizer.encode_batch([document for document in documents if document.strip()])
        end = np.array([~self.end], np.int32)
        return np.concatenate(
            [np.empty(0, np.int32), *(part for ids in found for part in (ids.astype(np.int32), end))]
        )
