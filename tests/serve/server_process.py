"""A server in a process of its own, for tests of signals: `python server_process.py HOME SETTINGS_JSON`."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from malmoi.apps.chat import app as chat
from malmoi.engine.scripted import Rule, Script, ScriptedEngine
from malmoi.serve.server import run
from malmoi.serve.settings import HttpSettings, ServeSettings

RULES = (
    Rule(contains="short", reply="word " * 4, tokens_per_second=10),
    Rule(contains="long", reply="word " * 1000, tokens_per_second=10),
)


@dataclass
class Child:
    """A server process and its address."""

    process: subprocess.Popen[str]
    url: str

    def post(self, text: str, *, stream: bool = False) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": text}], "stream": stream}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30, trust_env=False)

    def get(self, path: str) -> int:
        return httpx.get(self.url + path, timeout=20, trust_env=False).status_code

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def started(home: Path, **http: Any) -> Iterator[Child]:
    """A server process during a block; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(home), json.dumps(http)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Child(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Serve a slow scripted model; the address is the first line of the output."""
    home, http = Path(sys.argv[1]), json.loads(sys.argv[2])
    settings = ServeSettings(home=home, http=HttpSettings.model_validate({"port": 0, **http}))
    engine = ScriptedEngine(Script(rules=RULES))
    run(settings, apps=[chat], engines={"scripted": engine}, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
