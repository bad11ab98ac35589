"""A deterministic engine that answers by a script: no model, no waiting, the same every time.

It is what the tests of everything above engines run on, and what `scripted:file` opens for demonstrations.
"""

from malmoi.engine.scripted.engine import RecordedRequest, ScriptedEngine, open_scripted
from malmoi.engine.scripted.script import Rule, Script, ScriptedCall, load_script

__all__ = [
    "RecordedRequest",
    "Rule",
    "Script",
    "ScriptedCall",
    "ScriptedEngine",
    "load_script",
    "open_scripted",
]
