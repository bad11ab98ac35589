"""Every request that was answered, on disk: a run that was stopped goes on without asking again.

One JSON line a request, under the hash of everything that its answer depends on. Lines are only ever added;
one that a crash has cut off is not read, and its request is asked again.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from malmoi.core.files import full


class Ledger:
    """The answers of one model.

    Args:
        path: the file; it is made when first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = 0
        """Answers that were taken from it."""
        self.added = 0
        """Answers that came to it."""
        self._rows: dict[str, Mapping[str, Any]] = {}
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    self._remember(line)

    def _remember(self, line: str) -> None:
        if not line.endswith("\n"):
            return  # cut off by a crash; what it says may be cut off too
        try:
            row = json.loads(line)
        except ValueError:
            return
        if isinstance(row, dict) and isinstance(key := row.pop("key", None), str):
            self._rows[key] = row

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The answer to a request; None: it was never asked."""
        row = self._rows.get(key)
        self.found += row is not None
        return row

    def add(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep answers; they are on disk when this returns.

        Raises:
            DiskFull: there is no room.
        """
        new = dict(rows)
        lines = [json.dumps({"key": key, **row}, ensure_ascii=False) + "\n" for key, row in new.items()]
        data = "".join(lines).encode("utf-8", "surrogatepass")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One write of whole lines behind the end: two runs of one model may share the file.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if (size := os.fstat(descriptor).st_size) and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data  # behind a line that was cut off
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise full(error, self.path) from error
        self._rows.update(new)
        self.added += len(new)


def request_key(model: str, kind: str, *parts: Any) -> str:
    """The hash of a request: of the model's digest, the kind of request, and all that it says."""
    text = json.dumps([model, kind, *parts], ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
