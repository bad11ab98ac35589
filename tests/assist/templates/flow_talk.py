"""Talk to a template with a scripted engine, as the chat does."""

import json
from dataclasses import dataclass, field
from typing import Any

from malmoi.assist.templates import Form, Occasion, Template, Turn, answer, fill_form, load_builtin, opening
from malmoi.assist.templates.flows.flow import Reads
from malmoi.assist.templates.trials import EngineWriter
from malmoi.core.types import Chat
from malmoi.engine.scripted import ScriptedEngine

MARK = "0123456789"


@dataclass
class Talk:
    """A conversation from a template; `say` adds a turn and returns the answer."""

    template: Template
    form: Form
    engine: ScriptedEngine
    branch: list[Turn] = field(default_factory=list)
    calls: int = 0
    reads: Reads | None = None

    async def say(self, text: str) -> str:
        self.branch.append(Turn("user", text))
        writer = EngineWriter(self.engine)
        occasion = Occasion(self.template, self.form, tuple(self.branch), reads=self.reads)
        said, notes = "", None
        async for piece in answer(occasion, writer):
            said += piece.text
            notes = piece.notes if piece.notes is not None else notes
        self.calls = writer.calls
        self.branch.append(Turn("assistant", said, notes))
        return said

    def prompts(self) -> list[str]:
        """All that the engine was told, a text a request."""
        return [
            "\n".join(message.content for message in request.prompt.messages)
            for request in self.engine.requests
            if isinstance(request.prompt, Chat)
        ]


def talk(name: str, engine: ScriptedEngine | None = None, *, language: Any = "ko", **values: str) -> Talk:
    """Begin a conversation; the marks are known."""
    template = load_builtin()[name]
    form = fill_form(template, language, values).model_copy(update={"mark": MARK})
    first = opening(template, form)
    return Talk(template, form, engine or ScriptedEngine(), [Turn("assistant", first)] if first else [])


def as_json(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)
