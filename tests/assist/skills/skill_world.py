"""Skills, a model and approvals for tests: everything does exactly what the test says."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.loading import LoadedSkill, lay_over
from malmoi.assist.skills.manifest import Manifest, Skill
from malmoi.assist.skills.operation import CallContext, Operation, Result
from malmoi.assist.skills.routing import Router
from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.assist.skills.routing.weighing import Weights
from malmoi.assist.skills.running import RunRequest, SkillRunner
from malmoi.core.types import Chat
from malmoi.engine.base import Chunk, Completion, Sampling, Usage

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def embed(texts: Sequence[str]) -> np.ndarray:
    """Vectors of hashed n-grams: texts that look alike are near each other."""
    return letter_vectors(texts)


@dataclass
class World:
    """A provider that answers as it is told, and notes every call."""

    operations_: Sequence[Operation]
    results: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any], CallContext]] = field(default_factory=list)
    closed: bool = False

    async def operations(self) -> Sequence[Operation]:
        return self.operations_

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        self.calls.append((operation, dict(arguments), context))
        told = self.results.get(operation, Result(data={"done": operation}))
        if callable(told):
            told = await told(arguments, context)
        if isinstance(told, Exception):
            raise told
        return told

    async def close(self) -> None:
        self.closed = True


def operation(
    name: str, effect: str = "read", /, required: Sequence[str] = (), **properties: Mapping[str, Any]
) -> Operation:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return Operation(name, f"{name}.", schema, effect, {"ko": f"{name} 하기"})  # type: ignore[arg-type]


def skill(
    name: str,
    operations: Sequence[Operation],
    examples: Mapping[str, str] | Sequence[Mapping[str, Any]] = (),
    *,
    limits: SkillLimits | None = None,
    origin: str = "builtin",
    **more: Any,
) -> tuple[LoadedSkill, World]:
    """A loaded skill and the provider behind it; `examples` are query -> operation."""
    told = (
        [{"query": query, "operation": one} for query, one in examples.items()]
        if isinstance(examples, Mapping)
        else list(examples)
    )
    manifest = Manifest.model_validate(
        {
            "name": name,
            "domain": name,
            "version": "1",
            "description": f"{name} things.",
            "people": {"ko": {"name": name, "description": name}},
            "examples": told,
            "source": {"python": "a:B"},
            **more,
        }
    )
    world = World(operations)
    made = Skill(manifest, Path("."), origin)  # type: ignore[arg-type]
    loaded = LoadedSkill(made, world, lay_over(made, operations), manifest.auth, limits or SkillLimits())
    return loaded, world


@dataclass
class Model:
    """A scripted model: `answers` in order, objects where a schema is asked for; it notes every chat."""

    answers: list[Any] = field(default_factory=list)
    chats: list[Chat] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    tokens: int = 10

    def _next(self, chat: Chat, sampling: Sampling) -> str:
        self.chats.append(chat)
        self.samplings.append(sampling)
        told = self.answers.pop(0) if self.answers else ({} if sampling.json_schema else "ok")
        if callable(told):
            told = told(chat, sampling)
        if isinstance(told, Exception):
            raise told
        return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        text = self._next(chat, sampling)
        return Completion(text, "stop", usage=Usage(self.tokens, self.tokens))

    async def stream(self, chat: Chat, sampling: Sampling) -> AsyncIterator[Chunk]:
        text = self._next(chat, sampling)
        for piece in text.split(" "):
            yield Chunk(text=piece + " ")
        yield Chunk(finish_reason="stop", usage=Usage(self.tokens, self.tokens))

    def texts(self) -> str:
        """Everything that the model has been told."""
        return "\n".join(
            f"{one.content}{[call.arguments for call in one.tool_calls]}"
            for chat in self.chats
            for one in chat.messages
        )


@dataclass
class Yes:
    """Approvals as a server keeps them: bound, and used once."""

    given: set[tuple[str, str, str, str]] = field(default_factory=set)

    def give(self, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> None:
        self.given.add((account_id, run_id, call_id, arguments_hash))

    async def use(self, *, account_id: str, run_id: str, call_id: str, arguments_hash: str) -> bool:
        key = (account_id, run_id, call_id, arguments_hash)
        found = key in self.given
        self.given.discard(key)
        return found


def runner(approvals: Yes | None = None, **limits: Any) -> SkillRunner:
    router = Router(embed, weights=Weights(sure=0.0))
    return SkillRunner(router, approvals or Yes(), limits=SkillLimits(**limits))


async def run(made: SkillRunner, query: str, *skills: LoadedSkill, **more: Any) -> list[Any]:
    """All events of a run."""
    request = RunRequest(
        **{
            "run_id": "r1",
            "account_id": "a1",
            "query": query,
            "skills": skills,
            "now": NOW,
            **more,
        }
    )
    return [event async for event in made.run(request)]


def kinds(events: Sequence[Any]) -> list[str]:
    return [event.kind for event in events]


def text(events: Sequence[Any]) -> str:
    return "".join(event.text for event in events if event.kind == "text")


def one(events: Sequence[Any], kind: str) -> Any:
    [found] = [event for event in events if event.kind == kind]
    return found
