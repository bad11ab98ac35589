"""Token files: what a tokens artifact holds, mapped into memory and checked when it is opened.

tokens artifact
├── tokens.json                      vocabulary, end-of-text id, sources with their counts
├── <split>/<source>.bin             little-endian ids, the end-of-text token after each document
├── <split>/<source>.offsets.npy     uint64, documents + 1: where each document begins
├── <split>/<source>.bytes.npy       uint32, UTF-8 bytes of each document
└── tokenizer/                       the tokenizer's files, which models carry on
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, UnknownName

SPLITS = ("train", "validation")
_MAKE_AGAIN = "Remove the artifact and make it again."


class SplitCounts(BaseModel):
    """What one source has in one split."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tokens: int
    """With the end-of-text token of each document."""
    documents: int
    bytes: int
    """UTF-8 bytes of the text."""


class SourceRecord(BaseModel):
    """One source of a tokens artifact."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    group: Literal["korean", "other", "code"]
    language: str
    """The language of most of its bytes, or "code"."""
    license: str
    weight: float
    """Share of the sequences that come from it."""
    epochs: float
    """How often the corpus builder meant its documents to be seen."""
    splits: dict[str, SplitCounts]


class TokensRecord(BaseModel):
    """tokens.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    vocab_size: int
    dtype: Literal["uint16", "uint32"]
    eot_id: int
    sources: tuple[SourceRecord, ...]


@dataclass(frozen=True)
class SourceTokens:
    """The tokens of one source in one split, mapped into memory."""

    name: str
    ids: NDArray[Any]  # (tokens,) uint16 or uint32
    offsets: NDArray[np.uint64]  # (documents + 1,)
    bytes: NDArray[np.uint32]  # (documents,)

    @property
    def num_tokens(self) -> int:
        """All tokens, with those that end documents."""
        return len(self.ids)

    @property
    def num_documents(self) -> int:
        """How many documents there are."""
        return len(self.bytes)

    def document(self, number: int) -> NDArray[Any]:
        """The ids of a document, the end-of-text token last."""
        return self.ids[int(self.offsets[number]) : int(self.offsets[number + 1])]


class TokenSet:
    """A tokens artifact that has been checked."""

    def __init__(self, folder: Path, record: TokensRecord) -> None:
        self.folder = folder
        self.record = record
        self._open = {
            (split, source.name): _open_source(folder, split, record, source)
            for source in record.sources
            for split, counts in source.splits.items()
            if counts.documents
        }

    @property
    def vocab_size(self) -> int:
        """One more than the highest id that the tokenizer can give."""
        return self.record.vocab_size

    @property
    def eot_id(self) -> int:
        """The token after each document."""
        return self.record.eot_id

    @property
    def tokenizer_folder(self) -> Path:
        """The tokenizer's files."""
        return self.folder / "tokenizer"

    @cached_property
    def sources(self) -> dict[str, SourceRecord]:
        """All sources by name, in the order of the mixture."""
        return {source.name: source for source in self.record.sources}

    def names(self, split: str) -> list[str]:
        """The sources that have documents in `split`, in the order of the mixture."""
        return [name for name in self.sources if (split, name) in self._open]

    def source(self, split: str, name: str) -> SourceTokens:
        """The tokens of a source in a split.

        Raises:
            UnknownName: there is no such source, or it has no documents in this split.
        """
        if (split, name) not in self._open:
            raise UnknownName(f"source in the split {split!r} of {self.folder}", name, self.names(split))
        return self._open[split, name]

    def iter_documents(self, split: str, name: str) -> Iterator[tuple[NDArray[Any], int]]:
        """Each document's ids, end-of-text token last, and its UTF-8 bytes."""
        source = self.source(split, name)
        for number in range(source.num_documents):
            yield source.document(number), int(source.bytes[number])


def load_tokens(folder: Path) -> TokenSet:
    """Open and check the token files of an artifact.

    Raises:
        InvalidInput: a file is missing, cut off, or does not fit the others; the message names it.
    """
    path = folder / "tokens.json"
    try:
        record = TokensRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(f"{folder} is not a tokens artifact: it has no tokens.json.") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidInput(f"{path}: {where}: {fault['msg']}.", fix=_MAKE_AGAIN) from None
    return TokenSet(folder, record)


def _open_source(folder: Path, split: str, record: TokensRecord, source: SourceRecord) -> SourceTokens:
    counts = source.splits[split]
    base = folder / split / source.name
    path = base.with_name(f"{source.name}.bin")
    dtype = np.dtype(record.dtype).newbyteorder("<")
    try:
        size = path.stat().st_size
    except OSError:
        raise InvalidInput(f"{path} is missing.", fix=_MAKE_AGAIN) from None
    if size != counts.tokens * dtype.itemsize:
        raise InvalidInput(
            f"{path} has {size} bytes, but {counts.tokens} tokens take {counts.tokens * dtype.itemsize}.",
            fix=_MAKE_AGAIN,
        )
    offsets = _load_array(base.with_name(f"{source.name}.offsets.npy"), np.uint64, counts.documents + 1)
    sizes = _load_array(base.with_name(f"{source.name}.bytes.npy"), np.uint32, counts.documents)
    ids = np.memmap(path, dtype=dtype, mode="r")
    whole = int(offsets[0]) == 0 and int(offsets[-1]) == counts.tokens
    if (
        not whole
        or bool((offsets[1:] <= offsets[:-1]).any())
        or int(sizes.sum(dtype=np.uint64)) != counts.bytes
    ):
        raise InvalidInput(
            f"{base}.offsets.npy and .bytes.npy do not fit {path.name}: they are of other documents.",
            fix=_MAKE_AGAIN,
        )
    # The ends of documents are scattered over the whole file, so this finds most damage at little cost.
    for start in range(1, len(offsets), 1 << 20):
        ends = offsets[start : start + (1 << 20)].astype(np.int64) - 1
        if bool((ids[ends] != record.eot_id).any()):
            raise InvalidInput(
                f"{path}: a document does not end with the end-of-text token {record.eot_id}.",
                fix=_MAKE_AGAIN,
            )
    return SourceTokens(source.name, ids, offsets, sizes)


def _load_array(path: Path, dtype: type[np.unsignedinteger[Any]], length: int) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise InvalidInput(f"{path} is missing or cannot be read.", fix=_MAKE_AGAIN) from None
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path} is not a NumPy file, or cut off: {error}.", fix=_MAKE_AGAIN) from None
    if array.dtype != dtype or array.shape != (length,):
        raise InvalidInput(
            f"{path} holds {array.dtype} {array.shape}, but tokens.json says {np.dtype(dtype)} ({length},).",
            fix=_MAKE_AGAIN,
        )
    return np.asarray(array)
