import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from children import children_seconds
from malmoi.core import sandbox
from malmoi.core.errors import InvalidInput, ModelFileInvalid, RateLimited
from malmoi.core.sandbox import Limits, SandboxFailed

HERE = "sandbox_functions"


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie that waits for init to reap it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_arguments_and_result_cross_as_json() -> None:
    outcome = sandbox.run(f"{HERE}:echo", {"text": "말모이", "numbers": [1, 2.5, None]})
    assert outcome.value == {"text": "말모이", "numbers": [1, 2.5, None]}


def test_the_environment_of_the_parent_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert "HF_TOKEN" not in sandbox.run(f"{HERE}:environment", {}).value


def test_our_errors_cross_with_their_class_and_fields() -> None:
    with pytest.raises(ModelFileInvalid) as caught:
        sandbox.run(f"{HERE}:refuse", {})
    assert (caught.value.message, caught.value.fix) == ("model.gguf: bad magic.", "Download it again.")
    with pytest.raises(InvalidInput) as field:
        sandbox.run(f"{HERE}:refuse_field", {})
    assert field.value.field == "messages.0"
    with pytest.raises(RateLimited) as limited:
        sandbox.run(f"{HERE}:limited", {})
    assert limited.value.retry_after == 7


@pytest.mark.parametrize(
    ("function", "limits", "reason", "words"),
    [
        ("crash", Limits(), "crash", "SIGABRT"),
        ("sleep", Limits(seconds=0.5), "timeout", "longer than 0.5 s"),
        ("spin", Limits(cpu_seconds=1, seconds=20), "timeout", "processor time"),
        ("hoard", Limits(memory_bytes=256 << 20), "memory", "256 MiB"),
        ("shout", Limits(output_bytes=1000), "output", "1000 bytes"),
        ("break_down", Limits(), "exception", "KeyError"),
        ("no_such_function", Limits(), "exception", "AttributeError"),
        ("close_and_linger", Limits(seconds=0.5), "timeout", "longer"),
        ("deep_answer", Limits(), "crash", "exit status 0"),
    ],
)
def test_every_failure_is_typed(function: str, limits: Limits, reason: str, words: str) -> None:
    with pytest.raises(SandboxFailed, match=words) as caught:
        sandbox.run(f"{HERE}:{function}", {}, limits=limits)
    assert caught.value.reason == reason


def test_files_cannot_be_written_beyond_the_limit(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(SandboxFailed, match="File too large"):
        sandbox.run(f"{HERE}:write_file", {"path": str(target)})
    assert target.stat().st_size == 0
    sandbox.run(f"{HERE}:write_file", {"path": str(target)}, limits=Limits(file_bytes=1000))
    assert target.stat().st_size == 100


def test_the_network_is_cut_where_the_outcome_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = sandbox.run(f"{HERE}:dial", {"port": server.getsockname()[1]})
    assert outcome.value is not outcome.network_cut


def test_grandchildren_are_killed_with_the_group() -> None:
    outcome = sandbox.run(f"{HERE}:leave_a_grandchild", {})
    deadline = time.monotonic() + 20
    while is_running(outcome.value) and time.monotonic() < deadline:
        os.sched_yield()
    assert not is_running(outcome.value)


async def test_async_entry_gives_the_same_and_cancelling_kills() -> None:
    assert (await sandbox.run_async(f"{HERE}:echo", {"a": 1})).value == {"a": 1}
    task = asyncio.create_task(sandbox.run_async(f"{HERE}:sleep", {}))
    await asyncio.sleep(0)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 30  # by itself it ends after 60
    with pytest.raises(ModelFileInvalid):
        await sandbox.run_async(f"{HERE}:refuse", {})


def test_starting_a_child_is_cheap() -> None:
    times = []
    for _ in range(3):
        started = children_seconds()
        sandbox.run(f"{HERE}:echo", {})
        times.append(children_seconds() - started)
    assert min(times) < 0.5
