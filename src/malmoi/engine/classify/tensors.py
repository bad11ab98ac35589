"""Arrays in safetensors files, with numpy alone; the file is checked before anything of it is used."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.cursor import open_file
from malmoi.engine.modelfile.safetensors import read_spans

_TYPES = {"F16": "<f2", "F32": "<f4", "U32": "<u4"}
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}
_MOST_BYTES = 1 << 30


def pack_tensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A safetensors file of these arrays (float16, float32, uint32); the same arrays give the same bytes."""
    header: dict[str, Any] = {}
    data = []
    at = 0
    for name, array in sorted(arrays.items()):
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(raw)],
        }
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *data])


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, all of finite numbers.

    Raises:
        ModelFileInvalid: naming the file and the fault.
    """
    arrays = {}
    with open_file(path) as cursor:
        if cursor.size > _MOST_BYTES:
            raise cursor.invalid(f"{cursor.size} bytes, over {_MOST_BYTES}", fix=_FIX)
        for span in read_spans(cursor):
            if span.dtype not in _TYPES:
                raise cursor.invalid(f"{span.name} is of type {span.dtype}, not F16, F32 or U32", fix=_FIX)
            raw = cursor.take(span.end - span.begin, span.name)
            array = np.frombuffer(raw, dtype=_TYPES[span.dtype]).reshape(span.shape)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ModelFileInvalid(f"{path}: {span.name} holds a number that is not finite.", fix=_FIX)
            arrays[span.name] = array
    return arrays


_FIX = "Train the classifier again."
