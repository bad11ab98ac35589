"""The stage `complete`: what the finished model writes, through the engine that will serve it.

It is the last proof of a recipe: the model is opened as `malmoi serve` and `malmoi chat` open it, and
continues each prompt. A recipe that ends with it has shown a served completion.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json
from malmoi.core.stage import Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact, ArtifactKind


class CompleteConfig(StageConfig):
    """Prompts, and how to continue them."""

    prompts: tuple[str, ...] = Field(min_length=1)
    """Texts to continue."""
    max_tokens: int = Field(default=64, ge=1)
    """Longest continuation, in tokens."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 always takes the likeliest token."""
    repetition_penalty: float = Field(default=1.1, gt=0.0)
    """More than 1 makes repeated tokens less likely; small models need it."""


class CompleteStage(Stage[CompleteConfig]):
    """Continue prompts with the model that a stage made."""

    config = CompleteConfig
    kind: ClassVar[ArtifactKind] = "report"
    inputs: ClassVar[Mapping[str, Input]] = {"model": Input(("quantized", "model"))}

    def run(
        self, config: CompleteConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Write completions.json: prompt, text and finish reason of each."""
        rows = asyncio.run(_complete(config, inputs["model"], context))
        write_json(out / "completions.json", [{key: row[key] for key in _CONTENT} for row in rows])
        (out / "about").mkdir()
        write_json(out / "about" / "speed.json", rows)
        return {"completions": len(rows)}


_CONTENT = ("prompt", "text", "finish_reason")


async def _complete(config: CompleteConfig, model: Artifact, context: StageContext) -> list[dict[str, Any]]:
    from malmoi.engine.base import Sampling
    from malmoi.engine.open import open_engine
    from malmoi.engine.options import EngineOptions

    files = sorted(model.path.glob("*.gguf"))
    path = files[0] if files else model.path
    if not files and not (path / "config.json").is_file():
        raise InvalidInput(f"{model.id} holds neither a GGUF file nor config.json.", field="inputs.model")
    rows: list[dict[str, Any]] = []
    with context.progress.task("Complete", total=len(config.prompts), unit="prompts") as task:
        options = EngineOptions(threads=os.cpu_count(), slots=1)
        engine = await open_engine(f"path:{path}", home=context.home, options=options)
        try:
            sampling = Sampling(
                max_tokens=config.max_tokens,
                temperature=config.temperature,
                repetition_penalty=config.repetition_penalty,
                seed=context.seed,
            )
            for prompt in config.prompts:
                (completion,) = await engine.generate([prompt], sampling)
                usage = completion.usage
                speed = (
                    usage.completion_tokens / usage.completion_seconds if usage.completion_seconds else 0.0
                )
                rows.append(
                    {
                        "prompt": prompt,
                        "text": completion.text,
                        "finish_reason": completion.finish_reason,
                        "tokens_per_second": round(speed, 1),
                    }
                )
                context.progress.note(f"{prompt} » {completion.text.strip()}")
                task.advance(1, **{"tokens/s": round(speed, 1)})
        finally:
            await engine.close()
    return rows
