"""The graph by which large collections are searched: HNSW, as usearch has it.

A vector that is taken out must leave the file too. usearch only marks a removed node and keeps its numbers,
so the node is at once filled anew, with zeros; the file is then looked through, and if the numbers are still
in it the graph is built again.
"""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LINKS = 16
_BUILD_WIDTH = 128
_SEARCH_WIDTH = 128


def open_graph(path: Path, *, view: bool) -> Any:
    """The graph in a file; `view`: mapped, for reading only."""
    from usearch.index import Index

    graph = Index.restore(str(path), view=view)
    graph.expansion_add, graph.expansion_search = _BUILD_WIDTH, _SEARCH_WIDTH
    return graph


def write_graph(path: Path, units: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Build the graph of the given rows of `units` (R, D), each of length 1."""
    from usearch.index import Index

    graph = Index(
        ndim=units.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=_LINKS,
        expansion_add=_BUILD_WIDTH,
        expansion_search=_SEARCH_WIDTH,
    )
    # One thread: the same vectors then give the same graph.
    graph.add(rows.astype(np.uint64), np.ascontiguousarray(units[rows]), threads=1)
    graph.save(str(path))


def change_graph(
    old: Path, new: Path, *, changed: dict[int, NDArray[np.float32]], gone: NDArray[np.float32]
) -> bool:
    """Write a changed copy of a graph.

    Args:
        old: its file.
        new: where the copy goes.
        changed: the rows that are other than before, with their unit vectors; zeros for a free row.
        gone: unit vectors that must not be in the copy, (n, D).

    Returns:
        Whether none of `gone` is in it. If not, the graph must be built anew.
    """
    graph = open_graph(old, view=False)
    rows = np.fromiter(changed, dtype=np.uint64, count=len(changed))
    known = rows[np.asarray(graph.contains(rows), dtype=bool)] if len(rows) else rows
    if len(known):
        graph.remove(known)
    if len(rows):
        graph.add(rows, np.stack(list(changed.values())).astype(np.float32), threads=1)
    graph.save(str(new))
    return not _holds(new, gone)


def _holds(path: Path, vectors: NDArray[np.float32]) -> bool:
    if not len(vectors):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(vector.tobytes()) >= 0 for vector in vectors if vector.any())
