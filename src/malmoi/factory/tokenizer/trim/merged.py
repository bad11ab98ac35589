"""BPE: neighbours are joined in the order of a list of merges, over bytes or over characters."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import inf

from malmoi.factory.tokenizer.trim.merging import join
from malmoi.factory.tokenizer.trim.vocabulary import LONGEST, Vocabulary

Split = Callable[[str], Iterable[str]]
"""Cuts text into the stretches inside which merges are made, written in the vocabulary's own letters."""


def byte_letters() -> dict[int, str]:
    """Byte -> the letter that byte-level BPE writes for it.

    Printable bytes stand for themselves, the others for the letters from U+0100 on, in order (Radford et al.
    2019, GPT-2).
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return {byte: chr(byte if byte in printable else next(others)) for byte in range(256)}


class MergedVocabulary(Vocabulary):
    """Pieces ranked by a list of merges.

    Args:
        texts: as in `Vocabulary`, in the vocabulary's own letters.
        merges: pairs in the order of their rank.
        split: gives the stretches of a text.
        byte_level: whether the letters stand for bytes; else characters with byte tokens such as <0x0A>.
        whole_words: whether a stretch that is a token needs no merges (`ignore_merges` of `tokenizers`).
        special: see `Vocabulary`.
        user: see `Vocabulary`.
        placeholders: see `Vocabulary`.
    """

    def __init__(
        self,
        texts: Sequence[str],
        merges: Sequence[tuple[str, str]],
        split: Split,
        *,
        byte_level: bool = True,
        whole_words: bool = False,
        special: frozenset[int] = frozenset(),
        user: frozenset[int] = frozenset(),
        placeholders: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(texts, special=special, user=user, placeholders=placeholders)
        self.merges = merges
        self.split = split
        self.byte_level = byte_level
        self.whole_words = whole_words

    @cached_property
    def byte_ids(self) -> Mapping[int, int]:
        """Byte -> the token that stands for it alone."""
        if not self.byte_level:
            return super().byte_ids
        return {byte: self.ids[letter] for byte, letter in byte_letters().items() if letter in self.ids}

    def shown(self, token: int) -> str | None:
        """The characters of a token; None for special tokens and for parts of characters."""
        if token in self.special or token in self.user:
            return None if token in self.special else self.texts[token]
        if not self.byte_level:
            return None if token in self._byte_tokens else self.texts[token].replace("\u2581", " ")
        try:
            return bytes(self._letter_bytes[letter] for letter in self.texts[token]).decode()
        except (KeyError, UnicodeDecodeError):
            return None

    def path(self, token: int) -> list[int]:
        """The letters and pieces that lead to the token's text."""
        if token in self.special or token in self.user or token in self._byte_tokens:
            return [token]
        text = self.texts[token]
        parts, made = join(list(text), self._rank)
        if parts != [text]:
            return [token] if self.whole_words else []
        known = (self.ids.get(piece) for piece in [*text, *made])
        return list(dict.fromkeys(piece for piece in known if piece is not None))

    def kept_merges(self, kept: Sequence[int]) -> list[tuple[str, str]]:
        """The merges between kept tokens whose result is kept, in their order."""
        known = {self.texts[token] for token in kept}
        return [pair for pair in self.merges if known.issuperset((*pair, pair[0] + pair[1]))]

    def restricted(self, kept: Sequence[int]) -> "MergedVocabulary":
        """The vocabulary of these tokens alone."""
        return MergedVocabulary(
            [self.texts[token] for token in kept],
            self.kept_merges(kept),
            self.split,
            byte_level=self.byte_level,
            whole_words=self.whole_words,
            special=self.kept_ids(self.special, kept),
            user=self.kept_ids(self.user, kept),
        )

    def words(self, text: str) -> Iterator[str | int]:
        """What the tokenizer's own splitting gives."""
        for stretch in self.stretches(text):
            if isinstance(stretch, int):
                yield stretch
                continue
            for word in self.split(stretch):
                for start in range(0, len(word), LONGEST):
                    yield word[start : start + LONGEST]

    def cut(self, word: str) -> tuple[list[int], list[int]]:
        """Joined pieces; what has no token becomes its bytes."""
        if self.whole_words and word in self.ids:
            return [self.ids[word]], self.path(self.ids[word])
        parts, made = join(list(word), self._rank)
        tokens: list[int] = []
        for part in parts:
            token = self.ids.get(part)
            tokens.extend(self.as_bytes(part) if token is None else [token])
        known = (self.ids.get(piece) for piece in [*word, *made])
        return tokens, [token for token in known if token is not None]

    def _rank(self, left: str, right: str) -> float:
        return self._ranks.get((left, right), inf)

    @cached_property
    def _ranks(self) -> Mapping[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def _byte_tokens(self) -> frozenset[int]:
        return frozenset(self.byte_ids.values())

    @cached_property
    def _letter_bytes(self) -> Mapping[str, int]:
        return {letter: byte for byte, letter in byte_letters().items()}
