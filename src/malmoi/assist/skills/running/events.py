"""What happens in a run, as it happens. Each event is plain values; none of them holds a credential."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from malmoi.assist.skills.operation import Card, Exchange, File
from malmoi.assist.skills.planning.planner import Plan
from malmoi.assist.skills.routing import Routing
from malmoi.assist.skills.running.state import RunState
from malmoi.engine.base import Usage

EndReason: TypeAlias = Literal[
    "answered",
    "none",
    "asked",
    "confirm",
    "denied",
    "credentials",
    "failed",
    "steps",
    "seconds",
    "tokens",
    "loop",
]


@dataclass(frozen=True, slots=True)
class Routed:
    """Which operation the query is for, or none."""

    kind: ClassVar[str] = "routed"
    routing: Routing

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.routing.to_json()


@dataclass(frozen=True, slots=True)
class Planned:
    """The arguments of a call, or what they lack."""

    kind: ClassVar[str] = "planned"
    plan: Plan
    title: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.plan.to_json(), "title": self.title}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person has to say before the run can go on: a new query goes on with it."""

    kind: ClassVar[str] = "asked"
    question: str
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"question": self.question, "missing": list(self.missing)}


@dataclass(frozen=True, slots=True)
class Confirm:
    """A call that changes something waits for the person's yes. `state` is for the server alone.

    `final` says that it cannot be undone.
    """

    kind: ClassVar[str] = "confirm"
    call_id: str
    skill: str
    operation: str
    title: str
    arguments: dict[str, Any]
    arguments_hash: str
    final: bool
    state: RunState = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the state."""
        return {
            "call_id": self.call_id,
            "skill": self.skill,
            "operation": self.operation,
            "title": self.title,
            "arguments": self.arguments,
            "arguments_hash": self.arguments_hash,
            "final": self.final,
        }


@dataclass(frozen=True, slots=True)
class Called:
    """A call has begun."""

    kind: ClassVar[str] = "called"
    call_id: str
    skill: str
    operation: str
    title: str
    effect: str
    arguments: dict[str, Any]
    arguments_hash: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a call: `text` is what the model reads, `said` what the skill says itself."""

    kind: ClassVar[str] = "observed"
    call_id: str
    skill: str
    operation: str
    is_error: bool
    text: str
    said: str
    seconds: float
    code: str = ""
    exchanges: tuple[Exchange, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CardShown:
    """A card for the person."""

    kind: ClassVar[str] = "card"
    call_id: str
    skill: str
    card: Card

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"call_id": self.call_id, "skill": self.skill, "card": asdict(self.card)}


@dataclass(frozen=True, slots=True)
class FileMade:
    """A file for the person; its content is for the server to keep."""

    kind: ClassVar[str] = "file"
    call_id: str
    skill: str
    file: File

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the content."""
        return {
            "call_id": self.call_id,
            "skill": self.skill,
            "name": self.file.name,
            "media_type": self.file.media_type,
            "size": len(self.file.content),
        }


@dataclass(frozen=True, slots=True)
class TextAdded:
    """A piece of the answer; `source` says whose words they are."""

    kind: ClassVar[str] = "text"
    text: str
    source: Literal["skill", "model", "runner"]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over, or waits; no event comes after it."""

    kind: ClassVar[str] = "ended"
    reason: EndReason
    steps: int
    usage: Usage
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "reason": self.reason,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "cached_tokens": self.usage.cached_tokens,
        }


Event: TypeAlias = (
    Routed | Planned | Asked | Confirm | Called | Observed | CardShown | FileMade | TextAdded | Ended
)
