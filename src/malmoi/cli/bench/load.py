"""A client that streams answers and notes when each piece came; it asks both sides of a comparison alike."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx

from malmoi.core.errors import EngineError


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from sending the request to its first text and to its last; how many tokens came."""

    first: float
    last: float
    num_tokens: int

    @property
    def decode_rate(self) -> float:
        """Tokens per second after the first."""
        return (self.num_tokens - 1) / (self.last - self.first)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: where to send which request. `fields` go into every body."""

    client: httpx.AsyncClient
    url: str
    fields: dict[str, Any]

    async def ask(self, prompt: dict[str, Any], *, tokens: int) -> Timing:
        """Stream one answer of at most `tokens` tokens to its end.

        Raises:
            EngineError: the server refused it, went away, or gave no text.
        """
        try:
            return await self._ask(prompt, tokens)
        except httpx.TransportError as error:
            raise EngineError(f"{self.url}: {error or type(error).__name__}.") from error

    async def _ask(self, prompt: dict[str, Any], tokens: int) -> Timing:
        body = {**self.fields, **prompt, self.fields.get("_length", "max_tokens"): tokens}
        body.pop("_length", None)
        start = perf_counter()
        first = last = 0.0
        num_tokens = 0
        async with self.client.stream("POST", self.url, json=body) as response:
            if response.status_code != 200:
                raise EngineError(f"{self.url} answered {response.status_code}: {await response.aread()!r}.")
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    raise EngineError(f"{self.url} failed on the way: {event['error']}.")
                num_tokens = _count(event) or num_tokens
                if _has_text(event):
                    last = perf_counter() - start
                    first = first or last
        if not last:
            raise EngineError(f"{self.url} gave no text.")
        return Timing(first, last, num_tokens)

    async def ask_together(self, prompts: Sequence[dict[str, Any]], *, tokens: int) -> float:
        """Ask all at once; the tokens per second of all together."""
        start = perf_counter()
        timings = await asyncio.gather(*(self.ask(prompt, tokens=tokens) for prompt in prompts))
        return sum(timing.num_tokens for timing in timings) / (perf_counter() - start)


def _has_text(event: dict[str, Any]) -> bool:
    if "choices" in event:  # an OpenAI API
        return any(
            choice.get("text") or choice.get("delta", {}).get("content") for choice in event["choices"]
        )
    return bool(event.get("content"))  # llama.cpp's own


def _count(event: dict[str, Any]) -> int:
    usage = event.get("usage") or {}
    return int(usage.get("completion_tokens", 0) or event.get("tokens_predicted", 0))
