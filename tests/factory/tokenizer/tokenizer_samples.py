"""Documents made of a few words, and vocabularies trained on them."""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from malmoi.core.stage import SilentProgress
from malmoi.factory.corpus.documents import Document, Mixture, MixtureSource, write_documents
from malmoi.factory.tokenizer.train import Trained, TrainingSettings, train
from malmoi.factory.tokenizer.words import Words, count_words, shares_by_size

NOUNS = [
    "학교",
    "친구",
    "시민",
    "정부",
    "음식",
    "영화",
    "사람",
    "나라",
    "바다",
    "하늘",
    "도서관",
    "컴퓨터",
    "문장",
    "마음",
    "시간",
]
PARTICLES = ["은", "이", "을", "에서", "에게", "으로", "과", "만", "도", "까지"]
VERBS = ["갔습니다", "보았다", "먹었다", "읽는다", "만들었습니다", "좋아한다", "생각했다"]
ENGLISH = [
    "the",
    "model",
    "reads",
    "every",
    "document",
    "and",
    "writes",
    "a",
    "short",
    "answer",
    "about",
    "what",
    "it",
    "has",
    "found",
]
CODE = "def total(values):\n    return sum(value * 2 for value in values if value > 10)\n"


def korean_text(rng: random.Random, sentences: int = 20) -> str:
    """Nouns with particles and verbs."""
    lines = []
    for _ in range(sentences):
        words = [rng.choice(NOUNS) + rng.choice(PARTICLES) for _ in range(4)]
        lines.append(" ".join([*words, rng.choice(VERBS)]) + ".")
    return "\n".join(lines)


def documents(count: int = 60, *, seed: int = 0) -> list[Document]:
    """Korean, English and code in turn."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        kind = ("ko", "en", "code")[number % 3]
        text = {
            "ko": korean_text(rng),
            "en": " ".join(rng.choices(ENGLISH, k=120)) + ".",
            "code": CODE.replace("total", rng.choice(ENGLISH)) * 4,
        }[kind]
        made.append(Document(f"{seed}-{number}", text, kind, kind, "CC0-1.0", f"made.txt#{number}"))
    return made


def words_of(docs: Sequence[Document], *, sample_bytes: int = 10**9, seed: int = 0) -> Words:
    """All words, counted."""
    with SilentProgress().task("") as task:
        return count_words(docs, shares_by_size(docs), sample_bytes=sample_bytes, seed=seed, task=task)


def trained(work: Path, analyzer: Any = None, *, docs: Sequence[Document] = (), **settings: Any) -> Trained:
    """A vocabulary of the documents."""
    words = words_of(docs or documents())
    options = TrainingSettings(**{"vocab_size": 704, **settings})
    return train(words, options, work=work, progress=SilentProgress(), analyzer=analyzer)


class ParticleAnalyzer:
    """Knows the particles above and nothing else, as Kiwi would tell of them; counts what it is asked."""

    def __init__(self, *, dies_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._dies_after = dies_after

    def tokenize(self, text: Iterator[str]) -> Iterable[list[Any]]:
        for word in text:
            if self._dies_after is not None and len(self.asked) >= self._dies_after:
                raise KeyboardInterrupt
            self.asked.append(word)
            ending = next((p for p in sorted(PARTICLES, key=len, reverse=True) if word.endswith(p)), "")
            found = [SimpleNamespace(start=0, tag="NNG")]
            if ending and len(ending) < len(word):
                found.append(SimpleNamespace(start=len(word) - len(ending), tag="JX"))
            yield found


class WordwiseAnalyzer(ParticleAnalyzer):
    """Running text, word by word."""

    def tokenize(self, text: Iterator[str]) -> Iterable[list[Any]]:
        for document in text:
            found = []
            for word in re.finditer(r"[^\s.]+", document):
                for morpheme in next(iter(super().tokenize(iter([word.group()])))):
                    morpheme.start += word.start()
                    found.append(morpheme)
            yield found


def write_corpus(folder: Path, docs: Sequence[Document], held_out: Sequence[Document]) -> None:
    """A corpus artifact's files."""
    write_documents(folder / "train" / "part.parquet", docs)
    write_documents(folder / "validation" / "part.parquet", held_out)
    shares = shares_by_size(docs)
    groups: dict[str, Any] = {"ko": "korean", "en": "other", "code": "code"}
    sources = [
        MixtureSource(
            name=name,
            group=groups[name],
            license="CC0-1.0",
            weight=share.weight,
            epochs=1.0,
            documents=sum(d.source == name for d in docs),
            bytes=share.bytes,
        )
        for name, share in shares.items()
    ]
    (folder / "mixture.json").write_text(Mixture(sources=tuple(sources)).model_dump_json())
