"""How texts, parsed documents and vectors lie in the database. Pure functions."""

import json
import zlib
from typing import TYPE_CHECKING

from malmoi.assist.retrieval.document import Document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEVEL = 6


def pack_text(text: str) -> bytes:
    """A text, compressed."""
    return zlib.compress(text.encode(), _LEVEL)


def unpack_text(packed: bytes) -> str:
    """The text of `pack_text`."""
    return zlib.decompress(packed).decode()


def pack_document(document: Document) -> bytes:
    """All of a document but its text, compressed."""
    told = {**document.to_json(), "text": ""}
    return zlib.compress(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), _LEVEL)


def unpack_document(packed: bytes, text: str) -> Document:
    """The document of `pack_document` and its text."""
    return Document.from_json({**json.loads(zlib.decompress(packed)), "text": text})


def pack_vectors(vectors: "NDArray[np.float32]") -> bytes:
    """Unit vectors (N, D) as float16, little-endian, one behind another."""
    return vectors.astype("<f2").tobytes()


def unpack_vectors(packed: bytes, count: int) -> "NDArray[np.float32]":
    """The `count` vectors of `pack_vectors`, (count, D)."""
    import numpy as np

    return np.frombuffer(packed, dtype="<f2").reshape(count, -1).astype(np.float32)
