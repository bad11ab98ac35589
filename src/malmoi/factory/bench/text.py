"""Tokenizers: the speed of encoding, and the time to train a vocabulary, against `tokenizers` by itself."""

import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from malmoi.core.stage import SilentProgress
from malmoi.factory.bench.row import Row
from malmoi.factory.corpus.documents import Document, read_documents
from malmoi.factory.tokenizer.splitting import QWEN2, byte_level
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.train import TrainingSettings, train
from malmoi.factory.tokenizer.words import count_words, shares_by_size

ENCODE_GOAL = 0.9


def choose_text(corpus: Path, *, max_bytes: int) -> list[Document]:
    """Training documents of every source, spread over the corpus, about `max_bytes` in all."""
    documents = list(read_documents(corpus))
    total = sum(len(document.text.encode("utf-8", "replace")) for document in documents)
    stride = max(1, -(-total // max_bytes))
    return documents[::stride]


def measure_encoding(
    tokenizer: Path, documents: Sequence[Document], *, repeats: int, batch: int = 256
) -> Iterator[Row]:
    """Our `encode_batch`, which gives arrays, over the library's own two, which give objects."""
    from tokenizers import Tokenizer as Backend

    ours = Tokenizer.load(tokenizer)
    theirs = Backend.from_file(str(tokenizer / "tokenizer.json"))
    texts = [document.text for document in documents]
    size = sum(len(text.encode()) for text in texts) / 1e6
    groups = [texts[at : at + batch] for at in range(0, len(texts), batch)]
    sides: dict[str, Callable[[list[str]], Any]] = {
        "ours": ours.encode_batch,
        "encode_batch": lambda group: theirs.encode_batch(group, add_special_tokens=False),
        "encode_batch_fast": lambda group: theirs.encode_batch_fast(group, add_special_tokens=False),
    }
    for side in sides.values():  # the library keeps words that it has seen
        _speed(side, groups, size)
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name in list(sides)[:: -1 if repeat % 2 else 1]:
            speeds[name].append(_speed(sides[name], groups, size))

    def over(name: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(speeds["ours"], speeds[name], strict=True)]

    library = f"tokenizers {version('tokenizers')}"
    note = f"{len(texts)} documents, {size:.1f} MB, {batch} at a time, all cores"
    yield Row("factory.encode_ratio", over("encode_batch"), "x", f"{library}, encode_batch", ENCODE_GOAL,
              note=note)  # fmt: skip
    yield Row("factory.encode_ratio_fast", over("encode_batch_fast"), "x", f"{library}, encode_batch_fast",
              note="without offsets; ours makes arrays of its result")  # fmt: skip
    yield Row("factory.encode", speeds["ours"], "MB/s", note=note)


def _speed(side: Callable[[list[str]], Any], groups: Sequence[list[str]], size: float) -> float:
    began = time.perf_counter()
    for group in groups:
        side(group)
    return size / (time.perf_counter() - began)


def measure_vocabulary(
    documents: Sequence[Document], *, vocab_size: int, repeats: int, say: Callable[[str], None]
) -> Iterator[Row]:
    """Seconds to train a vocabulary inside morphemes, and a plain one with the library by itself."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    size = sum(len(document.text.encode("utf-8", "replace")) for document in documents) / 1e6
    for repeat in range(repeats):
        say(f"training vocabularies, {repeat + 1} of {repeats}")
        times["theirs"].append(_train_plain(documents, vocab_size))
        times["ours"].append(_train_morphemes(documents, vocab_size))
    library = f"tokenizers {version('tokenizers')}"
    note = f"{vocab_size} tokens from {size:.1f} MB"
    yield Row("factory.tokenizer_training", times["ours"], "s",
              note=f"{note}, inside morphemes, no analysis kept from before")  # fmt: skip
    yield Row("factory.tokenizer_training_plain", times["theirs"], "s", peer=library,
              note=f"{note}, plain byte-level BPE")  # fmt: skip
    ratios = [ours / theirs for ours, theirs in zip(times["ours"], times["theirs"], strict=True)]
    yield Row("factory.tokenizer_training_ratio", ratios, "x", peer=library, note="time of ours over theirs")


def _train_morphemes(documents: Sequence[Document], vocab_size: int) -> float:
    began = time.perf_counter()
    shares = shares_by_size(documents)
    size = sum(share.bytes for share in shares.values())
    progress = SilentProgress()
    with TemporaryDirectory() as work, progress.task("Count words") as task:
        words = count_words(documents, shares, sample_bytes=size, seed=0, task=task)
        train(words, TrainingSettings(vocab_size=vocab_size), work=Path(work), progress=progress)
    return time.perf_counter() - began


def _train_plain(documents: Sequence[Document], vocab_size: int) -> float:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    began = time.perf_counter()
    backend = Backend(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = byte_level(QWEN2)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator((document.text for document in documents), trainer)
    return time.perf_counter() - began
