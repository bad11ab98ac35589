"""How fast a model writes before and after: both in turn, in one run, by the engine that will serve them."""

import asyncio
from pathlib import Path
from statistics import median

from malmoi.engine.base import Engine, Sampling
from malmoi.engine.open import open_engine
from malmoi.engine.options import EngineOptions

TOKENS = 96
REPEATS = 3
CONTEXT = 512


def measure_decode(before: Path, after: Path, *, prompt: str, home: Path) -> tuple[list[float], list[float]]:
    """Tokens a second of both GGUF files, one figure a repeat.

    Both stay open and write in turn, so that whatever else the machine does meets them alike.
    """
    return asyncio.run(_measure(before, after, prompt, home))


def middle(speeds: list[float]) -> float:
    """The median of repeats."""
    return float(median(speeds))


async def _measure(before: Path, after: Path, prompt: str, home: Path) -> tuple[list[float], list[float]]:
    options = EngineOptions(context_length=CONTEXT, slots=1)
    engines: list[Engine] = []
    speeds: tuple[list[float], list[float]] = ([], [])
    try:
        engines.append(await open_engine(f"path:{before}", home=home, options=options))
        engines.append(await open_engine(f"path:{after}", home=home, options=options))
        for engine in engines:
            await _speed(engine, prompt, 8)  # the first run touches the weights on disk
        for _ in range(REPEATS):
            for engine, found in zip(engines, speeds, strict=True):
                found.append(await _speed(engine, prompt, TOKENS))
    finally:
        for engine in engines:
            await engine.close()
    return speeds


async def _speed(engine: Engine, prompt: str, tokens: int) -> float:
    sampling = Sampling(max_tokens=tokens, temperature=0.0, ignore_eos=True, cache_prompt=False)
    (answer,) = await engine.generate([prompt], sampling)
    return answer.usage.completion_tokens / max(answer.usage.completion_seconds, 1e-9)
