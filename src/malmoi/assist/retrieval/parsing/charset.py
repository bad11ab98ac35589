"""Bytes to text: byte order mark, UTF-8, UTF-16 without a mark, CP949, then a guess."""

from dataclasses import dataclass

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, how it was written, and how many characters could not be read."""

    text: str
    charset: str
    lost: int = 0


def decode(content: bytes, *, declared: str | None = None) -> Decoded:
    """The text of bytes in an unknown, or only claimed, encoding. Never fails.

    Args:
        content: the bytes; a character that is cut off at the end is left out.
        declared: what the file itself or its sender says; it is believed when the bytes agree.
    """
    for mark, charset in _MARKS:
        if content.startswith(mark):
            return _lossy(content[len(mark) :], charset)
    found = _exact(content, "utf-8")
    if found is None and declared:
        found = _exact(content, declared)
    if found is None and (wide := _wide(content)):
        return _lossy(content, wide)
    if found is None and (damaged := _damaged_utf8(content)) is not None:
        return damaged
    if found is None:
        found = _exact(content, "cp949")
        # Any bytes above 127 in pairs are some CP949; Korean text is mostly Hangul among them.
        if found is not None and not _is_korean(found.text):
            found = _guessed(content) or found
    return found or _guessed(content) or _lossy(content, "cp949")


def _exact(content: bytes, charset: str) -> Decoded | None:
    for cut in range(4):
        try:
            return Decoded(content[: len(content) - cut].decode(charset), charset)
        except UnicodeDecodeError as error:
            # Only the last character may be incomplete.
            if error.end < len(content) - cut or len(content) - error.start > 3:
                return None
        except (LookupError, ValueError):
            return None  # no such encoding, or one of Python's that gives no text
    return None


def _lossy(content: bytes, charset: str) -> Decoded:
    text = content.decode(charset, "replace")
    return Decoded(text, charset, text.count("\ufffd"))


def _damaged_utf8(content: bytes) -> Decoded | None:
    """UTF-8 with a few bad bytes in it: any other encoding would leave hardly a letter right."""
    found = _lossy(content, "utf-8")
    foreign = sum(char > "\x7f" for char in found.text[:_SAMPLE])
    lost = found.text[:_SAMPLE].count("\ufffd")
    return found if lost and 50 * lost <= foreign else None


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark: one with zero bytes, and with letters of few scripts when it is read as such."""
    sample = content[:_SAMPLE]
    sample = sample[: len(sample) // 2 * 2]
    if len(content) % 2 or sample.count(0) < len(sample) / 50:
        return None
    for charset in ("utf-16-le", "utf-16-be"):
        text = sample.decode(charset, "replace")
        usual = sum(" " <= char <= "~" or char in "\t\r\n" or "가" <= char <= "힣" for char in text)
        if usual >= 0.9 * len(text):
            return charset
    return None


def _is_korean(text: str) -> bool:
    sample = text[:_SAMPLE]
    foreign = sum(char > "\x7f" for char in sample)
    return 2 * sum("가" <= char <= "힣" for char in sample) >= foreign


def _guessed(content: bytes) -> Decoded | None:
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return None
    best = from_bytes(content[:_SAMPLE]).best()
    if best is None or b"\x00" in content[:_SAMPLE]:
        return None
    return _lossy(content, best.encoding)
