"""Graphs of PyTorch Geometric: a `Data` object, or the file that a data set of its keeps."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import pickle as loader  # for the name of its error alone

from malmoi.core.errors import InvalidInput, MissingExtra
from malmoi.users.graphs.graph import Graph, check_graph, mutual, sparse_features


def read_geometric(path: Path) -> Graph:
    """The graph in a `processed/data.pt` that PyTorch Geometric wrote.

    Raises:
        MissingExtra: PyTorch Geometric is not installed.
        InvalidInput: the file holds no graph of nodes with features, labels and masks.
    """
    try:
        from torch_geometric.data import Data  # its import makes its classes known to the loader
    except ModuleNotFoundError as error:
        raise MissingExtra("reading a data set of PyTorch Geometric", "graph") from error
    try:
        # Not torch_geometric's own loader: it falls back to unpickling whatever the file holds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old forms of the file, which either load or fail below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (loader.UnpicklingError, RuntimeError, EOFError, OSError) as error:
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
    return mutual(check_graph(graph, source))
