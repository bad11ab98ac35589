"""Seeds of node models: the ledger, the artifact, the study of hops, and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from small_graphs import communities

from malmoi.cli.users.graph import graph as command
from malmoi.cli.users.graph import parse_seeds
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.store import Store
from malmoi.users.graphs import runs as runs_module
from malmoi.users.graphs.files import write_npz
from malmoi.users.graphs.gsm import GSMSettings
from malmoi.users.graphs.hop_study import compare_hops, render_hops, run_hop_study
from malmoi.users.graphs.kinds import Outcome
from malmoi.users.graphs.runs import SeedRuns, question_key, run_seeds, save_runs

torch.set_num_threads(1)

QUICK = GSMSettings(hidden=8, depth=2, num_epochs=5, learning_rate=0.03)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_finished_seeds_are_not_run_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = communities(nodes=45)
    first = run_seeds("gsm", QUICK, graph, seeds=(0, 1), store=store)
    trained: list[int] = []
    original = runs_module.train_model

    def watched(*args: Any, seed: int, **rest: Any) -> Any:
        trained.append(seed)
        return original(*args, seed=seed, **rest)

    monkeypatch.setattr(runs_module, "train_model", watched)
    again = run_seeds("gsm", QUICK, graph, seeds=(0, 1, 2), store=store)
    assert trained == [2]
    assert again.outcomes[:2] == first.outcomes
    with (first.work / "seeds.jsonl").open("a") as ledger:
        ledger.write('{"step": 3, "outco')  # a process that died while it wrote
    assert run_seeds("gsm", QUICK, graph, seeds=(0, 1, 2), store=store).outcomes == again.outcomes


def test_another_question_has_another_key() -> None:
    graph = communities(nodes=45)
    keys = {
        question_key("gsm", QUICK, graph),
        question_key("gsm", QUICK.model_copy(update={"depth": 3}), graph),
        question_key("gsm", QUICK, communities(1, nodes=45)),
        question_key("gesm", QUICK, graph),
    }
    assert len(keys) == 4


def test_the_artifact_holds_the_seed_that_validates_best(store: Store) -> None:
    graph = communities(nodes=45)
    runs = run_seeds("gsm", QUICK, graph, seeds=(0, 1, 2), store=store)
    artifact = save_runs(store, runs, graph, name="words", source="g.npz")
    artifact.verify()
    best = max(runs.outcomes, key=lambda outcome: (outcome.validation_accuracy, -outcome.seed))
    assert artifact.manifest.metadata["best_seed"] == best.seed
    lines = (artifact.path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "node,class,probability"
    assert len(lines) == 46
    classes = {int(line.split(",")[0]): int(line.split(",")[1]) for line in lines[1:]}
    right = [classes[int(node)] == graph.labels[node] for node in graph.test]
    assert sum(right) / len(right) == pytest.approx(best.test_accuracy)


def runs_of(accuracies: list[float]) -> SeedRuns:
    outcomes = tuple(
        Outcome(
            seed=seed, test_accuracy=accuracy / 100, validation_accuracy=0.5, best_epoch=1, epochs=1,
            seconds=1.0, cpu_seconds=1.0,
        )
        for seed, accuracy in enumerate(accuracies)
    )  # fmt: skip
    return SeedRuns("gsm", QUICK, outcomes, Path("unused"))


def test_hops_are_compared_seed_by_seed() -> None:
    fixed, sampled = runs_of([70.0, 80.0, 60.0, 75.0]), runs_of([73.5, 82.5, 63.0, 78.0])
    row = compare_hops(32, fixed, sampled)
    # Differences 3.5, 2.5, 3, 3: mean 3, deviation 0.408; t(3) = 3.182.
    assert row.difference == pytest.approx(3.0)
    assert row.interval == pytest.approx((3 - 3.182 * 0.40825 / 2, 3 + 3.182 * 0.40825 / 2), abs=1e-3)
    assert row.verdict == "better"
    assert compare_hops(2, fixed, runs_of([70.5, 79.0, 61.0, 74.0])).verdict == "inside the noise"
    assert "+3.00" in render_hops([row])


def test_the_study_runs_its_grid(store: Store) -> None:
    rows = run_hop_study(
        "gsm", lambda changed: QUICK.model_copy(update=dict(changed)), communities(nodes=45),
        depths=(1, 3), seeds=(0, 1), store=store,
    )  # fmt: skip
    assert [row.depth for row in rows] == [1, 3]
    # With one hop at most there is nothing to draw: both columns are the same runs but for the name.
    assert rows[0].fixed.accuracies == rows[0].sampled.accuracies
    assert rows[0].verdict == "inside the noise"


def test_the_command_trains_resumes_and_reports(tmp_path: Path) -> None:
    write_npz(communities(nodes=45), tmp_path / "g.npz")
    quick = ["--set", "num_epochs=4", "--set", "hidden=8", "--data", str(tmp_path / "g.npz")]
    base = [*quick, "--home", str(tmp_path / "home"), "--quiet"]
    ran = CliRunner().invoke(command, ["gsm", *base, "--seeds", "2", "--json"], catch_exceptions=False)
    report = json.loads(ran.output)
    assert [seed["seed"] for seed in report["seeds"]] == [0, 1]
    assert report["settings"]["hidden"] == 8
    again = CliRunner().invoke(command, ["gsm", *base, "--seeds", "2"], catch_exceptions=False)
    assert f"{report['test_accuracy']:.2f} +- {report['sd']:.2f} % over 2 seeds" in again.output
    study = [*base, "--seeds", "0,1", "--depths", "1,2", "--json"]
    rows = json.loads(CliRunner().invoke(command, ["propagate", *study], catch_exceptions=False).output)
    assert [row["depth"] for row in rows["study"]] == [1, 2]
    for row in rows["study"]:  # both ways to answer are run, and validation chooses
        (other,) = row["rejected"]
        assert {row["inference"], other["settings"]["inference"]} == {"deepest", "mean"}
    chosen = CliRunner().invoke(
        command, ["propagate", *study, "--set", "inference=mean"], catch_exceptions=False
    )
    assert [row["inference"] for row in json.loads(chosen.output)["study"]] == ["mean", "mean"]
    kinds = [artifact.manifest.kind for artifact in Store(tmp_path / "home" / "store").artifacts()]
    assert sorted(kinds) == ["graph", "graph", "report", "report"]


def test_wrong_arguments_are_told(tmp_path: Path) -> None:
    assert parse_seeds("3") == (0, 1, 2)
    assert parse_seeds("7,5,7") == (7, 5)
    for text in ("0", "", "a", "1;2", "-1"):
        with pytest.raises(InvalidInput, match="--seeds"):
            parse_seeds(text)
    base = ["--data", str(tmp_path / "none.npz"), "--home", str(tmp_path)]
    with pytest.raises(UnknownName, match="gesm"):
        CliRunner().invoke(command, ["gesn", *base], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="--depths"):
        CliRunner().invoke(command, ["gsm", *base, "--depths", "2", "--depth", "3"], catch_exceptions=False)
