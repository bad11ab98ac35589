"""The child side of `malmoi.core.sandbox`: limits first, then one import, then one call.

Run as a script by `python -I -S -B`. Nothing of ours is imported before the limits hold. The request comes as
JSON on standard input, the answer goes as JSON to the original standard output; whatever the function prints
goes to standard error.
"""

import ctypes
import importlib
import json
import os
import resource
import sys
from typing import Any

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9


def main() -> None:
    """Read the request, take on the limits, call the function, write the answer."""
    request = json.loads(sys.stdin.buffer.read())
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    network_cut = _leave_the_network()
    _limit(request["limits"])
    sys.path[:] = request["path"]
    answer = _call(request["function"], request["arguments"], confined=request["limits"]["confined"])
    answer |= {"network_cut": network_cut, "word": request["word"]}
    with os.fdopen(answer_fd, "wb") as out:
        out.write(_encode(answer))


def _leave_the_network() -> bool:
    """Enter an empty network namespace, if the kernel lets us, and die with the parent. True when cut off."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return False
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _limit(limits: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_bytes"],) * 2)
    # SIGXCPU at the soft limit tells the parent what happened; SIGKILL a second later cannot be caught.
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"],) * 2)


def _call(function: str, arguments: dict[str, Any], *, confined: bool) -> dict[str, Any]:
    from malmoi.core.errors import MalmoiError

    module, _, attribute = function.partition(":")
    try:
        called = getattr(importlib.import_module(module), attribute)
        if confined:
            _confine()
        return {"value": called(**arguments)}
    except MalmoiError as error:
        return {"error": {"code": error.code, **{k: v for k, v in vars(error).items() if _is_plain(v)}}}
    except MemoryError:
        return {"failure": "memory", "detail": ""}
    except Exception as error:  # the boundary: every other exception is told to the parent as a failure
        return {"failure": "exception", "detail": f"{type(error).__name__}: {error}"[:2000]}


def _confine() -> None:
    from malmoi.core.confine import CannotConfine, confine
    from malmoi.core.errors import Unsupported

    # Of the parent's path only what was installed: its other entries may be somebody's own folders.
    installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    python = [path for path in sys.path if path.startswith(os.path.join(sys.base_prefix, "lib"))]
    libraries = [
        os.path.join(sys.base_prefix, "lib"),
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
    ]
    # The last three: what Tesseract knows of languages.
    harmless = [
        "/dev/urandom",
        "/dev/zero",
        "/usr/share/zoneinfo",
        "/usr/share/tesseract-ocr",
        "/usr/share/tessdata",
        "/usr/share/tesseract",
    ]
    try:
        confine([*installed, *python, *libraries, *harmless], writable=[os.devnull])
    except CannotConfine as error:
        raise Unsupported(
            f"this machine cannot shut in code that nobody has read: {error}.",
            fix="Use Linux 5.13 or newer on x86-64 or 64-bit ARM, with Landlock switched on.",
        ) from None


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _encode(answer: dict[str, Any]) -> bytes:
    try:
        return json.dumps(answer).encode()
    except (TypeError, ValueError) as error:
        failed = {"failure": "exception", "detail": f"the result is not JSON: {error}"}
        return json.dumps({**failed, "network_cut": answer["network_cut"], "word": answer["word"]}).encode()


if __name__ == "__main__":
    main()
