"""How well tokenizers cut held-out text, by slice of language: Table 1 of HyperCLOVA X's report, and more.

figure              what it is
tokens/document     mean; the ratio is to the first tokenizer (Table 1 of the HyperCLOVA X technical report)
bytes/token         UTF-8 bytes of the text by its tokens: the higher, the shorter the sequences
fertility           tokens by words, which are what white space separates (eojeol in Korean)
crossed             share of morpheme boundaries inside words (Kiwi, in running text) that lie in a token
exact               share of documents that decode to the same characters (in NFC)
speed               MB of text a second, on all cores
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from time import perf_counter
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Progress
from malmoi.factory.corpus.documents import Document
from malmoi.factory.tokenizer.morphemes import Analyzer, Boundary, cut_points, open_analyzer
from malmoi.factory.tokenizer.tokenizer import Tokenizer

SLICE_BYTES = 1_000_000
"""Held-out text of each slice that is measured, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Score:
    """One tokenizer on one slice.

    Attributes:
        tokens: in all documents of the slice.
        ratio: to the tokens of the first tokenizer of the report.
        crossed: share of the boundaries, or None where there are none.
        speed: MB/s.
    """

    tokens: int
    tokens_per_document: float
    ratio: float
    bytes_per_token: float
    fertility: float
    crossed: float | None
    exact: float
    speed: float


@dataclass(frozen=True, slots=True)
class Slice:
    """The text that was measured; `boundaries` between morphemes inside words."""

    documents: int
    bytes: int
    words: int
    boundaries: int


@dataclass(frozen=True, slots=True)
class TokenizerReport:
    """All slices and, by tokenizer, their scores; the others are compared to the first tokenizer."""

    vocab_sizes: Mapping[str, int]
    slices: Mapping[str, Slice]
    scores: Mapping[str, Mapping[str, Score]]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def slice_of(document: Document) -> str:
    """The document's language; where nobody said, code by the file's name, or a guess by the letters."""
    from malmoi.factory.corpus.formats.kinds import Kind, kind_of

    if document.language not in ("", "auto"):
        return document.language
    if kind_of(document.origin.partition("#")[0]) is Kind.CODE:
        return "code"
    letters = [character for character in document.text[:20_000] if character.isalpha()]
    if not letters:
        return "other"
    hangul = sum("가" <= character <= "힣" for character in letters)
    kana = sum("\u3040" <= character <= "\u30ff" for character in letters)
    han = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    if hangul > 0.2 * len(letters):
        return "ko"
    if kana > 0.1 * len(letters):
        return "ja"
    if han > 0.2 * len(letters):
        return "zh"
    return "en" if sum(map(str.isascii, letters)) > 0.8 * len(letters) else "other"


def choose_documents(
    documents: Iterable[Document], *, slice_bytes: int = SLICE_BYTES
) -> dict[str, list[str]]:
    """Texts in NFC by slice, at most `slice_bytes` each, chosen by the hash of their ids.

    Raises:
        InvalidInput: there are none.
    """
    found: defaultdict[str, list[tuple[bytes, str]]] = defaultdict(list)
    for document in documents:
        if document.text:
            key = blake2b(document.id.encode("utf-8", "replace"), digest_size=16).digest()
            text = unicodedata.normalize("NFC", document.text)
            found[slice_of(document)].append((key, text.encode("utf-8", "replace").decode()))
    chosen: dict[str, list[str]] = {}
    for name in sorted(found, key=lambda name: (name != "ko", name != "en", name)):
        room = slice_bytes
        texts = []
        for _, text in sorted(found[name]):
            texts.append(text.encode()[:room].decode("utf-8", "ignore"))
            room -= len(text.encode())
            if room <= 0:
                break
        chosen[name] = [text for text in texts if text]
    if not chosen:
        raise InvalidInput("there are no held-out documents to measure tokenizers on.")
    return chosen


def measure(
    tokenizers: Mapping[str, Tokenizer],
    texts: Mapping[str, Sequence[str]],
    *,
    boundaries: Sequence[Boundary],
    progress: Progress,
    analyzer: Analyzer | None = None,
    workers: int = 2,
) -> TokenizerReport:
    """Measure tokenizers on the same texts.

    Args:
        tokenizers: by the name they have in the report; the first is the one to compare with.
        texts: slice -> documents in NFC.
        boundaries: which morpheme boundaries count as crossed.
        progress: gets one task.
        analyzer: Kiwi; None: opened if there is Korean text.
        workers: threads of an analyzer that is opened here.
    """
    slices: dict[str, Slice] = {}
    scores: dict[str, dict[str, Score]] = {name: {} for name in tokenizers}
    total = sum(len(documents) for documents in texts.values()) * (len(tokenizers) + 1)
    with progress.task("Measure tokenizers", total=total, unit="texts") as task:
        for name, documents in texts.items():
            cuts: list[list[int]] = [[] for _ in documents]
            if any("가" <= character <= "힣" for text in documents for character in text):
                analyzer = analyzer or open_analyzer(workers)
                cuts = [
                    [cut for cut in cut_points(found, boundaries) if text[cut - 1].isalpha()]
                    for text, found in zip(documents, analyzer.tokenize(iter(documents)), strict=True)
                ]
            task.advance(len(documents))
            slices[name] = Slice(
                documents=len(documents),
                bytes=sum(len(text.encode()) for text in documents),
                words=sum(len(text.split()) for text in documents),
                boundaries=sum(map(len, cuts)),
            )
            first: Score | None = None
            for label, tokenizer in tokenizers.items():
                score = _score(tokenizer, documents, cuts, slices[name], first)
                first = first or score
                scores[label][name] = score
                task.advance(len(documents))
    return TokenizerReport({name: t.vocab_size for name, t in tokenizers.items()}, slices, scores)


def _score(
    tokenizer: Tokenizer,
    documents: Sequence[str],
    cuts: Sequence[Sequence[int]],
    of: Slice,
    first: Score | None,
) -> Score:
    began = perf_counter()
    encoded = tokenizer.encode_batch(documents)
    seconds = max(perf_counter() - began, 1e-9)
    tokens = sum(len(ids) for ids in encoded)
    exact = sum(
        unicodedata.normalize("NFC", tokenizer.decode(ids)) == text
        for ids, text in zip(encoded, documents, strict=True)
    )
    crossed = 0
    if of.boundaries:
        encodings = tokenizer.backend.encode_batch(documents, add_special_tokens=False)
        for encoding, points in zip(encodings, cuts, strict=True):
            inside = {at for start, end in encoding.offsets for at in range(start + 1, end)}
            crossed += len(inside.intersection(points))
    return Score(
        tokens=tokens,
        tokens_per_document=tokens / of.documents,
        ratio=tokens / first.tokens if first is not None and first.tokens else 1.0,
        bytes_per_token=of.bytes / max(tokens, 1),
        fertility=tokens / max(of.words, 1),
        crossed=crossed / of.boundaries if of.boundaries else None,
        exact=exact / of.documents,
        speed=of.bytes / 1e6 / seconds,
    )


def render_table(report: TokenizerReport) -> str:
    """The report as text for a terminal, one block a slice."""
    head = ("tokenizer", "vocab", "tokens/doc", "ratio", "bytes/tok", "fertility", "crossed", "exact", "MB/s")
    lines = []
    for name, of in report.slices.items():
        rows = [head, *(_row(label, report, name) for label in report.scores)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        words = f", {of.boundaries} morpheme boundaries" if of.boundaries else ""
        lines.append(f"{name}: {of.documents} documents, {of.bytes / 1e6:.2f} MB, {of.words} words{words}")
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  " + "  ".join(cells))
        lines.append("")
    return "\n".join(lines).rstrip()


def _row(label: str, report: TokenizerReport, name: str) -> tuple[str, ...]:
    score = report.scores[label][name]
    return (
        label,
        str(report.vocab_sizes[label]),
        f"{score.tokens_per_document:.1f}",
        f"{score.ratio:.2f}",
        f"{score.bytes_per_token:.2f}",
        f"{score.fertility:.2f}",
        "-" if score.crossed is None else f"{100 * score.crossed:.1f} %",
        f"{100 * score.exact:.1f} %",
        f"{score.speed:.1f}",
    )
