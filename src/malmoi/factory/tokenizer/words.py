"""A sample of a corpus as counted words: all that training a vocabulary needs to know of it.

The sample holds each source in the share that training will see of it, so that Korean, English and code all
get their part of the vocabulary. Which stretches of documents are in it depends on the documents' ids and the
seed alone.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Task
from malmoi.factory.corpus.documents import Document
from malmoi.factory.tokenizer.splitting import QWEN2

LONGEST_WORD = 256
"""Longer words (keys, encoded pictures) are left out: nothing in them is worth a token."""
_STRETCH = 1 << 15  # characters of a document that are chosen or not

Documents = Callable[[], Iterable[Document]]


@dataclass(frozen=True, slots=True)
class SourceShare:
    """One source: its share of the training text, and the bytes it has."""

    weight: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Words:
    """Word forms as the pre-tokenizer cuts them, with how often they occur.

    Attributes:
        counts: in the order of the words themselves, so that it does not depend on the order of reading.
        sampled: bytes that were read, by source.
        too_long: words that were left out.
    """

    counts: Mapping[str, int]
    sampled: Mapping[str, int]
    too_long: int


def shares_by_size(documents: Iterable[Document]) -> dict[str, SourceShare]:
    """The sources of documents that have no mixture: each has the share of its bytes."""
    sizes: Counter[str] = Counter()
    for document in documents:
        sizes[document.source] += len(document.text.encode("utf-8", "replace"))
    total = max(sum(sizes.values()), 1)
    return {name: SourceShare(size / total, size) for name, size in sizes.items()}


def count_words(
    documents: Iterable[Document],
    shares: Mapping[str, SourceShare],
    *,
    sample_bytes: int,
    seed: int,
    task: Task,
) -> Words:
    """Count the words of a sample.

    Args:
        documents: the whole training split.
        shares: by source; documents of other sources are left out.
        sample_bytes: size of the sample. A source that has less than its share counts for more.
        seed: chooses the stretches of text.
        task: advances by the bytes that are taken.

    Raises:
        InvalidInput: there is no text.
    """
    import regex

    find = regex.compile(QWEN2).findall
    size = min(sample_bytes, sum(share.bytes for share in shares.values()))
    goals = {name: share.weight * size for name, share in shares.items()}
    counts: dict[str, Counter[str]] = {name: Counter() for name in shares}
    taken = dict.fromkeys(shares, 0)
    too_long = 0
    first: dict[str, str] = {}  # of sources, for the case that nothing of them is chosen

    def take(source: str, text: str) -> None:
        # The last one is cut, so that the sample is not larger than it should be.
        left = round(goals[source]) - taken[source]
        text = text.encode("utf-8", "replace")[: max(left, 0)].decode("utf-8", "ignore")
        stretch = unicodedata.normalize("NFC", text)
        counts[source].update(find(stretch))
        taken[source] += len(stretch.encode())
        task.advance(len(stretch.encode()))

    for document in documents:
        share = shares.get(document.source)
        if share is None:
            continue
        for at in range(0, len(document.text), _STRETCH):
            stretch = document.text[at : at + _STRETCH]
            first.setdefault(document.source, stretch)
            if _chosen(f"{document.id}:{at}", seed, goals[document.source], share.bytes):
                take(document.source, stretch)
    for source, stretch in first.items():
        if not taken[source]:
            take(source, stretch)
    if not any(taken.values()):
        raise InvalidInput(
            "there is no text to train a tokenizer on.", fix="Check that the corpus has documents."
        )
    total: Counter[str] = Counter()
    for name, counted in counts.items():
        factor = goals[name] / taken[name] if 0 < taken[name] < 0.9 * goals[name] else 1.0
        for word, times in counted.items():
            if len(word) > LONGEST_WORD:
                too_long += 1
            else:
                total[word] += max(round(times * factor), 1)
    return Words({word: total[word] for word in sorted(total)}, taken, too_long)


def _chosen(identifier: str, seed: int, goal: float, available: int) -> bool:
    """Whether a stretch is in the sample; a little more than the goal, which the last one then meets."""
    if available <= goal:
        return True
    digest = blake2b(f"{seed}:{identifier}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < 1.05 * goal / available * 2**64
