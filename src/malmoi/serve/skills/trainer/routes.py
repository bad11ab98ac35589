"""The routes of the skill trainer. A handler parses, calls one service, and renders."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from malmoi.serve.identity import Principal, Scope, require
from malmoi.serve.skills.trainer.service import Trainer
from malmoi.serve.skills.trainer.types import (
    ApplyBody,
    Changes,
    ImportBody,
    Imported,
    MeasureItem,
    MeasureList,
    NewMeasure,
    NewRow,
    NewSet,
    Part,
    RowItem,
    RowPage,
    RowPatch,
    SetItem,
    SetList,
    SetPatch,
    Status,
    VersionItem,
    VersionList,
)
from malmoi.serve.skills.types import NO_NUL

Caller = Annotated[Principal, Depends(require(Scope.SKILLS))]
Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
Number = Annotated[int, Path(ge=1, le=1_000_000)]
_PREFIX = "/api/skills/sets"
_FORMATS = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}


def trainer_router(trainer: Trainer) -> APIRouter:
    """All routes under `/api/skills/sets`."""
    router = APIRouter(tags=["skill trainer"])
    router.include_router(_set_routes(trainer))
    router.include_router(_row_routes(trainer))
    router.include_router(_version_routes(trainer))
    return router


def _set_routes(trainer: Trainer) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)

    @router.get("")
    async def read_sets(principal: Caller) -> SetList:
        """Your skill sets, and which of them is applied."""
        return SetList(sets=await trainer.sets.all(principal.account_id))

    @router.post("")
    async def create_set(principal: Caller, body: NewSet) -> SetItem:
        """Make a skill set, of ten skills at the most."""
        return await trainer.sets.create(principal.account_id, body)

    @router.get("/{set_id}")
    async def read_set(principal: Caller, set_id: Id) -> SetItem:
        """A skill set of yours."""
        return await trainer.sets.get(principal.account_id, set_id)

    @router.patch("/{set_id}")
    async def change_set(principal: Caller, set_id: Id, body: SetPatch) -> SetItem:
        """Change its name, its texts or its skills."""
        return await trainer.sets.change(principal.account_id, set_id, body)

    @router.delete("/{set_id}", status_code=204)
    async def delete_set(principal: Caller, set_id: Id) -> None:
        """Delete it with its rows and versions."""
        await trainer.sets.delete(principal.account_id, set_id)

    @router.put("/{set_id}/apply")
    async def apply(principal: Caller, set_id: Id, body: ApplyBody) -> SetItem:
        """Show its train rows to your runs from now on, instead of those of any other set."""
        return await trainer.sets.apply(principal.account_id, set_id, body.version)

    @router.delete("/{set_id}/apply", status_code=204)
    async def unapply(principal: Caller, set_id: Id) -> None:
        """Do not show its rows to your runs any more."""
        await trainer.sets.unapply(principal.account_id, set_id)

    return router


def _row_routes(trainer: Trainer) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)

    @router.get("/{set_id}/rows")
    async def read_rows(
        principal: Caller,
        set_id: Id,
        part: Part | None = None,
        status: Status | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        skill: Annotated[str | None, Query(max_length=40, pattern=NO_NUL)] = None,
        search: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
        newest: bool = False,
    ) -> RowPage:
        """Rows of a set, oldest first; `skill=` (empty) are the rows for none."""
        return await trainer.rows.page(
            principal.account_id,
            set_id,
            part=part,
            status=status,
            limit=limit,
            offset=offset,
            skill=skill,
            search=search,
            newest=newest,
        )

    @router.post("/{set_id}/rows")
    async def create_row(principal: Caller, set_id: Id, body: NewRow) -> RowItem:
        """Make a row of a run's stages (`run_id`), or of a query."""
        return await trainer.rows.create(principal.account_id, set_id, body)

    @router.get("/{set_id}/rows/{row_id}")
    async def read_row(principal: Caller, set_id: Id, row_id: Id) -> RowItem:
        """One row."""
        return await trainer.rows.get(principal.account_id, set_id, row_id)

    @router.patch("/{set_id}/rows/{row_id}")
    async def change_row(principal: Caller, set_id: Id, row_id: Id, body: RowPatch) -> RowItem:
        """Correct any stage of a row, or save it; the value before is kept."""
        return await trainer.rows.change(principal.account_id, set_id, row_id, body)

    @router.post("/{set_id}/rows/{row_id}/undo")
    async def undo_row(principal: Caller, set_id: Id, row_id: Id) -> RowItem:
        """Take back the last edit of a row."""
        return await trainer.rows.undo(principal.account_id, set_id, row_id)

    @router.delete("/{set_id}/rows/{row_id}", status_code=204)
    async def delete_row(principal: Caller, set_id: Id, row_id: Id) -> None:
        """Delete a row."""
        await trainer.rows.delete(principal.account_id, set_id, row_id)

    @router.post("/{set_id}/import")
    async def import_rows(principal: Caller, set_id: Id, body: ImportBody) -> Imported:
        """Add rows that were exported as JSON lines: all of them, or none."""
        return Imported(rows=await trainer.read(principal.account_id, set_id, body))

    @router.get(
        "/{set_id}/export",
        response_class=Response,
        responses={200: {"content": {"application/jsonl": {}, "text/csv": {}}}},
    )
    async def export_rows(
        principal: Caller,
        set_id: Id,
        form: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl",
        version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
        part: Literal["train", "test", "all"] = "train",
    ) -> Response:
        """Saved rows as training data: conversations as JSON lines, or the Studio's columns as CSV."""
        account = principal.account_id
        chosen: Part | None = None if part == "all" else part
        headers = {"Content-Disposition": f'attachment; filename="skill-set.{form}"'}
        if form == "csv":
            text = await trainer.table(account, set_id, number=version, part=chosen)
            # With a mark in front: the Studio and spreadsheets want one.
            content = text.encode("utf-8-sig", "replace")
        else:
            text, skipped = await trainer.lines(account, set_id, number=version, part=chosen)
            headers["X-Skipped-Rows"] = str(skipped)
            content = text.encode("utf-8", "replace")
        return Response(content, media_type=_FORMATS[form], headers=headers)

    return router


def _version_routes(trainer: Trainer) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)

    @router.get("/{set_id}/versions")
    async def read_versions(principal: Caller, set_id: Id) -> VersionList:
        """Versions of a set, newest first."""
        return VersionList(versions=await trainer.versions.all(principal.account_id, set_id))

    @router.post("/{set_id}/versions")
    async def create_version(principal: Caller, set_id: Id) -> VersionItem:
        """Freeze the saved rows; where nothing has changed, this gives the last version."""
        return await trainer.versions.create(principal.account_id, set_id)

    @router.get("/{set_id}/changes")
    async def read_changes(
        principal: Caller,
        set_id: Id,
        since: Annotated[int, Query(ge=1, le=1_000_000)],
        until: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
    ) -> Changes:
        """What differs between a version and a later one, or the saved rows of now."""
        return await trainer.versions.changes(principal.account_id, set_id, since, until)

    @router.post("/{set_id}/versions/{version}/measures")
    async def measure(principal: Caller, set_id: Id, version: Number, body: NewMeasure) -> MeasureItem:
        """Run the test rows with and without the train rows, in the background; nothing is called."""
        return await trainer.measures.start(principal, set_id, version, body.model)

    @router.get("/{set_id}/versions/{version}/measures")
    async def read_measures(principal: Caller, set_id: Id, version: Number) -> MeasureList:
        """Measurements of a version, newest first."""
        return MeasureList(measures=await trainer.measures.all(principal.account_id, set_id, version))

    @router.get("/{set_id}/measures/{measure_id}")
    async def read_measure(principal: Caller, set_id: Id, measure_id: Id) -> MeasureItem:
        """How far a measurement is, and its figures."""
        return await trainer.measures.get(principal.account_id, set_id, measure_id)

    @router.delete("/{set_id}/measures/{measure_id}", status_code=204)
    async def stop_measure(principal: Caller, set_id: Id, measure_id: Id) -> None:
        """Stop a measurement that runs."""
        await trainer.measures.stop(principal.account_id, set_id, measure_id)

    return router
