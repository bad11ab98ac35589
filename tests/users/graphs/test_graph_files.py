"""Graphs from files: what is read, what is mended, and what is refused with its place."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_graphs import communities

from malmoi.core.errors import InvalidInput, MalmoiError, NotFound
from malmoi.users.graphs.files import read_graph, write_npz
from malmoi.users.graphs.graph import UNLABELLED, draw_split


def arrays() -> dict[str, Any]:
    file = io.BytesIO()
    graph = communities()
    features = graph.features
    np.savez(
        file, feature_data=features.data, feature_indices=features.indices, feature_indptr=features.indptr,
        feature_shape=[len(graph), features.width], labels=graph.labels, edge_index=graph.edges,
        train=graph.train, val=graph.validation, test=graph.test,
    )  # fmt: skip
    file.seek(0)
    return dict(np.load(file, allow_pickle=False))


def test_npz_round_trip(tmp_path: Path) -> None:
    graph = communities()
    write_npz(graph, tmp_path / "g.npz")
    for path in (tmp_path / "g.npz", tmp_path):
        again = read_graph(path)
        assert np.array_equal(again.features.dense(), graph.features.dense())
        for name in ("labels", "edges", "train", "validation", "test"):
            assert np.array_equal(getattr(again, name), getattr(graph, name)), name


def test_edges_are_made_mutual_single_and_free_of_loops(tmp_path: Path) -> None:
    values = arrays() | {"edge_index": np.array([[0, 0, 1, 2], [1, 1, 0, 2]])}
    np.savez(tmp_path / "g.npz", **values)
    assert read_graph(tmp_path / "g.npz").edges.tolist() == [[0, 1], [1, 0]]


FAULTS = [
    pytest.param({"labels": None}, "labels are missing|labels", id="missing"),
    pytest.param(
        {"edge_index": np.array([[0], [90]])}, "edge_index names node 90, but labels has 90", id="edge"
    ),
    pytest.param({"edge_index": np.array([0, 1])}, r"edge_index has the shape \(2,\)", id="edge-shape"),
    pytest.param({"train": np.array([-1])}, "train names node -1", id="train"),
    pytest.param({"val": np.array([], dtype=np.int64)}, "val names no node", id="empty"),
    pytest.param({"feature_data": np.full(3, 1.0)}, "feature_data has 3 values", id="data"),
    pytest.param({"feature_indptr": np.zeros(5, dtype=np.int64)}, "4 rows, but labels 90", id="rows"),
    pytest.param({"labels": np.full(90, 0.5)}, "labels holds fractions", id="fractions"),
    pytest.param({"labels": np.array(["a"] * 90)}, "labels holds <U1, not numbers", id="text"),
    pytest.param({"labels": np.array([{}] * 90)}, "labels is no array of numbers", id="objects"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_wrong_arrays_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    values = {name: value for name, value in (arrays() | change).items() if value is not None}
    np.savez(tmp_path / "g.npz", **values)
    with pytest.raises(InvalidInput, match=message):
        read_graph(tmp_path / "g.npz")


def test_shared_nodes_of_train_and_test_are_refused(tmp_path: Path) -> None:
    values = arrays()
    np.savez(tmp_path / "g.npz", **(values | {"test": values["train"]}))
    with pytest.raises(InvalidInput, match="share nodes"):
        read_graph(tmp_path / "g.npz")


def test_what_is_no_graph_is_told(tmp_path: Path) -> None:
    (tmp_path / "g.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InvalidInput, match="damaged"):
        read_graph(tmp_path / "g.npz")
    with pytest.raises(NotFound):
        read_graph(tmp_path / "nothing.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no graph"):
        read_graph(tmp_path / "empty")


def write_tables(folder: Path, *, features: str | None, labels: str, edges: str) -> Path:
    texts = {"features.csv": features, "labels.csv": labels, "edges.csv": edges}
    for name, text in texts.items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


LABELS = "node,label,split\n가,red,train\n나,blue,val\n다,red,test\n"
EDGES = "source,target\n가,나\n나,가\n나,라\n"


def test_tables_with_words_as_features(tmp_path: Path) -> None:
    words = "node,feature,value\n가,w1,2\n다,w2,\n가,w2,0.5\n"
    graph = read_graph(write_tables(tmp_path, features=words, labels=LABELS, edges=EDGES))
    assert graph.nodes == ("가", "나", "다", "라")
    assert graph.classes == ("red", "blue")
    assert graph.labels.tolist() == [0, 1, 0, UNLABELLED]
    assert graph.features.dense().tolist() == [[2, 0.5], [0, 0], [0, 1], [0, 0]]
    assert graph.edges.tolist() == [[0, 1, 1, 3], [1, 0, 3, 1]]
    assert (graph.train.tolist(), graph.validation.tolist(), graph.test.tolist()) == ([0], [1], [2])


def test_tables_with_columns_or_without_features(tmp_path: Path) -> None:
    columns = "node,a,b\n가,1,0\n나,0,-3.5\n"
    graph = read_graph(write_tables(tmp_path, features=columns, labels=LABELS, edges=EDGES))
    assert graph.features.dense().tolist() == [[1, 0], [0, -3.5], [0, 0], [0, 0]]
    (tmp_path / "features.csv").unlink()
    assert np.array_equal(read_graph(tmp_path).features.dense(), np.eye(4))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("edges.csv", "source,target\n가\n", "edges.csv, line 2: 1 cells", id="short"),
        pytest.param(
            "edges.csv", "from,to\n가,나\n", "no column source, target; it has from, to", id="header"
        ),
        pytest.param("labels.csv", LABELS + "가,red,\n", "line 5: node '가' has a label already", id="twice"),
        pytest.param("labels.csv", "node,label,split\n가,red,later\n", "line 2: split 'later'", id="split"),
        pytest.param("features.csv", "node,a\n가,many\n", "line 2: 'many' is no number", id="number"),
        pytest.param("features.csv", "node,a\n가,nan\n", "line 2: 'nan' is no number", id="nan"),
    ],
)
def test_wrong_tables_are_told_with_their_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    write_tables(tmp_path, features=None, labels=LABELS, edges=EDGES)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        read_graph(tmp_path)


def test_a_drawn_split_shares_no_node_and_follows_the_seed() -> None:
    labels = np.array([0] * 40 + [1] * 40 + [2] * 5 + [UNLABELLED] * 10)
    train, validation, test = draw_split(labels, seed=3)
    assert np.bincount(labels[train]).tolist() == [20, 20, 2]
    every = np.concatenate([train, validation, test])
    assert sorted(every.tolist()) == list(range(85))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(draw_split(labels, seed=3), (train, validation, test), strict=True)
    )


def test_a_data_set_of_pytorch_geometric(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric", reason="the extra [graph] is not installed")
    import torch
    from torch_geometric.data import Data, InMemoryDataset

    from malmoi.users.graphs.geometric import from_geometric

    graph = communities()
    masks = {}
    for name, part in (("train", graph.train), ("val", graph.validation), ("test", graph.test)):
        masks[f"{name}_mask"] = torch.zeros(len(graph), dtype=torch.bool)
        masks[f"{name}_mask"][torch.from_numpy(part)] = True
    data = Data(
        x=torch.from_numpy(graph.features.dense()), y=torch.from_numpy(graph.labels),
        edge_index=torch.from_numpy(graph.edges), **masks,
    )  # fmt: skip
    (tmp_path / "Cora" / "processed").mkdir(parents=True)
    InMemoryDataset.save([data], str(tmp_path / "Cora" / "processed" / "data.pt"))
    for again in (from_geometric(data), read_graph(tmp_path), read_graph(tmp_path / "Cora")):
        assert np.array_equal(again.features.dense(), graph.features.dense())
        assert np.array_equal(again.edges, graph.edges)
        assert np.array_equal(again.train, graph.train)
    data.y = None
    with pytest.raises(InvalidInput, match="y missing"):
        from_geometric(data)


def test_a_data_set_that_would_run_code_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric", reason="the extra [graph] is not installed")
    import pickle

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "data.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(MalmoiError, match="without running code"):
        read_graph(tmp_path / "data.pt")
    assert not (tmp_path / "ran").exists()
