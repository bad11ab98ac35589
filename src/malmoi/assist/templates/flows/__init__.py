"""Flows: small state machines that drive a conversation where a small model would lose its way.

All that a flow knows is the branch: the messages, and the notes that it left with its own. So an edited
message, another answer and a second branch need no further thought.
"""

from functools import lru_cache

from malmoi.assist.templates.flows.flow import Flow
from malmoi.core.registry import Registry


@lru_cache
def flows() -> Registry[Flow]:
    """All flows by name; packages add theirs under the entry point group `malmoi.flows`."""
    registry: Registry[Flow] = Registry("flow", Flow)
    for name, target in (
        ("counselling", "malmoi.assist.templates.flows.counselling:counselling"),
        ("dialect", "malmoi.assist.templates.flows.dialect:dialect"),
        ("document", "malmoi.assist.templates.flows.document:document"),
        ("interview", "malmoi.assist.templates.flows.interview:interview"),
        ("quiz", "malmoi.assist.templates.flows.quiz:quiz"),
        ("trip", "malmoi.assist.templates.flows.trip:trip"),
    ):
        registry.add(name, target)
    return registry
