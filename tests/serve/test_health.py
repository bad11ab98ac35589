import asyncio
from pathlib import Path

from gateway import running, script
from malmoi.serve.health import Health


async def test_counts_requests_and_tells_when_the_last_is_done() -> None:
    health = Health()
    assert await health.idle(0.01)
    health.begin()
    health.begin()
    assert not await health.idle(0.01)
    waiting = asyncio.create_task(health.idle(10))
    health.end()
    health.end()
    assert await waiting
    assert health.num_active == 0


async def test_readiness_follows_the_state_and_liveness_does_not(home: Path) -> None:
    async with running(home, script({"reply": "x"})) as gateway:
        assert (await gateway.client.get("/readyz")).json() == {"status": "ready"}
        health = gateway.services.health
        health.draining = True
        ready = await gateway.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert (await gateway.client.get("/healthz")).status_code == 200
        refused = await gateway.chat()
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.json()["error"]["code"] == "engine_unavailable"
        health.draining = False
        health.started = False
        assert (await gateway.client.get("/readyz")).json() == {"status": "starting"}
