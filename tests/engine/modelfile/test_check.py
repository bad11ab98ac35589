import asyncio
import os
from pathlib import Path

import pytest

from malmoi.core import sandbox
from malmoi.core.errors import ModelFileInvalid
from malmoi.core.sandbox import Limits
from malmoi.engine.modelfile import check, check_model, check_model_async
from model_files import STRING, TinyTensor, gguf_bytes, safetensors_bytes, write_folder


def test_each_kind_of_model_comes_back_whole_from_the_sandbox(tmp_path: Path) -> None:
    gguf, tensors = tmp_path / "a.gguf", tmp_path / "b.safetensors"
    gguf.write_bytes(gguf_bytes())
    tensors.write_bytes(safetensors_bytes())
    folder = write_folder(tmp_path / "folder")
    for path in (gguf, tensors, folder):
        info = check_model(path)
        inside = check.inspect(str(path))
        assert info.to_json() == inside
        assert type(info).from_json(inside) == info
    found = check_model(gguf).gguf
    assert found is not None
    assert found.special_tokens[-1].text == "<tool_call>"


async def test_the_async_door_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes())
    assert await check_model_async(path) == await asyncio.to_thread(check_model, path)
    path.write_bytes(gguf_bytes()[:-1])
    with pytest.raises(ModelFileInvalid, match=r"a\.gguf: truncated"):
        await check_model_async(path)


def test_weights_are_read_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(data=b"\xff" * 144))
    assert check_model(path).safetensors is not None
    with pytest.raises(ModelFileInvalid, match="NaN"):
        check_model(path, finite=True)


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path / "missing.gguf", Path("/dev/zero"), tmp_path):
        with pytest.raises(ModelFileInvalid):
            check_model(path)


def test_any_other_file_is_refused_whatever_its_name(tmp_path: Path) -> None:
    for name in ("model.pkl", "model.bin", "model.pt", "model"):
        path = tmp_path / name
        path.write_bytes(b"\x80\x04\x95" + bytes(100))
        with pytest.raises(ModelFileInvalid, match="not a GGUF file"):
            check_model(path)


def test_a_check_that_runs_out_of_its_limits_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.gguf"
    keys = {f"key{n}": (STRING, "x" * (8 << 20)) for n in range(8)}
    path.write_bytes(gguf_bytes(keys))
    monkeypatch.setattr(check, "_HEADER_LIMITS", Limits(memory_bytes=64 << 20))
    with pytest.raises(ModelFileInvalid, match=r"big\.gguf: could not be checked.*memory"):
        check_model(path)


@pytest.mark.parametrize("name", ["tiny.gguf", "tiny.safetensors"])
def test_500_damaged_files_neither_crash_nor_hang_nor_hoard(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    # One byte of weights: nearly every change hits the structure.
    small = gguf_bytes(tensors=[TinyTensor(shape=(1,), type=24)], data_bytes=1)
    path.write_bytes(small if name.endswith("gguf") else safetensors_bytes())
    told = sandbox.run(
        "mutations:check_all",
        {"path": str(path), "count": 500, "seed": 20261121},
        limits=Limits(memory_bytes=256 << 20, file_bytes=1 << 20, seconds=50),
    ).value
    assert told["untyped"] == []
    assert told["slowest"] < 1.0
    assert told["refused"] > 250
