"""The workbench's HTTP interface. A handler parses, calls one service, and renders."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from malmoi.apps.redteam.service import Redteam
from malmoi.apps.redteam.statistics import THRESHOLD, Statistics
from malmoi.apps.redteam.types import (
    BEST,
    AnnotatorOut,
    AnnotatorPatch,
    GridOut,
    Id,
    NewSession,
    NewTurn,
    Progress,
    RewriteIn,
    RewriteOut,
    ScoreIn,
    ScoreOut,
    SessionDetail,
    SessionLists,
)
from malmoi.serve.identity import Principal, Scope, require

Caller = Annotated[Principal, Depends(require(Scope.REDTEAM))]
Reader = Annotated[Principal, Depends(require(Scope.REDTEAM_RESULTS))]


def redteam_router(redteam: Redteam) -> APIRouter:
    """The routes under `/api/redteam`."""
    router = APIRouter(prefix="/api/redteam", tags=["red team"])
    _add_annotator(router, redteam)
    _add_sessions(router, redteam)
    _add_scoring(router, redteam)
    _add_results(router, redteam)
    return router


def _add_annotator(router: APIRouter, redteam: Redteam) -> None:
    @router.get("/grid", summary="Topics and strategies")
    async def grid(caller: Caller) -> GridOut:
        return redteam.grid()

    @router.get("/me", summary="Who is at work, by pseudonym")
    async def me(caller: Caller) -> AnnotatorOut:
        return await redteam.annotators.me(caller)

    @router.patch("/me", summary="Change how one works")
    async def change_me(caller: Caller, body: AnnotatorPatch) -> AnnotatorOut:
        return await redteam.annotators.change(caller, body)

    @router.get("/progress", summary="What was done, by cell of the grid")
    async def progress(caller: Caller) -> Progress:
        return await redteam.sessions.progress(await redteam.annotators.id_of(caller.account_id))


def _add_sessions(router: APIRouter, redteam: Redteam) -> None:
    async def who(caller: Principal) -> str:
        return await redteam.annotators.id_of(caller.account_id)

    @router.get("/sessions", summary="One's own sessions, and those to score")
    async def list_sessions(caller: Caller) -> SessionLists:
        return await redteam.sessions.lists(await who(caller))

    @router.post("/sessions", status_code=201, summary="Begin an attack")
    async def begin(caller: Caller, body: NewSession) -> SessionDetail:
        return await redteam.sessions.begin(await who(caller), body)

    @router.get("/sessions/{session_id}", summary="A session as far as the caller may see it")
    async def read(caller: Caller, session_id: Id) -> SessionDetail:
        return await redteam.sessions.detail(await who(caller), session_id)

    @router.delete("/sessions/{session_id}", status_code=204, summary="Remove an attack that has not ended")
    async def remove(caller: Caller, session_id: Id) -> None:
        await redteam.sessions.remove(await who(caller), session_id)

    @router.post("/sessions/{session_id}/turns", summary="Send a turn to all models")
    async def send(caller: Caller, session_id: Id, body: NewTurn) -> SessionDetail:
        return await redteam.sessions.send(caller, await who(caller), session_id, body)

    @router.post("/sessions/{session_id}/finish", summary="End an attack, and let others score it")
    async def finish(caller: Caller, session_id: Id) -> SessionDetail:
        return await redteam.sessions.finish(await who(caller), session_id)


def _add_scoring(router: APIRouter, redteam: Redteam) -> None:
    async def who(caller: Principal) -> str:
        return await redteam.annotators.id_of(caller.account_id)

    @router.put("/replies/{reply_id}/score", summary="Score a reply")
    async def score(caller: Caller, reply_id: Id, body: ScoreIn) -> ScoreOut:
        return await redteam.scoring.score(await who(caller), reply_id, body)

    @router.post("/replies/{reply_id}/retry", summary="Ask a model again whose reply failed")
    async def retry(caller: Caller, reply_id: Id) -> SessionDetail:
        annotator = await who(caller)
        session_id = await redteam.sessions.reply_session(annotator, reply_id)
        await redteam.replies.ask_again(caller, annotator, session_id, reply_id)
        return await redteam.sessions.detail(annotator, session_id)

    @router.put("/turns/{turn_id}/rewrite", summary="Keep a safe and helpful answer, or its draft")
    async def rewrite(caller: Caller, turn_id: Id, body: RewriteIn) -> RewriteOut:
        return await redteam.scoring.rewrite(await who(caller), turn_id, body)


def _add_results(router: APIRouter, redteam: Redteam) -> None:
    @router.get("/statistics", summary="Attack success rates, and agreement of annotators")
    async def statistics(
        caller: Reader, threshold: Annotated[int, Query(ge=0, lt=BEST)] = THRESHOLD
    ) -> Statistics:
        annotator = await redteam.annotators.id_of(caller.account_id)
        return await redteam.statistics(annotator, threshold)

    @router.get("/export/sft", response_class=Response, summary="Rewritten answers, as JSON Lines")
    async def export_sft(caller: Reader) -> Response:
        return _download(await redteam.export_sft(), "sft.jsonl")

    @router.get("/export/pairs", response_class=Response, summary="Preference pairs, as JSON Lines")
    async def export_pairs(caller: Reader) -> Response:
        return _download(await redteam.export_pairs(), "pairs.jsonl")


def _download(content: bytes, file_name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/x-ndjson", headers=headers)
