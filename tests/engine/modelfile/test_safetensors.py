import json
import struct
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.info import SafetensorsInfo
from malmoi.engine.modelfile.safetensors import read_safetensors
from model_files import safetensors_bytes


def read(path: Path, data: bytes, *, finite: bool = False) -> SafetensorsInfo:
    file = path / "tiny.safetensors"
    file.write_bytes(data)
    return read_safetensors(file, finite=finite)


def one(dtype: Any = "F32", shape: Any = (4,), offsets: Any = (0, 16), name: str = "w", **more: Any) -> bytes:
    shape = list(shape) if isinstance(shape, tuple) else shape
    entry = {"dtype": dtype, "shape": shape, "data_offsets": list(offsets), **more}
    return safetensors_bytes({name: entry}, bytes(16))


def two(first: tuple[int, int], second: tuple[int, int], held: int) -> bytes:
    spans = {"a": first, "b": second}
    header = {
        name: {"dtype": "U8", "shape": [span[1] - span[0]], "data_offsets": list(span)}
        for name, span in spans.items()
    }
    return safetensors_bytes(header, bytes(held))


def test_a_right_file_says_what_it_holds(tmp_path: Path) -> None:
    info = read(tmp_path, safetensors_bytes(), finite=True)
    assert info.tensors == ("model.embed.weight", "model.norm.weight")
    assert (info.dtypes, info.parameters) == (("BF16", "F32"), 40)


def test_a_file_of_the_reference_library_is_read(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    library = pytest.importorskip("safetensors.numpy")
    file = tmp_path / "theirs.safetensors"
    library.save_file(
        {"a": numpy.ones((2, 3), "f4"), "b": numpy.zeros((0,), "f2"), "c": numpy.array(1)}, file
    )
    assert set(read_safetensors(file, finite=True).tensors) == {"a", "b", "c"}


CORRUPT = {
    "empty": (b"", "truncated"),
    "short length": (b"\x01\x02", "truncated"),
    "length 2^63": (safetensors_bytes(length=1 << 63), "over 100000000"),
    "length over the limit": (safetensors_bytes(length=100_000_001), "over 100000000"),
    "length beyond the file": (safetensors_bytes(length=10_000), "truncated"),
    "not JSON": (safetensors_bytes(b"{nonsense"), "not JSON"),
    "a list": (safetensors_bytes(b"[]"), "'{'"),
    "leading space": (safetensors_bytes(b" {}"), "'{'"),
    "not UTF-8": (safetensors_bytes(b'{"\xff": 1}'), "UTF-8"),
    "deep": (safetensors_bytes(b'{"a":' * 100_000), "deep"),
    "NaN": (safetensors_bytes(b'{"a": NaN}'), "NaN"),
    "huge number": (safetensors_bytes(b'{"a": ' + b"9" * 5000 + b"}"), "not JSON"),
    "no tensors": (safetensors_bytes({}, b""), "0 tensors"),
    "duplicate tensor": (
        safetensors_bytes(b'{"w": {"dtype":"U8"}, "w": {"dtype":"U8"}}'),
        "'w' comes twice",
    ),
    "duplicate field": (safetensors_bytes(b'{"w": {"dtype":"U8", "dtype":"F32"}}'), "'dtype' comes twice"),
    "metadata": (safetensors_bytes({"__metadata__": {"a": 1}}), "__metadata__"),
    "name up": (one(name="../../etc/x"), "name"),
    "name long": (one(name="a" * 257), "name"),
    "name empty": (one(name=""), "name"),
    "unknown dtype": (one(dtype="F33"), "unknown type"),
    "dtype a list": (one(dtype=["F32"]), "unknown type"),
    "extra field": (one(extra=1), "exactly"),
    "entry a number": (safetensors_bytes({"w": 1}), "exactly"),
    "negative shape": (one(shape=(-4,)), "shape"),
    "shape of truths": (one(shape=[True]), "shape"),
    "shape of fractions": (one(shape=[4.0]), "shape"),
    "shape overflows": (one(shape=(1 << 32, 1 << 32)), "takes"),
    "shape does not fit": (one(shape=(5,)), "takes 20 bytes"),
    "nine dimensions": (one(shape=(4, 1, 1, 1, 1, 1, 1, 1, 1)), "shape"),
    "offsets reversed": (one(offsets=(16, 0)), "offsets"),
    "offsets three": (one(offsets=(0, 16, 16)), "offsets"),
    "offset 2^63": (one(offsets=(0, 1 << 63)), "offsets"),
    "gap at the beginning": (two((8, 16), (16, 24), 24), "gap"),
    "gap": (two((0, 8), (9, 17), 17), "gap"),
    "overlap": (two((0, 8), (4, 12), 12), "overlaps"),
    "trailing bytes": (two((0, 8), (8, 16), 17), "the file holds 17"),
    "truncated data": (two((0, 8), (8, 16), 15), "the file holds 15"),
}  # fmt: skip


@pytest.mark.parametrize("case", CORRUPT)
def test_every_corruption_is_refused_by_name(case: str, tmp_path: Path) -> None:
    data, words = CORRUPT[case]
    with pytest.raises(ModelFileInvalid, match=words) as caught:
        read(tmp_path, data)
    assert "tiny.safetensors" in caught.value.message


@pytest.mark.parametrize(
    ("dtype", "form", "number"),
    [("F32", "<f", float("nan")), ("F64", "<d", float("-inf")), ("F16", "<e", float("inf"))],
)
def test_weights_that_are_not_numbers_are_found_when_asked(
    dtype: str, form: str, number: float, tmp_path: Path
) -> None:
    data = struct.pack(form, 1.0) + struct.pack(form, number)
    entry = {"w": {"dtype": dtype, "shape": [2], "data_offsets": [0, len(data)]}}
    raw = json.dumps(entry).encode()
    assert read(tmp_path, safetensors_bytes(raw, data)).parameters == 2
    with pytest.raises(ModelFileInvalid, match="NaN"):
        read(tmp_path, safetensors_bytes(raw, data), finite=True)


def test_bfloat16_infinity_is_found(tmp_path: Path) -> None:
    entry = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    with pytest.raises(ModelFileInvalid, match="NaN"):
        read(tmp_path, safetensors_bytes(entry, b"\x80\x3f\x80\xff"), finite=True)
    assert read(tmp_path, safetensors_bytes(entry, b"\x80\x3f\x7f\x7f"), finite=True).parameters == 2
