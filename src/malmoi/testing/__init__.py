"""Fakes for tests of what is built on Malmoi: an engine with a script, an upstream server with faults."""

from malmoi.engine.scripted import RecordedRequest, Rule, Script, ScriptedCall, ScriptedEngine
from malmoi.testing.faults import Fault
from malmoi.testing.upstream import FakeUpstream, UpstreamRequest

__all__ = [
    "FakeUpstream",
    "Fault",
    "RecordedRequest",
    "Rule",
    "Script",
    "ScriptedCall",
    "ScriptedEngine",
    "UpstreamRequest",
]
