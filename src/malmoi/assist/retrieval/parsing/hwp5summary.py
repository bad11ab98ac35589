"""Title, author and the like of a compound file: a property set as [MS-OLEPS] describes it."""

import struct

_WIDE, _NARROW = 31, 30  # types: text of two bytes a letter, of one
_SETS_AT = 28  # where the first set's identifier stands; its place comes behind it
_MOST = 100


def summary(stream: bytes) -> dict[int, str]:
    """The texts of the first set by their numbers; what is damaged is left out."""
    found: dict[int, str] = {}
    try:
        (start,) = struct.unpack_from("<I", stream, _SETS_AT + 16)
        (count,) = struct.unpack_from("<I", stream, start + 4)
        for place in range(min(count, _MOST)):
            key, offset = struct.unpack_from("<II", stream, start + 8 + 8 * place)
            kind, size = struct.unpack_from("<II", stream, start + offset)
            text = stream[start + offset + 8 :]
            if kind == _WIDE:
                found[key] = text[: 2 * size].decode("utf-16-le", "replace").partition("\x00")[0]
            elif kind == _NARROW:
                found[key] = text[:size].decode("cp949", "replace").partition("\x00")[0]
    except struct.error:
        pass  # cut off: what was read so far is all there is
    return found
