"""Office packages (docx, xlsx, pptx): parts, how they refer to each other, what the file says of itself."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from malmoi.assist.retrieval.parsing.archive import Archive
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, below, local, parse_xml
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "description": "description",
    "lastModifiedBy": "changed by",
    "created": "created",
    "modified": "changed",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """One part that another refers to; what lies outside of the package is never looked at."""

    id: str
    kind: str
    target: str


class Package:
    """An office package in memory."""

    def __init__(self, content: bytes, *, name: str, limits: ParseLimits) -> None:
        self._name = name
        self._archive = Archive(content, name=name, limits=limits)

    def __contains__(self, part: str) -> bool:
        return part in self._archive

    def main_part(self, usual: str) -> str:
        """The part that holds the document, as the package says it.

        Raises:
            DocumentUnreadable: there is none.
        """
        found = [relation.target for relation in self.relations("") if relation.kind == "officeDocument"]
        part = next((part for part in [*found, usual] if part in self._archive), None)
        if part is None:
            raise DocumentUnreadable(f"{self._name!r} has no part {usual!r}.", reason="damaged")
        return part

    def xml(self, part: str) -> Element:
        """A part as XML.

        Raises:
            DocumentUnreadable: it is missing or damaged.
        """
        return parse_xml(self.bytes(part), what=f"{self._name!r} ({part})")

    def bytes(self, part: str) -> bytes:
        """A part as it is."""
        try:
            return self._archive.read(part)
        except KeyError:
            raise DocumentUnreadable(f"{self._name!r} lacks its part {part!r}.", reason="damaged") from None

    def relations(self, part: str) -> list[Relation]:
        """What a part refers to within the package; `""`: the package itself."""
        folder, file = posixpath.split(part)
        path = posixpath.join(folder, "_rels", f"{file}.rels")
        if path not in self._archive:
            return []
        found = []
        for relation in below(self.xml(path), "Relationship"):
            target = attribute(relation, "Target") or ""
            if attribute(relation, "TargetMode") == "External":
                continue
            target = (
                target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
            )
            kind = (attribute(relation, "Type") or "").rpartition("/")[2]
            found.append(Relation(attribute(relation, "Id") or "", kind, target.lstrip("/")))
        return found

    def related(self, part: str, kind: str) -> Iterator[str]:
        """The parts of a kind that a part refers to and that are there."""
        return (r.target for r in self.relations(part) if r.kind == kind and r.target in self._archive)

    def by_id(self, part: str) -> Mapping[str, str]:
        """The targets of a part's relations, by their ids."""
        return {relation.id: relation.target for relation in self.relations(part)}

    def tell_properties(self, writer: Writer) -> None:
        """Write what the file says of itself."""
        for part in self.related("", "core-properties"):
            for element in self.xml(part):
                if (name := _PROPERTIES.get(local(element))) is not None:
                    writer.property(name, element.text)
