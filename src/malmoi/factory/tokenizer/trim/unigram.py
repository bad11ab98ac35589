"""Unigram: the likeliest cut of a text into pieces (Kudo 2018, arXiv 1804.10959); nothing is joined.

If the likeliest cut holds kept pieces only, it is still the likeliest when others are taken away, so any set
of pieces keeps the cuts it holds: a piece's path is the piece itself.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from malmoi.factory.tokenizer.trim.vocabulary import BYTE_TOKEN, Vocabulary


class UnigramVocabulary(Vocabulary):
    """Pieces with log-probabilities.

    Args:
        texts: as in `Vocabulary`.
        scores: one a token.
        split: gives the stretches of a text, with spaces written as U+2581.
        unknown: the token for what no piece holds; None: there are byte tokens.
        special: see `Vocabulary`.
        user: see `Vocabulary`.
        placeholders: see `Vocabulary`.
    """

    def __init__(
        self,
        texts: Sequence[str],
        scores: Sequence[float],
        split: Callable[[str], Iterable[str]],
        *,
        unknown: int | None = None,
        special: frozenset[int] = frozenset(),
        user: frozenset[int] = frozenset(),
        placeholders: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(texts, special=special, user=user, placeholders=placeholders)
        self.scores = scores
        self.split = split
        self.unknown = unknown

    def shown(self, token: int) -> str | None:
        """The token's text with real spaces; None for special tokens and bytes."""
        text = self.texts[token]
        if token in self.special or BYTE_TOKEN.fullmatch(text):
            return None
        return text.replace("\u2581", " ")

    def path(self, token: int) -> list[int]:
        """The piece itself."""
        return [token]

    def restricted(self, kept: Sequence[int]) -> "UnigramVocabulary":
        """The vocabulary of these tokens alone."""
        return UnigramVocabulary(
            [self.texts[token] for token in kept],
            [self.scores[token] for token in kept],
            self.split,
            unknown=None if self.unknown is None else list(kept).index(self.unknown),
            special=self.kept_ids(self.special, kept),
            user=self.kept_ids(self.user, kept),
        )

    def words(self, text: str) -> Iterator[str | int]:
        """What the tokenizer's own splitting gives."""
        for stretch in self.stretches(text):
            if isinstance(stretch, int):
                yield stretch
            else:
                yield from self.split(stretch)

    def cut(self, word: str) -> tuple[list[int], list[int]]:
        """The likeliest cut; its pieces need no others."""
        tokens = list(self._backend.encode(word, add_special_tokens=False).ids)
        return tokens, tokens

    @cached_property
    def _backend(self) -> Any:
        from tokenizers import Tokenizer, models

        pairs = list(zip(self.texts, self.scores, strict=True))
        return Tokenizer(models.Unigram(pairs, self.unknown, byte_fallback=bool(self.byte_ids)))
