"""A graph as CSV files: edges.csv, labels.csv, and features.csv where nodes have features.

Node names are text and stay text. Nodes are those of labels.csv in its order, then those that only edges or
features name. Where no node has a split, one is drawn (graph.draw_split). Without features.csv each node is
its own feature.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.users.graphs.graph import UNLABELLED, Features, Graph, check_graph, draw_split, undirected

_SPLITS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


class _Names:
    """Numbers for names, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


def read_tables(folder: Path) -> Graph:
    """The graph in a folder of CSV files.

    Raises:
        InvalidInput: a file or column is missing, or a line is wrong; the message names file and line.
    """
    nodes, classes = _Names(), _Names()
    labels, parts = _read_labels(folder / "labels.csv", nodes, classes)
    edges = _read_edges(folder / "edges.csv", nodes)
    path = folder / "features.csv"
    features = _read_features(path, nodes) if path.is_file() else None
    count = len(nodes.numbers)
    whole = np.full(count, UNLABELLED, dtype=np.int64)
    whole[: len(labels)] = labels
    if any(parts.values()):
        train, validation, test = (np.array(sorted(part), dtype=np.int64) for part in parts.values())
    else:
        train, validation, test = draw_split(whole)
    graph = Graph(
        features=features.resized(count) if features is not None else _own_feature(count),
        labels=whole,
        edges=undirected(edges),
        train=train,
        validation=validation,
        test=test,
        nodes=tuple(nodes.numbers),
        classes=tuple(classes.numbers),
    )
    return check_graph(graph, str(folder))


def _own_feature(count: int) -> Features:
    places = np.arange(count, dtype=np.int64)
    return Features(np.ones(count, dtype=np.float32), places, np.arange(count + 1, dtype=np.int64), count)


def _read_labels(path: Path, nodes: _Names, classes: _Names) -> tuple[list[int], dict[str, list[int]]]:
    labels: list[int] = []
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for line, row in _rows(path, ("node", "label")):
        node = nodes.of(row["node"])
        if node != len(labels):
            raise InvalidInput(f"{path}, line {line}: node {row['node']!r} has a label already.")
        label = row["label"].strip()
        labels.append(classes.of(label) if label else UNLABELLED)
        split = row.get("split", "").strip().lower()
        if split and split not in _SPLITS:
            raise InvalidInput(
                f"{path}, line {line}: split {split!r}.", fix="Write train, val, test or nothing."
            )
        if split:
            parts[_SPLITS[split]].append(node)
    return labels, parts


def _read_edges(path: Path, nodes: _Names) -> NDArray[np.int64]:
    pairs = [
        (nodes.of(row["source"]), nodes.of(row["target"])) for _, row in _rows(path, ("source", "target"))
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


class _Collected:
    """Feature values as they are read; later ones of the same node and feature add up."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, int], float] = {}
        self.width = 0

    def resized(self, num_nodes: int) -> Features:
        """As a matrix with a row for each node."""
        places = sorted(self.values)
        rows = np.array([row for row, _ in places], dtype=np.int64)
        counts = np.bincount(rows, minlength=num_nodes) if places else np.zeros(num_nodes, dtype=np.int64)
        return Features(
            np.array([self.values[place] for place in places], dtype=np.float32),
            np.array([column for _, column in places], dtype=np.int64),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            self.width,
        )


def _read_features(path: Path, nodes: _Names) -> _Collected:
    collected, words = _Collected(), _Names()
    for line, row in _rows(path, ("node",)):
        node = nodes.of(row["node"])
        if "feature" in row:
            word = words.of(row["feature"])
            cells = {word: row["value"] if row.get("value") else "1"}
            collected.width = max(collected.width, word + 1)
        else:
            cells = dict(enumerate(cell for name, cell in row.items() if name != "node"))
            collected.width = len(cells)
        for column, cell in cells.items():
            value = _number(cell, path, line)
            if value:
                place = (node, column)
                collected.values[place] = collected.values.get(place, 0.0) + value
    if collected.width == 0:
        raise InvalidInput(
            f"{path} has no features.", fix="Give the columns node,feature[,value], or remove it."
        )
    return collected


def _number(cell: str, path: Path, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput(f"{path}, line {line}: {cell!r} is no number.", fix="Write numbers such as 0.5.")
    return value


def _rows(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Every line with its number.

    Raises:
        InvalidInput: the file or a column is missing, or a line has too few or too many cells.
    """
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing.", fix=f"It has the columns {', '.join(wanted)}.") from None
    with file:
        reader = csv.reader(file)
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in wanted if name not in header]
            if missing:
                raise InvalidInput(
                    f"{path}: no column {', '.join(missing)}; it has {', '.join(header) or 'none'}.",
                    fix=f"The first line must name {', '.join(wanted)}.",
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise InvalidInput(
                        f"{path}, line {reader.line_num}: {len(cells)} cells, but {len(header)} columns.",
                        fix="Quote cells that hold commas.",
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not UTF-8.", fix="Save it as UTF-8.") from None
        except csv.Error as error:
            raise InvalidInput(f"{path}, line {reader.line_num}: {error}.", fix="Save it as CSV.") from None
