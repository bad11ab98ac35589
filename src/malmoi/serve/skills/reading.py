"""Reads of skills without a query: for templates that name a skill and show what it knows.

Such a call goes the way of every other one: the caller's rights and keys, the way out, limits, a run with its
stages, and the audit. No model is asked, nobody is asked for a yes, and so nothing that changes something can
be called here. The skill need not be switched on: that is for questions that look for a skill by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from malmoi.assist.skills.running import DirectCall, RunRequest
from malmoi.core.errors import Forbidden, SkillUnavailable
from malmoi.serve.identity import Scope

if TYPE_CHECKING:
    from malmoi.assist.skills.loading import LoadedSkill
    from malmoi.assist.skills.operation import Operation
    from malmoi.serve.identity import Principal
    from malmoi.serve.skills.service import Skills


class SkillReading:
    """Reads of one caller.

    Args:
        skills: of the server.
        principal: the caller.
        language: of the person.
    """

    def __init__(self, skills: Skills, principal: Principal, language: Literal["ko", "en"]) -> None:
        self._skills = skills
        self._principal = principal
        self._language: Literal["ko", "en"] = language

    async def parameters(self, skill: str, operation: str) -> Mapping[str, Any]:
        """The JSON schema of a read's arguments.

        Raises:
            Forbidden: the caller has no right to skills, or the operation changes something.
            NotFound, UnknownName: there is no such skill, or operation.
            SkillUnavailable: it cannot be opened, or the caller's key for it is missing.
            MalmoiError: it cannot be opened.
        """
        _, known, _ = await self._find(skill, operation)
        return known.parameters

    async def read(self, skill: str, operation: str, arguments: Mapping[str, Any], *, about: str = "") -> Any:
        """What a read returns, trimmed as for a model.

        Args:
            skill: its name.
            operation: its name.
            arguments: that fit its schema.
            about: what the run is called in the list of runs.

        Raises:
            InvalidInput: arguments that do not fit.
            SkillUnavailable: it does not answer, refuses, or its answer is too long to be read whole.
            Overloaded: too many runs of this account are under way.
            MalmoiError: as `parameters` does.
        """
        loaded, known, credentials = await self._find(skill, operation)
        runs, principal = self._skills.runs, self._principal
        with self._skills._slot(principal):
            now = datetime.now().astimezone()
            kept = {"language": self._language, "zone": "", "skills": [skill], "turns": [], "documents": []}
            run_id = await runs.begin(
                principal.account_id, query=about, model="", conversation="", request=kept
            )
            request = RunRequest(
                run_id=run_id,
                account_id=principal.account_id,
                query=about,
                skills=[loaded],
                now=now,
                language=self._language,
                credentials={skill: credentials},
                direct=DirectCall(skill, known.name, dict(arguments)),
            )
            observed: dict[str, Any] = {}
            async with aclosing(self._skills._stages(principal, request)) as stages:
                async for stage in stages:
                    if stage.kind == "observed":
                        observed = stage.data
        if not observed or observed["is_error"]:
            raise SkillUnavailable(f"{skill}.{operation} gave no answer that can be read.")
        try:
            return json.loads(observed["text"])
        except ValueError as error:  # it was cut
            raise SkillUnavailable(f"{skill}.{operation} answered more than can be read.") from error

    async def _find(self, skill: str, operation: str) -> tuple[LoadedSkill, Operation, dict[str, str]]:
        if not self._principal.may(Scope.SKILLS):
            raise Forbidden("this API key lacks the right skills.", fix="Use another key.")
        loaded = await self._skills.load(self._principal, skill)
        known = loaded.operation(operation)
        if known.effect != "read":
            raise Forbidden(f"{skill}.{operation} changes something; it is called by a person alone.")
        credentials = await self._skills.given(self._principal, loaded)
        if missing := loaded.missing(credentials):
            raise SkillUnavailable(
                f"{skill} needs your {', '.join(missing)}.", fix="Give it in the settings."
            )
        return loaded, known, credentials
