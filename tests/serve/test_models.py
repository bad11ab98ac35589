"""The models page and downloads: they outlive the page, report progress, stop, and keep their errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway import Gateway, events_of, running
from malmoi.core.errors import DownloadFailed
from malmoi.engine.catalog import DownloadProgress, ModelCard


class FakeCatalog:
    """A catalog with one model, whose download goes as the test says."""

    def __init__(self) -> None:
        self.card = ModelCard(name="tiny", title="Tiny", source="path:/x", size_bytes=10, license="MIT")
        self.done = False
        self.steps: asyncio.Queue[DownloadProgress | Exception | None] = asyncio.Queue()
        self.cancelled = asyncio.Event()
        self.tries = 0

    def entries(self) -> list[ModelCard]:
        return [self.card]

    def info(self, name: str) -> ModelCard:
        if name != "tiny":
            from malmoi.core.errors import UnknownName

            raise UnknownName("model", name, ["tiny"])
        return self.card

    def installed(self, name: str) -> bool:
        return self.done

    async def add(self, ref: str, *, progress: Any) -> ModelCard:
        self.tries += 1
        try:
            while (step := await self.steps.get()) is not None:
                if isinstance(step, Exception):
                    raise step
                progress(step)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.done = True
        return self.card


def at(done: int, stage: Any = "download") -> DownloadProgress:
    return DownloadProgress("tiny", stage, done, 10, 5.0)


@asynccontextmanager
async def page(home: Path) -> AsyncIterator[tuple[Gateway, FakeCatalog]]:
    catalog = FakeCatalog()
    async with running(home, catalog=catalog) as gateway:
        gateway.client.headers["authorization"] = "Bearer anybody"  # a program: needs no CSRF token
        yield gateway, catalog


async def item(gateway: Gateway) -> dict[str, Any]:
    items = (await gateway.client.get("/api/models")).json()["items"]
    return next(each for each in items if each["name"] == "tiny")


async def reach(gateway: Gateway, state: str) -> dict[str, Any]:
    while (found := await item(gateway))["state"] != state:
        await asyncio.sleep(0)
    return found


async def watch(gateway: Gateway) -> list[tuple[str | None, Any]]:
    async with gateway.client.stream("GET", "/api/models/tiny/download") as response:
        return [(name, json.loads(data)) for name, data in await events_of(response)]


PATH = "/api/models/tiny/download"


async def test_lists_what_there_is(home: Path) -> None:
    async with page(home) as (gateway, _):
        items = (await gateway.client.get("/api/models")).json()["items"]
        assert items[0]["name"] == "scripted"
        assert (items[0]["state"], items[0]["default"]) == ("ready", True)
        tiny = await item(gateway)
        assert (tiny["state"], tiny["title"], tiny["download"], tiny["error"]) == (
            "available",
            "Tiny",
            None,
            None,
        )
        assert "tiny" not in (await gateway.client.get("/v1/models")).text  # not usable yet
        # Pages must know before they are open that nobody can talk to them.
        encoders = {one["name"]: one for one in items if one["capabilities"] == ["embed"]}
        assert set(encoders) == {"use", "e5", "search"}
        assert {one["state"] for one in encoders.values()} == {"installed"}


async def test_a_download_goes_on_without_its_page_and_is_found_again(home: Path) -> None:
    async with page(home) as (gateway, catalog):
        started = await gateway.client.post(PATH)
        assert (started.status_code, started.json()["state"]) == (202, "downloading")
        again = await gateway.client.post(PATH)
        assert again.status_code == 202
        catalog.steps.put_nowait(at(3))
        while (await reach(gateway, "downloading"))["download"]["done_bytes"] != 3:
            await asyncio.sleep(0)
        leaving = asyncio.create_task(watch(gateway))
        await asyncio.sleep(0.05)
        leaving.cancel()  # the page is closed
        watching = asyncio.create_task(watch(gateway))
        await asyncio.sleep(0.05)
        catalog.steps.put_nowait(at(10, "verify"))
        catalog.steps.put_nowait(None)
        events = await watching
        assert events[0][0] == "progress"
        assert events[0][1]["done_bytes"] == 3
        assert events[-1][0] == "done"
        assert catalog.tries == 1
        assert (await item(gateway))["state"] == "installed"
        assert (await gateway.client.post(PATH)).status_code == 409


async def test_a_failure_stays_until_the_next_try(home: Path) -> None:
    async with page(home) as (gateway, catalog):
        await gateway.client.post(PATH)
        catalog.steps.put_nowait(at(4))
        catalog.steps.put_nowait(DownloadFailed("the network is gone.", fix="Try again."))
        failed = await reach(gateway, "failed")
        error = {"code": "download_failed", "message": "the network is gone.", "fix": "Try again."}
        assert failed["download"]["error"] == error
        events = await watch(gateway)
        assert [(name, data["error"]) for name, data in events] == [("error", error)]
        await gateway.client.post(PATH)
        catalog.steps.put_nowait(None)
        assert (await reach(gateway, "installed"))["download"] is None


async def test_a_bug_in_a_download_does_not_leave_the_page_waiting(home: Path) -> None:
    async with page(home) as (gateway, catalog):
        await gateway.client.post(PATH)
        catalog.steps.put_nowait(ValueError("secret"))
        failed = await reach(gateway, "failed")
        assert "secret" not in json.dumps(failed)


async def test_a_download_can_be_stopped(home: Path) -> None:
    async with page(home) as (gateway, catalog):
        await gateway.client.post(PATH)
        catalog.steps.put_nowait(at(2))
        watching = asyncio.create_task(watch(gateway))
        while (await reach(gateway, "downloading"))["download"]["done_bytes"] != 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert (await gateway.client.delete(PATH)).status_code == 204
        assert catalog.cancelled.is_set()
        assert (await watching)[-1][0] == "error"
        assert (await item(gateway))["state"] == "available"
        assert (await gateway.client.delete(PATH)).status_code == 404


async def test_what_is_not_there_is_told(home: Path) -> None:
    async with page(home) as (gateway, _):
        missing: list[httpx.Response] = [
            await gateway.client.post("/api/models/nothing/download"),
            await gateway.client.get(PATH),
        ]
        assert [answer.status_code for answer in missing] == [404, 404]
        assert missing[0].json()["error"]["code"] == "unknown_name"


async def test_the_server_stops_downloads_at_its_end(home: Path) -> None:
    async with page(home) as (gateway, catalog):
        await gateway.client.post(PATH)
        await reach(gateway, "downloading")
    assert catalog.cancelled.is_set() or catalog.tries == 0


async def test_the_default_model_is_fetched_at_the_start_and_opened(home: Path) -> None:
    catalog = FakeCatalog()
    async with running(home, catalog=catalog, engines={}, models={"default": "tiny"}) as gateway:
        gateway.client.headers["authorization"] = "Bearer anybody"
        catalog.steps.put_nowait(at(3))
        while (await reach(gateway, "downloading"))["download"]["done_bytes"] != 3:
            await asyncio.sleep(0)
        catalog.steps.put_nowait(None)
        opened = await reach(gateway, "failed")  # no other catalog knows this fake, so opening fails
    assert opened["error"]["code"] == "unknown_name"
    assert catalog.tries == 1


async def test_nothing_is_fetched_when_the_settings_say_so(home: Path) -> None:
    catalog = FakeCatalog()
    off = {"default": "tiny", "download": False}
    async with running(home, catalog=catalog, engines={}, models=off) as gateway:
        gateway.client.headers["authorization"] = "Bearer anybody"
        assert (await item(gateway))["state"] == "available"
    assert catalog.tries == 0
