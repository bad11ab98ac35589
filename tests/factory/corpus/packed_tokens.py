"""Small tokenizers, corpora and token files for tests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from malmoi.factory.corpus.documents import Document, write_documents
from malmoi.factory.corpus.tokens_files import TokenSet, load_tokens
from malmoi.factory.tokenizer.special_tokens import special_tokens

WORDS = [
    "말모이는",
    "우리말을",
    "모은",
    "사전이다.",
    "비가",
    "오는",
    "날에는",
    "책을",
    "읽자.",
    "the",
    "river",
    "runs",
    "def",
    "f(x):",
]


def write_tokenizer(folder: Path, *, lossy: bool = False) -> Path:
    """A byte-level BPE of 400 tokens with all control tokens; `lossy` lowers the case of text."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase() if lossy else normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s?\w+|\s?[^\w\s]+|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(special_tokens()) + 272,
        special_tokens=list(special_tokens()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_corpus(
    folder: Path, documents: Mapping[str, Sequence[Document]], weights: Mapping[str, float]
) -> Path:
    """A corpus of the documents of each split; every source is in the group "korean"."""
    for split, some in documents.items():
        write_documents(folder / split / "part-00000.parquet", some)
    sources = [
        {
            "name": name,
            "group": "code" if name == "code" else "korean",
            "license": "CC0-1.0",
            "weight": weight,
            "epochs": 1.0,
            "documents": sum(document.source == name for document in documents.get("train", ())),
            "bytes": 0,
        }
        for name, weight in weights.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mixture.json").write_text(json.dumps({"sources": sources}), encoding="utf-8")
    return folder


def document(text: str, source: str = "web", number: int = 0, language: str = "ko") -> Document:
    """A document of this text."""
    return Document(f"{source}-{number}", text, source, language, "CC0-1.0", f"{source}.txt#{number}")


def write_tokens(
    folder: Path,
    sources: Mapping[str, Sequence[Sequence[int]]],
    *,
    weights: Mapping[str, float] | None = None,
    vocab_size: int = 400,
    eot_id: int = 0,
    sizes: Mapping[str, Sequence[int]] | None = None,
    split: str = "train",
) -> TokenSet:
    """Token files of one split with these documents of ids; a document's bytes are twice its ids."""
    records = []
    (folder / split).mkdir(parents=True, exist_ok=True)
    for name, documents in sources.items():
        ids = [number for one in documents for number in (*one, eot_id)]
        offsets = np.cumsum([0, *(len(one) + 1 for one in documents)]).astype(np.uint64)
        lengths = np.array(sizes[name] if sizes else [2 * len(one) for one in documents], dtype=np.uint32)
        np.array(ids, dtype="<u2").tofile(folder / split / f"{name}.bin")
        np.save(folder / split / f"{name}.offsets.npy", offsets)
        np.save(folder / split / f"{name}.bytes.npy", lengths)
        counts = {"tokens": len(ids), "documents": len(documents), "bytes": int(lengths.sum())}
        empty = {"tokens": 0, "documents": 0, "bytes": 0}
        splits = {"train": empty, "validation": empty} | {split: counts}
        weight = weights[name] if weights else 1 / len(sources)
        records.append(
            {
                "name": name,
                "group": "code" if name == "code" else "korean",
                "language": "ko",
                "license": "CC0-1.0",
                "weight": weight,
                "epochs": 1.0,
                "splits": splits,
            }
        )
    record = {"vocab_size": vocab_size, "dtype": "uint16", "eot_id": eot_id, "sources": records}
    (folder / "tokens.json").write_text(json.dumps(record), encoding="utf-8")
    return load_tokens(folder)
