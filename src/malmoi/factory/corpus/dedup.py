"""Which documents are copies: exact ones by a hash, near ones by MinHash clusters.

Everything here works on small arrays with one entry a document, in the order of the corpus, so that what is
kept does not depend on how the work was divided.
"""

import hashlib

import numpy as np


def exact_key(text: str) -> bytes:
    """16 bytes that are equal for texts that differ in case and white space alone."""
    folded = "".join(text.lower().split())
    return hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def draw(seed: int, purpose: str, identifier: str) -> int:
    """A number in [0, 2^64) drawn for a document, the same on every machine and in any company.

    Draws for two purposes are independent: those of a sample must not decide who is held out of it.
    """
    data = f"{seed}\0{purpose}\0{identifier}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def first_of_each(keys: np.ndarray) -> np.ndarray:
    """(D,) bool: whether a document is the first with its key.

    Args:
        keys: (D, 2) uint64, as `exact_key` gives them.
    """
    first = np.zeros(len(keys), dtype=bool)
    if len(keys):
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: equal keys stay in the order of the corpus
        ordered = keys[order]
        new = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
        first[order[new]] = True
    return first


def best_of_each(clusters: np.ndarray, quality: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(D,) bool: the one document of each cluster that stays: the longest, then the best, then the first.

    Args:
        clusters: (D,) the cluster of each document.
        quality: (D,) scores; NaN where there is none.
        lengths: (D,) in bytes or characters.
    """
    kept = np.zeros(len(clusters), dtype=bool)
    if len(clusters):
        places = np.arange(len(clusters))
        order = np.lexsort((places, -np.nan_to_num(quality, nan=-1.0), -lengths.astype(np.int64), clusters))
        ordered = clusters[order]
        kept[order[np.concatenate(([True], ordered[1:] != ordered[:-1]))]] = True
    return kept


def sampled(draws: np.ndarray, sizes: np.ndarray, max_bytes: int) -> np.ndarray:
    """(D,) bool: the documents with the least draws that fit into `max_bytes` together; at least one."""
    order = np.argsort(draws, kind="stable")
    fits = np.cumsum(sizes[order]) <= max_bytes
    fits[:1] = True
    kept = np.zeros(len(draws), dtype=bool)
    kept[order[fits]] = True
    return kept
