"""Skills that are open: each is opened at its first use, for all or, where it tells more, for one key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from malmoi.assist.egress import Egress
from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.loading import LoadedSkill, open_skill
from malmoi.assist.skills.manifest import Skill
from malmoi.core.errors import MalmoiError, SkillUnavailable, Unauthenticated
from malmoi.serve.skills.sandbox import SandboxWay, is_sandboxed

_TRY_AGAIN = 30.0  # seconds until a skill that could not be opened is tried again
_MOST_KEYED = 64  # skills that are open with somebody's key

_Place: TypeAlias = tuple[str, str]  # a skill's name, and a mark of the key that it was opened with


@dataclass(frozen=True, slots=True)
class _Failure:
    error: MalmoiError
    at: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.at < _TRY_AGAIN


class KeyNeeded(SkillUnavailable):
    """A skill whose server tells what it can do only to those who have a key that it knows."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the server of {name!r} wants your key before it tells what it can do.",
            fix="Give it in the settings of the skill.",
        )


class OpenSkills:
    """Opens skills, and keeps them open.

    What a server tells to one key it need not tell to another: a skill that nobody can open without a key is
    opened for each key by itself, and nobody sees what another's key has opened.

    Args:
        egress: the way out.
        limits: of a call.
        sandbox: what answers the skills that are made for it.
    """

    def __init__(self, egress: Egress, limits: SkillLimits, sandbox: SandboxWay) -> None:
        self._egress = egress
        self._limits = limits
        self._sandbox = sandbox
        self._opened: OrderedDict[_Place, LoadedSkill] = OrderedDict()
        self._failed: dict[_Place, _Failure] = {}
        self._keyed: set[str] = set()
        self._turns: dict[str, asyncio.Lock] = {}

    async def load(self, skill: Skill, given: Mapping[str, str]) -> LoadedSkill:
        """A skill that can be called by somebody with these credentials.

        Raises:
            KeyNeeded: its server tells what it can do only to those who have a key.
            ConfigError, SkillUnavailable, MissingExtra: it cannot be opened.
        """
        # One at a time opens it; a server that is slow to answer holds up no other skill.
        async with self._turns.setdefault(skill.name, asyncio.Lock()):
            if skill.name not in self._keyed:
                try:
                    return await self._load(skill, {})
                except Unauthenticated as error:
                    if skill.manifest.auth.kind == "none":
                        raise SkillUnavailable(
                            f"the server of {skill.name!r} wants a key.",
                            fix="Say in [auth] of its skill.toml how the key is sent.",
                        ) from error
                    self._keyed.add(skill.name)
            if not given:
                raise KeyNeeded(skill.name)
            try:
                return await self._load(skill, given)
            except Unauthenticated as error:
                raise KeyNeeded(skill.name) from error

    async def forget(self, name: str) -> None:
        """Close a skill that is not there any more, or has changed."""
        # One that is being opened just now is as it was before.
        async with self._turns.setdefault(name, asyncio.Lock()):
            self._keyed.discard(name)
            self._failed = {place: failure for place, failure in self._failed.items() if place[0] != name}
            await self._close([place for place in self._opened if place[0] == name])

    async def close(self) -> None:
        """Close all that are open."""
        await self._close(list(self._opened))

    async def _load(self, skill: Skill, given: Mapping[str, str]) -> LoadedSkill:
        place = (skill.name, _mark(given))
        if place in self._opened:
            self._opened.move_to_end(place)
            return self._opened[place]
        self._failed = {one: failure for one, failure in self._failed.items() if failure.is_fresh}
        if place in self._failed:
            raise self._failed[place].error
        try:
            loaded = await self._open(skill, given)
        except Unauthenticated:
            raise
        except MalmoiError as error:
            self._failed[place] = _Failure(error, time.monotonic())
            raise
        self._opened[place] = loaded
        keyed = [one for one in self._opened if one[1]]
        await self._close(keyed[: max(0, len(keyed) - _MOST_KEYED)])
        return loaded

    async def _open(self, skill: Skill, given: Mapping[str, str]) -> LoadedSkill:
        """Open a skill; its server gets the caller's key only where it tells nothing without one."""
        return await open_skill(
            skill,
            egress=self._egress,
            limits=self._limits,
            way=self._sandbox if is_sandboxed(skill) else None,
            given=given or None,
        )

    async def _close(self, places: Sequence[_Place]) -> None:
        for loaded in [self._opened.pop(place) for place in places]:
            await loaded.close()


def _mark(given: Mapping[str, str]) -> str:
    """What tells one key from another without being it."""
    if not given:
        return ""
    text = json.dumps(dict(given), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
