"""Fakes for tests of what is built on Malmoi: an engine with a script, an upstream server with faults."""

from malmoi.engine.scripted import RecordedRequest, Rule, Script, ScriptedCall, ScriptedEngine

__all__ = ["RecordedRequest", "Rule", "Script", "ScriptedCall", "ScriptedEngine"]
