"""From the command line to an answer, with the real model `small`, as a person would use it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from malmoi.cli.bench.process import ServerProcess, serving

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

PROMPT = {"model": "small", "prompt": "대한민국의 수도는", "max_tokens": 24, "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def model_file() -> Path:
    """The GGUF file of `small`, which `make test` fetches."""
    path = os.environ.get("MALMOI_TEST_MODEL")
    if not path:
        pytest.skip("MALMOI_TEST_MODEL does not name the file of the model `small`; `make test` fetches it")
    return Path(path)


@pytest.fixture(scope="module")
def home(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with `small` installed by the command line."""
    path = tmp_path_factory.mktemp("home")
    command = ["models", "add", f"path:{model_file}", "--name", "small", "--home", str(path)]
    subprocess.run([sys.executable, "-m", "malmoi", *command], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    """`malmoi serve --model small` on a free port, ready."""
    with serving(home, "--model", "small") as process:
        with httpx.Client(base_url=process.address) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.1)
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """A program that talks to the server."""
    headers = {"Authorization": "Bearer anybody"}
    with httpx.Client(base_url=server.address, timeout=120, headers=headers) as client:
        yield client


def engine_process(server: ServerProcess) -> psutil.Process:
    children = psutil.Process(server.pid).children(recursive=True)
    return next(child for child in children if "malmoi.engine.llamacpp.child" in child.cmdline())


def test_an_answer_comes_and_is_repeatable(client: httpx.Client) -> None:
    first = client.post("/v1/completions", json=PROMPT).raise_for_status().json()
    again = client.post("/v1/completions", json=PROMPT).raise_for_status().json()
    assert first["choices"][0]["text"].strip()
    assert first["choices"][0]["text"] == again["choices"][0]["text"]
    assert first["usage"]["completion_tokens"] == 24
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_the_usage_adds_up(client: httpx.Client) -> None:
    def total() -> int:
        totals = client.get("/api/usage").raise_for_status().json()["totals"]
        return int(totals["prompt_tokens"]) + int(totals["completion_tokens"])

    before = total()
    spent = [client.post("/v1/completions", json=PROMPT).json()["usage"]["total_tokens"] for _ in range(3)]
    deadline = time.monotonic() + 10
    while total() != before + sum(spent) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert total() == before + sum(spent)


def test_a_killed_engine_ends_the_answer_and_comes_back(client: httpx.Client, server: ServerProcess) -> None:
    killed = engine_process(server)
    body = {**PROMPT, "max_tokens": 400, "stream": True}
    events = []
    with client.stream("POST", "/v1/completions", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                events.append(line[6:])
            if len(events) == 3:
                killed.send_signal(signal.SIGKILL)
    assert "error" in json.loads(events[-1])
    assert "[DONE]" not in events
    started = time.monotonic()
    while client.post("/v1/completions", json=PROMPT).status_code != 200:
        assert time.monotonic() - started < 30
        time.sleep(0.2)
    assert engine_process(server).pid != killed.pid
    assert client.get("/healthz").status_code == 200


def test_a_conversation_in_the_chat_app(client: httpx.Client) -> None:
    talk = client.post("/api/chat/conversations", json={"model": "small"}).raise_for_status().json()
    path = f"/api/chat/conversations/{talk['id']}/messages"
    body = {
        "content": "대한민국의 수도는",
        "parent_id": None,
        "client_id": "one",
        "sampling": {"max_tokens": 12},
    }
    with client.stream("POST", path, json=body) as response:
        kinds = [line[7:] for line in response.iter_lines() if line.startswith("event: ")]
    assert kinds[0] == "message"
    assert "token" in kinds
    assert kinds[-1] == "done"
    found = client.get("/api/chat/search", params={"q": "수도"}).raise_for_status().json()["items"]
    assert talk["id"] in {item["conversation_id"] for item in found}


def test_the_terminal_answers(home: Path) -> None:
    command = [
        "chat",
        "The capital of Korea is",
        "--model",
        "small",
        "--max-tokens",
        "8",
        "--home",
        str(home),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "malmoi", *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("harm", ["truncated", "corrupted"])
def test_a_harmed_model_is_refused_by_name(harm: str, model_file: Path, tmp_path: Path) -> None:
    data = bytearray(model_file.read_bytes())
    if harm == "truncated":
        del data[len(data) // 2 :]
    else:
        data[8:24] = b"\xff" * 16  # the numbers of tensors and of metadata entries
    harmed = tmp_path / "harmed.gguf"
    harmed.write_bytes(data)
    command = ["models", "add", f"path:{harmed}", "--name", "harmed", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        [sys.executable, "-m", "malmoi", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "harmed.gguf" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_left_running(home: Path) -> None:
    with serving(home, "--model", "small") as process, httpx.Client(base_url=process.address) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.1)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
