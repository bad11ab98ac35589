"""Order as arithmetic: which source, which window and which dice for sequence number n, from n alone.

Nothing here remembers anything, so a run that is resumed, split over ranks or accumulated in other batches
reads exactly what it would have read. All integers are exact; nothing depends on a library's random
generator, whose streams may change between versions.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_MIN_SLOTS = 4096
_MAX_SLOTS = 1 << 18
_ROUNDS = 6


def key_of(*parts: object) -> int:
    """A 64-bit key from anything that has a stable text: seed, source name, epoch."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(value: int) -> int:
    """Spread a 64-bit number over all its bits: the finaliser of SplitMix64 (Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Draws:
    """A stream of random numbers that is a pure function of its key (SplitMix64)."""

    def __init__(self, key: int) -> None:
        self._state = key & _MASK

    def share(self) -> float:
        """The next number in [0, 1)."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        return (mix(self._state) >> 11) * 2.0**-53

    def below(self, end: int) -> int:
        """The next whole number in [0, end)."""
        return int(self.share() * end)

    def fork(self) -> int:
        """A key for another stream."""
        return self.below(1 << 32) << 32 | self.below(1 << 32)


class Permutation:
    """A seeded bijection of 0 ... size - 1 that holds no table.

    A balanced Feistel network over the next even power of two, walked until it lands inside the range again
    (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, section 3). A call takes at most four
    walks on average, for a thousand windows or a trillion.

    Raises:
        ValueError: `size` is not positive.
    """

    def __init__(self, size: int, key: int) -> None:
        if size < 1:
            raise ValueError(f"a permutation of {size} items")
        self.size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._keys = [mix(key + number) for number in range(_ROUNDS)]

    def __call__(self, index: int) -> int:
        """Where `index` goes."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        half, low = self._half, (1 << self._half) - 1
        while True:
            left, right = index >> half, index & low
            for key in self._keys:
                left, right = right, left ^ (mix(right ^ key) & low)
            index = left << half | right
            if index < self.size:
                return index


class Interleave:
    """Which source sequence number n comes from, such that every window keeps the weights.

    One cycle of slots is laid out by Tijdeman's rule for the chairman assignment problem (1980): of the
    sources that are due, the one whose deadline is nearest. Any first n slots hold within one of n * weight
    sequences of each source, so any window is within two of its share. Weights are rounded to a whole number
    of slots.

    Args:
        weights: positive, of any sum.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        total = sum(weights)
        smallest = min(weights) / total
        num_slots = _MIN_SLOTS
        while num_slots * smallest < 8 and num_slots < _MAX_SLOTS:
            num_slots *= 2
        self.counts = _whole_slots([weight / total for weight in weights], num_slots)
        self.num_slots = num_slots
        self._slots, self._ranks = _lay_out(self.counts, num_slots)

    def __call__(self, number: int) -> tuple[int, int]:
        """The source of sequence `number`, and how many sequences of that source come before it."""
        cycle, slot = divmod(number, self.num_slots)
        source = int(self._slots[slot])
        return source, cycle * self.counts[source] + int(self._ranks[slot])

    def count(self, source: int, number: int) -> int:
        """How many of the first `number` sequences come from `source`."""
        cycle, slot = divmod(number, self.num_slots)
        return cycle * self.counts[source] + int(np.count_nonzero(self._slots[:slot] == source))


def _whole_slots(shares: Sequence[float], num_slots: int) -> list[int]:
    """Slots for each share: at least one, largest remainders first, `num_slots` in all."""
    exact = [share * num_slots for share in shares]
    counts = [max(1, int(value)) for value in exact]
    by_need = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], i))
    left = num_slots - sum(counts)
    for position in range(abs(left)):
        if left > 0:
            counts[by_need[position % len(counts)]] += 1
        else:
            counts[max(range(len(counts)), key=lambda i: (counts[i] - exact[i], counts[i]))] -= 1
    return counts


def _lay_out(counts: Sequence[int], num_slots: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """One cycle: the source of each slot, and its rank among the slots of that source.

    In whole numbers, with everything multiplied by 2 (k - 1) num_slots: a source is due at slot n when
    n * weight - placed >= 1 / (2k - 2), and its deadline is (placed + 1 - 1 / (2k - 2)) / weight.
    """
    slots = np.zeros(num_slots, dtype=np.int32)
    ranks = np.zeros(num_slots, dtype=np.int32)
    num_sources = len(counts)
    if num_sources == 1:
        return slots, np.arange(num_slots, dtype=np.int32)
    scale = 2 * num_sources - 2
    placed = [0] * num_sources
    for slot in range(num_slots):
        chosen, nearest = -1, 0.0
        for source, count in enumerate(counts):
            if scale * ((slot + 1) * count - placed[source] * num_slots) < num_slots:
                continue  # not due
            deadline = (scale * (placed[source] + 1) - 1) / count
            if chosen < 0 or deadline < nearest:
                chosen, nearest = source, deadline
        assert chosen >= 0  # the shares sum to one, so somebody is due at every slot
        slots[slot], ranks[slot] = chosen, placed[chosen]
        placed[chosen] += 1
    return slots, ranks
