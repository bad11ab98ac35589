"""What a file becomes: one text, and what stands where in it.

Whatever is said about a document (a passage, a hit, a citation) is a span of `Document.text`, so that a
reader can be taken to the very words. Offsets count characters (code points); the text is in NFC and never
changes once it is kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

BlockKind: TypeAlias = Literal["heading", "paragraph", "list_item", "table", "code", "note"]


@dataclass(frozen=True, slots=True)
class Block:
    """A span of the text with one purpose. Blocks are in order and do not overlap.

    Attributes:
        kind: a note is a footnote, a speaker's note or a comment.
        start: where it begins in the text.
        end: behind its last character.
        level: of a heading, from 1; else 0.
        page: the page, slide or sheet it stands on, from 1; None: the format has none.
        place: where that is, for people: "p. 3", "slide 2", "Sheet1!A1:D9"; may be empty.
        rows: the cells of a table, row by row; the text has them as well, a row a line, cells between tabs.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    page: int | None = None
    place: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        format: "pdf", "docx", "hwpx" and so on.
        title: of the file's own properties or its first heading; may be empty.
        text: all of it; blocks are set apart by blank lines.
        blocks: what stands where.
        pages: how many pages, slides or sheets; None: the format has none.
        properties: author, created and the like, as the file says them.
        remarks: what could not be read, one sentence each ("page 4 is a picture; no OCR is installed").
    """

    format: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    pages: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Document":
        """The document that `to_json` has told of."""
        blocks = tuple(
            Block(**{**block, "rows": tuple(tuple(row) for row in block.get("rows", ()))})
            for block in told["blocks"]
        )
        return cls(**{**told, "blocks": blocks, "remarks": tuple(told.get("remarks", ()))})


@dataclass(frozen=True, slots=True)
class Passage:
    """A span that is found and cited as one.

    Attributes:
        start: where it begins in the document's text.
        end: behind its last character.
        headings: above it, from the outermost; they help to find it and are not part of the span.
        page: where it begins, as in `Block`.
        place: where it begins, for people.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    place: str = ""
