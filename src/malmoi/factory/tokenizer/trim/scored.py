"""SPM as llama.cpp runs it: the neighbours whose joined text has the best score are joined first.

Source: `llm_tokenizer_spm` in llama.cpp's `llama-vocab.cpp`: characters, a queue of joinable neighbours by
score and then from the left, byte tokens for what no token holds.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from math import inf

from malmoi.factory.tokenizer.trim.merging import join
from malmoi.factory.tokenizer.trim.vocabulary import BYTE_TOKEN, LONGEST, Vocabulary

SPACE = "\u2581"
"""What SPM writes for a space."""


class ScoredVocabulary(Vocabulary):
    """Pieces over characters, ranked by score, with byte fallback.

    Args:
        texts: as in `Vocabulary`; a space is written as U+2581.
        scores: one a token; the higher is joined first.
        space_prefix: whether a text begins as if a space stood before it.
        special: see `Vocabulary`.
        user: see `Vocabulary`.
        placeholders: see `Vocabulary`.
    """

    def __init__(
        self,
        texts: Sequence[str],
        scores: Sequence[float],
        *,
        space_prefix: bool = False,
        special: frozenset[int] = frozenset(),
        user: frozenset[int] = frozenset(),
        placeholders: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(texts, special=special, user=user, placeholders=placeholders)
        self.scores = scores
        self.space_prefix = space_prefix

    def shown(self, token: int) -> str | None:
        """The token's text with real spaces; None for special tokens and bytes."""
        text = self.texts[token]
        if token in self.special or BYTE_TOKEN.fullmatch(text):
            return None
        return text.replace(SPACE, " ")

    def path(self, token: int) -> list[int]:
        """The characters and pieces that lead to the token's text."""
        if token in self.special or token in self.user or BYTE_TOKEN.fullmatch(self.texts[token]):
            return [token]
        text = self.texts[token]
        parts, made = join(list(text), self._rank)
        if parts != [text] or self.ids[text] != token:
            return []
        known = (self.ids.get(piece) for piece in [*text, *made])
        return list(dict.fromkeys(piece for piece in known if piece is not None))

    def restricted(self, kept: Sequence[int]) -> "ScoredVocabulary":
        """The vocabulary of these tokens alone."""
        return ScoredVocabulary(
            [self.texts[token] for token in kept],
            [self.scores[token] for token in kept],
            space_prefix=self.space_prefix,
            special=self.kept_ids(self.special, kept),
            user=self.kept_ids(self.user, kept),
        )

    def words(self, text: str) -> Iterator[str | int]:
        """Stretches up to the next space that no token reaches over."""
        first = True
        for stretch in self.stretches(text):
            if isinstance(stretch, int):
                yield stretch
                first = False
                continue
            written = stretch.replace(" ", SPACE)
            if first and self.space_prefix:
                written = SPACE + written
            first = False
            for word in self._breaks.split(written):
                for start in range(0, len(word), LONGEST):
                    yield word[start : start + LONGEST]

    def cut(self, word: str) -> tuple[list[int], list[int]]:
        """Joined pieces; a character without a token becomes its bytes."""
        parts, made = join(list(word), self._rank)
        tokens: list[int] = []
        for part in parts:
            token = self.ids.get(part)
            tokens.extend(self.as_bytes(part) if token is None else [token])
        known = (self.ids.get(piece) for piece in [*word, *made])
        return tokens, [token for token in known if token is not None]

    def _rank(self, left: str, right: str) -> float:
        token = self.ids.get(left + right)
        return inf if token is None else -self.scores[token]

    @cached_property
    def _breaks(self) -> re.Pattern[str]:
        """Before a space, unless some token goes on over a space after that very character."""
        before = {SPACE}
        for number, text in enumerate(self.texts):
            if SPACE in text[1:] and number not in self.special and number not in self.user:
                before.update(left for left, right in pairwise(text) if right == SPACE)
        return re.compile(f"(?<![{re.escape(''.join(sorted(before)))}])(?={SPACE})")
