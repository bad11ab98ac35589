"""Which tokens stay: what every text needs, then what the data needs most, then the model's own order.

Tokens are ranked by how often their text is *made*, as a token or on the way to a longer one. A piece is made
at least as often as whatever is made of it, so the first N of this order hold the path of each of their
members (`merging`), and no separate closure is needed; ties go to the shorter text, which is the piece.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from malmoi.core.errors import InvalidInput
from malmoi.factory.tokenizer.trim.scripts import SCRIPTS_OF, Script, script_of
from malmoi.factory.tokenizer.trim.vocabulary import Usage, Vocabulary

LANGUAGE_SHARE = 1 / 8
"""Of the new vocabulary, for each language that is to be kept whatever the data holds."""
MAIN_SCRIPT_SHARE = 1 / 10
"""A script with this share of the data's word tokens is one that more texts will come in."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The kept tokens in the order of their old ids, which become the new ids 0, 1, 2 ...

    `required`, `languages`, `data` and `order` count the reasons: byte fallback and special tokens; languages
    that were asked for; the data; and what the model's own order filled up.
    """

    kept: tuple[int, ...]
    required: int
    languages: int
    data: int
    order: int


def choose(
    vocabulary: Vocabulary,
    usage: Usage,
    size: int,
    *,
    languages: Sequence[str] = (),
    placeholders: bool = False,
) -> Choice:
    """Choose `size` tokens.

    Args:
        vocabulary: of the whole model.
        usage: what the data needs.
        size: how many tokens stay.
        languages: two-letter codes (or "code") whose commonest tokens stay in any case.
        placeholders: keep tokens that stand for nothing, such as <unused5>, too.

    Raises:
        InvalidInput: the size is not smaller than the vocabulary, or too small for what every text needs.
    """
    required = vocabulary.required | (vocabulary.placeholders if placeholders else frozenset())
    if size >= len(vocabulary.texts):
        raise InvalidInput(
            f"the vocabulary has {len(vocabulary.texts):,} tokens already; {size:,} is not smaller.",
            field="size",
            fix="Choose a smaller --size.",
        )
    if size < len(required) + 1:
        raise InvalidInput(
            f"{size:,} tokens are too few: byte fallback and special tokens alone are {len(required):,}.",
            field="size",
            fix=f"Choose a --size of at least {2 * len(required):,}.",
        )
    kept = set(required)
    counts = []
    for language in languages:
        limit = min(size, len(kept) + int(size * LANGUAGE_SHARE))
        _take(vocabulary, _of_scripts(vocabulary, SCRIPTS_OF[language]), kept, limit)
    counts.append(len(kept))
    _take(vocabulary, _by_usage(vocabulary, usage), kept, size)
    counts.append(len(kept))
    half = len(kept) + (size - len(kept)) // 2
    for script in _scripts_of_data(vocabulary, usage):
        _take(vocabulary, _of_scripts(vocabulary, frozenset({script})), kept, half)
    _take(vocabulary, _by_order(vocabulary), kept, size)
    return Choice(
        kept=tuple(sorted(kept)),
        required=len(required),
        languages=counts[0] - len(required),
        data=counts[1] - counts[0],
        order=len(kept) - counts[1],
    )


def _take(vocabulary: Vocabulary, tokens: Iterable[int], kept: set[int], limit: int) -> None:
    """Add tokens, each with its path, as long as they fit."""
    for token in tokens:
        if len(kept) >= limit:
            return
        if token in kept:
            continue
        path = vocabulary.path(token)
        missing = [piece for piece in path if piece not in kept]
        if missing and len(kept) + len(missing) <= limit:
            kept.update(missing)


def _by_usage(vocabulary: Vocabulary, usage: Usage) -> Iterator[int]:
    yield from sorted(
        usage.pieces, key=lambda token: (-usage.pieces[token], len(vocabulary.texts[token]), token)
    )


def _by_order(vocabulary: Vocabulary) -> Iterator[int]:
    """The order of the ids: tokenizers number tokens as they were learnt, the commonest first."""
    for token in range(len(vocabulary.texts)):
        if token not in vocabulary.placeholders and token not in vocabulary.special:
            yield token


def _scripts_of_data(vocabulary: Vocabulary, usage: Usage) -> list[Script]:
    """The scripts of words in the data, the one with the fewest tokens of the vocabulary first.

    What the data holds of them is likely not all that will be met: the rest of a small script, such as Hangul
    in most models, costs little.
    """
    used: dict[Script, float] = {}
    for token, times in usage.tokens.items():
        script = script_of(vocabulary.shown(token) or "")
        if script not in ("punctuation", "space", "digits", "other"):
            used[script] = used.get(script, 0.0) + times
    least = MAIN_SCRIPT_SHARE * sum(used.values())
    sizes = Counter(script_of(vocabulary.shown(token) or "") for token in _by_order(vocabulary))
    return sorted((script for script, times in used.items() if times >= least), key=lambda s: sizes[s])


def _of_scripts(vocabulary: Vocabulary, scripts: frozenset[Script]) -> Iterator[int]:
    """First their single characters, then their tokens in the model's order."""
    longer = []
    for token in _by_order(vocabulary):
        text = vocabulary.shown(token)
        if text is None or script_of(text) not in scripts:
            continue
        if len(text) == 1:
            yield token
        else:
            longer.append(token)
    yield from longer
