"""A progress line for long downloads: a bar on a terminal, a line every few seconds elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from malmoi.engine.catalog import DownloadProgress


@contextmanager
def download_progress(name: str) -> "Iterator[Callable[[DownloadProgress], None]]":
    """Give the function that a download reports to; the line is finished when the block ends."""
    is_terminal = sys.stderr.isatty()
    last = -10.0

    def report(progress: "DownloadProgress") -> None:
        nonlocal last
        now = monotonic()
        pause = 0.1 if is_terminal else 5.0
        if now - last < pause and progress.stage != "done":
            return
        last = now
        click.echo(("\r\x1b[K" if is_terminal else "") + _line(name, progress), nl=not is_terminal, err=True)

    try:
        yield report
    finally:
        if is_terminal:
            click.echo(err=True)


def _line(name: str, progress: "DownloadProgress") -> str:
    total = progress.total_bytes or 0
    share = progress.done_bytes / total if total else 0.0
    filled = round(24 * share)
    parts = [f"{name} {progress.stage:<8} [{'#' * filled}{'.' * (24 - filled)}] {100 * share:3.0f} %"]
    parts.append(f"{progress.done_bytes / 1e6:.0f} of {total / 1e6:.0f} MB")
    if progress.bytes_per_second:
        left = max(total - progress.done_bytes, 0) / progress.bytes_per_second
        parts.append(f"{progress.bytes_per_second / 1e6:.1f} MB/s, {left:.0f} s left")
    return "  ".join(parts)
