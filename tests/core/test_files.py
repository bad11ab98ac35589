import errno
from pathlib import Path

import pytest

from malmoi.core.errors import DiskFull
from malmoi.core.files import full, new_directory, write_json, write_text


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"나": 1})
    write_json(path, {"가": 2})
    assert path.read_text() == '{\n  "가": 2\n}\n'
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(DiskFull, match=r"a\.txt"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(FileExistsError), new_directory(target) as folder:
        (folder / "a").write_text("x")
    assert list(tmp_path.iterdir()) == [target]
    assert list(target.iterdir()) == []


def test_the_lack_of_room_is_known_in_other_libraries_errors(tmp_path: Path) -> None:
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    assert isinstance(full(RuntimeError(said), tmp_path), DiskFull)
    other = RuntimeError("I/O error: Permission denied (os error 13)")
    assert full(other, tmp_path) is other
