"""An engine whose answers are kept: what it was asked before, it is not asked again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.types import Chat
from malmoi.engine.base import Chunk, Completion, Engine, EngineInfo, Prompt, Role, Sampling, Score, Usage
from malmoi.evals.harness.ledger import Ledger, request_key


class KeptEngine:
    """An engine behind a ledger; only `generate` is kept.

    Args:
        engine: who answers.
        model: what stands for its model in the ledger.
        ledger: its answers so far.
    """

    def __init__(self, engine: Engine, *, model: str, ledger: Ledger) -> None:
        self._engine = engine
        self._model = model
        self._ledger = ledger

    @property
    def info(self) -> EngineInfo:
        """The engine's."""
        return self._engine.info

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """The engine's; not kept."""
        return self._engine.stream(prompt, sampling)

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Answers from the ledger, and for the rest from the engine; text, reason and counts are kept."""
        keys = [self._key(prompt, sampling) for prompt in prompts]
        rows = {key: row for key in keys if (row := self._ledger.get(key)) is not None}
        open_ = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in rows}
        if open_:
            done = await self._engine.generate(list(open_.values()), sampling)
            new = [
                (
                    key,
                    {
                        "text": answer.text,
                        "finish_reason": answer.finish_reason,
                        "prompt_tokens": answer.usage.prompt_tokens,
                        "completion_tokens": answer.usage.completion_tokens,
                    },
                )
                for key, answer in zip(open_, done, strict=True)
            ]
            self._ledger.add(new)
            rows.update(new)
        return [
            Completion(
                text=row["text"],
                finish_reason=row["finish_reason"],
                usage=Usage(row["prompt_tokens"], row["completion_tokens"]),
            )
            for row in (rows[key] for key in keys)
        ]

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """The engine's; not kept."""
        return await self._engine.score(pairs)

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """The engine's; not kept."""
        return await self._engine.embed(texts, role=role)

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The engine's."""
        return await self._engine.tokenize(prompt)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    def _key(self, prompt: Prompt, sampling: Sampling) -> str:
        said: Any = asdict(prompt) if isinstance(prompt, Chat) else prompt
        kind, length = self._engine.info.kind, self._engine.info.context_length
        return request_key(self._model, "kept", kind, length, said, asdict(sampling))
