"""The routes of documents, for pages and programs. A handler parses, calls one service, and renders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, Response

from malmoi.assist.retrieval.matching import content_words
from malmoi.core.errors import InvalidInput
from malmoi.core.hangul import words
from malmoi.serve.documents.library import shown_document
from malmoi.serve.documents.question import question_words
from malmoi.serve.documents.service import Documents
from malmoi.serve.documents.types import (
    BlockOut,
    CollectionOut,
    CollectionPatch,
    DocumentOut,
    Hit,
    HitOut,
    Id,
    MemberOut,
    NewCollection,
    NewMember,
    Page,
    SearchBody,
    SearchOut,
    TextOut,
    UploadOut,
)
from malmoi.serve.identity import Principal, require
from malmoi.serve.identity import Scope as Right
from malmoi.serve.search import QueryWord, find_matches

if TYPE_CHECKING:
    from starlette.types import Scope

Caller = Annotated[Principal, Depends(require(Right.DOCUMENTS))]
FileName = Annotated[str, Query(min_length=1, max_length=1000, description="What the file is called.")]
UPLOAD_TYPE = "application/octet-stream"
_BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {UPLOAD_TYPE: {}}}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {UPLOAD_TYPE: {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}


def documents_router(documents: Documents) -> APIRouter:
    """All routes under `/api/documents`."""
    router = APIRouter(prefix="/api/documents", tags=["documents"])
    router.include_router(_collection_routes(documents))
    router.include_router(_member_routes(documents))
    router.include_router(_file_routes(documents))
    return router


def is_upload(scope: Scope) -> bool:
    """Whether a request may have the larger body of a file."""
    parts = scope["path"].split("/")
    return (
        scope["method"] == "POST"
        and parts[:4] == ["", "api", "documents", "collections"]
        and parts[5:] == ["files"]
        and [value for name, value in scope["headers"] if name == b"content-type"] == [UPLOAD_TYPE.encode()]
    )


def _collection_routes(documents: Documents) -> APIRouter:
    router = APIRouter(prefix="/collections")
    collections = documents.collections

    @router.get("", summary="List collections")
    async def list_collections(caller: Caller) -> dict[str, list[CollectionOut]]:
        return {"items": await collections.all(caller)}

    @router.post("", status_code=201, summary="Make a collection")
    async def create_collection(caller: Caller, body: NewCollection) -> CollectionOut:
        return await collections.create(caller, body)

    @router.get("/{collection_id}", summary="A collection")
    async def read_collection(caller: Caller, collection_id: Id) -> CollectionOut:
        return await collections.get(caller, collection_id)

    @router.patch("/{collection_id}", summary="Rename, describe or open a collection")
    async def change_collection(caller: Caller, collection_id: Id, body: CollectionPatch) -> CollectionOut:
        return await collections.change(caller, collection_id, body)

    @router.delete("/{collection_id}", status_code=204, summary="Delete a collection with its documents")
    async def delete_collection(caller: Caller, collection_id: Id) -> None:
        await documents.delete_collection(caller, collection_id)

    return router


def _member_routes(documents: Documents) -> APIRouter:
    router = APIRouter(prefix="/collections/{collection_id}/members")
    collections = documents.collections

    @router.get("", summary="With whom a collection is shared")
    async def list_members(caller: Caller, collection_id: Id) -> dict[str, list[MemberOut]]:
        return {"items": await collections.members(caller, collection_id)}

    @router.post("", summary="Share a collection, or change what a member may do")
    async def share(caller: Caller, collection_id: Id, body: NewMember) -> dict[str, list[MemberOut]]:
        return {"items": await collections.share(caller, collection_id, body.name, body.role)}

    @router.delete("/{account_id}", status_code=204, summary="Take a member out, or leave")
    async def unshare(caller: Caller, collection_id: Id, account_id: Id) -> None:
        await collections.unshare(caller, collection_id, account_id)

    return router


def _file_routes(documents: Documents) -> APIRouter:
    router = APIRouter()
    library = documents.library

    @router.get("/collections/{collection_id}/files", summary="List the documents of a collection")
    async def list_documents(
        caller: Caller,
        collection_id: Id,
        cursor: Id | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        unfinished: bool = False,
    ) -> Page:
        rows, following = await library.page(
            caller, collection_id, cursor=cursor, limit=limit, unfinished=unfinished
        )
        return Page(items=[shown_document(row) for row in rows], next_cursor=following)

    @router.post(
        "/collections/{collection_id}/files", status_code=202, summary="Upload a file", openapi_extra=_BODY
    )
    async def upload(caller: Caller, request: Request, collection_id: Id, name: FileName) -> UploadOut:
        """The body is the file itself, of the type `application/octet-stream`; it is indexed afterwards."""
        if request.headers.get("content-type") != UPLOAD_TYPE:
            raise InvalidInput(
                "a file is uploaded as it is.", field="content-type", fix=f"Send it as {UPLOAD_TYPE}."
            )
        row, is_new = await library.add(caller, collection_id, name, request.stream())
        return UploadOut(document=shown_document(row), created=is_new)

    @router.get("/files/{document_id}", summary="A document, and how far its index is")
    async def read_document(caller: Caller, document_id: Id) -> DocumentOut:
        return shown_document(await library.get(caller, document_id))

    @router.get("/files/{document_id}/text", summary="The text of a document, and what stands where in it")
    async def read_text(caller: Caller, document_id: Id) -> TextOut:
        row, document = await library.read(caller, document_id)
        blocks = [
            BlockOut(
                kind=block.kind,
                start=block.start,
                end=block.end,
                level=block.level,
                page=block.page,
                place=block.place,
                rows=[list(cells) for cells in block.rows],
            )
            for block in document.blocks
        ]
        return TextOut(
            document=shown_document(row),
            text=document.text,
            blocks=blocks,
            properties=dict(document.properties),
        )

    @router.get(
        "/files/{document_id}/original",
        response_class=Response,
        responses=_BINARY,
        summary="The file as it was uploaded",
    )
    async def read_original(caller: Caller, document_id: Id) -> Response:
        original = await library.original(caller, document_id)
        # Always a download, and of no type that a browser would open.
        return FileResponse(original.path, media_type=UPLOAD_TYPE, filename=original.name)

    @router.post("/files/{document_id}/retry", summary="Read and index a document anew")
    async def retry(caller: Caller, document_id: Id) -> DocumentOut:
        return shown_document(await library.again(caller, document_id))

    @router.delete("/files/{document_id}", status_code=204, summary="Delete a document")
    async def delete_document(caller: Caller, document_id: Id) -> None:
        await library.delete(caller, document_id)

    @router.post("/search", summary="Find passages")
    async def search(caller: Caller, body: SearchBody) -> SearchOut:
        hits = await documents.search(
            caller, body.query, collections=body.collections, documents=body.documents, limit=body.limit
        )
        marked = _marked(body.query)
        return SearchOut(items=[_shown_hit(hit, marked) for hit in hits])

    return router


def _marked(query: str) -> list[QueryWord]:
    """The words of a query that are marked in what was found, where need be without their endings."""
    return [
        QueryWord((), tuple(one.text for one in content_words(word)), (word,))
        for word in question_words(query)
        if words(word)
    ]


def _shown_hit(hit: Hit, marked: list[QueryWord]) -> HitOut:
    return HitOut(
        document_id=hit.document_id,
        collection_id=hit.collection_id,
        title=hit.title,
        name=hit.name,
        start=hit.passage.start,
        end=hit.passage.end,
        headings=list(hit.passage.headings),
        page=hit.passage.page,
        place=hit.passage.place,
        text=hit.text,
        matches=[
            (len(hit.text[:a].encode("utf-16-le")) // 2, len(hit.text[:b].encode("utf-16-le")) // 2)
            for a, b in find_matches(hit.text, marked)
        ],
        score=hit.score,
        ranks=dict(hit.ranks),
    )
