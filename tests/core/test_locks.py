import os
from pathlib import Path

import pytest

from malmoi.core.errors import Conflict
from malmoi.core.locks import is_locked, locked


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "work" / "lock"
    assert not is_locked(path)
    with locked(path, busy=""):
        assert is_locked(path)
        with pytest.raises(Conflict, match="taken"), locked(path, busy="taken"):
            pass
    assert not is_locked(path)


def test_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We open the file, then its holder removes it and lets go: a third process would lock a new file."""
    path = tmp_path / "lock"
    path.touch()
    opened = os.open
    removed: list[Path] = []

    def open_late(name: Path, *arguments: int) -> int:
        descriptor = opened(name, *arguments)
        if not removed:
            path.unlink()
            removed.append(path)
        return descriptor

    monkeypatch.setattr("malmoi.core.locks.os.open", open_late)
    with locked(path, busy=""):
        assert path.exists()
        assert is_locked(path)
