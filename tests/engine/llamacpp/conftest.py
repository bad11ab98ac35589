"""Engines over a scripted server, and where a real model is."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from llamacpp_server import FakeChild, ScriptedServer, real_model

from malmoi.engine.base import Capability, EngineInfo, Sampling
from malmoi.engine.llamacpp.connection import Connection
from malmoi.engine.llamacpp.engine import LlamaCppEngine
from malmoi.engine.llamacpp.process import ServerSpec
from malmoi.engine.llamacpp.prompts import PromptWriter
from malmoi.engine.llamacpp.requests import with_defaults
from malmoi.engine.llamacpp.supervisor import Supervisor, Watch


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()


@pytest.fixture
async def open_fake(server: ScriptedServer) -> AsyncIterator[Callable[..., Any]]:
    """Opens an engine whose child is the scripted server."""
    opened: list[LlamaCppEngine] = []

    async def open_engine(
        *,
        template: Any = None,
        adapters: tuple[str, ...] = (),
        extra: tuple[Capability, ...] = (),
        bos_token: str = "",
        adds_bos: bool = False,
        slots: int = 2,
    ) -> LlamaCppEngine:
        async def start(spec: ServerSpec, *, timeout: float) -> Any:
            return FakeChild(Connection(server.port, "key"))

        spec = ServerSpec(model=Path("m.gguf"), context_length=64, slots=slots, threads=1)
        supervisor = Supervisor(spec, name="m", start=start, watch=Watch(every=60))
        await supervisor.start()
        chat: tuple[Capability, ...] = ("chat", "tools") if template else ()
        info = EngineInfo(
            name="m",
            kind="llamacpp",
            capabilities=frozenset(("generate", "logprobs", "grammar", "tokenize", *chat, *extra)),
            context_length=64,
            num_slots=slots,
            adapters=adapters,
            sampling_defaults=with_defaults(Sampling()),
        )
        engine = LlamaCppEngine(
            supervisor, info, prompts=PromptWriter("m", template, bos_token, adds_bos=adds_bos)
        )
        opened.append(engine)
        return engine

    yield open_engine
    for engine in opened:
        await engine.close()


@pytest.fixture
def fake_spec(tmp_path: Path) -> Callable[..., ServerSpec]:
    """Specifications of the child program over a fake of the native library."""

    def write(*load: str, **script: Any) -> ServerSpec:
        model = tmp_path / "model.json"
        model.write_text(json.dumps({"load": load, **script}))
        command = (sys.executable, str(Path(__file__).with_name("fake_child.py")))
        return ServerSpec(model=model, context_length=64, slots=2, threads=1, command=command)

    return write


@pytest.fixture
def model_file() -> Path:
    """See `real_model`."""
    return real_model()
