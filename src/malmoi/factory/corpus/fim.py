"""Filling in the middle: documents of a training sequence rearranged so that a model learns to infill.

Bavarian et al., "Efficient Training of Language Models to Fill in the Middle" (arXiv 2207.14255), in the
joint form that the HyperCLOVA X technical report names (arXiv 2404.01954, section 2.3):

    PSM   <|fim_prefix|> p <|fim_suffix|> s <|fim_middle|> m <eot>
    SPM   <|fim_prefix|> <|fim_suffix|> s <|fim_middle|> p m <eot>     (variant 2 of the paper)

It happens at context level: after a window has been cut, to each document in it by itself, so that no
sentinel pair is torn apart. Texts are cut between characters, never inside one; where the window itself
begins or ends within a character, those tokens stay outside. The parts are encoded anew, since a cut may fall
within a token.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.tokens_order import Draws
from malmoi.factory.tokenizer.special_tokens import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX

MIN_CHARACTERS = 8
"""Shorter texts stay as they are: they have no middle worth filling."""
_ATTEMPTS = 4
"""How often a text is shortened until it fits with its sentinels; the first time is nearly always enough."""


class FimSettings(BaseModel):
    """How much of the text is rearranged, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    fim_rate: float = Field(0.5, ge=0, le=1)
    """Share of the documents in a sequence that are rearranged."""
    spm_rate: float = Field(0.5, ge=0, le=1)
    """Share of these that give the suffix first."""
    split: Literal["thirds", "random"] = "thirds"
    """thirds: first, second and last third of the characters, as the technical report does; random: two cuts
    anywhere, as the paper does."""
    groups: tuple[Literal["korean", "other", "code"], ...] | None = None
    """Only sources of these groups; all when not given."""


class Encoder(Protocol):
    """The part of a tokenizer that infilling needs; `Tokenizer` fits."""

    @property
    def eot_id(self) -> int:
        """The token that ends a document."""

    @property
    def special(self) -> Mapping[str, int]:
        """The control tokens and their ids."""

    def encode(self, text: str) -> list[int]:
        """The ids of content."""

    def token_bytes(self, number: int, /) -> bytes:
        """What a token stands for in UTF-8."""


class Parts(NamedTuple):
    """A text cut in three."""

    prefix: str
    middle: str
    suffix: str


def split_text(text: str, split: Literal["thirds", "random"], draws: Draws) -> Parts:
    """Cut a text between characters; takes two draws, whatever the split."""
    cuts = sorted((draws.below(len(text) + 1), draws.below(len(text) + 1)))
    if split == "thirds":
        cuts = [len(text) // 3, 2 * len(text) // 3]
    return Parts(text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :])


class Infilling:
    """Rearranges token sequences.

    Raises:
        InvalidInput: the tokenizer has no sentinels.
    """

    def __init__(self, settings: FimSettings, tokenizer: Encoder) -> None:
        missing = [name for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE) if name not in tokenizer.special]
        if missing:
            raise InvalidInput(
                f"the tokenizer has no {' '.join(missing)}, which infilling needs.",
                fix="Set fim_rate to 0, or train a tokenizer with the reserved tokens.",
            )
        self.settings = settings
        self._tokenizer = tokenizer
        self._eot = tokenizer.eot_id
        self._prefix, self._suffix, self._middle = (
            tokenizer.special[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)
        )
        self._bytes: dict[int, bytes] = {}

    def rearrange(self, ids: NDArray[Any], draws: Draws) -> list[int]:
        """Rearrange some documents of a window.

        A window in which no document is chosen comes back unchanged. Sentinels make the others longer: what
        then goes beyond the window is cut off, but a middle always keeps the end-of-text token after it, so
        that a model learns where to stop.

        Args:
            ids: a window of token ids, (T + 1,).
            draws: the dice; four draws a document, so that the choice depends on nothing else.

        Returns:
            At most T + 1 ids; less where encoding anew took fewer tokens.
        """
        length = len(ids)
        out: list[int] = []
        for fragment, closed in _fragments(ids, self._eot):
            room = length - len(out)
            if room <= 0:
                break
            chosen = draws.share() < self.settings.fim_rate
            suffix_first = draws.share() < self.settings.spm_rate
            key = draws.fork()
            done = self._infill(fragment, closed, room, suffix_first, key) if chosen else None
            if done is None:
                out.extend(fragment)
                if closed:
                    out.append(self._eot)
            else:
                out.extend(done)
        return out[:length]

    def infill(self, parts: Parts, *, suffix_first: bool) -> list[int]:
        """The ids of a text cut in three, with its sentinels and the end-of-text token."""
        prefix, middle, suffix = (self._encode(part) for part in parts)
        if suffix_first:
            return [self._prefix, self._suffix, *suffix, self._middle, *prefix, *middle, self._eot]
        return [self._prefix, *prefix, self._suffix, *suffix, self._middle, *middle, self._eot]

    def restore(self, ids: Sequence[int] | NDArray[Any]) -> list[bytes]:
        """The documents of a sequence in their own order, as bytes: the inverse of `rearrange`.

        A document of which a part has been cut off comes back without it.
        """
        documents = []
        for fragment, _ in _fragments(np.asarray(ids), self._eot):
            if self._prefix not in fragment:
                documents.append(self._text(fragment))
                continue
            start = fragment.index(self._prefix)
            rest = fragment[start + 1 :]
            prefix, _, rest = _partition(rest, self._suffix)
            suffix, _, middle = _partition(rest, self._middle)
            documents.append(b"".join(map(self._text, (fragment[:start], prefix, middle, suffix))))
        return documents

    def _infill(
        self, fragment: list[int], closed: bool, room: int, suffix_first: bool, key: int
    ) -> list[int] | None:
        """The fragment rearranged to fit `room`; None where it is too short or is not text."""
        start, end = _whole_characters([self._token(number) for number in fragment])
        for _ in range(_ATTEMPTS):
            try:
                text = self._text(fragment[start:end]).decode("utf-8")
            except UnicodeDecodeError:
                return None
            if len(text) < MIN_CHARACTERS:
                return None
            parts = split_text(text, self.settings.split, Draws(key))
            done = fragment[:start] + self.infill(parts, suffix_first=suffix_first)
            if len(done) <= room:
                rest = fragment[end:]
                return done + rest + [self._eot] if rest and closed else done + rest
            # Too long with its sentinels: a shorter text, whose rest begins a fragment of its own.
            end -= len(done) - room
            end = start + _whole_characters([self._token(number) for number in fragment[start:end]])[1]
        return None

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text) if text else []

    def _token(self, number: int) -> bytes:
        known = self._bytes.get(number)
        if known is None:
            known = self._bytes[number] = self._tokenizer.token_bytes(number)
        return known

    def _text(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self._token, ids))


def _fragments(ids: NDArray[Any], eot: int) -> Iterator[tuple[list[int], bool]]:
    """The documents of a window without their end-of-text tokens, and whether they had one."""
    start = 0
    for end in np.flatnonzero(ids == eot).tolist():
        yield ids[start:end].tolist(), True
        start = end + 1
    if start < len(ids):
        yield ids[start:].tolist(), False


def _whole_characters(pieces: Sequence[bytes]) -> tuple[int, int]:
    """The longest run of tokens, from the first that begins a character to the last that ends one."""
    start, end = 0, len(pieces)
    while start < end and (not pieces[start] or 0x80 <= pieces[start][0] < 0xC0):
        start += 1
    while end > start and not _ends_whole(b"".join(pieces[max(start, end - 4) : end])):
        end -= 1
    return start, end


def _ends_whole(tail: bytes) -> bool:
    """Whether bytes end where a UTF-8 character ends."""
    for back in range(1, min(4, len(tail)) + 1):
        byte = tail[-back]
        if byte < 0x80:
            return back == 1
        if byte >= 0xC0:
            return back == (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return False


def _partition(ids: list[int], separator: int) -> tuple[list[int], bool, list[int]]:
    if separator not in ids:
        return ids, False, []
    place = ids.index(separator)
    return ids[:place], True, ids[place + 1 :]
