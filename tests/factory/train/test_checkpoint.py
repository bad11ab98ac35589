import json
import resource
import shutil
from pathlib import Path

import pytest
import torch

from malmoi.core.errors import Conflict
from malmoi.factory.train import checkpoint as module
from malmoi.factory.train.checkpoint import Checkpoints


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"model.weight": torch.full((300, 20), value), "optimizer.step": torch.tensor(value)}


def saved(folder: Path, *steps: int, keep: int = 2) -> Checkpoints:
    checkpoints = Checkpoints(folder, {"rate": 1}, keep=keep)
    for step in steps:
        assert checkpoints.save(step, tensors(float(step)), {"tokens": step * 10})
    return checkpoints


def loaded(folder: Path) -> tuple[int, float] | None:
    """Step by the manifest, and the value in the tensors."""
    target, notes = tensors(-1.0), []
    manifest = Checkpoints(folder, {"rate": 1}, note=notes.append).load(target)
    if manifest is None:
        return None
    assert manifest.facts == {"tokens": manifest.step * 10}
    assert len(target["model.weight"].unique()) == 1
    assert target["model.weight"][0, 0] == target["optimizer.step"]
    return manifest.step, float(target["optimizer.step"])


def test_nothing_to_load(tmp_path):
    assert loaded(tmp_path) is None
    assert loaded(tmp_path / "none") is None


def test_the_newest_is_loaded_and_the_oldest_go(tmp_path):
    saved(tmp_path, 1, 2, 3, 4)
    assert loaded(tmp_path) == (4, 4.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "step-00000003", "step-00000004"]
    assert (tmp_path / "LATEST").read_text() == "step-00000004\n"


def test_the_manifest_tells_everything(tmp_path):
    saved(tmp_path, 7)
    manifest = json.loads((tmp_path / "step-00000007" / "manifest.json").read_text())
    assert manifest["step"] == 7
    assert manifest["facts"] == {"tokens": 70}
    assert manifest["world_size"] == 1
    assert manifest["torch"] == torch.__version__
    assert set(manifest["files"]) == {"state/.metadata", "state/__0_0.distcp"}
    size, sha256 = manifest["files"]["state/__0_0.distcp"]
    assert size == (tmp_path / "step-00000007/state/__0_0.distcp").stat().st_size
    assert len(sha256) == 64


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
@pytest.mark.parametrize("name", ["state/__0_0.distcp", "state/.metadata", "manifest.json"])
def test_it_walks_back_to_one_that_is_whole(tmp_path, harm, name):
    saved(tmp_path, 1, 2, 3, keep=3)
    path = tmp_path / "step-00000003" / name
    if (harm, name) == (flip, "manifest.json"):  # any byte of it may be one that changes nothing
        path.write_text(path.read_text().replace('"step": 3', '"step": 2'))
    else:
        harm(path)
    assert loaded(tmp_path) == (2, 2.0)
    assert not (tmp_path / "step-00000003").exists()


def test_none_is_whole(tmp_path):
    saved(tmp_path, 1, 2)
    for step in (1, 2):
        flip(tmp_path / f"step-{step:08d}" / "state" / "__0_0.distcp")
    assert loaded(tmp_path) is None


@pytest.mark.parametrize("latest", [None, "step-00000001\n", "nonsense"])
def test_latest_is_not_trusted(tmp_path, latest):
    saved(tmp_path, 1, 2)
    if latest is None:
        (tmp_path / "LATEST").unlink()
    else:
        (tmp_path / "LATEST").write_text(latest)
    assert loaded(tmp_path) == (2, 2.0)


def test_leftovers_are_removed(tmp_path):
    saved(tmp_path, 1, 2)
    shutil.copytree(tmp_path / "step-00000002", tmp_path / "step-00000009.tmp")
    (tmp_path / "step-00000009.tmp" / "manifest.json").unlink()
    (tmp_path / "notes").mkdir()
    assert loaded(tmp_path) == (2, 2.0)
    assert not (tmp_path / "step-00000009.tmp").exists()
    assert (tmp_path / "notes").exists()


def test_a_damaged_step_is_written_again(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    flip(tmp_path / "step-00000002" / "state" / "__0_0.distcp")
    assert checkpoints.save(2, tensors(2.0), {"tokens": 20})
    assert loaded(tmp_path) == (2, 2.0)


def test_another_run_is_refused(tmp_path):
    saved(tmp_path, 1)
    with pytest.raises(Conflict, match="other settings or inputs"):
        Checkpoints(tmp_path, {"rate": 2}).load(tensors(0.0))


def test_another_version_is_told(tmp_path, monkeypatch):
    saved(tmp_path, 1)
    monkeypatch.setattr(module, "__version__", "99.0")
    notes: list[str] = []
    assert Checkpoints(tmp_path, {"rate": 1}, note=notes.append).load(tensors(0.0)) is not None
    assert "last digits" in notes[0]


def test_a_write_that_fails_keeps_the_last_good_one(tmp_path):
    checkpoints = saved(tmp_path, 1, 2)
    notes: list[str] = []
    checkpoints._note = notes.append
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
    try:
        assert not checkpoints.save(3, tensors(3.0), {"tokens": 30})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no room" in notes[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LATEST", "step-00000001", "step-00000002"]
    assert loaded(tmp_path) == (2, 2.0)
    assert checkpoints.save(4, tensors(4.0), {"tokens": 40})
    assert loaded(tmp_path) == (4, 4.0)


def test_no_room_is_seen_before_writing(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1, 2)
    size = sum(path.stat().st_size for path in (tmp_path / "step-00000002" / "state").iterdir())
    usage = shutil.disk_usage(tmp_path)
    for free, room in ((int(1.3 * size), True), (int(1.1 * size), False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert checkpoints.save(3, tensors(3.0), {"tokens": 30}) is room
    assert loaded(tmp_path) == (3, 3.0)


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, 1)

    def broken(*args, **kwargs):
        raise PermissionError(13, "not allowed")

    monkeypatch.setattr(module.dcp, "save", broken)
    with pytest.raises(PermissionError):
        checkpoints.save(2, tensors(2.0), {"tokens": 20})
    assert loaded(tmp_path) == (1, 1.0)
