"""Reading a graph: one .npz file, a folder of CSV files, or a data set of PyTorch Geometric.

    cora.npz          feature_{data,indices,indptr,shape} (CSR), labels, edge_index, train, val, test
    folder            edges.csv     source,target
                      labels.csv    node,label[,split]           split: train, val, test or empty
                      features.csv  node,feature[,value] or node,number,number,...; may be absent
    Planetoid root    NAME/processed/data.pt (PyTorch Geometric), or the folder NAME itself

Nothing is unpickled: .npz is read without objects, data.pt by torch's loader of tensors alone.
"""

import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.users.graphs.graph import Features, Graph, check_graph, mutual
from malmoi.users.graphs.tables import read_tables

_ARRAYS = (
    "feature_data", "feature_indices", "feature_indptr", "feature_shape", "labels", "edge_index",
    "train", "val", "test",
)  # fmt: skip


def read_graph(path: Path) -> Graph:
    """The graph in a file or folder; see the module for the forms.

    Raises:
        NotFound: there is nothing.
        InvalidInput: it is not a graph; the message names file and array or line.
        MissingExtra: it is a data set of PyTorch Geometric, which is not installed.
    """
    if path.is_file() and path.suffix == ".npz":
        return read_npz(path)
    if path.is_file() and path.suffix == ".pt":
        return _read_geometric(path)
    if path.is_dir():
        if (path / "edges.csv").is_file():
            return read_tables(path)
        found = sorted(path.glob("processed/data.pt")) or sorted(path.glob("*/processed/data.pt"))
        if len(found) == 1:
            return _read_geometric(found[0])
        files = sorted(path.glob("*.npz"))
        if len(files) == 1:
            return read_npz(files[0])
        names = [file.relative_to(path).as_posix() for file in (*found, *files)]
        raise InvalidInput(
            f"{path} holds {'several graphs: ' + ', '.join(names) if names else 'no graph'}.",
            fix="Name one .npz file, or a folder with edges.csv and labels.csv, or one Planetoid data set.",
        )
    if path.exists():
        raise InvalidInput(f"{path} is neither .npz nor .pt nor a folder.", fix="Name a graph's file.")
    raise NotFound(
        f"there is no file or folder {path}.",
        fix="Name an .npz file, a folder of CSV files, or a Planetoid folder.",
    )


def read_npz(path: Path) -> Graph:
    """The graph in an .npz file of plain arrays.

    Raises:
        InvalidInput: an array is missing or wrong.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [name for name in _ARRAYS if name not in file.files]
            if missing:
                raise InvalidInput(
                    f"{path}: the arrays {', '.join(missing)} are missing.",
                    fix=f"A graph's file holds {', '.join(_ARRAYS)}.",
                )
            arrays = {name: _numbers(file, name, path) for name in _ARRAYS}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise InvalidInput(f"{path} is no .npz file, or a damaged one.", fix="Write it anew.") from error
    shape = arrays["feature_shape"]
    if shape.shape != (2,):
        raise InvalidInput(f"{path}: feature_shape is {shape.tolist()}, not [nodes, features].")
    features = Features(
        arrays["feature_data"].astype(np.float32),
        _whole(arrays, "feature_indices", path),
        _whole(arrays, "feature_indptr", path),
        int(shape[1]),
    )
    edges = _whole(arrays, "edge_index", path)
    graph = Graph(
        features=features,
        labels=_whole(arrays, "labels", path),
        edges=edges,
        train=_whole(arrays, "train", path),
        validation=_whole(arrays, "val", path),
        test=_whole(arrays, "test", path),
    )
    return mutual(check_graph(graph, str(path)))


def write_npz(graph: Graph, path: Path) -> None:
    """Write a graph as the arrays that `read_npz` reads; names of nodes and classes are left out."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            feature_data=graph.features.data,
            feature_indices=graph.features.indices,
            feature_indptr=graph.features.indptr,
            feature_shape=np.array([len(graph), graph.features.width]),
            labels=graph.labels,
            edge_index=graph.edges,
            train=graph.train,
            val=graph.validation,
            test=graph.test,
        )


def _read_geometric(path: Path) -> Graph:
    # By name: it needs torch, which is imported for these files alone.
    read: Callable[[Path], Graph] = import_module("malmoi.users.graphs.geometric").read_geometric
    return read(path)


def _numbers(file: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[name]
    except ValueError as error:  # an array of objects, which would have to be unpickled
        raise InvalidInput(
            f"{path}: {name} is no array of numbers.", fix="Save plain numbers, without objects."
        ) from error
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{path}: {name} holds {array.dtype}, not numbers.", fix="Save plain numbers.")
    return array


def _whole(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> NDArray[np.int64]:
    array = arrays[name]
    if array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
        raise InvalidInput(f"{path}: {name} holds fractions.", fix="It must hold whole numbers.")
    return np.ascontiguousarray(array).astype(np.int64)
