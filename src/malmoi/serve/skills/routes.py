"""The routes of skills, for pages and programs. A handler parses, calls one service, and renders."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response

from malmoi.assist.skills.finding import Finding
from malmoi.assist.skills.manifest import Auth, Skill
from malmoi.assist.skills.running import DirectCall
from malmoi.core.errors import Forbidden
from malmoi.core.hangul.language import hangul_share
from malmoi.core.types import Message
from malmoi.serve.errors import envelope
from malmoi.serve.identity import Principal, require
from malmoi.serve.identity import Scope as Right
from malmoi.serve.skills.opening import KeyNeeded
from malmoi.serve.skills.sandbox import is_sandboxed
from malmoi.serve.skills.service import SkillRun, Skills, Stage
from malmoi.serve.skills.trainer import trainer_router
from malmoi.serve.skills.trainer.running import set_run_router
from malmoi.serve.skills.types import (
    NO_NUL,
    ApproveBody,
    AuditItem,
    AuditPage,
    Checked,
    CredentialsBody,
    DenyBody,
    FindingItem,
    Need,
    NewSkill,
    OperationItem,
    RunBody,
    SkillDetail,
    SkillItem,
    SkillList,
    StageItem,
    SwitchedOn,
    Trace,
)
from malmoi.serve.sse import EventStream, event

if TYPE_CHECKING:
    from malmoi.serve.settings import HttpSettings

Caller = Annotated[Principal, Depends(require(Right.SKILLS))]
Person = Annotated[Principal, Depends(require(Right.APPROVALS))]
Admin = Annotated[Principal, Depends(require(Right.ADMIN))]
SkillName = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
Identifier = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
_PREFIX = "/api/skills"
_PLAIN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def skills_router(skills: Skills, http: HttpSettings) -> APIRouter:
    """All routes under `/api/skills`."""
    router = APIRouter(tags=["skills"])
    router.include_router(trainer_router(skills.trainer))
    router.include_router(set_run_router(skills, http))
    router.include_router(_run_routes(skills, http))
    router.include_router(_admin_routes(skills))
    router.include_router(_own_routes(skills))
    return router


def _own_routes(skills: Skills) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)

    async def item(principal: Principal, skill: Skill, auth: Auth) -> SkillItem:
        on = await skills.choices.switched_on(principal.account_id)
        kept = await skills.choices.credentials(principal.account_id, [skill.name])
        return _item(skill, auth, switched_on=skill.name in on, has_credentials=bool(kept.get(skill.name)))

    @router.get("")
    async def read_skills(principal: Caller) -> SkillList:
        """All skills, which of them are on, and what they need."""
        found = await skills.registry.all()
        on = await skills.choices.switched_on(principal.account_id)
        kept = await skills.choices.credentials(principal.account_id, list(found))
        items = [
            _item(one, one.manifest.auth, switched_on=name in on, has_credentials=bool(kept.get(name)))
            for name, one in sorted(found.items())
        ]
        broken = skills.registry.broken if principal.may(Right.ADMIN) else {}
        return SkillList(
            skills=items,
            most=skills.limits.skills,
            broken={name: str(error) for name, error in broken.items()},
        )

    @router.get("/{name}")
    async def read_skill(principal: Caller, name: SkillName) -> SkillDetail:
        """A skill with its operations; it is opened for that."""
        try:
            loaded = await skills.load(principal, name)
        except KeyNeeded:
            skill = await skills.registry.get(name)
            shown = await item(principal, skill, skill.manifest.auth)
            return SkillDetail(**shown.model_dump(), operations=[], key_needed=True)
        shown = await item(principal, loaded.skill, loaded.auth)
        operations = [
            OperationItem(
                name=one.name,
                title=dict(one.title),
                description=one.description,
                effect=one.effect,
                final=one.is_final,
                parameters=dict(one.parameters),
            )
            for one in loaded.operations
        ]
        return SkillDetail(**shown.model_dump(), operations=operations)

    @router.put("/{name}/switch")
    async def switch_on(principal: Caller, name: SkillName) -> SwitchedOn:
        """Switch a skill on: two at the most, and never two of one domain."""
        return SwitchedOn(skills=await skills.switch(principal, name, on=True))

    @router.delete("/{name}/switch")
    async def switch_off(principal: Caller, name: SkillName) -> SwitchedOn:
        """Switch a skill off."""
        return SwitchedOn(skills=await skills.switch(principal, name, on=False))

    @router.put("/{name}/credentials", status_code=204)
    async def keep_credentials(principal: Person, name: SkillName, body: CredentialsBody) -> None:
        """Give your own keys for a skill; they are kept sealed and are never shown again."""
        try:
            auth = (await skills.load(principal, name)).auth
        except KeyNeeded:
            auth = (await skills.registry.get(name)).manifest.auth
        values = {field: value.get_secret_value() for field, value in body.values.items()}
        await skills.choices.keep(principal.account_id, name, auth, values)

    @router.delete("/{name}/credentials", status_code=204)
    async def forget_credentials(principal: Person, name: SkillName) -> None:
        """Delete your keys for a skill."""
        await skills.registry.get(name)
        await skills.choices.forget(principal.account_id, name)

    return router


def _admin_routes(skills: Skills) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)

    @router.post("/validate")
    async def validate(principal: Admin, body: NewSkill) -> Checked:
        """Look through a manifest and its OpenAPI document; every fault with its line. Nothing is kept."""
        _, findings = await skills.registry.check(body.manifest, body.document_name, body.document)
        return Checked(findings=_findings(findings))

    @router.post("")
    async def install(principal: Admin, body: NewSkill) -> Checked:
        """Install an OpenAPI or MCP skill for everybody, if nothing is wrong with it."""
        skill, findings = await skills.registry.install(
            principal, body.manifest, body.document_name, body.document
        )
        return Checked(findings=_findings(findings), installed=skill.name if skill is not None else None)

    @router.delete("/{name}", status_code=204)
    async def remove(principal: Admin, name: SkillName) -> None:
        """Remove a skill that was installed so."""
        await skills.registry.remove(name)

    return router


def _run_routes(skills: Skills, http: HttpSettings) -> APIRouter:
    router = APIRouter(prefix=_PREFIX)
    streams: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}

    def streamed(stages: AsyncGenerator[Stage, None]) -> Response:
        return EventStream(
            _encoded(stages),
            on_error=lambda error: event(envelope(error, "own"), name="error"),
            send_timeout=http.send_timeout,
        )

    @router.post("/runs", response_class=Response, responses=streams)
    async def run(principal: Caller, body: RunBody) -> Response:
        """Run skills for a query; the stages come as server-sent events.

        They are named run, routed, planned, confirm, called, observed, card, file, text, asked and ended.
        """
        return streamed(skills.run(principal, _asked(body)))

    @router.post("/runs/{run_id}/approve", response_class=Response, responses=streams)
    async def approve(principal: Person, run_id: Identifier, body: ApproveBody) -> Response:
        """Say yes to the call that waits; the run goes on as a stream."""
        return streamed(
            skills.approve(principal, run_id, call_id=body.call_id, arguments_hash=body.arguments_hash)
        )

    @router.post("/runs/{run_id}/deny", status_code=204)
    async def deny(principal: Person, run_id: Identifier, body: DenyBody) -> None:
        """Say no to the call that waits; nothing is changed."""
        await skills.deny(principal, run_id, call_id=body.call_id)

    @router.get("/runs/{run_id}")
    async def read_run(principal: Caller, run_id: Identifier) -> Trace:
        """A run of yours with all its stages."""
        row, stages = await skills.runs.trace(principal.account_id, run_id)
        return Trace(
            run_id=row.id,
            query=row.query,
            status=row.status,
            reason=row.reason,
            skill=row.skill,
            operation=row.operation,
            steps=row.steps,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            created_at=row.created_at,
            stages=[StageItem(number=one.number, kind=one.kind, data=one.data, at=one.at) for one in stages],
        )

    @router.get("/runs/{run_id}/files/{file_id}", response_class=Response)
    async def read_file(principal: Caller, run_id: Identifier, file_id: Identifier) -> Response:
        """A file that a call has made."""
        file, content = await skills.runs.file(principal.account_id, run_id, file_id)
        # Pictures may be shown; anything else is only ever saved.
        is_plain = file.media_type in _PLAIN
        disposition = "inline" if is_plain else "attachment"
        return Response(
            content,
            media_type=file.media_type if is_plain else "application/octet-stream",
            headers={
                "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(file.name)}",
                "Cache-Control": "private, max-age=3600",
            },
        )

    @router.get("/audit")
    async def read_audit(
        principal: Caller,
        everybody: bool = False,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(max_length=40, pattern=NO_NUL)] = None,
    ) -> AuditPage:
        """Calls that were made, refused or denied: your own, or for admins everybody's."""
        if everybody and not principal.may(Right.ADMIN):
            raise Forbidden("only admins see everybody's calls.")
        rows = await skills.runs.audited(
            None if everybody else principal.account_id, limit=limit, before=before
        )
        return AuditPage(rows=[AuditItem.model_validate(row, from_attributes=True) for row in rows])

    return router


async def _encoded(stages: AsyncGenerator[Stage, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(stages) as source:
        async for stage in source:
            yield event({"number": stage.number, **stage.data}, name=stage.kind)


def _asked(body: RunBody) -> SkillRun:
    direct = body.direct
    return SkillRun(
        query=body.query,
        model=body.model,
        skills=body.skills,
        conversation=body.conversation,
        turns=[Message(turn.role, turn.content) for turn in body.turns],
        language=body.language,
        zone=body.zone,
        documents=[(one.id, one.title) for one in body.documents],
        direct=DirectCall(direct.skill, direct.operation, direct.arguments) if direct is not None else None,
    )


def _item(skill: Skill, auth: Auth, *, switched_on: bool, has_credentials: bool) -> SkillItem:
    manifest = skill.manifest
    # For the sandbox each account has a token made for it: nobody has to give one.
    is_given = auth.kind == "bearer" and is_sandboxed(skill)
    return SkillItem(
        name=manifest.name,
        domain=manifest.domain,
        version=manifest.version,
        description=manifest.description,
        people={
            str(code): {"name": text.name, "description": text.description}
            for code, text in manifest.people.items()
        },
        examples=_shown([example.query for example in manifest.examples]),
        source=manifest.source.kind,
        origin=skill.origin,
        switched_on=switched_on,
        needs=[
            Need(
                name=name,
                title={str(code): text for code, text in need.title.items()},
                secret=need.secret,
                required=need.required,
            )
            for name, need in ({} if is_given else auth.needs()).items()
        ],
        has_credentials=has_credentials,
    )


def _shown(queries: list[str]) -> list[str]:
    """A few queries in Korean and a few in English."""
    korean = [query for query in queries if hangul_share(query)]
    others = [query for query in queries if query not in korean]
    return [*korean[: 8 - len(others[:4])], *others][:8]


def _findings(findings: list[Finding]) -> list[FindingItem]:
    return [FindingItem(**finding.to_json()) for finding in findings]
