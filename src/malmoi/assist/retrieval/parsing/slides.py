"""PowerPoint: slides in order, their titles as headings, then texts, tables, diagrams and speaker's notes."""

from collections.abc import Iterator

from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.package import Package
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, below, child, local
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr", "sldImg"})  # dates, footers and numbers of slides


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the blocks of a pptx file."""
    package = Package(content, name=writer.name, limits=limits)
    part = package.main_part("ppt/presentation.xml")
    package.tell_properties(writer)
    listed = child(package.xml(part), "sldIdLst")
    targets = package.by_id(part)
    slides = [targets.get(_relation(slide), "") for slide in listed] if listed is not None else []
    if len(slides) > limits.pages:
        raise DocumentUnreadable(
            f"{writer.name!r} has {len(slides):,} slides; at most {limits.pages:,} are read.",
            reason="too_large",
            fix="Cut it into several files.",
        )
    writer.pages = len(slides)
    charts = 0
    for number, slide in enumerate(slides, 1):
        if slide not in package:
            writer.remark(f"Slide {number} is missing from the file.")
            continue
        charts += _slide(package, slide, writer, number)
    if charts:
        writer.remark(f"{charts} charts were not read.")


def _relation(slide: Element) -> str:
    """The slide's relation; its plain `id` is another number."""
    found = (str(value) for name, value in slide.attrib.items() if name.endswith("}id"))
    return next(found, "")


def _slide(package: Package, part: str, writer: Writer, number: int) -> int:
    """Write one slide; the number of charts that it has."""
    tree = child(package.xml(part), "cSld", "spTree")
    place = f"slide {number}"
    shapes = list(_shapes(tree)) if tree is not None else []
    titles = [shape for shape in shapes if _role(shape) in _TITLES]
    for shape in titles:
        text = " ".join(text for text, _ in _paragraphs(shape))
        writer.add("heading", text, level=1, page=number, place=place)
    charts = 0
    for shape in shapes:
        if shape in titles or _role(shape) in _FURNITURE:
            continue
        if local(shape) == "sp":
            in_body = _role(shape) in ("body", "obj", "")
            paragraphs = list(_paragraphs(shape))
            for text, level in paragraphs:
                is_item = level > 0 or (in_body and _role(shape) != "" and len(paragraphs) > 1)
                writer.add("list_item" if is_item else "paragraph", text, page=number, place=place)
        elif (table := next(below(shape, "tbl"), None)) is not None:
            writer.table(_rows(table), page=number, place=place)
        else:
            charts += next(below(shape, "chart"), None) is not None
    for diagram in package.related(part, "diagramData"):
        for paragraph in below(package.xml(diagram), "p"):
            writer.add("list_item", _words(paragraph), page=number, place=place)
    for notes in package.related(part, "notesSlide"):
        tree = child(package.xml(notes), "cSld", "spTree")
        for shape in _shapes(tree) if tree is not None else ():
            if _role(shape) == "body":
                said = "\n".join(text for text, _ in _paragraphs(shape))
                writer.add("note", said, page=number, place=f"{place}, notes")
    return charts


def _shapes(tree: Element) -> Iterator[Element]:
    for shape in tree:
        tag = local(shape)
        if tag in ("sp", "graphicFrame"):
            yield shape
        elif tag in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(shape)


def _role(shape: Element) -> str:
    """What a shape holds the place of: title, body, obj ...; empty: it is a shape of its own."""
    for path in ("nvSpPr", "nvGraphicFramePr"):
        holder = child(shape, path, "nvPr", "ph")
        if holder is not None:
            return attribute(holder, "type") or "obj"
    return ""


def _paragraphs(shape: Element) -> Iterator[tuple[str, int]]:
    """The paragraphs of a shape with the level of each."""
    body = child(shape, "txBody")
    for paragraph in body if body is not None else ():
        if local(paragraph) == "p" and (text := _words(paragraph)).strip():
            properties = child(paragraph, "pPr")
            level = attribute(properties, "lvl") if properties is not None else None
            yield text, int(level) if level in set("12345678") else 0


def _words(paragraph: Element) -> str:
    return "".join((e.text or "") if local(e) == "t" else "\n" for e in below(paragraph, "t", "br"))


def _rows(table: Element) -> Iterator[list[str]]:
    for row in table:
        if local(row) == "tr":
            # The cells that a merged one covers are there as well, and are empty.
            yield [
                "" if "1" in (attribute(cell, "hMerge"), attribute(cell, "vMerge")) else _cell(cell)
                for cell in row
                if local(cell) == "tc"
            ]


def _cell(cell: Element) -> str:
    return " ".join(_words(paragraph) for paragraph in below(cell, "p"))
