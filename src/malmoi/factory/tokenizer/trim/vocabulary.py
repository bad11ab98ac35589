"""A model's vocabulary, and how it cuts text: what trimming has to know about a tokenizer.

Three families cover the models that llama.cpp and Hugging Face's `tokenizers` run: pieces ranked by score
(SPM: Llama 2 and Gemma in GGUF), pieces ranked by a list of merges (BPE: GPT-2, Llama 3, Qwen; Gemma's
tokenizer.json), and Unigram, which joins nothing (T5, XLM-R).
"""

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

LONGEST = 64
"""Longer stretches without a break (a link, a line of hashes) are counted in pieces of so many characters."""
BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
PLACEHOLDER = re.compile(r"<unused\d+>|\[unused\d+\]|\[PAD\d+\]")
"""Names of tokens that stand for nothing yet: room that a vocabulary left for later."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What texts need: how often each token occurs, and each piece that is made on the way to tokens."""

    tokens: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    pieces: dict[int, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, tokens: Iterable[int], pieces: Iterable[int], times: float) -> None:
        """These occurred `times` more."""
        for token in tokens:
            self.tokens[token] += times
        for piece in pieces:
            self.pieces[piece] += times

    def add_all(self, other: "Usage", factor: float = 1.0) -> None:
        """All that `other` counted, weighted."""
        for token, times in other.tokens.items():
            self.tokens[token] += factor * times
        for piece, times in other.pieces.items():
            self.pieces[piece] += factor * times


class Vocabulary(ABC):
    """Tokens by number, and how text becomes tokens.

    Args:
        texts: token texts by id, as the tokenizer writes them.
        special: ids that are no text: control, unknown, padding and the like.
        user: ids that are matched whole before anything else.
        placeholders: ids among them that stand for nothing; they need not be kept.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        special: frozenset[int] = frozenset(),
        user: frozenset[int] = frozenset(),
        placeholders: frozenset[int] = frozenset(),
    ) -> None:
        self.texts = texts
        self.special = special
        self.user = user
        self.placeholders = placeholders

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Text -> id; of equal texts the last one has it, as in llama.cpp."""
        return {text: number for number, text in enumerate(self.texts)}

    @cached_property
    def byte_ids(self) -> Mapping[int, int]:
        """Byte -> the token that stands for it alone, such as <0x0A>."""
        matches = ((number, BYTE_TOKEN.fullmatch(text)) for number, text in enumerate(self.texts))
        return {int(match.group(1), 16): number for number, match in matches if match}

    @abstractmethod
    def shown(self, token: int) -> str | None:
        """The characters that a token stands for; None where it is special or part of a character."""

    @abstractmethod
    def path(self, token: int) -> list[int]:
        """The tokens that must be kept for this one to be reached, itself included.

        A token that its own text does not lead to (it is never made) has the path of nothing: an empty list.
        """

    @abstractmethod
    def restricted(self, kept: Sequence[int]) -> "Vocabulary":
        """The vocabulary of these tokens alone, numbered from 0 in this order."""

    @abstractmethod
    def words(self, text: str) -> Iterator[str | int]:
        """Stretches of a text that no join crosses; a token that is matched whole comes as its id."""

    @abstractmethod
    def cut(self, word: str) -> tuple[list[int], list[int]]:
        """The tokens of one such stretch, and all pieces that are made or begun with."""

    def count(self, words: Mapping[str | int, float]) -> Usage:
        """What counted stretches need, see `words`."""
        usage = Usage()
        for word, times in words.items():
            if isinstance(word, int):
                usage.add([word], [word], times)
            else:
                usage.add(*self.cut(word), times)
        return usage

    def encode(self, text: str) -> list[int]:
        """The tokens of a text (long unbroken stretches approximately, see `LONGEST`)."""
        found: list[int] = []
        for word in self.words(text):
            found.extend([word] if isinstance(word, int) else self.cut(word)[0])
        return found

    @property
    def required(self) -> frozenset[int]:
        """What always stays: byte fallback, special tokens, and tokens that are matched whole."""
        return (self.special | self.user | frozenset(self.byte_ids.values())) - self.placeholders

    def stretches(self, text: str) -> Iterator[str | int]:
        """The text between the tokens that are matched whole, and their ids."""
        at = 0
        if self._user_pattern is not None:
            for match in self._user_pattern.finditer(text):
                if match.start() > at:
                    yield text[at : match.start()]
                yield self.ids[match.group()]
                at = match.end()
        if at < len(text):
            yield text[at:]

    @cached_property
    def _user_pattern(self) -> re.Pattern[str] | None:
        texts = sorted((self.texts[token] for token in self.user), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, texts))) if texts else None

    def as_bytes(self, text: str) -> list[int]:
        """The tokens of the text's bytes, as far as there are any."""
        raw = text.encode("utf-8", "surrogatepass")
        return [self.byte_ids[byte] for byte in raw if byte in self.byte_ids]

    def kept_ids(self, tokens: Iterable[int], kept: Sequence[int]) -> frozenset[int]:
        """The new numbers of those of `tokens` that are kept."""
        new = {old: number for number, old in enumerate(kept)}
        return frozenset(new[token] for token in tokens if token in new)
