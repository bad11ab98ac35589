"""Packing: the documents of a corpus as token files (`tokens_files` has the layout).

Documents go through the tokenizer in shards, whole row groups of the corpus's parquet files. The ids of a
shard are appended to one growing file for each source, and a journal then records how long the files are.
After a crash the files are cut back to what the journal says and the next shard follows, so the bytes do not
depend on where the run died, nor on the size of the shards.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json
from malmoi.core.hangul import nfc
from malmoi.core.stage import NEUTRAL, Input, Stage, StageConfig, StageContext, Task
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.factory.corpus.documents import Mixture, read_mixture
from malmoi.factory.corpus.pack_journal import Journal, SourceFiles
from malmoi.factory.corpus.tokens_files import SPLITS, SourceRecord, SplitCounts, TokensRecord, load_tokens
from malmoi.factory.tokenizer.tokenizer import Tokenizer, copy_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH_BYTES = 4 << 20
"""Text that is encoded at once: enough to keep all cores busy, little enough to hold its ids."""
_MAKE_AGAIN = "Make the corpus again."
_COLUMNS = ("id", "text", "source", "language")


class TokensConfig(StageConfig):
    """Settings of the stage `tokens`."""

    shard_megabytes: float = Field(64.0, gt=0, json_schema_extra=NEUTRAL)
    """Text after which a crash loses nothing; the result does not depend on it."""
    check_every: int = Field(1000, ge=1, json_schema_extra=NEUTRAL)
    """Of so many documents one is decoded again, to see that the tokenizer gives back the text."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Some row groups of one file."""

    split: str
    path: Path
    groups: tuple[int, ...]
    documents: int


class TokensStage(Stage[TokensConfig]):
    """A corpus and a tokenizer to token files."""

    config = TokensConfig
    kind: ClassVar[ArtifactKind] = "tokens"
    inputs: ClassVar[Mapping[str, Input]] = {
        "corpus": Input(("corpus",)),
        "tokenizer": Input(("tokenizer",)),
    }

    def run(
        self, config: TokensConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Fill `out`; see the class.

        Raises:
            InvalidInput: the corpus is empty or cannot be read, has a source that its mixture does not name,
                or does not suit the tokenizer.
            DiskFull: no room; the shards that are done are kept.
        """
        corpus, folder = inputs["corpus"].path, inputs["tokenizer"].path
        mixture = read_mixture(corpus)
        tokenizer = Tokenizer.load(folder)
        width = 2 if tokenizer.vocab_size < 65536 else 4
        shards = plan_shards(corpus, int(config.shard_megabytes * 1e6))
        files = SourceFiles(context.work / "tokens", [source.name for source in mixture.sources], width)
        journal = Journal.open(context.work / "tokens.json", _fingerprint(folder, shards, width), files)
        packer = _Packer(mixture, tokenizer, files, config.check_every)
        started, seconds_before = time.monotonic(), journal.seconds
        total = sum(shard.documents for shard in shards)
        with context.progress.task("Tokenize", total=total, unit="docs") as task:
            task.advance(sum(shard.documents for shard in shards[: journal.shards]))
            for shard in shards[journal.shards :]:
                languages = packer.pack(shard, task)
                files.sync()
                seconds = seconds_before + time.monotonic() - started
                journal.finish_shard(files, languages, seconds=seconds)
        record = _record(mixture, tokenizer, files, journal)
        _require_tokens(record, corpus)
        files.export(out)
        copy_tokenizer(folder, out / "tokenizer")
        write_json(out / "tokens.json", record.model_dump(mode="json"))
        load_tokens(out)  # what we made is what others will accept
        return _report(record, out, journal.seconds, context)


class _Packer:
    def __init__(self, mixture: Mixture, tokenizer: Tokenizer, files: SourceFiles, check_every: int) -> None:
        self._known = {source.name for source in mixture.sources}
        self._tokenizer = tokenizer
        self._eot = tokenizer.eot_id
        self._vocab_size = tokenizer.vocab_size
        self._files = files
        self._check_every = check_every

    def pack(self, shard: Shard, task: Task) -> dict[str, dict[str, int]]:
        """Append a shard's documents; gives the bytes of each source by language."""
        languages: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        number = 0
        for rows in _batches(shard):
            started = time.monotonic()
            texts = [text for _, text, _, _ in rows]
            encoded = self._tokenizer.encode_batch(texts)
            sizes = [len(text.encode("utf-8")) for text in texts]
            by_source: dict[str, list[tuple[NDArray[np.uint32], int]]] = defaultdict(list)
            for (name, text, source, language), ids, size in zip(rows, encoded, sizes, strict=True):
                where = f"{shard.path}: the document {name!r}"
                if source not in self._known:
                    raise InvalidInput(
                        f"{where} is of the source {source!r}, which mixture.json does not name.",
                        fix=_MAKE_AGAIN,
                    )
                if number % self._check_every == 0:
                    self._check(where, text, ids)
                number += 1
                if len(ids):
                    by_source[source].append((ids, size))
                    languages[source][language] += size
            for source, documents in by_source.items():
                self._files.append(shard.split, source, documents, self._eot)
            elapsed = max(time.monotonic() - started, 1e-9)
            task.advance(len(rows), speed=f"{sum(sizes) / elapsed / 1e6:.1f} MB/s")
        return {source: dict(sizes) for source, sizes in languages.items()}

    def _check(self, where: str, text: str, ids: "NDArray[np.uint32]") -> None:
        if len(ids) and int(ids.max()) >= self._vocab_size:
            raise InvalidInput(
                f"{where} gives the token {int(ids.max())}, but the vocabulary has {self._vocab_size}.",
                fix="Use a tokenizer whose files belong together.",
            )
        wanted, back = nfc(text), self._tokenizer.decode(ids)
        if back not in (text, wanted):
            pairs = enumerate(zip(back, wanted, strict=False))
            at = next((i for i, (one, other) in pairs if one != other), 0)
            raise InvalidInput(
                f"{where} does not come back from the tokenizer as it was: at character {at}, "
                f"{wanted[at : at + 20]!r} became {back[at : at + 20]!r}.",
                fix="Use a byte-level tokenizer without lossy normalisation.",
            )


def plan_shards(corpus: Path, shard_bytes: int) -> list[Shard]:
    """The shards of a corpus, in the order in which they are packed.

    Raises:
        InvalidInput: a parquet file cannot be read or lacks a column, or there are no documents.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shards: list[Shard] = []
    for split in SPLITS:
        for path in sorted((corpus / split).glob("*.parquet")):
            try:
                with pq.ParquetFile(path) as file:
                    names = file.schema_arrow.names
                    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
                    sizes = [(group.num_rows, group.total_byte_size) for group in groups]
            except (OSError, pa.ArrowException) as error:
                raise InvalidInput(f"{path} cannot be read: {error}.", fix=_MAKE_AGAIN) from error
            missing = [name for name in _COLUMNS if name not in names]
            if missing:
                raise InvalidInput(f"{path} has no column {missing[0]!r}.", fix=_MAKE_AGAIN)
            shards.extend(_shards_of(split, path, sizes, shard_bytes))
    if not any(shard.split == "train" for shard in shards):
        raise InvalidInput(
            f"{corpus} has no training documents.",
            fix="Give the corpus stage more text, or filters that keep some.",
        )
    return shards


def _shards_of(split: str, path: Path, sizes: Sequence[tuple[int, int]], shard_bytes: int) -> Iterator[Shard]:
    groups: list[int] = []
    documents = size = 0
    for number, (rows, group_bytes) in enumerate(sizes):
        groups.append(number)
        documents += rows
        size += group_bytes
        if size >= shard_bytes or number == len(sizes) - 1:
            if documents:
                yield Shard(split, path, tuple(groups), documents)
            groups, documents, size = [], 0, 0


def _batches(shard: Shard) -> Iterator[list[tuple[str, str, str, str]]]:
    """The rows of a shard as (id, text, source, language), about `_BATCH_BYTES` of text at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    batch: list[tuple[str, str, str, str]] = []
    size = 0
    try:
        with pq.ParquetFile(shard.path) as file:
            for rows in file.iter_batches(64, row_groups=list(shard.groups), columns=list(_COLUMNS)):
                columns = [rows.column(name).to_pylist() for name in _COLUMNS]
                for row in zip(*columns, strict=True):
                    batch.append(row)
                    size += len(row[1])
                    if size * 2 >= _BATCH_BYTES:  # Korean takes three bytes a character, English one
                        yield batch
                        batch, size = [], 0
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{shard.path} cannot be read: {error}.", fix=_MAKE_AGAIN) from error
    if batch:
        yield batch


def _fingerprint(tokenizer: Path, shards: Sequence[Shard], width: int) -> str:
    """What half-done work must agree with to be gone on with."""
    parts = [
        [shard.split, shard.path.name, shard.path.stat().st_size, list(shard.groups), shard.documents]
        for shard in shards
    ]
    digest = sha256((tokenizer / "tokenizer.json").read_bytes())
    digest.update(json.dumps([width, parts]).encode())
    return digest.hexdigest()


def _record(mixture: Mixture, tokenizer: Tokenizer, files: SourceFiles, journal: Journal) -> TokensRecord:
    sources = []
    for source in mixture.sources:
        splits = {split: SplitCounts(**files.counts(split, source.name)) for split in SPLITS}
        languages = journal.languages.get(source.name, {})
        most = max(sorted(languages), key=lambda name: languages[name], default="und")
        sources.append(
            SourceRecord(
                name=source.name,
                group=source.group,
                language=most,
                license=source.license,
                weight=source.weight,
                epochs=source.epochs,
                splits=splits,
            )
        )
    return TokensRecord(
        vocab_size=tokenizer.vocab_size,
        dtype="uint16" if files.width == 2 else "uint32",
        eot_id=tokenizer.eot_id,
        sources=tuple(sources),
    )


def _require_tokens(record: TokensRecord, corpus: Path) -> None:
    if not any(source.splits["train"].tokens for source in record.sources):
        raise InvalidInput(
            f"{corpus}: all training documents are empty; there is not one token.",
            fix="Give the corpus stage more text, or filters that keep some.",
        )


def _report(record: TokensRecord, out: Path, seconds: float, context: StageContext) -> dict[str, Any]:
    """Tell what was made; gives the manifest's metadata."""
    totals: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        counts = [source.splits[split] for source in record.sources]
        totals[split] = {
            "tokens": sum(count.tokens for count in counts),
            "documents": sum(count.documents for count in counts),
            "bytes": sum(count.bytes for count in counts),
        }
    for source in record.sources:
        train, held = source.splits["train"], source.splits["validation"]
        ratio = f"{train.bytes / train.tokens:.2f} bytes a token" if train.tokens else "empty"
        context.progress.note(
            f"{source.name} ({source.language}): {train.tokens:,} tokens in {train.documents:,} documents, "
            f"{held.tokens:,} held out; {ratio}, weight {source.weight:.3f}"
        )
    if not totals["validation"]["tokens"]:
        context.progress.note("No documents are held out, so nothing can be evaluated on this corpus.")
    speed = sum(total["bytes"] for total in totals.values()) / max(seconds, 1e-9) / 1e6
    context.progress.note(
        f"{totals['train']['tokens']:,} training tokens of a vocabulary of {record.vocab_size:,}; "
        f"{speed:.1f} MB/s in {seconds:.1f} s"
    )
    about = {"seconds": round(seconds, 3), "megabytes_a_second": round(speed, 3)}
    write_json(out / "about" / "tokens.json", about)
    return {"vocab_size": record.vocab_size, "splits": totals}
