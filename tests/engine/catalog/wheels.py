"""Small wheels that carry a model in parts, as the package index would give them."""

import zipfile
from pathlib import Path

from malmoi.engine.catalog import ModelCard


def split(data: bytes, count: int) -> list[bytes]:
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]


def write_wheel(folder: Path, prefix: str, number: int, version: str, data: bytes) -> Path:
    """A wheel whose package must never be imported: its code would leave a mark."""
    folder.mkdir(parents=True, exist_ok=True)
    package = f"{prefix.replace('-', '_')}{number}"
    path = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{package}/__init__.py", f"raise SystemExit('{package} was imported')\n")
        archive.writestr(f"{package}/data/part{number:02}.bin", data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {prefix}{number}\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def write_parts(folder: Path, data: bytes, *, prefix: str = "tiny-model-part", count: int = 3) -> list[Path]:
    return [
        write_wheel(folder, prefix, number, "1.0", piece)
        for number, piece in enumerate(split(data, count), 1)
    ]


def tiny_card(data: bytes, *, count: int = 3) -> ModelCard:
    """The built-in entry for `data` in parts."""
    import hashlib

    return ModelCard(
        name="tiny",
        title="Tiny model",
        license="Apache-2.0",
        source=f"packages:tiny-model-part1..{count}==1.0",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        capabilities=("generate", "chat"),
    )
