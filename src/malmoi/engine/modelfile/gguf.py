"""A checked reader of GGUF headers, versions 2 and 3 (little-endian).

llama.cpp trusts much of what a header says; several of its faults were sizes and offsets that nobody had
checked. So every count, length, type and offset is checked here, in Python's unbounded integers, before
llama.cpp sees the file. Only the header is read; of tokens, only the special ones are kept.

Layout: magic, version, tensor count, key count; then keys with typed values; then one record a tensor (name,
dimensions, type, offset); then, aligned, the data.
"""

import re
import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any

from malmoi.engine.modelfile.cursor import Cursor
from malmoi.engine.modelfile.ggml import TENSOR_TYPES, TensorType

MAX_KEYS = 65_536
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 4
MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 64 << 20
MAX_KEPT_BYTES = 128 << 20  # of all strings that are kept together
MAX_ARRAY = 1 << 24
MAX_NESTING = 4
MAX_ALIGNMENT = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9_.\-/]{1,256}")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS = {
    number: struct.Struct(f"<{code}")
    for number, code in {
        0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d",
    }.items()
}  # fmt: skip
INTEGER_TYPES = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
FLOAT32, INT32, UINT32 = 6, 5, 4


@dataclass(frozen=True, slots=True)
class ArrayAt:
    """An array that was passed over: type of its elements, how many, and where they begin in the file."""

    element_type: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `offset` counts from the beginning of the data."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(slots=True)
class Header:
    """Everything that a header holds. `values` are (type, value): numbers, booleans, text or `ArrayAt`."""

    version: int
    values: dict[str, tuple[int, Any]] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    alignment: int = 32
    data_offset: int = 0
    kept_bytes: int = 0


def read_header(cursor: Cursor) -> Header:
    """Read and check a whole header.

    Raises:
        ModelFileInvalid: naming the file, what is wrong and where.
    """
    header, keys, tensors = _read_start(cursor)
    for _ in range(keys):
        _read_key(cursor, header)
    header.alignment = _alignment(cursor, header)
    seen: set[str] = set()
    for _ in range(tensors):
        tensor = _read_tensor(cursor, header.alignment)
        if tensor.name in seen:
            raise cursor.invalid(f"the tensor {tensor.name} comes twice")
        seen.add(tensor.name)
        header.tensors.append(tensor)
    header.data_offset = -(-cursor.position // header.alignment) * header.alignment
    _check_places(cursor, header)
    return header


def _read_start(cursor: Cursor) -> tuple[Header, int, int]:
    magic = cursor.take(4, "the magic")
    if magic != b"GGUF":
        raise cursor.invalid(
            f"not a GGUF file: it begins with {magic!r}", fix="Choose a file that ends in .gguf."
        )
    version = cursor.unpack(_U32, "the version")
    if version & 0xFFFF == 0:
        raise cursor.invalid("big-endian GGUF", fix="Convert it to little-endian.")
    if version not in (2, 3):
        raise cursor.invalid(f"GGUF version {version} is not known", fix="Convert the model again.")
    tensors = cursor.unpack(_U64, "the number of tensors")
    keys = cursor.unpack(_U64, "the number of keys")
    if tensors > MAX_TENSORS:
        raise cursor.invalid(f"{tensors} tensors, over {MAX_TENSORS}")
    if keys > MAX_KEYS:
        raise cursor.invalid(f"{keys} keys, over {MAX_KEYS}")
    return Header(version), keys, tensors


def _read_key(cursor: Cursor, header: Header) -> None:
    key = _text(cursor, cursor.string(MAX_KEY_BYTES, "a key"), "a key")
    if not key:
        raise cursor.invalid(f"an empty key at byte {cursor.position}")
    if key in header.values:
        raise cursor.invalid(f"the key {key[:100]!r} comes twice")
    kind = cursor.unpack(_U32, f"the type of {key[:100]!r}")
    header.values[key] = (kind, _read_value(cursor, header, key[:100], kind))


def _read_value(cursor: Cursor, header: Header, key: str, kind: int) -> Any:
    if kind == _STRING:
        raw = cursor.string(MAX_STRING_BYTES, f"the value of {key!r}")
        header.kept_bytes += len(raw)
        if header.kept_bytes > MAX_KEPT_BYTES:
            raise cursor.invalid(f"its text values are larger than {MAX_KEPT_BYTES >> 20} MiB together")
        return _text(cursor, raw, f"the value of {key!r}")
    if kind == _ARRAY:
        return _pass_array(cursor, key, depth=1)
    if kind not in _SCALARS:
        raise cursor.invalid(f"{key!r} has the unknown type {kind}")
    value = cursor.unpack(_SCALARS[kind], f"the value of {key!r}")
    if kind == _BOOL:
        if value > 1:
            raise cursor.invalid(f"{key!r} is a boolean with the value {value}")
        return bool(value)
    return value


def _pass_array(cursor: Cursor, key: str, depth: int) -> ArrayAt:
    what = f"the array {key!r}"
    kind = cursor.unpack(_U32, what)
    count = cursor.unpack(_U64, what)
    if count > MAX_ARRAY:
        raise cursor.invalid(f"{what} claims {count} elements, over {MAX_ARRAY}")
    found = ArrayAt(kind, count, cursor.position)
    if kind == _STRING:
        for _ in cursor.strings(count, MAX_STRING_BYTES, what):
            pass
    elif kind == _ARRAY:
        if depth >= MAX_NESTING:
            raise cursor.invalid(f"{what} is nested more than {MAX_NESTING} deep")
        for _ in range(count):  # each takes 12 bytes at least, so the file's size bounds this
            _pass_array(cursor, key, depth + 1)
    elif kind in _SCALARS:
        cursor.skip(count * _SCALARS[kind].size, what)
    else:
        raise cursor.invalid(f"{what} has elements of the unknown type {kind}")
    return found


def _alignment(cursor: Cursor, header: Header) -> int:
    kind, value = header.values.get("general.alignment", (UINT32, 32))
    if kind != UINT32 or value not in (1 << bits for bits in range(3, 17)):
        raise cursor.invalid(
            f"general.alignment is {value!r}, not a power of two from 8 to {MAX_ALIGNMENT} of 32 bits"
        )
    return int(value)


def _read_tensor(cursor: Cursor, alignment: int) -> Tensor:
    raw = cursor.string(256, "a tensor's name")
    name = raw.decode("ascii", errors="replace")
    if not _NAME.fullmatch(name) or ".." in name:
        raise cursor.invalid(f"the tensor name {raw[:80]!r} is not allowed")
    what = f"the tensor {name}"
    dimensions = cursor.unpack(_U32, what)
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise cursor.invalid(f"{what} has {dimensions} dimensions, not 1 to {MAX_DIMENSIONS}")
    shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions, what))
    number = cursor.unpack(_U32, what)
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        raise cursor.invalid(f"{what} has the unknown type {number}")
    offset = cursor.unpack(_U64, what)
    if 0 in shape:
        raise cursor.invalid(f"{what} has an empty dimension: {shape}")
    if shape[0] % kind.block:
        raise cursor.invalid(f"{what} has rows of {shape[0]}, not a multiple of {kind.name}'s {kind.block}")
    size = prod(shape) // kind.block * kind.block_bytes
    if size > cursor.size:
        raise cursor.invalid(f"{what} claims {size} bytes, the file has {cursor.size}")
    if offset % alignment:
        raise cursor.invalid(f"{what} is not aligned: offset {offset}, alignment {alignment}")
    return Tensor(name, shape, kind, offset, size)


def _check_places(cursor: Cursor, header: Header) -> None:
    """The tensors lie inside the file and none over another."""
    end, before = 0, ""
    for tensor in sorted(header.tensors, key=lambda tensor: tensor.offset):
        if tensor.offset < end:
            raise cursor.invalid(f"the tensors {before} and {tensor.name} overlap at offset {tensor.offset}")
        end, before = tensor.offset + tensor.size_bytes, tensor.name
    end += header.data_offset
    if end > cursor.size:
        raise cursor.invalid(f"truncated: the tensor {before} ends at byte {end}, the file at {cursor.size}")


def _text(cursor: Cursor, raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise cursor.invalid(f"{what} is not UTF-8") from None
