"""HTML to text: what a reader of the page reads, without scripts, menus and footers.

The parser is lxml's (libxml2): it forgives like a browser, its time grows with the page alone, and it decides
the end of each tag; html.parser of older Python releases takes quadratic time on hostile pages.
Where the page marks its main part (`main`, `article`), only that is read.
"""

import re
from typing import Any

from malmoi.factory.corpus.formats.decoding import SAMPLE, decode_cp949, is_binary, wide_encoding
from malmoi.factory.corpus.formats.opening import Unreadable

MAX_HTML_BYTES = 16 << 20
_UNREAD = (
    "script style noscript template nav header footer aside form button select textarea svg math iframe"
    " object embed canvas audio video head"
)
_BLOCKS = (
    "address article blockquote br caption center dd details dialog div dl dt fieldset figcaption figure"
    " h1 h2 h3 h4 h5 h6 hr li main ol option p pre section summary table tbody td tfoot th thead tr ul"
)
_PARAGRAPHS = "blockquote dl h1 h2 h3 h4 h5 h6 ol p pre section table ul article"
UNREAD = frozenset(_UNREAD.split())
VOID = frozenset({"br", "hr"})
"""Elements without content, though libxml2 tells their end too."""
MAIN = frozenset({"main", "article"})
BLOCKS = frozenset(_BLOCKS.split())
PARAGRAPHS = frozenset(_PARAGRAPHS.split())
MENU_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "menu", "dialog"})
CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,20})", re.I)
_SPACES = re.compile(r"[ \t\r\n\f]+")
KOREAN_CHARSETS = frozenset({"euc-kr", "cp949", "ks_c_5601-1987", "ksc5601", "x-windows-949", "windows-949"})
DEEPEST = 10_000
ENOUGH_MAIN = 200
"""Characters that the marked main part must have to stand for the whole page."""


class _Reader:
    """The parser's target: gathers text outside of what is not read."""

    def __init__(self) -> None:
        self._all: list[str] = []
        self._main: list[str] = []
        self._skip: list[str] = []
        self._mains = 0
        self._pre = 0
        self._breaks = 0
        self._bullet = ""

    def start(self, tag: str, attributes: Any) -> None:
        if self._skip or tag in UNREAD or attributes.get("role") in MENU_ROLES or "hidden" in attributes:
            if len(self._skip) < DEEPEST and tag not in VOID:
                self._skip.append(tag)
            return
        self._mains += tag in MAIN
        self._pre += tag == "pre"
        if tag == "br":
            self._breaks = min(2, self._breaks + 1)
        else:
            self._break(tag)
        if tag == "li":
            self._bullet = "- "

    def end(self, tag: str) -> None:
        if self._skip:
            if tag not in VOID:
                self._skip.pop()
            return
        if tag not in VOID:
            self._break(tag)
        self._mains = max(0, self._mains - (tag in MAIN))
        self._pre = max(0, self._pre - (tag == "pre"))

    def data(self, text: str) -> None:
        if self._skip:
            return
        if not self._pre:
            text = _SPACES.sub(" ", text)
            if self._breaks:
                text = text.lstrip(" ")
        if text:
            text = "\n" * self._breaks + self._bullet + text
            self._breaks, self._bullet = 0, ""
            self._all.append(text)
            if self._mains:
                self._main.append(text)

    def close(self) -> str:
        main = _tidy("".join(self._main))
        return main if len(main) >= ENOUGH_MAIN else _tidy("".join(self._all))

    def _break(self, tag: str) -> None:
        if tag in BLOCKS:
            self._breaks = max(self._breaks, 2 if tag in PARAGRAPHS else 1)


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def html_text(page: bytes) -> str:
    """The text of a page.

    Raises:
        Unreadable: the bytes are not text in any encoding that they may be in.
    """
    from lxml import etree

    parser = etree.HTMLParser(target=_Reader(), remove_comments=True, remove_pis=True)
    text = decode_page(page)
    try:
        # libxml2 wants to know that the text is decoded, whatever the page's own charset line says.
        for start in range(0, len(text), 1 << 16):
            parser.feed(text[start : start + (1 << 16)])
        result: str = parser.close()
    except (etree.LxmlError, AssertionError, ValueError) as error:
        raise Unreadable("broken_html", str(error)) from error
    return result


def decode_page(page: bytes) -> str:
    """The page's characters: by its byte order mark, as UTF-8, as its charset line says, or as CP949.

    Raises:
        Unreadable: none of them fits.
    """
    wide = wide_encoding(page)
    try:
        if wide is not None:
            return page.decode(wide)
        if is_binary(page):
            raise Unreadable("binary_file")
        return page.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    declared = CHARSET.search(page[:SAMPLE])
    name = declared.group(1).decode("ascii").lower() if declared else ""
    if name and name not in KOREAN_CHARSETS and not name.startswith("utf"):
        try:
            return page.decode(name)
        except (LookupError, UnicodeDecodeError):
            pass
    korean = decode_cp949(page)
    if korean is None:
        raise Unreadable("broken_encoding", f"neither UTF-8 nor {name or 'CP949'}")
    return korean
