"""Training a byte-level BPE vocabulary, with merges that respect morphemes.

    words (counted) -> pieces -> merges -> vocabulary

    kind        pieces of a word, inside which merges are counted
    morpheme    a Korean word is cut where a morpheme of the chosen classes begins: 학교|에서|는
    byte        the word itself: the usual byte-level BPE
    character   every character by itself: a vocabulary of characters over bytes

The cuts exist in training alone. The trained vocabulary reads whole words, and follows its merges over a
former cut only where another word taught it a merge that fits there (about 5 % of the boundaries).

`whole_word_share` keeps the last part of the vocabulary for merges of whole words: frequent words become
single tokens again, after everything inside morphemes has been merged. It makes text shorter and crosses
boundaries (measured with 16k tokens on documents and reviews, bytes a token of Korean and boundaries crossed:
share 0: 4.30, 5 %; 0.05: 4.71, 39 %; 0.1: 4.80, 47 %; plain BPE: 4.88, 62 %).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import NEUTRAL, Progress, StageConfig
from malmoi.factory.tokenizer.morphemes import BOUNDARIES, Analyzer, Boundary, CutCache
from malmoi.factory.tokenizer.splitting import (
    FIRST_LEARNED,
    Merge,
    build_backend,
    byte_letters,
    learned,
    shortened,
)
from malmoi.factory.tokenizer.words import Words

MULTIPLE = 64
"""Vocabularies are multiples of this, so that matrices of their size split evenly."""
_SEPARATOR = "\x1f"  # between pieces on their way to the trainer
_FEED = 20_000  # pieces in one string of the trainer's input


class TrainingSettings(StageConfig):
    """What decides a vocabulary."""

    kind: Literal["morpheme", "byte", "character"] = "morpheme"
    """Inside what merges are made: morphemes, words, or characters."""
    vocab_size: int = 16384
    """Tokens in all, 128 control tokens and 256 bytes among them; rounded up to a multiple of 64."""
    boundaries: tuple[Boundary, ...] = BOUNDARIES
    """Before which Korean morphemes words are cut: j particles, e endings, vcp copula, xsv verb suffixes."""
    whole_word_share: float = Field(0.0, ge=0, le=0.9)
    """With "morpheme": the share of the learned tokens that may join morphemes of one word."""
    sample_bytes: int = Field(32_000_000, ge=1)
    """Text to learn from, in the proportions of the mixture."""
    min_word_count: int = Field(2, ge=1)
    """With "morpheme": rarer Korean words of the sample are neither analysed nor learned from."""
    min_pair_frequency: int = Field(2, ge=1)
    """A merge must join at least this many neighbours in the sample."""
    max_token_length: int = Field(30, ge=1)
    """Longest token, in bytes."""
    workers: int = Field(2, ge=1, json_schema_extra=NEUTRAL)
    """Threads that analyse words."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A vocabulary.

    Attributes:
        backend: the `tokenizers.Tokenizer`.
        merges: its merges.
        vocab_size: tokens in all.
        notes: what a person should know about it.
    """

    backend: Any
    merges: list[Merge]
    vocab_size: int
    notes: tuple[str, ...]


def train(
    words: Words,
    settings: TrainingSettings,
    *,
    work: Path,
    progress: Progress,
    analyzer: Analyzer | None = None,
) -> Trained:
    """Train a vocabulary on counted words.

    Args:
        words: the sample.
        settings: kind, size and limits.
        work: a folder for the analyses of words, which another call with the same settings uses again.
        progress: gets a task for each part.
        analyzer: Kiwi; None: opened if it is needed.

    Raises:
        InvalidInput: the size is too small.
    """
    size = checked_size(settings.vocab_size)
    room = size - FIRST_LEARNED
    whole = round(room * settings.whole_word_share) if settings.kind == "morpheme" else 0
    if settings.kind == "character":
        merges = _learn_characters(words.counts, room, settings)
    else:
        pieces: Mapping[str, int] = words.counts
        if settings.kind == "morpheme":
            pieces = _morphemes(words.counts, settings, work, progress, analyzer)
        with progress.task("Learn merges", total=sum(pieces.values()), unit="words") as task:
            merges = _learn(_in_byte_letters(pieces), byte_letters(), room - whole, settings, task.advance)
    if whole:
        with progress.task("Learn whole words", total=sum(words.counts.values()), unit="words") as task:
            merges = _learn_whole_words(words.counts, merges, size, settings, task.advance)
    filled = FIRST_LEARNED + learned(merges)
    fitting = -(-filled // MULTIPLE) * MULTIPLE
    notes = []
    if size != settings.vocab_size:
        notes.append(
            f"{settings.vocab_size} tokens were asked for; {size} is the next multiple of {MULTIPLE}."
        )
    if fitting < size:
        notes.append(
            f"The sample fills {filled} of {size} tokens: no other pair of neighbours occurs at least"
            f" {settings.min_pair_frequency} times. The vocabulary has {fitting}; give more text for more."
        )
    if words.too_long:
        notes.append(f"{words.too_long} words of more than 256 characters were left out.")
    return Trained(build_backend(merges, fitting), merges, fitting, tuple(notes))


def checked_size(vocab_size: int) -> int:
    """`vocab_size` rounded up to a multiple of `MULTIPLE`.

    Raises:
        InvalidInput: it has no room for control tokens and bytes.
    """
    if vocab_size < FIRST_LEARNED:
        raise InvalidInput(
            f"vocab_size = {vocab_size} is too small: {FIRST_LEARNED - 256} control tokens and 256 bytes are"
            f" {FIRST_LEARNED} tokens by themselves.",
            field="vocab_size",
            fix=f"Ask for more than {FIRST_LEARNED}; 16384 is usual for a small model.",
        )
    return -(-vocab_size // MULTIPLE) * MULTIPLE


def _morphemes(
    counts: Mapping[str, int],
    settings: TrainingSettings,
    work: Path,
    progress: Progress,
    analyzer: Analyzer | None,
) -> Mapping[str, int]:
    """The words, Korean ones cut where morphemes begin."""
    pieces: Counter[str] = Counter()
    forms: dict[str, tuple[int, str]] = {}
    frequency: Counter[str] = Counter()
    for word, times in counts.items():
        found = korean_form(word)
        if found is not None:
            forms[word] = found
            frequency[found[1]] += times
    wanted = [form for form, times in frequency.items() if times >= settings.min_word_count]
    cache = CutCache(work / "morphemes.jsonl", settings.boundaries)
    with progress.task("Find morphemes", total=len(wanted), unit="words") as task:
        cache.analyse(wanted, analyzer, task, settings.workers)
    for word, times in counts.items():
        if word not in forms:
            pieces[word] += times
            continue
        start, form = forms[word]
        if frequency[form] >= settings.min_word_count:
            cuts = [0, *(start + cut for cut in cache[form]), len(word)]
            for left, right in pairwise(cuts):
                pieces[word[left:right]] += times
    return pieces


def korean_form(word: str) -> tuple[int, str] | None:
    """Where the letters of a pre-tokenized word begin, and they; None: no Hangul syllable is among them."""
    if word.isascii() or not any("가" <= character <= "힣" for character in word):
        return None
    start = 0 if word[0].isalpha() else 1  # the expression lets one other character stand before a word
    return start, word[start:]


def _learn(
    pieces: Mapping[str, int],
    alphabet: Sequence[str],
    room: int,
    settings: TrainingSettings,
    advance: Callable[[float], None],
) -> list[Merge]:
    """The merges that make `room` tokens beyond the alphabet.

    Args:
        pieces: counted strings in letters of the alphabet.
        alphabet: letters.
        room: tokens to make.
        settings: limits; the longest token in letters.
        advance: takes the number of pieces that went in.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(_SEPARATOR)
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + room,
        min_frequency=settings.min_pair_frequency,
        max_token_length=settings.max_token_length,
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    backend.train_from_iterator(_repeated(pieces, advance), trainer)
    return read_merges(backend)


def _repeated(pieces: Mapping[str, int], advance: Callable[[float], None]) -> Iterator[str]:
    """Every piece as often as it occurs: the trainer has no other way to be told a count."""
    waiting: list[str] = []
    for piece, times in pieces.items():
        left = times
        while left > 0:
            some = min(left, _FEED - len(waiting))
            waiting.extend([piece] * some)
            left -= some
            if len(waiting) >= _FEED:
                yield _SEPARATOR.join(waiting)
                advance(len(waiting))
                waiting = []
    if waiting:
        yield _SEPARATOR.join(waiting)
        advance(len(waiting))


def _in_byte_letters(pieces: Mapping[str, int]) -> dict[str, int]:
    table = dict(enumerate(byte_letters()))
    return {
        piece.encode().decode("latin-1").translate(table): times for piece, times in sorted(pieces.items())
    }


def _learn_characters(counts: Mapping[str, int], room: int, settings: TrainingSettings) -> list[Merge]:
    """The merges that join the bytes of the most frequent characters, and nothing else."""
    characters: Counter[str] = Counter()
    for word, times in counts.items():
        for character in word:
            characters[character] += times
    letters = byte_letters()
    merges: dict[Merge, None] = {}
    for character, times in sorted(characters.items(), key=lambda item: (-item[1], item[0])):
        if times < settings.min_pair_frequency:
            break
        written = [letters[byte] for byte in character.encode()]
        merges.update({("".join(written[:at]), written[at]): None for at in range(1, len(written))})
        if len(merges) > room:
            break
    return list(merges)


def _learn_whole_words(
    counts: Mapping[str, int],
    merges: Sequence[Merge],
    size: int,
    settings: TrainingSettings,
    advance: Callable[[float], None],
) -> list[Merge]:
    """Go on merging where `merges` stop, now inside whole words.

    Each token of the vocabulary so far becomes one letter of an alphabet (a character beyond U+FFFF), so that
    the same trainer goes on from there.
    """
    first = 0x10000
    backend = build_backend(merges)
    texts = list(counts)
    written: Counter[str] = Counter()
    for at in range(0, len(texts), _FEED):
        stretch = texts[at : at + _FEED]
        encodings = backend.encode_batch_fast(stretch, add_special_tokens=False)
        for word, encoding in zip(stretch, encodings, strict=True):
            if len(encoding.ids) > 1:
                written["".join(chr(first + number) for number in encoding.ids)] += counts[word]
    so_far = backend.get_vocab_size()
    alphabet = [chr(first + number) for number in range(so_far)]
    # Some that it makes are too long in bytes, which it cannot know; so a few more are asked for.
    room = (size - so_far) * 9 // 8 + MULTIPLE
    more = _learn(written, alphabet, room, settings, advance)
    text = {letter: backend.id_to_token(number) for number, letter in enumerate(alphabet)}
    result = list(merges)
    made = set(text.values())
    for left, right in more:
        pair = ("".join(text[c] for c in left), "".join(text[c] for c in right))
        joined = "".join(pair)
        if made.issuperset(pair) and len(joined) <= settings.max_token_length:
            made.add(joined)
            result.append(pair)
    return shortened(result, size)


def read_merges(backend: Any) -> list[Merge]:
    """The merges of a `tokenizers.Tokenizer` with a BPE model."""
    found = json.loads(backend.to_str())["model"]["merges"]
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in found)
    return [(left, right) for left, right in pairs]
