"""Downloading one wheel with the user's own pip: its indexes, proxies and credentials hold here too.

The wheel is only downloaded: nothing is resolved, built, installed or imported.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from malmoi.core.child import child_environment
from malmoi.core.errors import DiskFull, DownloadFailed

_PROGRESS = re.compile(rb"Progress (\d+) of (\d+)")
_WATCH_SECONDS = 0.5


async def download_wheel(requirement: str, target: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download the wheel of `requirement` into the folder `target`, which holds it alone.

    Args:
        requirement: such as "name==1.0".
        target: made if it is not there; a wheel that is there already is taken as it is (pip puts it there by
            rename, when it is complete).
        on_bytes: told how many bytes have arrived.

    Raises:
        DownloadFailed: with what pip said.
        DiskFull: no room.
    """
    temporary = target.with_name(f"{target.name}.tmp")
    if wheel := _wheel_in(target):
        return wheel
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    lines: deque[str] = deque(maxlen=50)
    process = await asyncio.create_subprocess_exec(
        *_command(requirement, temporary / "out"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # pip's own unfinished files stay on the disk whose room was checked, and are removed with the folder.
        env=child_environment(TMPDIR=str(temporary), PYTHONUNBUFFERED="1", PIP_NO_COLOR="1"),
        start_new_session=True,
    )
    watching = asyncio.create_task(_watch(temporary, on_bytes))
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            if found := _PROGRESS.match(line):
                watching.cancel()  # pip tells it better
                on_bytes(int(found[1]))
            else:
                lines.append(line.decode(errors="replace").rstrip())
        status = await process.wait()
        wheel = _wheel_in(temporary / "out")
        if status != 0 or wheel is None:
            raise _failure(requirement, status, list(lines))
        (temporary / "out").rename(target)
        return target / wheel.name
    finally:
        watching.cancel()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        shutil.rmtree(temporary, ignore_errors=True)


def _command(requirement: str, target: Path) -> list[str]:
    try:
        release = tuple(int(part) for part in version("pip").split(".")[:2])
    except PackageNotFoundError as error:
        raise DownloadFailed(
            "pip is not installed in this environment.", fix=f"Run: {sys.executable} -m ensurepip"
        ) from error
    except ValueError:  # a version such as 26.dev0: new enough
        release = (26, 0)
    command = [
        sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--disable-pip-version-check", "--no-input", "--dest", str(target),
    ]  # fmt: skip
    if release >= (24, 1):
        command += ["--progress-bar", "raw"]
    if release >= (25, 1):
        command += ["--resume-retries", "5"]
    return [*command, requirement]


async def _watch(folder: Path, on_bytes: Callable[[int], None]) -> None:
    """Tell the size of what pip has written so far, for pips that do not tell it themselves."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        total = 0
        for path in folder.rglob("*.whl"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue  # pip moved it meanwhile
        on_bytes(total)


def _wheel_in(folder: Path) -> Path | None:
    wheels = sorted(folder.glob("*.whl"))
    return wheels[0] if len(wheels) == 1 else None


def _failure(requirement: str, status: int, lines: list[str]) -> DownloadFailed | DiskFull:
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    if any("No space left on device" in line for line in lines):
        return DiskFull(f"no room left while {requirement} was downloaded.", fix="Free some disk space.")
    why = said[-1] if said else (lines[-1] if lines else f"pip ended with status {status}")
    return DownloadFailed(
        f"{requirement} could not be downloaded: {why[:500].rstrip('.')}.",
        fix="Check the network and `pip config list`, then try again: finished parts are kept.",
    )
