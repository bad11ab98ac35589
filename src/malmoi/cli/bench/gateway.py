"""The gateway against its engine called directly: the same model file, prompts, client and moment.

The peer is llama.cpp's own server in a child process of this one, asked at its own endpoint with the token
ids that the gateway's engine makes of the same conversation. Both sides are asked in turn, pair by pair, so
that a machine whose speed drifts slows both; a figure is the median over the pairs. The gateway runs as
`malmoi serve` does.
"""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import click
import httpx

from malmoi.cli.bench.load import Side
from malmoi.cli.bench.measure import BenchOptions, Measure, of_repeats
from malmoi.cli.bench.process import ServerProcess, serving
from malmoi.core.errors import EngineError
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Prompt

if TYPE_CHECKING:
    from malmoi.engine.llamacpp.engine import LlamaCppEngine

CONCURRENCY = (1, 2, 4, 8)
FIRST_TOKEN_PAIRS = 25
_COUNTED = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0,
    "repetition_penalty": 1.0,
}
_NO_KEEPING = httpx.Limits(max_keepalive_connections=0)
_QUESTIONS = (
    "1부터 200까지 숫자를 차례로 쉼표로 이어서 써 줘.",
    "List the numbers from 1 to 200 in order, separated by commas.",
    "세계의 나라 이름을 가나다순으로 끝없이 나열해 줘.",
    "Write the English alphabet again and again, one letter a line.",
    "한국의 산 이름을 아는 대로 모두 나열해 줘.",
    "List as many animals as you can, one a line.",
    "봄, 여름, 가을, 겨울을 계속 되풀이해서 써 줘.",
    "List as many programming languages as you can, one a line.",
)


def measure(options: BenchOptions) -> Iterator[Measure]:
    """All figures of the gateway, as they are ready."""
    with httpx.Client(timeout=600) as client:
        yield from _without_model(options, client)
        yield from _start(options, client)
    yield from asyncio.run(_compare(options))


def _without_model(options: BenchOptions, client: httpx.Client) -> Iterator[Measure]:
    _say("memory of the server without a model, page weight")
    with TemporaryDirectory() as home, serving(Path(home), "--set", "models.preload=false", "--set",
                                               "models.download=false") as server:  # fmt: skip
        _await_answer(client, server, "/readyz")
        scripts = _scripts(client, server.address + "/")
        client.get(server.address + "/api/session").raise_for_status()
        client.get(server.address + "/api/models").raise_for_status()
        yield Measure("gateway.memory", server.memory_mb(), "MB", goal=200, lower_is_better=True,
                      note="server and its children, no model, proportional set size")  # fmt: skip
    weight = sum(len(gzip.compress(source)) for source in scripts.values()) / 1000
    yield Measure("gateway.page_weight", weight, "kB", goal=200, lower_is_better=True,
                  note=f"{len(scripts)} JavaScript files of the first load, gzip")  # fmt: skip


def _start(options: BenchOptions, client: httpx.Client) -> Iterator[Measure]:
    _say("start to first token")
    seconds = []
    for _ in range(min(options.repeats, 5)):
        with serving(options.home, "--model", options.model) as server:
            _await_answer(client, server, "/readyz")
            seconds.append(asyncio.run(_first_answer(server)))
    note = f"`malmoi serve --model {options.model}`, installed, to the first token"
    yield of_repeats("gateway.start_to_first_token", seconds, "s", note=note)


async def _first_answer(server: ServerProcess) -> float:
    """Seconds from the start of the server to its first token."""
    async with httpx.AsyncClient(timeout=600) as client:
        item = (await client.get(server.address + "/api/models")).json()["items"][0]
        path, prompt = _request(
            Chat((Message("user", "안녕"),)) if "chat" in item["capabilities"] else "안녕"
        )
        sent = perf_counter() - server.started
        return sent + (await Side(client, server.address + path, _COUNTED).ask(prompt, tokens=1)).first


def _request(prompt: Prompt) -> tuple[str, dict[str, Any]]:
    """The OpenAI path and body for a chat, or for text where the model has no chat."""
    if isinstance(prompt, Chat):
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        return "/v1/chat/completions", {"messages": messages}
    return "/v1/completions", {"prompt": prompt}


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two sides, and the same prompts for each: `asked` of the gateway, `ids` of the engine."""

    gateway: Side
    direct: Side
    asked: list[dict[str, Any]]
    ids: list[dict[str, Any]]
    to_prompt: Callable[[str], Prompt]


async def _compare(options: BenchOptions) -> list[Measure]:
    from malmoi.engine.llamacpp.engine import LlamaCppEngine
    from malmoi.engine.open import open_engine

    engine = await open_engine(options.model, home=options.home)
    try:
        if not isinstance(engine, LlamaCppEngine):
            raise EngineError(f"{options.model} does not run in llama.cpp here.", fix="Choose a GGUF model.")
        with serving(options.home, "--model", options.model) as server:
            async for pair in _sides(engine, server):
                return [
                    *await _decode(pair, options),
                    await _first_token(pair),
                    await _prompt_cache(pair, options),
                    _memory(server),
                ]
    finally:
        await engine.close()
    return []


async def _sides(engine: "LlamaCppEngine", server: ServerProcess) -> AsyncIterator[_Pair]:
    address, key = await engine.native_address()
    has_chat = "chat" in engine.info.capabilities

    def to_prompt(text: str) -> Prompt:
        return Chat((Message("user", text),)) if has_chat else text

    prompts = [to_prompt(text) for text in _QUESTIONS]
    path, _ = _request(prompts[0])
    asked = [_request(prompt)[1] for prompt in prompts]
    ids: list[dict[str, Any]] = [{"prompt": list(await engine.tokenize(prompt))} for prompt in prompts]
    headers = {"Authorization": f"Bearer {key}"}
    native = {"stream": True, "temperature": 0, "_length": "n_predict", "repeat_penalty": 1.0}
    async with (
        # llama.cpp's server may close a connection that is kept: both sides get a new one for each request.
        httpx.AsyncClient(timeout=600, limits=_NO_KEEPING) as to_gateway,
        httpx.AsyncClient(timeout=600, limits=_NO_KEEPING, headers=headers) as to_engine,
    ):
        gateway = Side(to_gateway, server.address + path, _COUNTED)
        direct = Side(to_engine, address + "/completion", native)
        for side, bodies in ((gateway, asked), (direct, ids)):
            for body in bodies:  # both models in memory, all prompts in both caches
                await side.ask(body, tokens=2)
        yield _Pair(gateway, direct, asked, ids, to_prompt)


async def _decode(pair: _Pair, options: BenchOptions) -> list[Measure]:
    measures = []
    peer = f"engine called directly (llama.cpp by xllamacpp {version('xllamacpp')})"
    for concurrency in CONCURRENCY:
        ratios, rates = [], []
        for repeat in range(options.repeats):
            _say(f"decoding, {concurrency} at a time, {repeat + 1} of {options.repeats}")
            ours, theirs = await _decode_pair(pair, concurrency, options.tokens, swapped=bool(repeat % 2))
            ratios.append(ours / theirs)
            rates.append(ours)
        name = "gateway.decode_ratio" if concurrency == 1 else f"gateway.throughput_ratio_{concurrency}"
        measures.append(of_repeats(name, ratios, "x", peer=peer, goal=0.97))
        name = "gateway.decode" if concurrency == 1 else f"gateway.throughput_{concurrency}"
        measures.append(of_repeats(name, rates, "tokens/s", note=f"{options.model}, {concurrency} at a time"))
    return measures


async def _decode_pair(pair: _Pair, concurrency: int, tokens: int, *, swapped: bool) -> tuple[float, float]:
    """Tokens per second of the gateway and of the engine; which is asked first alternates."""

    async def rate(side: Side, prompts: list[dict[str, Any]]) -> float:
        if concurrency == 1:
            return (await side.ask(prompts[0], tokens=tokens)).decode_rate
        return await side.ask_together(prompts[:concurrency], tokens=tokens)

    if swapped:
        theirs = await rate(pair.direct, pair.ids)
        return await rate(pair.gateway, pair.asked), theirs
    ours = await rate(pair.gateway, pair.asked)
    return ours, await rate(pair.direct, pair.ids)


async def _first_token(pair: _Pair) -> Measure:
    _say("first token")
    added = []
    for number in range(FIRST_TOKEN_PAIRS):
        sides = [(pair.gateway, pair.asked), (pair.direct, pair.ids)]
        order = sides if number % 2 else sides[::-1]
        times = {id(side): (await side.ask(prompts[0], tokens=2)).first for side, prompts in order}
        added.append(1000 * (times[id(pair.gateway)] - times[id(pair.direct)]))
    ordered = sorted(added)
    return Measure(
        "gateway.first_token_added",
        median(added),
        "ms",
        peer="engine called directly",
        spread=(ordered[len(added) // 4], ordered[3 * len(added) // 4]),
        goal=5,
        lower_is_better=True,
        note=f"{FIRST_TOKEN_PAIRS} pairs with a cached prompt; the spread is the middle half",
    )


async def _prompt_cache(pair: _Pair, options: BenchOptions) -> Measure:
    """How much sooner a second turn starts because the first one's keys and values are kept."""
    gains = []
    for repeat in range(min(options.repeats, 3)):
        _say(f"prompt cache, {repeat + 1}")
        question = f"[{repeat}] " + " ".join(_QUESTIONS)
        follow_up = question + "\n\n네.\n\n계속해 줘."
        first = await pair.gateway.ask(_request(pair.to_prompt(question))[1], tokens=4)
        second = await pair.gateway.ask(_request(pair.to_prompt(follow_up))[1], tokens=4)
        gains.append(first.first / second.first)
    return of_repeats(
        "gateway.prompt_cache_gain",
        gains,
        "x",
        peer="first turn",
        goal=1.5,
        note="time to the first token of a new prompt over that of the prompt with some more text behind it",
    )


def _memory(server: ServerProcess) -> Measure:
    note = "server and engine together, the model file mapped into memory"
    return Measure("gateway.memory_with_model", server.memory_mb(), "MB", note=note)


def _await_answer(client: httpx.Client, server: ServerProcess, path: str) -> None:
    for _ in range(1200):
        try:
            if client.get(server.address + path).status_code == 200:
                return
        except httpx.TransportError:
            pass
        sleep(0.05)
    raise EngineError(f"{server.address}{path} was not ready within 60 s.")


def _scripts(client: httpx.Client, page: str) -> dict[str, bytes]:
    """All JavaScript that the page loads at once: its modules and what they import statically."""
    html = client.get(page).text
    found = re.search(r'<script type="importmap">(.*?)</script>', html, re.S)
    imports: dict[str, str] = httpx.Response(200, text=found[1]).json()["imports"] if found else {}
    waiting = [urljoin(page, source) for source in re.findall(r'<script[^>]+src="([^"]+)"', html)]
    seen: dict[str, bytes] = {}
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        response = client.get(url).raise_for_status()
        seen[url] = response.content
        for name in re.findall(
            r'(?:^|[;}\s])(?:import|export)\b[^"\'();]*?["\']([^"\']+)["\']', response.text
        ):
            target = imports.get(name, name if name.startswith((".", "/")) else None)
            if target is not None:
                waiting.append(urljoin(url, target))
    return seen


def _say(text: str) -> None:
    click.echo(click.style(f"  {text} ...", dim=True), err=True)
