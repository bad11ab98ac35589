"""Functions that the sandbox tests call in the child."""

import os
import socket
import subprocess
import sys
import time
from typing import Any

from malmoi.core.errors import InvalidInput, ModelFileInvalid, RateLimited


def echo(**arguments: Any) -> dict[str, Any]:
    print("this goes to standard error")
    return arguments


def environment() -> dict[str, str]:
    return dict(os.environ)


def refuse() -> None:
    raise ModelFileInvalid("model.gguf: bad magic.", fix="Download it again.")


def refuse_field() -> None:
    raise InvalidInput("wrong", field="messages.0")


def limited() -> None:
    raise RateLimited("slow down", retry_after=7)


def crash() -> None:
    os.abort()


def sleep() -> None:
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def hoard() -> int:
    return len(bytearray(1 << 30))


def write_file(path: str) -> None:
    with open(path, "wb") as out:
        out.write(b"x" * 100)


def shout() -> str:
    return "x" * 1_000_000


def dial(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def leave_a_grandchild() -> int:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdout=quiet, stderr=quiet
    )
    return process.pid


def break_down() -> None:
    raise KeyError("missing")


def close_and_linger() -> None:
    os.closerange(0, 64)
    time.sleep(60)


def deep_answer() -> None:
    os.write(3, b"[" * 100_000)
    os._exit(0)


def forge() -> None:
    os.write(3, b'{"value": "as I like", "network_cut": true}')
    os._exit(0)
