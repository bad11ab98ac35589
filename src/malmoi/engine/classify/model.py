"""A trained classifier of text: linear models on n-grams and on a sentence encoder, mixed.

    x = tf-idf of the text's n-grams, of length one          e = the sentence encoder's vector
    a = x W + w          b = e V + v
    p = softmax(m_1 * a + m_2 * b + s)

m and s are fitted on texts that the members have not seen, which calibrates the mixture (vector scaling, Guo
et al. 2017, of stacked members, Wolpert 1992). A context's n-grams are others than the text's and count
for less, and its vector f joins e as (e, f, e * f). Numpy only; all questions share the n-grams and one run
of the encoder.

The encoder takes ten times as long as the n-grams, so a question with a gate asks it only about texts that
n-grams alone, calibrated by themselves, do not find clearly harmless:

    l = softmax(m' * a + s')          p where 1 - l[harmless] >= bound, else l
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.core.hangul.disguise import undisguise
from malmoi.engine.classify.base import LabelGroup
from malmoi.engine.classify.calibration import softmax
from malmoi.engine.classify.encoder import SIZE, SentenceEncoder, shared_encoder
from malmoi.engine.classify.folder import (
    ClassifierFile,
    NgramSettings,
    QuestionFile,
    Tensors,
    read_classifier,
)
from malmoi.engine.classify.ngrams import text_ngrams

Array = NDArray[np.float32]
PIECE = 600
"""Characters of a piece: the encoder averages over its text, which drowns what stands once in a long one."""
OVERLAP = 60
"""Characters that neighbouring pieces share, so that nothing hides where they meet."""
_CONTEXT = 0x55555555
"""Flips bits of a context's buckets: its n-grams are others than the text's."""
CONTEXT_SHARE = 0.3
"""How much an n-gram of the context counts beside one of the text."""


class MixedClassifier:
    """A classifier in memory: a `TextClassifier`.

    Args:
        about: what it is.
        tensors: its numbers (folder.py).
        encoder: of sentences; None: the one of this process.
    """

    def __init__(
        self, about: ClassifierFile, tensors: Tensors, *, encoder: SentenceEncoder | None = None
    ) -> None:
        self.about = about
        self._groups = about.groups()
        self._labels = tuple(label for group in self._groups for label in group.labels)
        self._encoder = encoder or shared_encoder()
        self._index = tensors["buckets"].astype(np.int64) if "buckets" in tensors else np.zeros(0, np.int64)
        self._idf = tensors.get("idf", np.zeros(0, np.float32))
        linear = [question for question in about.questions if "ngrams" in question.members]
        # One table for all questions, so that a text's rows are gathered once.
        self._table = (
            np.concatenate([tensors[f"{q.name}/ngrams"] for q in linear], axis=1) if linear else None
        )
        self._tensors = {
            name: array.astype(np.float32)
            for name, array in tensors.items()
            if "/" in name and not name.endswith("/ngrams")
        }
        self._spans: dict[str, slice] = {}
        begin = 0
        for question in linear:
            self._spans[question.name] = slice(begin, begin + len(question.labels))
            begin += len(question.labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels: the columns of `predict`."""
        return self._labels

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The questions, in the order of their labels."""
        return self._groups

    def predict(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> Array:
        """Probabilities: (N, L), those of a group summing to one.

        A text longer than `PIECE` characters is judged piece by piece; for each question the piece with the
        least harmless probability counts.

        Raises:
            InvalidInput: the numbers of texts and contexts differ.
            MissingExtra: the sentence encoder is not installed.
        """
        pieces, before, owner = _pieces(texts, contexts)
        chances = self._predict(pieces, before)
        if len(pieces) == len(texts):
            return chances
        return self._riskiest(chances, owner, len(texts))

    def asks_encoder(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Which texts need the sentence encoder, and so about ten times as long: (N,).

        Raises:
            InvalidInput: the numbers of texts and contexts differ.
        """
        pieces, before, owner = _pieces(texts, contexts)
        grams = self._linear(pieces, before)
        asks = np.any([self._asking(question, grams) for question in self.about.questions], axis=0)
        return np.bincount(owner, asks, minlength=len(texts)) > 0

    def _riskiest(self, chances: Array, owner: NDArray[np.int64], count: int) -> Array:
        result = np.empty((count, len(self._labels)), dtype=np.float32)
        begins = np.searchsorted(owner, np.arange(count))
        at = 0
        for group in self._groups:
            columns = slice(at, at + len(group.labels))
            # Where no label is harmless, the piece that is most certain of its kind.
            harmless = (
                -chances[:, columns].max(axis=1)
                if group.harmless is None
                else chances[:, at + group.labels.index(group.harmless)]
            )
            for row in range(count):
                end = begins[row + 1] if row + 1 < count else len(owner)
                worst = begins[row] + int(harmless[begins[row] : end].argmin())
                result[row, columns] = chances[worst, columns]
            at += len(group.labels)
        return result

    def _predict(self, texts: Sequence[str], contexts: Sequence[str]) -> Array:
        chances = np.empty((len(texts), len(self._labels)), dtype=np.float32)
        if not texts:
            return chances
        grams = self._linear(texts, contexts)
        asking = [self._asking(question, grams) for question in self.about.questions]
        rows = np.flatnonzero(np.any(asking, axis=0))
        # (3 * 512) numbers of each text that is asked about: of itself, of its context, and their product.
        asked = rows.tolist()
        vectors = encode(self._encoder, [texts[row] for row in asked], [contexts[row] for row in asked])
        place = np.zeros(len(texts), dtype=np.int64)
        place[rows] = np.arange(rows.size)
        at = 0
        for question, asks in zip(self.about.questions, asking, strict=True):
            columns = slice(at, at + len(question.labels))
            at = columns.stop
            if not asks.all():
                chances[~asks, columns] = self._light(question, grams[~asks])
            if asks.any():
                chances[asks, columns] = self._full(question, grams[asks], vectors[place[asks]])
        return chances

    def _asking(self, question: QuestionFile, grams: Array) -> NDArray[np.bool_]:
        """Which texts this question asks the encoder about: (N,)."""
        if "encoder" not in question.members:
            return np.zeros(len(grams), dtype=bool)
        if question.gate is None or question.harmless is None:
            return np.ones(len(grams), dtype=bool)
        harmless = self._light(question, grams)[:, question.labels.index(question.harmless)]
        return np.asarray(1 - harmless >= question.gate.bound)

    def _light(self, question: QuestionFile, grams: Array) -> Array:
        """Probabilities by n-grams alone: (N, L)."""
        name = question.name
        kind = "light_" if question.gate else ""
        logits = self._tensors[f"{name}/{kind}mix"][0] * self._grams(name, grams)
        result: Array = softmax(logits + self._tensors[f"{name}/{kind}shift"])
        return result

    def _full(self, question: QuestionFile, grams: Array, vectors: Array) -> Array:
        """Probabilities by all members: (N, L)."""
        name = question.name
        own = vectors if question.context else vectors[:, :SIZE]
        logits = self._tensors[f"{name}/shift"]
        for weight, member in zip(self._tensors[f"{name}/mix"], question.members, strict=True):
            if member == "ngrams":
                logits = logits + weight * self._grams(name, grams)
            else:
                line = own @ self._tensors[f"{name}/encoder"] + self._tensors[f"{name}/encoder_bias"]
                logits = logits + weight * line
        result: Array = softmax(logits)
        return result

    def _grams(self, name: str, grams: Array) -> Array:
        result: Array = grams[:, self._spans[name]] + self._tensors[f"{name}/ngrams_bias"]
        return result

    def _linear(self, texts: Sequence[str], contexts: Sequence[str]) -> Array:
        """Products of n-gram weights, all questions side by side: (N, sum of labels)."""
        if self._table is None:
            return np.zeros((len(texts), 0), dtype=np.float32)
        result = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for row, (text, context) in enumerate(zip(texts, contexts, strict=True)):
            buckets, counts = count_ngrams(text, context, self.about.ngrams)
            place = np.searchsorted(self._index, buckets)
            place[place == self._index.size] = 0
            known = self._index[place] == buckets if self._index.size else np.zeros(0, dtype=bool)
            place = place[known]
            if place.size:
                values = counts[known] * self._idf[place]
                values /= np.linalg.norm(values)
                result[row] = values @ self._table[place]
        return result


def _pieces(
    texts: Sequence[str], contexts: Sequence[str] | None
) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """The pieces of all texts, the contexts of each, and the places of their texts."""
    if contexts is not None and len(contexts) != len(texts):
        raise InvalidInput(f"{len(texts)} texts have {len(contexts)} contexts.", field="contexts")
    pieces, before, owner = [], [], []
    for row, text in enumerate(texts):
        for piece in cut(text):
            pieces.append(piece)
            before.append(contexts[row][-PIECE:] if contexts is not None else "")
            owner.append(row)
    return pieces, before, np.array(owner, dtype=np.int64)


def cut(text: str) -> list[str]:
    """A text in pieces of at most `PIECE` characters, which overlap."""
    if len(text) <= PIECE:
        return [text]
    step = PIECE - OVERLAP
    return [text[begin : begin + PIECE] for begin in range(0, len(text) - OVERLAP, step)]


def count_ngrams(text: str, context: str, settings: NgramSettings) -> tuple[NDArray[np.int64], Array]:
    """Buckets and log(1 + count) of each, of a text and then of its context, which counts for less."""
    buckets, values = _counted(text, settings)
    if context:
        others, less = _counted(context, settings)
        flip = _CONTEXT & ((1 << settings.bits) - 1)
        buckets = np.concatenate([buckets, others ^ flip])
        values = np.concatenate([values, less * np.float32(CONTEXT_SHARE)])
    return buckets, values


def _counted(text: str, settings: NgramSettings) -> tuple[NDArray[np.int64], Array]:
    parts = text_ngrams(
        text,
        bits=settings.bits,
        surface_orders=settings.surface_orders,
        jamo_orders=settings.jamo_orders,
        words=settings.words,
    )
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    buckets, counts = np.unique(np.concatenate(parts), return_counts=True)
    return buckets.astype(np.int64), np.log1p(counts).astype(np.float32)


def encode(encoder: SentenceEncoder, texts: Sequence[str], contexts: Sequence[str]) -> Array:
    """The vectors of texts, of their contexts (zeros for none), and their products: (N, 3 * 512)."""
    plain = [undisguise(text) for text in texts]
    first = encoder.encode(plain)
    second = encoder.encode([undisguise(text) for text in contexts])
    return np.concatenate([first, second, first * second], axis=1)


def load_classifier(folder: Path, *, encoder: SentenceEncoder | None = None) -> MixedClassifier:
    """Open a classifier; the sentence encoder is only read when a text needs it.

    Args:
        folder: where it lies.
        encoder: of sentences; None: the one of this process.

    Raises:
        NotFound: there is no classifier.
        InvalidInput: classifier.json is damaged, or does not fit the numbers.
        ModelFileInvalid: classifier.safetensors is damaged.
    """
    return MixedClassifier(*read_classifier(folder), encoder=encoder)
