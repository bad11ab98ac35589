"""Whether a user has done anything new: one number for each history, of all its texts in order."""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import Logs

_EVENTS_AT_ONCE = 4_000_000
_ODD = np.uint64(0x9E3779B97F4A7C15)


def fingerprints(logs: Logs) -> NDArray[np.uint64]:
    """Of every user's whole history, (N,): not of item numbers, which change with each import."""
    text = np.array([_of_text(text) for text in logs.items.texts], dtype=np.uint64)
    found = np.zeros(len(logs), dtype=np.uint64)
    for start, stop in _spans(logs):
        first, last = int(logs.offsets[start]), int(logs.offsets[stop])
        lengths = np.diff(logs.offsets[start : stop + 1])
        place = np.arange(first, last) - np.repeat(logs.offsets[start:stop], lengths)
        values = _mix(text[np.asarray(logs.events[first:last])] + place.astype(np.uint64) * _ODD)
        if logs.times is not None:
            values = _mix(values ^ np.asarray(logs.times[first:last]).astype(np.uint64))
        sums = np.concatenate([[np.uint64(0)], np.cumsum(values, dtype=np.uint64)])
        ends = (logs.offsets[start : stop + 1] - first).astype(np.int64)
        found[start:stop] = sums[ends[1:]] - sums[ends[:-1]] + lengths.astype(np.uint64)
    return found


def _spans(logs: Logs) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(logs):
        end = int(np.searchsorted(logs.offsets, logs.offsets[start] + _EVENTS_AT_ONCE, side="right")) - 1
        stop = min(max(end, start + 1), len(logs))
        yield start, stop
        start = stop


def _of_text(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The last steps of SplitMix64 (Steele, Lea and Flood, 2014): near numbers come far apart."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
