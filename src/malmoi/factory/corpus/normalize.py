"""One form for the same text: NFC, line ends, spaces, and no characters that nobody can see.

NFC and not NFKC: NFKC would turn ½, ㎏, ①, fullwidth letters and the jamo of ㅋㅋ into other text.
Indentation, tabs and line breaks stay, since the language is not known yet and the text may be code.
`normalize(normalize(text)) == normalize(text)`.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from malmoi.factory.corpus.documents import Document

# Everything that any rule below may touch: most texts hold none of it and are done after one look.
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u3000\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
    "\U000e0000-\U0010ffff]"
)
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_WIDE_SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000effff]"
    "|(?<![\u0600-\u0dff])\u200c"  # joiners mean something in Arabic and Indic scripts, and between emoji
    "|(?<![\u0600-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d"
    "|[\u115f\u1160\u3164\uffa0]"  # Hangul fillers
)
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
# The look-behinds let a run be tried at its first character only: linear on any input.
_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\n|\Z)")
_INNER_RUN = re.compile(r"(?<=[가-힣.,!?])[ \t]{2,}(?=[가-힣])")
_EMPTY_LINES = re.compile(r"(?<!\n)\n{4,}")


def normalize(text: str) -> tuple[str, dict[str, int]]:
    """The text in its one form, and how often each rule changed something."""
    counts: dict[str, int] = {}

    def replaced(pattern: re.Pattern[str], new: str, name: str) -> None:
        nonlocal text
        text, count = pattern.subn(new, text)
        if count:
            counts[name] = counts.get(name, 0) + count

    if _SUSPECT.search(text):
        replaced(_LINE_END, "\n", "line_ends")
        replaced(_WIDE_SPACE, " ", "wide_spaces")
        replaced(_INVISIBLE, "", "invisible")
        replaced(_PRIVATE, "", "private_use")
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        counts["nfc"] = 1
    if " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
        replaced(_TRAILING, "", "trailing_spaces")
    if "  " in text or "\t" in text:
        replaced(_INNER_RUN, " ", "inner_spaces")
    if "\n\n\n\n" in text:
        replaced(_EMPTY_LINES, "\n\n\n", "empty_lines")
    return text.strip("\n"), counts


class Normalize:
    """The change that normalizes every document, its text and nothing else."""

    name = "normalize"

    def change(self, document: Document) -> tuple[Document, Mapping[str, int]]:
        """The document with its text in one form, and how often each rule changed something."""
        text, counts = normalize(document.text)
        return (document if text == document.text else replace(document, text=text)), counts
