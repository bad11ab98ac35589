"""Text as it may be kept: NFC, valid Unicode, no control characters, no text that nobody can see."""

import re
import unicodedata

# NUL and the other control characters but tab and line end; byte order marks, soft hyphens, zero-width
# spaces and word joiners (they break words for a search), tags and interlinear marks (they hide text).
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Lines end in a line feed; what cannot be seen is gone, and half a surrogate pair is marked."""
    if _SURROGATES.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """The text in one line, with single spaces."""
    return " ".join(clean(text).split())


def prose(text: str) -> str:
    """Single spaces, no empty lines, no white space at either end of a line."""
    lines = (" ".join(line.split()) for line in clean(text).split("\n"))
    return "\n".join(line for line in lines if line)


def verbatim(text: str) -> str:
    """Code: white space is kept, but for empty lines around it and spaces at the end of lines."""
    return "\n".join(line.rstrip() for line in clean(text).expandtabs(4).split("\n")).strip("\n")
