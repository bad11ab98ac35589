"""Growing token files and the journal that says how much of them is certain."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from malmoi.core.errors import InvalidInput
from malmoi.core.files import full, write_json
from malmoi.factory.corpus.tokens_files import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAME = re.compile(r"\w[\w.+-]{0,99}")
_SUFFIXES = (".bin", ".ends", ".sizes")


class SourceFiles:
    """For each split and source: ids, the ends of documents (uint64) and their bytes (uint32), appended to.

    Args:
        folder: where they grow.
        names: the sources.
        width: bytes of a token id, 2 or 4.

    Raises:
        InvalidInput: a source's name cannot be a file name.
    """

    def __init__(self, folder: Path, names: Sequence[str], width: int) -> None:
        for name in names:
            if not _NAME.fullmatch(name):
                raise InvalidInput(
                    f"the source {name!r} cannot be a file name.",
                    field="mixture.json",
                    fix="Use letters, digits, '_', '.', '+' and '-' in the names of sources.",
                )
        self.folder = folder
        self.width = width
        self._names = list(names)
        self._id_type = np.dtype(f"<u{width}")
        self._ends: dict[tuple[str, str], int] = {}
        self._touched: set[Path] = set()

    def append(
        self, split: str, name: str, documents: "Sequence[tuple[NDArray[np.uint32], int]]", eot_id: int
    ) -> None:
        """Add documents, given as ids and UTF-8 bytes, to a source.

        Raises:
            InvalidInput: an id does not fit the width.
            DiskFull: there is no room.
        """
        end_of_text = np.array([eot_id], dtype=np.uint32)
        pieces = [piece for ids, _ in documents for piece in (ids, end_of_text)]
        lengths = np.array([len(ids) + 1 for ids, _ in documents], dtype=np.uint64)
        ends = np.cumsum(lengths, dtype=np.uint64) + np.uint64(self._end(split, name))
        self._ends[split, name] = int(ends[-1])
        joined = np.concatenate(pieces)
        if int(joined.max()) >= 1 << 8 * self.width:
            raise InvalidInput(
                f"the tokenizer gave the token {int(joined.max())}, which is not in its own vocabulary.",
                fix="Use a tokenizer whose files belong together.",
            )
        self._write(split, name, ".bin", joined.astype(self._id_type).tobytes())
        self._write(split, name, ".ends", ends.astype("<u8").tobytes())
        self._write(split, name, ".sizes", np.array([size for _, size in documents], dtype="<u4").tobytes())

    def sync(self) -> None:
        """Make what has been appended survive a power failure."""
        for path in self._touched:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        self._touched.clear()

    def lengths(self) -> dict[str, int]:
        """The present size of every file that is there, by its path within the folder."""
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self._paths()
            if path.exists()
        }

    def cut_back(self, lengths: Mapping[str, int]) -> None:
        """Return to the sizes that `lengths` says; files that it does not name go.

        Raises:
            InvalidInput: a file is shorter than that.
        """
        for path in self._paths():
            size = path.stat().st_size if path.exists() else 0
            wanted = lengths.get(path.relative_to(self.folder).as_posix(), 0)
            if size < wanted:
                raise InvalidInput(
                    f"{path} has lost bytes that were written.", fix="Remove it and run again."
                )
            if wanted:
                os.truncate(path, wanted)
            else:
                path.unlink(missing_ok=True)
        self._ends.clear()

    def counts(self, split: str, name: str) -> dict[str, int]:
        """How many tokens, documents and bytes a source has."""
        sizes = self._read(split, name, ".sizes", "<u4")
        return {
            "tokens": self._end(split, name),
            "documents": len(sizes),
            "bytes": int(sizes.sum(dtype=np.uint64)),
        }

    def export(self, out: Path) -> None:
        """Write the files of the artifact; the ids are linked, not copied, where the file system can."""
        try:
            for split in SPLITS:
                (out / split).mkdir(parents=True, exist_ok=True)
                for name in self._names:
                    sizes = self._read(split, name, ".sizes", "<u4")
                    if not len(sizes):
                        continue
                    ends = self._read(split, name, ".ends", "<u8")
                    offsets = np.concatenate([np.zeros(1, dtype="<u8"), ends])
                    np.save(out / split / f"{name}.offsets.npy", offsets)
                    np.save(out / split / f"{name}.bytes.npy", sizes)
                    _link(self._path(split, name, ".bin"), out / split / f"{name}.bin")
        except OSError as error:
            raise full(error, out) from error

    def _end(self, split: str, name: str) -> int:
        """Where the next document of a source begins."""
        if (split, name) not in self._ends:
            ends = self._read(split, name, ".ends", "<u8")
            self._ends[split, name] = int(ends[-1]) if len(ends) else 0
        return self._ends[split, name]

    def _read(self, split: str, name: str, suffix: str, dtype: str) -> "NDArray[Any]":
        path = self._path(split, name, suffix)
        return np.fromfile(path, dtype=dtype) if path.exists() else np.zeros(0, dtype=dtype)

    def _write(self, split: str, name: str, suffix: str, data: bytes) -> None:
        path = self._path(split, name, suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise full(error, path) from error
        self._touched.add(path)

    def _path(self, split: str, name: str, suffix: str) -> Path:
        return self.folder / split / f"{name}{suffix}"

    def _paths(self) -> list[Path]:
        return [
            self._path(split, name, suffix)
            for split in SPLITS
            for name in self._names
            for suffix in _SUFFIXES
        ]


class Journal:
    """How many shards are done, and what the files were then."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._fingerprint = fingerprint
        self.shards = 0
        self.languages: dict[str, dict[str, int]] = {}
        """Bytes of each source by language."""
        self.seconds = 0.0
        """Time that has gone into it, over all runs."""

    @classmethod
    def open(cls, path: Path, fingerprint: str, files: SourceFiles) -> "Journal":
        """The journal of earlier work on the same input, with the files cut back to it; else a new one."""
        journal = cls(path, fingerprint)
        lengths: dict[str, int] = {}
        with suppress(FileNotFoundError, ValueError, KeyError):  # no journal: nothing is certain
            saved = json.loads(path.read_text(encoding="utf-8"))
            if saved["fingerprint"] == fingerprint:
                journal.shards, journal.languages = saved["shards"], saved["languages"]
                journal.seconds, lengths = saved["seconds"], saved["lengths"]
        files.cut_back(lengths)
        return journal

    def finish_shard(
        self, files: SourceFiles, languages: Mapping[str, Mapping[str, int]], *, seconds: float
    ) -> None:
        """Record that one more shard is in the files for good."""
        for source, sizes in languages.items():
            known = self.languages.setdefault(source, {})
            for language, size in sizes.items():
                known[language] = known.get(language, 0) + size
        self.shards += 1
        self.seconds = seconds
        write_json(
            self._path,
            {
                "fingerprint": self._fingerprint,
                "shards": self.shards,
                "languages": self.languages,
                "lengths": files.lengths(),
                "seconds": seconds,
            },
        )


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)  # another file system, or one without hard links
