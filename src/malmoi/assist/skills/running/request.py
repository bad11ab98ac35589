"""What a run is made of: the caller, the words, the skills that are on, and where approvals are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.operation import Documents, Language
from malmoi.assist.skills.planning.carried import ShownCard
from malmoi.assist.skills.planning.thinking import SkillModel
from malmoi.assist.skills.routing import Before, Demonstration
from malmoi.assist.skills.running.state import RunState
from malmoi.core.types import Message


class Approvals(Protocol):
    """Where approvals are kept. They are made by a person's own request, and used up here."""

    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        """Use up the approval of this very call: True the first time, False ever after."""
        ...


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A call that a person has chosen, such as by a card's button: nothing is routed or planned."""

    skill: str
    operation: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is made of.

    Attributes:
        run_id: unique; approvals are bound to it.
        account_id: the caller.
        query: what the person says.
        skills: that are switched on; nothing else can be called.
        now: the person's time, with its zone.
        language: of the person.
        model: the caller's model; None: nothing that needs one is done.
        credentials: the caller's own, by skill.
        turns: what was said before, oldest first.
        before: earlier queries and what they were for, oldest first.
        cards: of earlier replies, oldest first.
        demonstrations: what people have shown.
        documents: the caller's documents.
        at_hand: `(id, title)` of documents that this conversation is about.
        direct: a call instead of the query's own way.
        state: a run that goes on after its question was answered.
        always_tell: the model adds to the sentences of skills, even where they answer alone.
    """

    run_id: str
    account_id: str
    query: str
    skills: Sequence[LoadedSkill]
    now: datetime
    language: Language = "ko"
    model: SkillModel | None = None
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    turns: Sequence[Message] = ()
    before: Sequence[Before] = ()
    cards: Sequence[ShownCard] = ()
    demonstrations: Sequence[Demonstration] = ()
    documents: Documents | None = None
    at_hand: Sequence[tuple[str, str]] = ()
    direct: DirectCall | None = None
    state: RunState | None = None
    always_tell: bool = False
