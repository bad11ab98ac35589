"""Blocks are written one behind another; their offsets come out right by construction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from malmoi.assist.retrieval.document import BlockKind
from malmoi.assist.retrieval.parsing.clean import one_line, prose, verbatim
from malmoi.core.errors import DocumentUnreadable

_BETWEEN = "\n\n"
_MOST_REMARKS = 50
_MOST_PROPERTIES = 40


class Writer:
    """Collects a document in the child process.

    Args:
        format: as in `Document.format`.
        name: of the file, for messages.
        characters: how long the text may become.
        blocks: how many there may be.
        recognise: pages that are pictures whose text is to be recognised now.
    """

    def __init__(
        self,
        format: str,
        *,
        name: str,
        characters: int,
        blocks: int = 300_000,
        recognise: Collection[int] = (),
    ) -> None:
        self.format = format
        self.name = name
        self.title = ""  # where it is known better than by the file's properties or the first heading
        self.pages: int | None = None
        self.recognise = frozenset(recognise)
        self.waiting: list[int] = []  # pages whose text could be recognised, if that were asked for
        self._most = characters
        self._most_blocks = blocks
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[list[Any]] = []
        self._properties: dict[str, str] = {}
        self._remarks: list[str] = []
        self._more_remarks = 0
        self._first_heading = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written yet."""
        return not self._parts

    @property
    def left(self) -> int:
        """How many characters may still come."""
        return self._most - self._length

    def add(
        self, kind: BlockKind, text: str, *, level: int = 0, page: int | None = None, place: str = ""
    ) -> None:
        """A block of words; nothing when there are none."""
        if len(text) > 4 * self._most:
            raise self.too_long()
        if kind == "heading":
            text = one_line(text)
            self._first_heading = self._first_heading or text[:300]
        else:
            text = verbatim(text) if kind == "code" else prose(text)
        self._write(kind, text, level if kind == "heading" else 0, page, place)

    def table(
        self, rows: Iterable[Sequence[str]], *, page: int | None = None, place: str = ""
    ) -> list[list[str]]:
        """A block of cells, a row a line, cells between tabs; rows without a word are left out.

        Returns:
            The rows as they were kept.
        """
        kept, size = [], 0
        for row in rows:
            cells = [one_line(cell) for cell in row]
            if any(cells):
                kept.append(cells)
                size += sum(map(len, cells)) + len(cells)
                if size > self.left + 1:
                    raise self.too_long()
        if kept:
            self._write("table", "\n".join("\t".join(cells) for cells in kept), 0, page, place)
        return kept

    def property(self, name: str, value: str | None) -> None:
        """Something that the file says of itself."""
        text = one_line(value or "")[:1000]
        if text and name and len(self._properties) < _MOST_PROPERTIES:
            self._properties.setdefault(one_line(name)[:100], text)

    def remark(self, text: str) -> None:
        """One sentence on what could not be read."""
        text = one_line(text)[:500]
        if text in self._remarks:
            return
        if len(self._remarks) < _MOST_REMARKS:
            self._remarks.append(text)
        else:
            self._more_remarks += 1

    def too_long(self) -> DocumentUnreadable:
        """The refusal of more text than is allowed."""
        return DocumentUnreadable(
            f"{self.name!r} holds more than {self._most:,} characters of text.",
            reason="too_large",
            fix="Cut it into several files.",
        )

    def finish(self) -> Mapping[str, Any]:
        """Plain values for the parent process. Cells are not told: they are the text between tabs."""
        if self.is_empty and self.waiting:
            return {"waiting": self.waiting}
        if self.is_empty:
            raise DocumentUnreadable(
                " ".join([f"{self.name!r} holds no text.", *self._remarks[:3]]), reason="empty"
            )
        remarks = list(self._remarks)
        if self._more_remarks:
            remarks.append(f"{self._more_remarks} more remarks of this kind were left out.")
        return {
            "format": self.format,
            "title": self.title or self._properties.get("title", "")[:300] or self._first_heading,
            "text": "".join(self._parts),
            "blocks": self._blocks,
            "pages": self.pages,
            "properties": self._properties,
            "remarks": remarks,
            "waiting": self.waiting,
        }

    def _write(self, kind: BlockKind, text: str, level: int, page: int | None, place: str) -> None:
        if not text.strip():
            return
        if self._parts:
            self._parts.append(_BETWEEN)
            self._length += len(_BETWEEN)
        if len(self._blocks) >= self._most_blocks:
            raise DocumentUnreadable(
                f"{self.name!r} has more than {self._most_blocks:,} paragraphs.",
                reason="too_large",
                fix="Cut it into several files.",
            )
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._most:
            raise self.too_long()
        self._blocks.append([kind, start, self._length, level, page, one_line(place)])
