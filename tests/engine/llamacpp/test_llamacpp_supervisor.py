import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from malmoi.core.errors import EngineError, EngineUnavailable
from malmoi.engine.llamacpp.connection import ConnectionLost
from malmoi.engine.llamacpp.process import LoadFailed, ServerSpec, start_child
from malmoi.engine.llamacpp.supervisor import Supervisor, Watch

Spec = Callable[..., ServerSpec]
QUICK = Watch(every=0.05, answer_within=0.3, failures=2, first_delay=0.01, patience=5.0)


@pytest.fixture
def new_children() -> Callable[[], list[psutil.Process]]:
    """The child processes that were not there before; other tests may have left some of multiprocessing."""
    before = {child.pid for child in psutil.Process().children()}
    return lambda: [child for child in psutil.Process().children() if child.pid not in before]


def alive(pid: int | None) -> bool:
    assert pid is not None
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def gone(pid: int) -> None:
    while alive(pid):
        await asyncio.sleep(0.01)


async def test_start_serve_and_close(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready"), name="m", watch=QUICK)
    await supervisor.start()
    pid = supervisor.pid
    assert alive(pid)
    assert os.getpgid(pid or 0) == pid  # a group of its own: Ctrl-C in a terminal does not reach it
    assert os.getsid(pid or 0) == pid
    child = await supervisor.child()
    assert (await child.connection.request("GET", "/health", timeout=5)).status == 200
    command = " ".join(psutil.Process(pid).cmdline())
    assert child.connection._api_key not in command
    assert psutil.Process(pid).environ()["OMP_WAIT_POLICY"].lower() == "passive"
    await supervisor.close()
    assert not alive(pid)
    with pytest.raises(EngineUnavailable, match="closed"):
        await supervisor.child()
    await supervisor.close()


async def test_a_killed_child_comes_back_and_its_requests_fail_at_once(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready"), name="m", watch=QUICK)
    await supervisor.start()
    try:
        first = supervisor.pid
        child = await supervisor.child()

        async def read_and_kill() -> None:
            async with child.connection.events("/completion", {}) as reply:
                async for _ in reply.events():
                    os.kill(first or 0, signal.SIGKILL)

        with pytest.raises(ConnectionLost):
            await read_and_kill()
        while supervisor.ready:
            await asyncio.sleep(0.001)
        second = await supervisor.child()  # waits until it is back
        assert second.pid != first
        assert supervisor.restarts == 1
        assert (await second.connection.request("GET", "/health", timeout=5)).status == 200
    finally:
        await supervisor.close()
    assert not alive(second.pid)


async def test_after_a_lost_connection_the_next_request_gets_a_living_child(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready"), name="m", watch=Watch(every=60, first_delay=0.01))
    await supervisor.start()
    try:
        first = await supervisor.child()
        supervisor.lost(first, ConnectionLost("for once"))
        assert not supervisor.ready
        assert await supervisor.child() is first  # it was well
        os.kill(first.pid, signal.SIGKILL)
        supervisor.lost(first, ConnectionLost("killed"))
        assert (await supervisor.child()).pid != first.pid
    finally:
        await supervisor.close()


async def test_a_child_that_hangs_is_killed_and_started_again(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready"), name="m", watch=QUICK)
    await supervisor.start()
    try:
        first = supervisor.pid or 0
        os.kill(first, signal.SIGSTOP)
        await asyncio.wait_for(gone(first), 10)
        assert (await supervisor.child()).pid != first
    finally:
        await supervisor.close()


async def test_a_crash_while_loading_is_tried_again(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("crash", "crash", "ready"), name="m", watch=QUICK)
    await supervisor.start()
    await supervisor.close()


async def test_a_model_that_always_crashes_is_given_up(fake_spec: Spec) -> None:
    spec = fake_spec("crash")
    with pytest.raises(EngineError, match=r"crashed llama.cpp 3 times .*SIGSEGV.*GGML_ASSERT"):
        await Supervisor(spec, name="m", watch=QUICK).start()
    assert len(spec.model.with_suffix(".starts").read_text()) == 3


async def test_a_clear_refusal_is_not_tried_again(fake_spec: Spec) -> None:
    spec = fake_spec("refuse")
    with pytest.raises(LoadFailed, match="no such architecture"):
        await Supervisor(spec, name="m", watch=QUICK).start()
    assert len(spec.model.with_suffix(".starts").read_text()) == 1


async def test_after_a_crash_a_model_that_cannot_be_loaded_again_is_given_up(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready", "crash"), name="m", watch=QUICK)
    await supervisor.start()
    os.kill(supervisor.pid or 0, signal.SIGKILL)
    while supervisor.ready:
        await asyncio.sleep(0.001)
    with pytest.raises(EngineError, match="given up"):
        await supervisor.child()
    await supervisor.close()


async def test_whoever_waits_for_a_restart_is_told_in_time(
    fake_spec: Spec, new_children: Callable[[], list[psutil.Process]]
) -> None:
    watch = Watch(every=0.05, first_delay=0.01, patience=0.05)
    supervisor = Supervisor(fake_spec("ready", "hang"), name="m", watch=watch)
    await supervisor.start()
    os.kill(supervisor.pid or 0, signal.SIGKILL)
    while supervisor.ready:
        await asyncio.sleep(0.001)
    with pytest.raises(EngineUnavailable, match="restarting"):
        await supervisor.child()
    await asyncio.wait_for(supervisor.close(), 20)
    assert not new_children()


async def test_close_wakes_whoever_waits_for_a_restart(fake_spec: Spec) -> None:
    supervisor = Supervisor(fake_spec("ready", "hang"), name="m", watch=QUICK)
    await supervisor.start()
    os.kill(supervisor.pid or 0, signal.SIGKILL)
    while supervisor.ready:
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(supervisor.child())
    await asyncio.sleep(0)
    await asyncio.wait_for(supervisor.close(), 20)
    with pytest.raises(EngineUnavailable, match="closed"):
        await waiting


async def test_a_load_that_hangs_is_ended(
    fake_spec: Spec, new_children: Callable[[], list[psutil.Process]]
) -> None:
    with pytest.raises(LoadFailed, match="took longer"):
        await start_child(fake_spec("hang"), timeout=0.3)
    assert not new_children()


async def test_a_cancelled_load_leaves_no_process(
    fake_spec: Spec, new_children: Callable[[], list[psutil.Process]]
) -> None:
    spec = fake_spec("hang")
    starting = asyncio.create_task(start_child(spec))
    while not spec.model.with_suffix(".starts").exists():
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not new_children()


def test_a_killed_parent_leaves_no_orphan(fake_spec: Spec) -> None:
    spec = fake_spec("ready")
    program = f"""
import asyncio
from pathlib import Path
from malmoi.engine.llamacpp.process import ServerSpec, start_child
async def main():
    spec = ServerSpec(Path({str(spec.model)!r}), 64, 2, 1, command={spec.command!r})
    child = await start_child(spec)
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    asyncio.run(asyncio.wait_for(gone(child), 5))


def test_the_specification_has_no_command_and_one_key(tmp_path: Path) -> None:
    spec = ServerSpec(tmp_path / "m.gguf", 64, 2, 1, adapters=(tmp_path / "a.gguf",))
    sent = json.loads(spec.to_json(api_key="secret"))
    assert sent["api_key"] == "secret"
    assert sent["adapters"] == [str(tmp_path / "a.gguf")]
    assert "command" not in sent
