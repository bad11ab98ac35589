"""A client that streams chat completions and notes when each piece came; it asks both sides alike."""

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
    cached_tokens: int = 0

    @property
    def decode_rate(self) -> float:
        """Tokens per second after the first."""
        return (self.num_tokens - 1) / (self.last - self.first)


async def stream_once(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> Timing:
    """Send one request and read its stream to the end.

    Raises:
        EngineError: the server refused it or gave fewer than two tokens.
    """
    start = perf_counter()
    first = last = 0.0
    usage: dict[str, Any] = {}
    async with client.stream("POST", url, json=body) as response:
        if response.status_code != 200:
            raise EngineError(f"{url} answered {response.status_code}: {(await response.aread())[:300]!r}.")
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            if any(choice["delta"].get("content") for choice in event.get("choices", ())):
                last = perf_counter() - start
                first = first or last
    num_tokens = int(usage.get("completion_tokens", 0))
    if num_tokens < 2:
        raise EngineError(f"{url} gave {num_tokens} tokens; at least two are needed to time it.")
    details = usage.get("prompt_tokens_details") or {}
    return Timing(first, last, num_tokens, int(details.get("cached_tokens") or 0))


async def stream_many(client: httpx.AsyncClient, url: str, bodies: Sequence[dict[str, Any]]) -> float:
    """Send all requests at once; the tokens per second of all together."""
    start = perf_counter()
    timings = await asyncio.gather(*(stream_once(client, url, body) for body in bodies))
    return sum(timing.num_tokens for timing in timings) / (perf_counter() - start)
