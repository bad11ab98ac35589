"""Web pages: the words that a reader came for, with headings, lists, tables and code.

Scripts, forms, menus and hidden parts are dropped. Where the page marks its main part (`main`, `article`) and
most words are in it, only that is read. Nothing is loaded from anywhere.
"""

import re
from typing import Any

from malmoi.assist.retrieval.parsing.safexml import Element
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable, MissingExtra

_DROPPED = frozenset(
    {
        "script",
        "style",
        "template",
        "noscript",
        "iframe",
        "object",
        "embed",
        "svg",
        "math",
        "canvas",
        "audio",
        "video",
        "head",
        "select",
        "option",
        "button",
        "input",
        "textarea",
        "nav",
        "aside",
        "dialog",
        "datalist",
    }
)
_BLOCKS = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "main",
        "header",
        "footer",
        "body",
        "html",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "blockquote",
        "figure",
        "figcaption",
        "address",
        "form",
        "fieldset",
        "details",
        "summary",
        "center",
        "hr",
        "td",
        "th",
        "tr",
        "table",
        "caption",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ITEMS = frozenset({"li", "dt", "dd"})
_DECLARED = re.compile(r"^\s*<\?xml[^>]{0,300}\?>")
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_MOST_SPAN = 50  # columns that one cell may claim
_DEEPEST = 300  # libxml2 itself stops at 256 levels


def read(text: str, writer: Writer) -> None:
    """Write the blocks of a page."""
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra("Reading web pages", "documents") from error
    # The text is decoded already: whatever charset the page claims no longer counts.
    parser = etree.HTMLParser(
        no_network=True, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8"
    )
    try:
        root = etree.fromstring(_DECLARED.sub("", text).encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentUnreadable(f"{writer.name!r} cannot be read: {error}.", reason="damaged") from error
    if root is None:
        return
    if any("depth" in entry.message for entry in parser.error_log):
        writer.remark("The page is nested too deep; what stands deeper was left out.")
    title = root.find(".//title")
    if title is not None and title.text:
        writer.property("title", title.text)
    for meta in root.iter("meta"):
        if (meta.get("name") or "").lower() in ("author", "description", "keywords"):
            writer.property(meta.get("name").lower(), meta.get("content"))
    _Walk(writer).run(_main(root))


class _Walk:
    """Collects words until a block begins or ends."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._words: list[str] = []
        self._kind: list[tuple[Any, int]] = [("paragraph", 0)]

    def run(self, root: Element) -> None:
        """Write all that is beneath an element."""
        self._visit(root, 0)
        self._flush()

    def _visit(self, element: Element, depth: int) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag == "a" and "headerlink" in (element.get("class") or ""):  # the sign for a link to a heading
            return
        if not tag or tag in _DROPPED or depth > _DEEPEST or _is_hidden(element) or _is_furniture(element):
            return
        if tag == "table" and _is_data(element):
            self._flush()
            self._writer.table(_rows(element))
            return
        if tag == "pre":
            self._flush()
            self._writer.add("code", "".join(element.itertext()))
            return
        if tag == "br":
            self._words.append("\n")
            return
        is_block = tag in _BLOCKS
        if is_block:
            self._flush()
            self._kind.append(self._kind_of(tag))
        if element.text:
            self._words.append(_squeezed(element.text))
        for below in element:
            self._visit(below, depth + 1)
            if below.tail:
                self._words.append(_squeezed(below.tail))
        if is_block:
            self._flush()
            self._kind.pop()

    def _kind_of(self, tag: str) -> tuple[Any, int]:
        if tag in _HEADINGS:
            return "heading", _HEADINGS[tag]
        if tag in _ITEMS:
            return "list_item", 0
        return self._kind[-1] if tag in ("p", "div") else ("paragraph", 0)

    def _flush(self) -> None:
        if self._words:
            kind, level = self._kind[-1]
            self._writer.add(kind, "".join(self._words), level=level)
            self._words = []


def _squeezed(text: str) -> str:
    """White space of HTML is one space, whatever it is."""
    return re.sub(r"\s+", " ", text)


def _is_hidden(element: Element) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or _HIDDEN.search((element.get("style") or "")[:2000]) is not None
        or element.get("role") in ("navigation", "banner", "search", "contentinfo")
    )


def _is_furniture(element: Element) -> bool:
    """The head or foot of the page itself; an article may have some of its own, with its title."""
    above = element.getparent()
    return (
        element.tag in ("header", "footer")
        and above is not None
        and above.tag == "body"
        and next(element.iter("h1"), None) is None
    )


def _is_data(table: Element) -> bool:
    """Whether a table holds data; pages are laid out with tables as well, which hold other blocks."""
    return next(table.iter("h1", "h2", "h3", "pre", "ul", "ol"), None) is None and not any(
        below is not table for below in table.iter("table")
    )


def _rows(table: Element) -> list[list[str]]:
    rows = []
    for row in table.iter("tr"):
        cells: list[str] = []
        for cell in row:
            if cell.tag in ("td", "th"):
                cells.append(_text(cell))
                cells += [""] * (_span(cell) - 1)
        rows.append(cells)
    return rows


def _text(element: Element) -> str:
    parts: list[str] = []
    for event, below in _events(element):
        if event == "start" and below.text:
            parts.append(below.text)
        elif event == "end" and below is not element:
            parts.append(" " if below.tag in _BLOCKS or below.tag == "br" else "")
            parts.append(below.tail or "")
    return "".join(parts)


def _events(element: Element) -> Any:
    from lxml import etree

    skipped = etree.iterwalk(element, events=("start", "end"))
    for event, below in skipped:
        if event == "start" and (below.tag in _DROPPED or _is_hidden(below)):
            skipped.skip_subtree()
            below.text = None
        yield event, below


def _span(cell: Element) -> int:
    value = cell.get("colspan") or "1"
    return (
        min(max(int(value), 1), _MOST_SPAN) if value.isascii() and value.isdigit() and len(value) < 6 else 1
    )


def _main(root: Element) -> Element:
    """The main part where the page marks one that holds most of the words; else the body."""
    body = root.find("body")
    body = root if body is None else body
    whole = _length(body)
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = body.findall(path)
        if len(found) == 1 and _length(found[0]) >= 0.3 * whole:
            return found[0]
    return body


def _length(element: Element) -> int:
    return sum(
        len(below.text or "") + len(below.tail or "") for below in element.iter() if below.tag not in _DROPPED
    )
