"""Text of pictures by Tesseract, where the machine has it (Debian: `apt install tesseract-ocr-kor`).

Its library is called directly (the C interface, `tesseract/capi.h` of release 5), in the child that reads the
file: so it is shut in as the rest is, and no other program has to be started. Measured on a page of 30 Korean
lines: 4 s of processor time, 90 MB.
"""

import ctypes
import os
from dataclasses import dataclass
from typing import Any

_LIBRARY = "libtesseract.so.5"
# Folders of language data, as distributions lay them out; the sandbox lets the child read them.
DATA_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",
)
_LANGUAGES = ("kor", "eng")
LONGEST_SIDE = 3000  # pixels; more does not help with print
UNSURE = 40  # of 100: text recognised with less confidence is told to be doubtful


@dataclass(frozen=True, slots=True)
class Picture:
    """Grey pixels, a byte each, row by row; `stride` bytes a row."""

    pixels: bytes
    width: int
    height: int
    stride: int
    dots_per_inch: int = 200


@dataclass(frozen=True, slots=True)
class Recognised:
    """The text of a picture, with empty lines between its parts, and how sure it is, from 0 to 100."""

    text: str
    confidence: int


class Recogniser:
    """Tesseract with its languages loaded."""

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self._library = library
        self._handle = handle

    def read(self, picture: Picture) -> Recognised:
        """What a picture says."""
        library, handle = self._library, self._handle
        library.TessBaseAPISetImage(handle, picture.pixels, picture.width, picture.height, 1, picture.stride)
        library.TessBaseAPISetSourceResolution(handle, picture.dots_per_inch)
        found = library.TessBaseAPIGetUTF8Text(handle)
        if not found:
            return Recognised("", 0)
        text = ctypes.string_at(found).decode("utf-8", "replace")
        library.TessDeleteText(ctypes.c_void_p(found))
        return Recognised(text, int(library.TessBaseAPIMeanTextConf(handle)))


def recogniser() -> Recogniser | None:
    """Tesseract with Korean and English as far as they are installed; None: it is not."""
    found = _data()
    if found is None:
        return None
    folder, languages = found
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    library.TessBaseAPICreate.restype = ctypes.c_void_p
    library.TessBaseAPIGetUTF8Text.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(library.TessBaseAPICreate())
    if library.TessBaseAPIInit3(handle, folder.encode(), "+".join(languages).encode()) != 0:
        return None
    return Recogniser(library, handle)


def is_installed() -> bool:
    """Whether `recogniser` would find something, without loading it."""
    if _data() is None:
        return False
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def _data() -> tuple[str, list[str]] | None:
    for folder in DATA_FOLDERS:
        found = [name for name in _LANGUAGES if os.path.exists(os.path.join(folder, f"{name}.traineddata"))]
        if found:
            return folder, found
    return None
