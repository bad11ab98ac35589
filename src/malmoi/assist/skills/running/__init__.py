"""One run of skills: route, plan, ask, call, observe, answer; every stage is an event."""

from malmoi.assist.skills.running.events import (
    Asked,
    Called,
    CardShown,
    Confirm,
    Ended,
    Event,
    FileMade,
    Observed,
    Planned,
    Routed,
    TextAdded,
)
from malmoi.assist.skills.running.request import Approvals, DirectCall, RunRequest
from malmoi.assist.skills.running.runner import SkillRunner
from malmoi.assist.skills.running.state import Pending, RunState, arguments_hash

__all__ = [
    "Approvals",
    "Asked",
    "Called",
    "CardShown",
    "Confirm",
    "DirectCall",
    "Ended",
    "Event",
    "FileMade",
    "Observed",
    "Pending",
    "Planned",
    "Routed",
    "RunRequest",
    "RunState",
    "SkillRunner",
    "TextAdded",
    "arguments_hash",
]
