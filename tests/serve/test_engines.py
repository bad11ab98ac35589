"""The models that run: opened once, kept while used, closed for room, and tried again after a failure."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import EngineError, EngineUnavailable, NotFound, UnknownName
from malmoi.engine.catalog import Catalog
from malmoi.engine.scripted import ScriptedEngine
from malmoi.serve.engines import EnginePool
from malmoi.serve.settings import ModelSettings

REMOTE = {name: f"path:{name}.gguf" for name in ("a", "b", "c")}


class Opener:
    """Opens scripted engines, and remembers which."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.engines: dict[str, ScriptedEngine] = {}
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, ref: str, *, home: Path, options: Any) -> ScriptedEngine:
        self.opened.append(ref)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.engines[ref] = ScriptedEngine(name=ref)
        return self.engines[ref]

    def is_closed(self, name: str) -> bool:
        return self.engines[f"path:{name}.gguf"]._closed.is_set()


def pool(
    home: Path, opener: Opener, *, max_loaded: int = 2, patience: float = 5.0, **fields: Any
) -> EnginePool:
    settings = ModelSettings(default="a", preload=False, max_loaded=max_loaded, remote=REMOTE)
    catalog = Catalog(home)
    return EnginePool(
        home=home, settings=settings, catalog=catalog, opener=opener, patience=patience, **fields
    )


def state(it: EnginePool, name: str) -> str:
    return it.state(name).state


async def use(it: EnginePool, name: str) -> None:
    async with it.lease(name):
        pass


async def test_a_model_is_opened_once_however_many_ask(home: Path) -> None:
    opener = Opener()
    it = pool(home, opener)
    assert state(it, "a") == "installed"
    opener.gate.clear()
    users = [asyncio.create_task(use(it, "a")) for _ in range(5)]
    while not opener.opened:
        await asyncio.sleep(0)
    assert state(it, "a") == "loading"
    opener.gate.set()
    await asyncio.gather(*users)
    assert opener.opened == ["path:a.gguf"]
    assert state(it, "a") == "ready"
    await it.close()
    assert opener.is_closed("a")


async def test_one_who_gives_up_waiting_does_not_end_the_load(home: Path) -> None:
    opener = Opener()
    opener.gate.clear()
    it = pool(home, opener)
    impatient, patient = (asyncio.create_task(use(it, "a")) for _ in range(2))
    while not opener.opened:
        await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    opener.gate.set()
    await patient
    assert opener.opened == ["path:a.gguf"]
    await it.close()


async def test_the_one_unused_for_longest_makes_room(home: Path) -> None:
    opener = Opener()
    it = pool(home, opener)
    for name in ("a", "b", "a", "c"):
        await use(it, name)
    assert [opener.is_closed(name) for name in ("a", "b", "c")] == [False, True, False]
    assert state(it, "b") == "installed"
    await it.close()


async def test_a_model_that_answers_somebody_is_never_closed(home: Path) -> None:
    opener = Opener()
    it = pool(home, opener, max_loaded=1, patience=0.05)
    async with it.lease("a"):
        with pytest.raises(EngineUnavailable, match="busy"):
            await use(it, "b")
        assert not opener.is_closed("a")
    await it.close()


async def test_one_who_waits_for_room_gets_it_when_the_other_is_done(home: Path) -> None:
    opener = Opener()
    it = pool(home, opener, max_loaded=1)
    async with it.lease("a"):
        waiting = asyncio.create_task(use(it, "b"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert "path:b.gguf" not in opener.opened
    await waiting
    assert opener.is_closed("a")
    await it.close()


async def test_a_failure_is_kept_shown_and_tried_again_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = Opener()
    opener.failure = EngineError("no memory", fix="Take a smaller model.")
    it = pool(home, opener)
    for _ in range(2):
        with pytest.raises(EngineError, match="no memory"):
            await use(it, "a")
    assert opener.opened == ["path:a.gguf"]  # the second time it was not even tried
    shown = it.state("a")
    assert shown.state == "failed"
    assert shown.failure is opener.failure
    monkeypatch.setattr("malmoi.serve.engines._RETRY_SECONDS", 0.0)
    opener.failure = None
    await use(it, "a")
    assert state(it, "a") == "ready"
    opener.failure = OSError(2, "gone")
    with pytest.raises(EngineError, match="gone"):
        await use(it, "b")
    await it.close()


async def test_given_engines_are_used_as_they_are_and_left_open(home: Path) -> None:
    engine = ScriptedEngine()
    opener = Opener()
    settings = ModelSettings(preload=True)
    it = EnginePool(
        home=home, settings=settings, catalog=Catalog(home), engines={"mine": engine}, opener=opener
    )
    await it.start()
    assert it.default == "mine"
    assert it.resolve("") == "mine"
    async with it.lease("mine") as leased:
        assert leased is engine
    await it.close()
    assert opener.opened == []
    assert not engine._closed.is_set()


async def test_the_default_model_is_opened_at_the_start(home: Path) -> None:
    opener = Opener()
    opener.gate.clear()
    settings = ModelSettings(default="a", remote=REMOTE)
    it = EnginePool(home=home, settings=settings, catalog=Catalog(home), opener=opener)
    await it.start()
    assert it.is_preloading
    opener.gate.set()
    await use(it, "a")
    while it.is_preloading:
        await asyncio.sleep(0)
    assert opener.opened == ["path:a.gguf"]
    await it.close()


async def test_names_are_resolved_with_the_nearest_and_what_to_do(home: Path) -> None:
    it = pool(home, Opener())
    with pytest.raises(UnknownName, match="'a'"):
        it.resolve("aa")
    with pytest.raises(NotFound, match="malmoi models add standard"):
        it.resolve("standard")
    with pytest.raises(UnknownName):
        it.state("nothing")
    assert {"standard", "small", "use"} <= {each.name for each in it.states()}
    assert it.states()[0].name == "a"


async def test_the_encoder_that_comes_along_embeds_by_default(home: Path) -> None:
    opener = Opener()
    it = pool(home, opener, max_loaded=1)
    assert it.default_embedder == "use"
    await use(it, "a")
    await use(it, "use")  # takes no memory to speak of, so `a` stays
    assert opener.opened == ["path:a.gguf", "embed:use"]
    assert not opener.is_closed("a")
    await it.unload("a")
    assert state(it, "a") == "installed"
    await it.close()


async def test_closing_gives_up_loads_under_way(home: Path) -> None:
    opener = Opener()
    opener.gate.clear()
    it = pool(home, opener)
    user = asyncio.create_task(use(it, "a"))
    while not opener.opened:
        await asyncio.sleep(0)
    await it.close()
    with pytest.raises(asyncio.CancelledError):
        await user
