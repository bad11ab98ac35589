"""One kind of model over several seeds: every finished seed is kept, and a run that died goes on.

    store/work/graph-<key>/seeds.jsonl                one line a finished seed
    store/work/graph-<key>/best.safetensors           scores and weights of the seed that validates best
    store/work/graph-<key>/seed-7/nodes.safetensors   the seed under way

The key is a digest of the graph, the kind, its settings and `VERSION`: the same question is never computed
twice, and another one never mixes with it.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import Conflict
from malmoi.core.files import write_bytes, write_json, write_text
from malmoi.core.locks import locked
from malmoi.core.stage import Metrics, Progress, SilentProgress
from malmoi.core.store import Artifact, Store
from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.kinds import NodeSettings, Outcome, train_model

VERSION = 1
"""Raise it when the same graph, settings and seed give another result than before."""
BEST = "best.safetensors"


@dataclass(frozen=True)
class SeedRuns:
    """What all seeds of one question came to.

    Attributes:
        kind: of model.
        settings: of the model.
        outcomes: in the order of the seeds.
        work: the folder of the module's table.
    """

    kind: str
    settings: NodeSettings
    outcomes: tuple[Outcome, ...]
    work: Path

    @property
    def accuracies(self) -> list[float]:
        """Test accuracy of each seed in percent."""
        return [100 * outcome.test_accuracy for outcome in self.outcomes]

    @property
    def mean(self) -> float:
        """Mean test accuracy in percent."""
        return fmean(self.accuracies)

    @property
    def validation(self) -> float:
        """Mean validation accuracy in percent."""
        return fmean(100 * outcome.validation_accuracy for outcome in self.outcomes)

    @property
    def spread(self) -> float:
        """Its standard deviation over the seeds; 0 for one."""
        return stdev(self.accuracies) if len(self.outcomes) > 1 else 0.0


def graph_digest(graph: Graph) -> str:
    """sha256 of everything that a result depends on."""
    digest = hashlib.sha256(f"{len(graph)} {graph.features.width} {graph.num_classes}".encode())
    features = graph.features
    arrays = (features.data, features.indices, features.indptr, graph.labels, graph.edges,
              graph.train, graph.validation, graph.test)  # fmt: skip
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def run_seeds(
    kind: str,
    settings: NodeSettings,
    graph: Graph,
    *,
    seeds: Sequence[int],
    store: Store,
    progress: Progress | None = None,
) -> SeedRuns:
    """Train with every seed that is not finished yet.

    Args:
        kind: a name in `kinds.KINDS`.
        settings: its settings.
        graph: to learn.
        seeds: each once.
        store: keeps what is done.
        progress: shows each seed.

    Raises:
        Conflict: another process works on the same question.
        MalmoiError: a loss is not finite.
    """
    progress = progress or SilentProgress()
    key = question_key(kind, settings, graph)
    work = store.root / "work" / f"graph-{key}"
    work.mkdir(parents=True, exist_ok=True)
    busy = "another process trains this model on this graph."
    with locked(work / "lock", busy=busy, fix="Wait for it, or stop it: what it has finished is kept."):
        ledger = Metrics(work / "seeds.jsonl")
        done = {row["step"]: Outcome.model_validate(row["outcome"]) for row in ledger.read()}
        left = [seed for seed in seeds if seed not in done]
        for seed in left:
            folder = work / f"seed-{seed}"
            folder.mkdir(exist_ok=True)
            with progress.task(f"{kind}, seed {seed}", total=settings.num_epochs, unit="epochs") as task:
                trained = train_model(kind, settings, graph, seed=seed, work=folder, key=key, task=task)
            best = max([found.validation_accuracy for found in done.values()], default=-1.0)
            if trained.outcome.validation_accuracy > best:
                trained.save(work / BEST)
            ledger.log(seed, outcome=trained.outcome.model_dump())
            shutil.rmtree(folder, ignore_errors=True)
            done[seed] = trained.outcome
            progress.note(f"{kind}, seed {seed}: test accuracy {100 * trained.outcome.test_accuracy:.1f} %")
    return SeedRuns(kind, settings, tuple(done[seed] for seed in seeds), work)


def question_key(kind: str, settings: NodeSettings, graph: Graph) -> str:
    """Names what is asked: graph, kind, settings and this program's version."""
    parts = [VERSION, kind, settings.model_dump(mode="json"), graph_digest(graph)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def save_runs(store: Store, runs: SeedRuns, graph: Graph, *, name: str, source: str) -> Artifact:
    """Put the seeds' figures, the best model's weights and its predictions into the store.

    Args:
        store: to put them into.
        runs: from `run_seeds`.
        graph: that they were trained on.
        name: of the artifact.
        source: the graph's file, by its name alone.

    Raises:
        Conflict: the best model is not there any more.
    """
    from safetensors import safe_open
    from safetensors.numpy import save

    path = runs.work / BEST
    if not path.is_file():
        raise Conflict(f"{path} is gone.", fix=f"Remove {runs.work} and train again.")
    with safe_open(path, framework="np") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    scores = tensors.pop("scores")
    weights = {key.removeprefix("weights."): value for key, value in tensors.items()}
    metadata = {
        "model": runs.kind,
        "settings": runs.settings.model_dump(mode="json"),
        "graph": {"source": source, "sha256": graph_digest(graph), "nodes": len(graph)},
        "seeds": [outcome.seed for outcome in runs.outcomes],
        "best_seed": facts["seed"],
        "test_accuracy": {"mean": round(runs.mean, 3), "sd": round(runs.spread, 3)},
    }
    with store.new_artifact("graph", name, metadata=metadata) as folder:
        write_bytes(folder / "weights.safetensors", save(weights))
        write_text(folder / "predictions.csv", predictions(graph, scores))
        write_json(folder / "about" / "seeds.json", [o.model_dump() for o in runs.outcomes])
    return store.artifacts("graph")[-1]


def predictions(graph: Graph, scores: NDArray[np.float32]) -> str:
    """Class and probability of every node as CSV."""
    import csv
    import io

    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    best = shares.argmax(1)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["node", "class", "probability"])
    for node, (label, share) in enumerate(zip(best.tolist(), shares.max(1).tolist(), strict=True)):
        table.writerow([
            graph.nodes[node] if graph.nodes is not None else node,
            graph.classes[label] if graph.classes is not None else label,
            f"{share:.4f}",
        ])  # fmt: skip
    return out.getvalue()
