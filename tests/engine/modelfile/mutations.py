"""Run in the sandbox: check many damaged copies of one file and tell how each went."""

import random
import time
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid
from malmoi.engine.modelfile.check import inspect


def check_all(path: str, count: int, seed: int) -> dict[str, Any]:
    """Damage the file at `path` in `count` ways; returns counts, the slowest check and untyped errors."""
    original = Path(path).read_bytes()
    copy = Path(path).with_name("damaged" + Path(path).suffix)
    choose = random.Random(seed)
    refused, slowest, untyped = 0, 0.0, []
    for _ in range(count):
        copy.write_bytes(damage(original, choose))
        started = time.process_time()
        try:
            inspect(str(copy))
        except ModelFileInvalid:
            refused += 1
        except Exception as error:  # what the test is looking for
            untyped.append(repr(error))
        slowest = max(slowest, time.process_time() - started)
    return {"refused": refused, "slowest": slowest, "untyped": untyped}


def damage(original: bytes, choose: random.Random) -> bytes:
    data = bytearray(original)
    kind = choose.choice(["flip", "flip", "number", "cut", "remove", "double", "noise"])
    at = choose.randrange(len(data) - 8)
    if kind == "flip":
        for _ in range(choose.randint(1, 4)):
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    elif kind == "number":  # a length, count or offset becomes extreme
        data[at : at + 8] = choose.choice(
            [b"\xff" * 8, bytes(7) + b"\x80", b"\xff" * 7 + b"\x7f", bytes(8), b"\0\0\0\x40\0\0\0\0"]
        )
    elif kind == "cut":
        del data[at:]
    elif kind == "remove":
        del data[at : at + choose.randint(1, 64)]
    elif kind == "double":
        data[at:at] = data[at : at + choose.randint(1, 64)]
    else:
        data[at : at + 32] = choose.randbytes(32)
    return bytes(data)
