"""The tools that find and read documents; nothing that the caller may not read is found or named."""

from __future__ import annotations

from malmoi.core.errors import InvalidInput
from malmoi.serve.mcp.tool import Call, Told
from malmoi.serve.mcp.types import (
    CollectionItem,
    CollectionItems,
    DocumentPart,
    Nothing,
    PassageItem,
    Passages,
    Read,
    Search,
)


async def search_documents(call: Call, wanted: Search) -> Told:
    """The passages that answer a question best.

    Raises:
        NotFound: a collection that is not there, or not for this caller.
    """
    hits = await call.services.documents.search(
        call.principal, wanted.query, collections=wanted.collections, limit=wanted.limit
    )
    material = call.material
    items = [
        PassageItem(
            document_id=hit.document_id,
            collection_id=hit.collection_id,
            title=material.name(hit.title),
            name=material.name(hit.name),
            start=hit.passage.start,
            end=hit.passage.end,
            headings=[material.name(heading) for heading in hit.passage.headings],
            place=material.name(hit.passage.place),
            text=material.text(hit.text),
        )
        for hit in hits
    ]
    data = Passages(notice=material.notice, passages=items)
    if not items:
        return Told("Nothing was found. Other words may help, or another collection.", data)
    told = [material.notice]
    for number, item in enumerate(items, start=1):
        where = " > ".join(filter(None, [item.title or item.name, *item.headings, item.place]))
        told.append(
            f"{number}. {where}\n   document_id {item.document_id}, characters {item.start} to {item.end}\n"
            f"{item.text}"
        )
    return Told("\n\n".join(told), data)


async def read_document(call: Call, wanted: Read) -> Told:
    """A part of a document.

    Raises:
        NotFound: there is none that the caller may read.
        Conflict: it is not read yet, or could not be.
        InvalidInput: it is shorter than where the part would begin.
    """
    row, document = await call.services.documents.library.read(call.principal, wanted.document_id)
    text, material = document.text, call.material
    if wanted.start and wanted.start >= len(text):
        raise InvalidInput(f"start: the document has {len(text)} characters.", field="start")
    end = min(len(text), wanted.start + wanted.length)
    data = DocumentPart(
        notice=material.notice,
        document_id=row.id,
        collection_id=row.collection_id,
        title=material.name(document.title),
        name=material.name(row.name),
        length=len(text),
        start=wanted.start,
        end=end,
        next_start=end if end < len(text) else None,
        text=material.text(text[wanted.start : end]),
    )
    more = f" Go on with start = {end}." if data.next_start is not None else " This is the end."
    head = f"{data.title or data.name}: characters {data.start} to {end} of {data.length}.{more}"
    return Told(f"{material.notice}\n\n{head}\n{data.text}", data)


async def list_collections(call: Call, _: Nothing) -> Told:
    """The collections that the caller may read."""
    name = call.material.name
    items = [
        CollectionItem(
            id=one.id,
            name=name(one.name),
            description=name(one.description),
            documents=one.documents,
            owner=name(one.owner),
            right=one.right,
        )
        for one in await call.services.documents.collections.all(call.principal)
    ]
    lines = [
        f"- {one.name} (id {one.id}, {one.documents} documents)"
        + (f": {one.description}" * bool(one.description))
        for one in items
    ]
    return Told("\n".join(lines) or "There are no collections.", CollectionItems(collections=items))
