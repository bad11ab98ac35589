"""Read a file in the sandbox, and check what comes back.

The child runs other people's code on other people's bytes (pdfium, libxml2, zlib). It is shut in where the
kernel can do that, and its answer is only data: every offset is checked here before anything is built on it.
"""

import asyncio
import base64
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

from malmoi.assist.retrieval.document import Block, BlockKind, Document
from malmoi.assist.retrieval.parsing.formats import known_formats
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.core import sandbox
from malmoi.core.errors import DocumentUnreadable, Unsupported
from malmoi.core.sandbox import Limits, SandboxFailed

_CHILD = "malmoi.assist.retrieval.parsing.child:read"
_MOST_NAME = 255


async def parse_file(content: bytes, *, name: str, limits: ParseLimits | None = None) -> Document:
    """The text of a file, and what stands where in it.

    The format is found in the content; the name decides only between kinds of text (txt, md, csv).

    Args:
        content: the whole file.
        name: as the user calls it; a path is not needed and never opened.
        limits: what the file may use; None: the usual.

    Raises:
        DocumentUnreadable: the text cannot be had; `reason` says why.
        SandboxFailed: the parser crashed, or needed more time or memory than it may have.
        MissingExtra: the library for this format is not installed.
        Unsupported: `limits.must_confine` is set, and this machine cannot shut the parser in.
    """
    limits = limits or ParseLimits()
    name = "".join(char for char in name[-_MOST_NAME:] if char.isprintable()) or "file"
    if not content:
        raise DocumentUnreadable(f"{name!r} is empty.", reason="empty")
    if len(content) > limits.file_bytes:
        raise DocumentUnreadable(
            f"{name!r} has {len(content):,} bytes; at most {limits.file_bytes:,} are read.",
            reason="too_large",
            fix="Cut it into several files.",
        )
    arguments = {
        "content": (await asyncio.to_thread(base64.b64encode, content)).decode(),
        "name": name,
        "limits": asdict(limits),
    }
    told = await _read(arguments, limits, len(content))
    if (waiting := _waiting(told)) and limits.pictures:
        told = await _read({**arguments, "recognise": waiting[: limits.pictures]}, limits, len(content))
    # A second for the longest documents: not in the event loop.
    return await asyncio.to_thread(checked, told, name, limits)


async def _read(arguments: Mapping[str, Any], limits: ParseLimits, size: int) -> Any:
    """Shut in where that is possible."""
    try:
        return await _run(arguments, limits, size, confined=True)
    except Unsupported:
        if limits.must_confine:
            raise
        return await _run(arguments, limits, size, confined=False)


def _waiting(told: Any) -> list[int]:
    """The pages that the child could read with text recognition, in a run of its own with more time."""
    waiting = told.get("waiting", []) if isinstance(told, dict) else []
    if not isinstance(waiting, list) or not all(type(page) is int and page > 0 for page in waiting):
        return []
    return waiting


async def _run(arguments: Mapping[str, Any], limits: ParseLimits, size: int, *, confined: bool) -> Any:
    cpu_seconds = limits.cpu_seconds(size, len(arguments.get("recognise", ())))
    child = Limits(
        # A busy machine may give the child a fraction of a processor.
        seconds=4.0 * cpu_seconds + 10,
        cpu_seconds=cpu_seconds,
        memory_bytes=limits.memory_bytes,
        # JSON writes a Korean letter in six bytes; a block takes less than 100.
        output_bytes=(64 << 20) + 24 * limits.characters,
        confined=confined,
    )
    try:
        return (await sandbox.run_async(_CHILD, arguments, limits=child)).value
    except SandboxFailed as error:
        what = {
            "timeout": f"took longer than {cpu_seconds} s of processor time",
            "memory": f"needs more than {limits.memory_bytes >> 20} MiB of memory",
        }.get(error.reason, "made its reader fail")
        raise SandboxFailed(
            f"{arguments['name']!r} {what} ({error.message})",
            reason=error.reason,
            fix="Save it anew with the program that made it, or cut it into several files.",
        ) from error


def checked(told: Any, name: str, limits: ParseLimits) -> Document:
    """The child's answer as a document, if it holds what a document promises."""
    try:
        text = told["text"]
        kind = told["format"]
        if not isinstance(text, str) or kind not in known_formats() or not _is_proper(text):
            raise ValueError("text")
        if len(text) > limits.characters:
            raise ValueError("length")
        return Document(
            format=kind,
            title=_words(told["title"]),
            text=text,
            blocks=_blocks(told["blocks"], text),
            pages=_number(told["pages"]),
            properties={_words(key): _words(value) for key, value in told["properties"].items()},
            remarks=tuple(_words(remark) for remark in told["remarks"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Only a parser that a file has taken over, or a mistake of ours, answers like this.
        raise SandboxFailed(
            f"{name!r} made its reader answer nonsense ({type(error).__name__}: {error}).", reason="output"
        ) from error


def _blocks(told: Sequence[Sequence[Any]], text: str) -> tuple[Block, ...]:
    blocks, behind = [], 0
    for kind, start, end, level, page, place in told:
        if kind not in get_args(BlockKind):
            raise ValueError(f"kind {kind!r}")
        if not (type(start) is type(end) is type(level) is int and behind <= start < end <= len(text)):
            raise ValueError(f"span {start!r}-{end!r}")
        if text[behind:start].strip():
            raise ValueError(f"text outside of blocks before {start}")
        rows: tuple[tuple[str, ...], ...] = ()
        if kind == "table":
            rows = tuple(tuple(line.split("\t")) for line in text[start:end].split("\n"))
        blocks.append(Block(kind, start, end, level, _number(page), _words(place), rows))
        behind = end
    if text[behind:].strip():
        raise ValueError("text behind the last block")
    return tuple(blocks)


def _is_proper(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\x00" not in text and unicodedata.is_normalized("NFC", text)


def _words(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 2000 or not _is_proper(value):
        raise ValueError("a word that is none")
    return value


def _number(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise ValueError(f"number {value!r}")
