"""Called in the sandbox: read many damaged copies of a file, and say how each ended."""

import base64
import random
import re
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from malmoi.assist.retrieval.parsing import child, parse
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.core.errors import MalmoiError

SLOW = 5.0  # seconds


def read_all(files: dict[str, list[str]]) -> dict[str, Any]:
    """Read every file, each given as its name and its content in base64."""
    limits = asdict(ParseLimits())
    return {kind: child.read(content, name, limits) for kind, (name, content) in files.items()}


def truncations(content: str, name: str, cuts: int) -> dict[str, int]:
    """Read the file cut off at many places."""
    whole = base64.b64decode(content)
    places = {round(len(whole) * cut / cuts) for cut in range(1, cuts)} | {
        len(whole) - n for n in range(1, 8)
    }
    return _count((whole[:place] for place in sorted(places) if place > 0), name)


def mutations(content: str, name: str, times: int) -> dict[str, int]:
    """Read the file with bytes changed; parts of archives are changed before they are packed."""
    whole = base64.b64decode(content)
    chance = random.Random(name)
    return _count((_changed(whole, chance) for _ in range(times)), name)


def peak(content: str, name: str) -> int:
    """The most memory, in bytes, that reading one file took."""
    child.read(content, name, asdict(ParseLimits()))
    # Not getrusage: its maximum is handed down from the process that started this one.
    with open("/proc/self/status", encoding="ascii") as status:
        found = next(line for line in status if line.startswith("VmHWM"))
    return int(found.split()[1]) << 10


def _count(copies: Any, name: str) -> dict[str, int]:
    limits = ParseLimits()
    ends: Counter[str] = Counter()
    for copy in copies:
        started = time.process_time()
        try:
            told = child.read(base64.b64encode(copy).decode(), name, asdict(limits))
            parse.checked(told, name, limits)
            end = "document"
        except MalmoiError as error:
            end = str(getattr(error, "reason", error.code))
        if time.process_time() - started > SLOW:
            end = f"slow: {copy[:200]!r}"
        ends[end] += 1
    return dict(ends)


def _changed(whole: bytes, chance: random.Random) -> bytes:
    if whole.startswith(b"PK\x03\x04") and chance.random() < 0.7:
        from made_files import unzipped, zipped

        parts = unzipped(whole)
        name = chance.choice([part for part in parts if part.endswith((".xml", ".rels", ".hpf"))])
        parts[name] = _changed_xml(parts[name], chance)
        return zipped(parts)
    copy = bytearray(whole)
    for _ in range(chance.randint(1, 12)):
        copy[chance.randrange(len(copy))] = chance.randrange(256)
    return bytes(copy)


def _changed_xml(part: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        copy = bytearray(part)
        for _ in range(chance.randint(1, 4)):
            copy[chance.randrange(len(copy))] = chance.choice(b'<>"=0129 -abZ&;')
        return bytes(copy)
    others = (b'""', b'"-1"', b'"99999999999"', b'"x"', "\u00b2".encode().join((b'"', b'"')))
    return re.sub(
        rb'"[^"]{0,20}"', lambda found: found[0] if chance.random() < 0.8 else chance.choice(others), part
    )
