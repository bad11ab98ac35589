"""Reading a graph: one .npz file, a folder of CSV files, or a data set of PyTorch Geometric.

    cora.npz          feature_{data,indices,indptr,shape} (CSR), labels, edge_index, train, val, test
    folder            edges.csv     source,target
                      labels.csv    node,label[,split]           split: train, val, test or empty
                      features.csv  node,feature[,value] or node,number,number,...; may be absent
    Planetoid root    NAME/processed/data.pt (PyTorch Geometric), or the folder NAME itself

Nothing is unpickled: .npz is read without objects, data.pt by torch's loader of tensors alone.
"""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, MissingExtra, NotFound
from malmoi.users.graphs.graph import Features, Graph, check_graph, undirected
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
        return read_geometric(path)
    if path.is_dir():
        if (path / "edges.csv").is_file():
            return read_tables(path)
        found = sorted(path.glob("processed/data.pt")) or sorted(path.glob("*/processed/data.pt"))
        if len(found) == 1:
            return read_geometric(found[0])
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
    raise NotFound(f"there is no file or folder {path}.")


def read_npz(path: Path) -> Graph:
    """The graph in an .npz file of plain arrays.

    Raises:
        InvalidInput: an array is missing or wrong.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
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
    check_graph(graph, str(path))
    return _with_edges(graph)


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


def read_geometric(path: Path) -> Graph:
    """The graph in a `processed/data.pt` that PyTorch Geometric wrote.

    Raises:
        MissingExtra: PyTorch Geometric is not installed.
        InvalidInput: the file holds no graph of nodes with features, labels and masks.
    """
    import pickle  # for the name of the loader's error alone

    import torch

    try:
        from torch_geometric.data import Data  # its import makes its classes known to the loader
    except ModuleNotFoundError as error:
        raise MissingExtra("reading a data set of PyTorch Geometric", "graph") from error
    try:
        # Not torch_geometric's own loader: it falls back to unpickling whatever the file holds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old forms of the file, which either load or fail below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InvalidInput(
            f"{path} is no data set of PyTorch Geometric that can be read without running code.",
            fix="Let a current torch_geometric process the data set again, or convert it to .npz.",
        ) from error
    values = loaded[0] if isinstance(loaded, tuple) and loaded else loaded
    return from_geometric(Data.from_dict(values) if isinstance(values, dict) else values, str(path))


def from_geometric(data: Any, source: str = "data") -> Graph:
    """A `torch_geometric.data.Data` as a graph.

    Args:
        data: with x, y, edge_index, train_mask, val_mask and test_mask; of several splits the first is taken.
        source: where it came from, for messages.

    Raises:
        InvalidInput: one of these is missing, or they do not belong together.
    """
    wanted = ("x", "y", "edge_index", "train_mask", "val_mask", "test_mask")
    missing = [name for name in wanted if getattr(data, name, None) is None]
    if missing:
        raise InvalidInput(
            f"{source}: {', '.join(missing)} missing.", fix=f"A graph of nodes has {', '.join(wanted)}."
        )
    x, y = data.x.detach().cpu().numpy(), data.y.detach().cpu().numpy()
    if x.ndim != 2 or y.ndim != 1:
        raise InvalidInput(f"{source}: x has the shape {x.shape} and y {y.shape}, not (N, F) and (N,).")
    masks = {name: getattr(data, name).cpu().numpy() for name in wanted[3:]}
    masks = {name: mask[:, 0] if mask.ndim == 2 else mask for name, mask in masks.items()}
    train, validation, test = (np.flatnonzero(mask).astype(np.int64) for mask in masks.values())
    graph = Graph(
        features=sparse_features(x.astype(np.float32)),
        labels=y.astype(np.int64),
        edges=data.edge_index.cpu().numpy().astype(np.int64),
        train=train,
        validation=validation,
        test=test,
    )
    check_graph(graph, source)
    return _with_edges(graph)


def sparse_features(whole: NDArray[np.float32]) -> Features:
    """A whole matrix (N, F) without its zeros."""
    rows, columns = np.nonzero(whole)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(whole)))]).astype(np.int64)
    return Features(whole[rows, columns], columns.astype(np.int64), indptr, whole.shape[1])


def _with_edges(graph: Graph) -> Graph:
    """The same with every edge in both directions, once."""
    from dataclasses import replace

    return replace(graph, edges=undirected(graph.edges))


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
