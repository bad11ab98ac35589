"""Reading the header of a GGUF file once, and fast.

transformers reads it three times, by the reader of the package `gguf`, which makes several numpy views of
every token of the vocabulary: a minute and more for a vocabulary of 262 thousand. Within `fast_reader()` the
file is read once, and arrays are cut out of its bytes directly. What comes out is the same.
"""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LENGTH = struct.Struct("<Q")
_KIND = struct.Struct("<I")
_STRING, _ARRAY = 8, 9
_SAME_ORDER = "I"
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def fast_reader() -> Iterator[None]:
    """Let `gguf.GGUFReader` be the fast one until the block ends; only this thread may load meanwhile."""
    import gguf

    original: Any = gguf.GGUFReader
    read: dict[str, Any] = {}

    class FastReader(original):
        """Arrays of the header in one go."""

        def _get_field_parts(
            self, orig_offs: int, raw_type: int
        ) -> tuple[int, list[Any], list[int], list[Any]]:
            if raw_type != _ARRAY or self.byte_order != _SAME_ORDER:
                return super()._get_field_parts(orig_offs, raw_type)
            raw = memoryview(self.data)
            (kind,) = _KIND.unpack_from(raw, orig_offs)
            (count,) = _LENGTH.unpack_from(raw, orig_offs + _KIND.size)
            at = orig_offs + _KIND.size + _LENGTH.size
            scalar = self.gguf_scalar_to_np.get(kind)
            parts: list[Any]
            if kind == _STRING:
                parts = []
                for _ in range(count):
                    begin = at + _LENGTH.size
                    at = begin + _LENGTH.unpack_from(raw, at)[0]
                    parts.append(bytes(raw[begin:at]))
            elif scalar is not None:
                values = self._get(at, scalar, count)
                at += int(values.nbytes)
                parts = [(value,) for value in values.tolist()]
            else:
                return super()._get_field_parts(orig_offs, raw_type)
            types = [gguf.GGUFValueType.ARRAY, *([gguf.GGUFValueType(kind)] if count else [])]
            return at - orig_offs, parts, list(range(count)), types

    def open_once(path: Any, mode: str = "r") -> Any:
        key = f"{mode}:{path}"
        if key not in read:
            read[key] = FastReader(path, mode)
        return read[key]

    with _ONE_AT_A_TIME:
        gguf.GGUFReader = open_once
        try:
            yield
        finally:
            gguf.GGUFReader = original
