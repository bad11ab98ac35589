"""Pictures of text: png, jpg, webp, gif, bmp and tiff, where Tesseract is installed."""

import io
import struct

from malmoi.assist.retrieval.parsing import recognition
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.recognition import LONGEST_SIDE, UNSURE, Picture
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable, MissingExtra

_MOST_PIXELS = 60_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_SMALL = 1000  # pixels; letters of a smaller picture are easier to read twice as large


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write what a picture says; without being asked to, only that it waits for that."""
    if not limits.pictures:
        raise DocumentUnreadable(
            f"{writer.name!r} is a picture, and text recognition is switched off.", reason="unsupported"
        )
    if not recognition.is_installed():
        raise DocumentUnreadable(
            f"{writer.name!r} is a picture, and no text recognition is installed.",
            reason="unsupported",
            fix="Install Tesseract with Korean (Debian: apt install tesseract-ocr-kor), or save text as PDF.",
        )
    picture = _grey(content, writer.name)
    if 1 not in writer.recognise:
        writer.waiting = [1]
        return
    reader = recognition.recogniser()
    if reader is None:
        raise DocumentUnreadable(
            f"{writer.name!r} is a picture; Tesseract does not start.", reason="unsupported"
        )
    found = reader.read(picture)
    for part in found.text.split("\n\n"):
        writer.add("paragraph", part)
    sure = "" if found.confidence >= UNSURE else " It is doubtful."
    writer.remark(f"The text was recognised in a picture and may hold mistakes.{sure}")


def _grey(content: bytes, name: str) -> Picture:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("Reading pictures", "documents") from error
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise DocumentUnreadable(
                    f"{name!r} has {image.width:,} x {image.height:,} pixels, more than {_MOST_PIXELS:,}.",
                    reason="too_large",
                    fix="Make it smaller.",
                )
            shown = image.convert("RGBA")
    except Image.DecompressionBombError as error:
        raise DocumentUnreadable(
            f"{name!r} has more than {_MOST_PIXELS:,} pixels.", reason="too_large", fix="Make it smaller."
        ) from error
    # Pillow's readers raise whatever a damaged file makes them stumble over.
    except (OSError, ValueError, SyntaxError, LookupError, TypeError, EOFError, struct.error) as error:
        raise DocumentUnreadable(
            f"{name!r} is a damaged picture: {str(error)[:200]}.", reason="damaged"
        ) from error
    paper = Image.new("RGBA", shown.size, "white")
    grey = Image.alpha_composite(paper, shown).convert("L")
    longest = max(grey.size)
    scale = LONGEST_SIDE / longest if longest > LONGEST_SIDE else 2.0 if longest < _SMALL else 1.0
    if scale != 1.0:
        grey = grey.resize((max(round(grey.width * scale), 1), max(round(grey.height * scale), 1)))
    return Picture(grey.tobytes(), grey.width, grey.height, grey.width)
