"""A checked reader of safetensors headers.

Stricter than the format's own library, which accepts duplicate keys, any tensor name and weights that are not
numbers. Layout: length of the header in 64 bits, the header as JSON, then the data without gaps.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from malmoi.engine.modelfile.cursor import Cursor, open_file
from malmoi.engine.modelfile.info import SafetensorsInfo
from malmoi.engine.modelfile.strict_json import parse_object

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8
DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
# Unsigned view of a number and the bits that are all set in infinities and NaN.
_EXPONENTS = {
    "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF << 52),
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_.\-/]{1,256}")
_U64 = struct.Struct("<Q")
_STEP = 4 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """A tensor's place: bytes `begin` to `end` of the data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(path: Path, *, finite: bool = False) -> SafetensorsInfo:
    """Check a safetensors file.

    Args:
        path: the file.
        finite: also read all weights and refuse infinities and NaN.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    with open_file(path) as cursor:
        spans = read_spans(cursor)
        if finite:
            _check_finite(cursor, spans)
        return SafetensorsInfo(
            tensors=tuple(span.name for span in spans),
            dtypes=tuple(sorted({span.dtype for span in spans})),
            parameters=sum(prod(span.shape) for span in spans),
            size_bytes=cursor.size,
        )


def read_spans(cursor: Cursor) -> list[Span]:
    """The tensors in the order of their data; the cursor stands at the beginning of the data."""
    length = cursor.unpack(_U64, "the header's length")
    if length > MAX_HEADER_BYTES:
        raise cursor.invalid(f"a header of {length} bytes, over {MAX_HEADER_BYTES}")
    raw = cursor.take(length, "the header")
    if not raw.startswith(b"{"):
        raise cursor.invalid("its header does not begin with '{'")
    header = parse_object(raw, cursor.name)
    _check_metadata(cursor, header.pop("__metadata__", {}))
    if not 1 <= len(header) <= MAX_TENSORS:
        raise cursor.invalid(f"{len(header)} tensors, not 1 to {MAX_TENSORS}")
    spans = sorted(
        (_span(cursor, name, entry) for name, entry in header.items()), key=lambda s: (s.begin, s.end)
    )
    at = 0
    for span in spans:
        if span.begin != at:
            fault = "overlaps the one before" if span.begin < at else "leaves a gap before it"
            raise cursor.invalid(f"the tensor {span.name} {fault}: it begins at {span.begin}, not {at}")
        at = span.end
    held = cursor.size - cursor.position
    if at != held:
        raise cursor.invalid(f"the tensors take {at} bytes, the file holds {held}")
    return spans


def _check_metadata(cursor: Cursor, metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise cursor.invalid("__metadata__ is not a table of text")


def _span(cursor: Cursor, name: str, entry: Any) -> Span:
    if not _NAME.fullmatch(name) or ".." in name:
        raise cursor.invalid(f"the tensor name {name[:80]!r} is not allowed")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise cursor.invalid(f"the entry of {name} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise cursor.invalid(f"{name} has the unknown type {str(dtype)[:40]!r}")
    if not _counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise cursor.invalid(f"{name} has the shape {str(shape)[:80]}")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise cursor.invalid(f"{name} has the offsets {str(offsets)[:80]}")
    bits = prod(shape) * DTYPE_BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        raise cursor.invalid(
            f"{name} of type {dtype} and shape {tuple(shape)} takes {bits / 8:g} bytes, "
            f"its offsets span {offsets[1] - offsets[0]}"
        )
    return Span(name, dtype, tuple(shape), offsets[0], offsets[1])


def _counts(value: Any) -> bool:
    """A list of whole numbers from 0 to 2**63 - 1 (True is not one)."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _check_finite(cursor: Cursor, spans: list[Span]) -> None:
    import numpy as np

    for span in spans:
        if span.dtype not in _EXPONENTS:
            cursor.skip(span.end - span.begin, span.name)
            continue
        view, mask = _EXPONENTS[span.dtype]
        for piece in _pieces(cursor, span):
            numbers = np.frombuffer(piece, dtype=view)
            if bool(((numbers & numbers.dtype.type(mask)) == mask).any()):
                raise cursor.invalid(f"the tensor {span.name} holds infinities or NaN")


def _pieces(cursor: Cursor, span: Span) -> Iterator[bytes]:
    left = span.end - span.begin
    while left:
        count = min(left, _STEP)
        yield cursor.take(count, span.name)
        left -= count
