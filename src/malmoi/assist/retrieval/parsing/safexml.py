"""XML of files that nobody has looked at: no entities, no network, no document types, bounded depth."""

import io
from collections.abc import Iterator
from typing import Any, TypeAlias

from malmoi.core.errors import DocumentUnreadable, MissingExtra

Element: TypeAlias = Any  # lxml has no types of its own


def parse_xml(content: bytes, *, what: str) -> Element:
    """The root element.

    libxml2 itself refuses elements more than 256 deep and texts of more than 10 MB (`huge_tree=False`).

    Args:
        content: the XML.
        what: the file and the part of it, for messages.

    Raises:
        DocumentUnreadable: it is no XML that we read.
    """
    etree = _etree()
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _damaged(what, str(error)) from error
    if root is None or root.getroottree().docinfo.doctype:
        raise _damaged(what, "it declares a document type, which documents have no need of")
    return root


def stream_xml(content: bytes, tags: tuple[str, ...], *, what: str) -> Iterator[Element]:
    """Each element of these tags when it ends; it is emptied afterwards, so that memory stays small."""
    etree = _etree()
    events = etree.iterparse(
        io.BytesIO(content),
        events=("end",),
        tag=tags,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        for _, element in events:
            yield element
            element.clear()
            while (before := element.getprevious()) is not None:
                element.getparent().remove(before)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _damaged(what, str(error)) from error


def local(element: Element) -> str:
    """The tag without its name space; empty for comments and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """An attribute by its name without name space."""
    value = element.get(name)
    if value is not None:
        return str(value)
    return next((str(v) for k, v in element.attrib.items() if k.rpartition("}")[2] == name), None)


def child(element: Element, *path: str) -> Element | None:
    """The first child of this local name, and of that the first of the next, and so on."""
    for name in path:
        element = next((below for below in element if local(below) == name), None)
        if element is None:
            return None
    return element


def below(element: Element, *names: str) -> Iterator[Element]:
    """Every element beneath with one of these local names, in order."""
    return (found for found in element.iter() if local(found) in names)


def _etree() -> Any:
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra("Reading office documents", "documents") from error
    return etree


def _damaged(what: str, why: str) -> DocumentUnreadable:
    return DocumentUnreadable(
        f"{what} cannot be read: {why[:200]}.",
        reason="damaged",
        fix="Open it with the program that made it and save it anew.",
    )
