"""The skills of this server: built in, of installed packages, of the operator's folder, and uploaded ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from malmoi.assist.egress import Egress
from malmoi.assist.skills.finding import Finding
from malmoi.assist.skills.found import find_skills
from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.manifest import Skill
from malmoi.assist.skills.manifest_reading import load_skill, read_manifest
from malmoi.assist.skills.validation import check_skill
from malmoi.core.errors import ConfigError, Conflict, InvalidInput, MalmoiError, NotFound
from malmoi.serve.db import utc_now
from malmoi.serve.skills.opening import OpenSkills
from malmoi.serve.skills.sandbox import SandboxWay
from malmoi.serve.skills.tables import SkillUpload
from malmoi.serve.skills.uploads import MAX_DOCUMENT, uploaded

if TYPE_CHECKING:
    from malmoi.serve.db import Database
    from malmoi.serve.identity import Principal
    from malmoi.serve.skills.choices import SkillChoices


class SkillRegistry:
    """Finds and opens skills; a skill is opened when it is first used.

    Args:
        db: where uploads are.
        home: Malmoi's home; the operator's skills lie in `skills` under it.
        egress: the way out.
        limits: of a call.
        base_urls: addresses of real providers, by skill, instead of those of the manifests.
        choices: has the callers' credentials.
    """

    def __init__(
        self,
        db: Database,
        home: Path,
        egress: Egress,
        limits: SkillLimits,
        base_urls: Mapping[str, str],
        choices: SkillChoices,
    ) -> None:
        self._db = db
        self._home = home
        self._egress = egress
        self._base_urls = dict(base_urls)
        self._choices = choices
        self._sandbox = SandboxWay(home / "sandbox")
        self._fixed: dict[str, Skill] = {}
        self.broken: dict[str, MalmoiError] = {}
        self._uploads: dict[str, tuple[str, Skill]] = {}
        self._open = OpenSkills(egress, limits, self._sandbox)

    async def start(self) -> None:
        """Read all manifests that are files."""
        skills, self.broken = await asyncio.to_thread(find_skills, self._home)
        self._fixed = {one.name: self._at_home(one) for one in skills}

    async def close(self) -> None:
        """Close every skill that was opened."""
        await self._open.close()
        await self._sandbox.close()

    async def all(self) -> dict[str, Skill]:
        """Every skill, by name; an upload never takes the place of a file."""
        async with self._db.reading() as session:
            rows = (await session.execute(select(SkillUpload).order_by(SkillUpload.name))).scalars().all()
        kept: dict[str, tuple[str, Skill]] = {}
        for row in rows:
            stamp = row.created_at.isoformat()
            known = self._uploads.get(row.name)
            if known is not None and known[0] == stamp:
                kept[row.name] = known
                continue
            folder = uploaded(row.manifest, row.document_name, row.document)
            try:
                kept[row.name] = (stamp, self._at_home(load_skill(folder, origin="uploaded")))
            except ConfigError as error:
                self.broken[row.name] = error
        for name in set(self._uploads) - set(kept) | {
            name for name in kept if name in self._uploads and kept[name][0] != self._uploads[name][0]
        }:
            await self._forget(name)
        self._uploads = kept
        return {name: skill for name, (_, skill) in kept.items()} | self._fixed

    async def get(self, name: str) -> Skill:
        """One skill.

        Raises:
            NotFound: there is none of this name.
        """
        skills = await self.all()
        if name not in skills:
            raise NotFound(f"there is no skill {name!r}.")
        return skills[name]

    async def load(self, name: str, account_id: str) -> LoadedSkill:
        """A skill that an account can call, with the operations that its own credentials show.

        Raises:
            NotFound: there is none of this name.
            KeyNeeded: its server tells what it can do only to those who have a key.
            ConfigError, SkillUnavailable, MissingExtra: it cannot be opened.
        """
        skill = await self.get(name)
        given = await self._choices.credentials(account_id, [name])
        return await self._open.load(skill, given.get(name, {}))

    async def check(
        self, manifest: str, document_name: str, document: str | None
    ) -> tuple[Skill | None, list[Finding]]:
        """Look through a skill that somebody wants to install; nothing is kept."""
        if document is not None and len(document.encode()) > MAX_DOCUMENT:
            raise InvalidInput(f"the document has more than {MAX_DOCUMENT} bytes.", field="document")
        parsed, findings = read_manifest(manifest.encode(), origin="uploaded")
        if parsed is None:
            return None, findings
        name = document_name or "openapi.json"
        skill = Skill(parsed, uploaded(manifest, name, document), "uploaded")
        _, more = await check_skill(skill, egress=self._egress)
        return skill, [*findings, *more]

    async def install(
        self, principal: Principal, manifest: str, document_name: str, document: str | None
    ) -> tuple[Skill | None, list[Finding]]:
        """Keep a skill, if nothing is wrong with it; one of the same name that was uploaded is replaced.

        Raises:
            Conflict: a file of this server has the name.
        """
        skill, findings = await self.check(manifest, document_name, document)
        if skill is None or any(finding.level == "error" for finding in findings):
            return None, findings
        if skill.name in self._fixed:
            raise Conflict(
                f"{skill.name!r} is the name of a skill of this server.", fix="Choose another name."
            )
        async with self._db.session() as session:
            row = await session.get(SkillUpload, skill.name)
            if row is not None:
                await session.delete(row)
                await session.flush()
            session.add(
                SkillUpload(
                    name=skill.name,
                    manifest=manifest,
                    document_name=document_name or "openapi.json",
                    document=document,
                    account_id=principal.account_id,
                    created_at=utc_now(),
                )
            )
        await self._forget(skill.name)
        return skill, findings

    async def remove(self, name: str) -> None:
        """Remove an uploaded skill.

        Raises:
            NotFound: there is none of this name.
            Conflict: it is a file of this server.
        """
        async with self._db.session() as session:
            row = await session.get(SkillUpload, name)
            if row is None:
                if name in self._fixed:
                    raise Conflict(f"{name!r} is a file of this server.", fix="Remove its folder.")
                raise NotFound(f"there is no skill {name!r}.")
            await session.delete(row)
        await self._forget(name)

    async def _forget(self, name: str) -> None:
        self._uploads.pop(name, None)
        self.broken.pop(name, None)
        await self._open.forget(name)

    def _at_home(self, skill: Skill) -> Skill:
        """The skill with what the operator has settled: its address, the home, trusted hosts."""
        source = skill.manifest.source
        address = self._base_urls.get(skill.name)
        if source.openapi is not None and address is not None:
            source = source.model_copy(update={"base_url": address})
        elif source.settings:
            settled = {name: self._settled(value) for name, value in source.settings.items()}
            source = source.model_copy(update={"settings": settled})
        else:
            return skill
        return replace(skill, manifest=skill.manifest.model_copy(update={"source": source}))

    def _settled(self, value: Any) -> Any:
        """A setting with `{home}` and `{trusted_hosts}` filled in."""
        if value == "{trusted_hosts}":
            return list(self._egress.rules.trusted_hosts)
        return value.replace("{home}", str(self._home)) if isinstance(value, str) else value
