"""A server in a process of its own, for tests of signals: `python server_process.py HOME SETTINGS_JSON`."""

import json
import sys
from pathlib import Path

from malmoi.engine.scripted import Rule, Script, ScriptedEngine
from malmoi.serve.server import run
from malmoi.serve.settings import HttpSettings, ServeSettings

RULES = (
    Rule(contains="short", reply="word " * 4, tokens_per_second=10),
    Rule(contains="long", reply="word " * 1000, tokens_per_second=10),
)


def main() -> None:
    """Serve a slow scripted model; the address is the first line of the output."""
    home, http = Path(sys.argv[1]), json.loads(sys.argv[2])
    settings = ServeSettings(home=home, http=HttpSettings.model_validate({"port": 0, **http}))
    engine = ScriptedEngine(Script(rules=RULES))
    run(settings, engines={"scripted": engine}, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
