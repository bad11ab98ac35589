"""Documents and collections as resources: `malmoi://documents/{id}`, `malmoi://collections/{id}`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from malmoi.core.errors import NotFound
from malmoi.serve.documents.types import Id
from malmoi.serve.identity import require
from malmoi.serve.mcp.documents import list_collections, read_document
from malmoi.serve.mcp.tool import Call
from malmoi.serve.mcp.types import Nothing, Read

COLLECTIONS: Final = "malmoi://collections"
TEMPLATES: Final = {
    "malmoi://documents/{id}": ("A document", "The text of a document, from its beginning.", "text/plain"),
    "malmoi://collections/{id}": (
        "The documents of a collection",
        "Id, name and title of the newest documents of a collection.",
        "application/json",
    ),
}
_CHARACTERS = 20_000  # of a document; more is read by the tool
_DOCUMENTS = 200


@dataclass(frozen=True, slots=True)
class Content:
    """What a resource holds."""

    text: str
    kind: str


async def read_resource(call: Call, uri: str) -> Content:
    """The content of a resource.

    Raises:
        Forbidden: the caller lacks the right.
        NotFound: there is none, or none that the caller may read.
    """
    require("documents").check(call.principal)
    if uri == COLLECTIONS:
        listed = await list_collections(call, Nothing())
        return Content(listed.data.model_dump_json(), "application/json")
    kind, _, name = uri.removeprefix("malmoi://").partition("/")
    try:
        name = TypeAdapter(Id).validate_python(name)
    except ValidationError:
        raise NotFound("there is no such resource.") from None
    if uri == f"malmoi://documents/{name}":
        part = await read_document(call, Read(document_id=name, length=_CHARACTERS))
        return Content(part.text, "text/plain")
    if uri == f"malmoi://collections/{name}":
        return Content(await _documents_of(call, name), "application/json")
    raise NotFound(f"there is no resource of the kind {kind[:40]!r}.")


async def _documents_of(call: Call, collection_id: str) -> str:
    rows, following = await call.services.documents.library.page(
        call.principal, collection_id, limit=_DOCUMENTS
    )
    items = [
        {
            "id": row.id,
            "uri": f"malmoi://documents/{row.id}",
            "name": call.material.name(row.name),
            "title": call.material.name(row.title),
            "status": row.status,
        }
        for row in rows
    ]
    return json.dumps({"documents": items, "more": following is not None}, ensure_ascii=False)
