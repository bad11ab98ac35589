"""What a tool is, and what it is given when it is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from malmoi.serve.identity import require
from malmoi.serve.mcp.material import Material
from malmoi.serve.mcp.types import Answer, Arguments

if TYPE_CHECKING:
    from malmoi.serve.identity import Principal
    from malmoi.serve.services import Services


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool.

    Attributes:
        services: what the tools work with.
        principal: who calls.
        material: how texts of others are told.
        progress: tells the client how far the call is: a number that grows, and a sentence.
    """

    services: Services
    principal: Principal
    material: Material
    progress: Callable[[float, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Told:
    """The answer of a tool: `text` for models that read, `data` for programs."""

    text: str
    data: Answer


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. None of them changes anything.

    Attributes:
        name: for the model.
        title: for people.
        description: what it does and when to use it, for the model.
        rights: one of these is needed.
        takes: its arguments.
        gives: its answer.
        work: does it.
        is_open: whether it may reach beyond this server.
    """

    name: str
    title: str
    description: str
    rights: tuple[str, ...]
    takes: type[Arguments]
    gives: type[Answer]
    work: Callable[[Call, Any], Awaitable[Told]]
    is_open: bool = False

    def may(self, principal: Principal) -> bool:
        """Whether a caller has the right."""
        return any(principal.may(right) for right in self.rights)

    def check(self, principal: Principal) -> None:
        """Raise Forbidden unless the caller has the right."""
        require(*self.rights).check(principal)


def material_for(services: Services, principal: Principal) -> Material:
    """Texts of others as the guard's policy for this caller has them told; they always get their marks."""
    policy = services.inference.guard(principal).policy.fence
    return Material(policy.threshold, cuts=policy.injection == "mask")
