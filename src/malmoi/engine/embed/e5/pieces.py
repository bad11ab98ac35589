"""Text to the pieces of the XLM-RoBERTa vocabulary: the best path through a unigram model.

Kudo 2018 (arXiv 1804.10959): every piece has a log-probability, and a text becomes the pieces whose sum is
highest. A piece never goes on past a space, so words are cut one by one, and known words are remembered.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

_SPACE = "\u2581"  # stands for a space, and before every word
_REMEMBERED = 20_000  # words
_LONGEST_REMEMBERED = 40  # characters; a longer one is hardly met again, and could be a whole text
_UNKNOWN_PENALTY = 10.0  # below the least likely piece, as in SentencePiece


class Pieces:
    """A vocabulary of pieces.

    Args:
        pieces: all of them; the place of one is its id.
        scores: the log-probability of each.
        unknown: the id of letters that no piece has.
        spelling: letter -> what stands for it (compatibility forms, line ends to spaces).
        apart: ids that are no text, such as the one of a text's beginning.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Iterable[float],
        *,
        unknown: int,
        spelling: Mapping[int, str],
        apart: frozenset[int],
    ) -> None:
        self._ids = {piece: place for place, piece in enumerate(pieces) if place not in apart}
        self._scores = array("f", scores)  # a list of them takes five times the memory
        self._unknown = unknown
        self._unknown_score = min(self._scores) - _UNKNOWN_PENALTY
        self._spelling = spelling
        self._longest = max(map(len, self._ids))
        self._known = lru_cache(_REMEMBERED)(self._cut)

    def ids(self, text: str) -> list[int]:
        """The pieces of a text in NFC, without marks of beginning and end."""
        plain = text.translate(self._spelling)
        # A run of spaces is one; a space at the end stands as a piece of its own.
        words = [word for word in plain.split(" ") if word] + [""] * plain.endswith(" ")
        return [piece for word in words or [""] for piece in self._word(word)]

    def _word(self, word: str) -> tuple[int, ...]:
        return self._known(word) if len(word) <= _LONGEST_REMEMBERED else self._cut(word)

    def _cut(self, word: str) -> tuple[int, ...]:
        """The best pieces of a word, by dynamic programming over where a piece may end."""
        text = _SPACE + word
        best = [0.0] + [-float("inf")] * len(text)
        last = [(0, self._unknown)] * (len(text) + 1)  # where the piece that ends here begins, and its id
        for start in range(len(text)):
            for end in range(start + 1, min(start + self._longest, len(text)) + 1):
                piece = self._ids.get(text[start:end])
                if piece is not None and (score := best[start] + self._scores[piece]) > best[end]:
                    best[end], last[end] = score, (start, piece)
            if (score := best[start] + self._unknown_score) > best[start + 1]:
                best[start + 1], last[start + 1] = score, (start, self._unknown)
        found, end = [], len(text)
        while end:
            end, piece = last[end]
            found.append(piece)
        return tuple(reversed(found))
