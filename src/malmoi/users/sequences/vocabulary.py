"""The token ids of item texts: the tokenizer, and the table that a batch takes its rows from."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Progress
from malmoi.factory.corpus.documents import Document
from malmoi.factory.tokenizer.opening import open_tokenizer
from malmoi.factory.tokenizer.special_tokens import PADDING
from malmoi.factory.tokenizer.splitting import FIRST_LEARNED
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.train import TrainingSettings, train
from malmoi.factory.tokenizer.words import count_words, shares_by_size
from malmoi.factory.tokenizer.writing import write_tokenizer

_SAMPLE = 32_000_000  # bytes of text that merges are learned from
_SOURCE = "items"


def learn_tokenizer(
    texts: Sequence[str], *, vocab_size: int, folder: Path, seed: int, progress: Progress
) -> Tokenizer:
    """A byte-level BPE vocabulary of these texts, written into `folder`; what is there already is read.

    Args:
        texts: of the items, in any order and number.
        vocab_size: tokens in all; fewer where the texts do not fill it.
        folder: for tokenizer.json; made here.
        seed: chooses the sample where the texts are longer than that.
        progress: where it tells how far it is.

    Raises:
        InvalidInput: there is no text, or the size is too small.
    """
    if (folder / "tokenizer.json").is_file():
        return Tokenizer.load(folder)
    distinct = sorted({text for text in texts if text.strip()})
    if not distinct:
        raise InvalidInput(
            "no item has a text, so there is nothing to learn a vocabulary from.",
            fix="Give the logs a text column, or choose a model that works on ids, such as item-knn.",
        )
    documents = [
        Document(str(number), text, source=_SOURCE, language="", license="", origin="")
        for number, text in enumerate(distinct)
    ]
    shares = shares_by_size(documents)
    with progress.task("Count words", total=sum(share.bytes for share in shares.values()), unit="B") as task:
        words = count_words(documents, shares, sample_bytes=_SAMPLE, seed=seed, task=task)
    # "byte", not "morpheme": titles are noun phrases, which have few endings to cut off.
    settings = TrainingSettings(kind="byte", vocab_size=max(vocab_size, FIRST_LEARNED + 1))
    trained = train(words, settings, work=folder, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(trained.backend, folder)
    return Tokenizer.load(folder)


def open_or_learn(
    name: str | None,
    texts: Sequence[str],
    *,
    vocab_size: int,
    folder: Path,
    home: Path,
    seed: int,
    progress: Progress,
) -> Tokenizer:
    """The tokenizer called `name` (`factory.tokenizer.opening`); None: one that is learned from the texts.

    Raises:
        NotFound: there is no such tokenizer.
        InvalidInput: nothing can be learned from the texts.
    """
    if name is not None:
        return open_tokenizer(name, home=home)
    return learn_tokenizer(texts, vocab_size=vocab_size, folder=folder, seed=seed, progress=progress)


@dataclass(frozen=True)
class TokenTable:
    """Token ids of texts, padded on the right: R rows of T tokens.

    Attributes:
        ids: (R, T) int32.
        lengths: tokens of each row, at least 1, (R,) int32.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lengths)


def build_table(tokenizer: Tokenizer, texts: Sequence[str], *, longest: int) -> TokenTable:
    """Tokens of every text, cut after `longest`; a text without tokens gets one of padding.

    Strings in a text that look like control tokens stay text.
    """
    padding = tokenizer.special.get(PADDING, 0)
    ids = np.full((len(texts), longest), padding, dtype=np.int32)
    lengths = np.ones(len(texts), dtype=np.int32)
    # Halves of surrogate pairs cannot be UTF-8, and the tokenizer would refuse the whole batch for one.
    clean = [_clean(text) for text in texts]
    for row, found in enumerate(tokenizer.encode_batch(clean)):
        size = min(len(found), longest)
        ids[row, :size] = found[:size]
        lengths[row] = max(size, 1)
    return TokenTable(ids, lengths)


def number_texts(texts: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Of each text the number of its first occurrence among the distinct ones, (len(texts),), and those."""
    numbers: dict[str, int] = {}
    of_each = np.fromiter(
        (numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int64, count=len(texts)
    )
    return of_each, list(numbers)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
