"""What a run remembers while it waits for a person's yes. Plain values: the server keeps it, nobody else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from malmoi.assist.skills.planning.planner import Observation


def arguments_hash(skill: str, operation: str, arguments: Mapping[str, Any]) -> str:
    """What an approval is bound to: the operation and its very arguments, as 64 hexadecimal digits."""
    told = json.dumps(
        [skill, operation, arguments], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    )
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits for a yes."""

    call_id: str
    skill: str
    operation: str
    arguments: dict[str, Any]

    @property
    def hash(self) -> str:
        """What the approval must name."""
        return arguments_hash(self.skill, self.operation, self.arguments)


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that the query asks for: one operation, and the words that ask for it.

    `earlier` is the query before, where this one is understood only with it.
    """

    query: str
    skill: str
    operation: str
    earlier: str = ""


@dataclass(slots=True)
class RunState:
    """Where a run stands.

    Attributes:
        query: what the person has said.
        goals: that are still open; the first one is being worked on.
        observations: results so far.
        said: sentences of skills, which are the answer or its beginning.
        unsaid: whether a result has no sentence of its own, so that the model must tell it.
        seen: hashes of the calls so far, with how many results there were before each: a loop is seen by it.
        steps: calls so far.
        prompt_tokens: used so far.
        completion_tokens: used so far.
        pending: the call that waits.
    """

    query: str
    goals: list[Goal] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    unsaid: bool = False
    seen: list[str] = field(default_factory=list)
    steps: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pending: Pending | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "RunState":
        """The state that `to_json` has told of."""
        pending = told.get("pending")
        return cls(
            **{
                **told,
                "goals": [Goal(**one) for one in told["goals"]],
                "observations": [Observation(**one) for one in told["observations"]],
                "pending": Pending(**pending) if pending else None,
            }
        )
