"""What identifies logs: a fit may only go on from a checkpoint of the same ones."""

import hashlib

import numpy as np

from malmoi.users.logs import Logs


def digest_of(logs: Logs) -> str:
    """sha256 over the sequences and the items' texts; names of users do not matter to any model."""
    digest = hashlib.sha256()
    for array in (logs.offsets, logs.events):
        digest.update(np.ascontiguousarray(array).tobytes())
    for ident, text in zip(logs.items.ids, logs.items.texts, strict=True):
        digest.update(f"{ident}\0{text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
