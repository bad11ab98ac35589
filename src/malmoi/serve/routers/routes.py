"""The routes of routers, to make and try them; programs route by the Studio API (serve/studio/routers.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from malmoi.serve.identity import Principal, Scope, require
from malmoi.serve.routers.files import Form, read_text, to_text
from malmoi.serve.routers.types import (
    Content,
    ImportBody,
    NewRouter,
    RouterDetail,
    RouterList,
    RouterPatch,
    RouteTrace,
    TestBody,
    VersionDetail,
    VersionItem,
    VersionItems,
)
from malmoi.serve.skills.types import NO_NUL

if TYPE_CHECKING:
    from malmoi.serve.routers.service import Routers

Caller = Annotated[Principal, Depends(require(Scope.SKILLS))]
Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
Number = Annotated[int, Path(ge=1, le=1_000_000)]

_FORMS: dict[Form, str] = {"json": "application/json", "jsonl": "application/jsonl"}


def routers_router(routers: Routers) -> APIRouter:
    """All routes under `/api/routers`."""
    router = APIRouter(prefix="/api/routers", tags=["routers"])
    store = routers.store

    @router.get("")
    async def read_routers(principal: Caller) -> RouterList:
        """Your routers."""
        return RouterList(routers=await store.all(principal.account_id))

    @router.post("", status_code=201)
    async def create_router(principal: Caller, body: NewRouter) -> RouterDetail:
        """Make a router."""
        return await store.create(principal.account_id, body)

    @router.post("/import", status_code=201)
    async def import_router(principal: Caller, body: ImportBody) -> RouterDetail:
        """Make a router of a file that was exported."""
        return await store.create(principal.account_id, read_text(body.text, name=body.name))

    @router.get("/{router_id}")
    async def read_router(principal: Caller, router_id: Id) -> RouterDetail:
        """A router of yours, as it is edited."""
        return await store.get(principal.account_id, router_id)

    @router.patch("/{router_id}")
    async def change_router(principal: Caller, router_id: Id, body: RouterPatch) -> RouterDetail:
        """Change its name, its description or its content; versions stay as they are."""
        return await store.change(principal.account_id, router_id, body)

    @router.delete("/{router_id}", status_code=204)
    async def delete_router(principal: Caller, router_id: Id) -> None:
        """Delete it with its versions."""
        await store.delete(principal.account_id, router_id)

    @router.get(
        "/{router_id}/export",
        response_class=Response,
        responses={200: {"content": {media: {} for media in _FORMS.values()}}},
    )
    async def export_router(
        principal: Caller,
        router_id: Id,
        form: Annotated[Form, Query(alias="format")] = "json",
        version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
    ) -> Response:
        """A router, or a version of it, as a file: one object, or a line for each example."""
        kept = await store.get(principal.account_id, router_id)
        content: Content = kept.content
        if version is not None:
            content = (await store.version(principal.account_id, router_id, version)).content
        text = to_text(kept.name, kept.description, content, form)
        headers = {"Content-Disposition": f'attachment; filename="router.{form}"'}
        return Response(text.encode("utf-8", "replace"), media_type=_FORMS[form], headers=headers)

    @router.post("/{router_id}/test")
    async def try_query(principal: Caller, router_id: Id, body: TestBody) -> RouteTrace:
        """What the router, or a version of it, says of a query, and why."""
        if body.version is None:
            content = (await store.get(principal.account_id, router_id)).content
        else:
            content = (await store.version(principal.account_id, router_id, body.version)).content
        return await routers.route(principal, content, body.query, body.history)

    @router.get("/{router_id}/versions")
    async def read_versions(principal: Caller, router_id: Id) -> VersionItems:
        """The versions, the newest first."""
        return VersionItems(versions=await store.versions(principal.account_id, router_id))

    @router.post("/{router_id}/versions")
    async def make_version(principal: Caller, router_id: Id) -> VersionItem:
        """Freeze the router as it is now, and measure it on its own examples."""
        return await routers.freeze(principal.account_id, router_id)

    @router.get("/{router_id}/versions/{number}")
    async def read_version(principal: Caller, router_id: Id, number: Number) -> VersionDetail:
        """A version with its content."""
        return await store.version(principal.account_id, router_id, number)

    return router
