"""Recipes with users-logs, users-fit and users-eval, through the runner."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malmoi.core.config import ConfigTree
from malmoi.core.errors import ConfigError, InvalidInput, MalmoiError, UnknownName
from malmoi.core.recipe import Recipe, check_recipe
from malmoi.core.registry import Registry
from malmoi.core.runner import RunOptions, run_recipe
from malmoi.core.stage import Stage
from malmoi.core.store import Artifact, Store
from malmoi.evals.leaderboard import find_report, read_boards
from malmoi.users.base import build_user_models
from malmoi.users.logs import load_logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.report.figures import Results
from malmoi.users.report.page import render_page
from malmoi.users.report.stage import RANKING, EvalStage
from malmoi.users.splits import leave_one_out
from malmoi.users.stages import FitStage, LogsStage

SMALL = {"users": 200, "items": 120, "events": 8, "seed": 3}


def make_recipe(stages: dict[str, Any], seed: int = 0) -> Recipe:
    tree = ConfigTree()
    tree.merge({"name": "demo", "seed": seed, "stages": stages}, origin="recipe.toml")
    registry: Registry[type[Stage[Any]]] = Registry("stage")
    for name, kind in (("users-logs", LogsStage), ("users-fit", FitStage), ("users-eval", EvalStage)):
        registry.add(name, kind)
    return check_recipe(tree, registry)


def run(home: Path, stages: dict[str, Any], data: Path | None = None) -> dict[str, Artifact]:
    options = RunOptions(home=home, data=data)
    finished = run_recipe(make_recipe(stages), options)
    return {stage.name: options.store.artifact(stage.artifact or "") for stage in finished.record.stages}


LOGS = {"use": "users-logs", "simulate": SMALL}
FIT = {"use": "users-fit", "kind": "markov-knn", "settings": {"knn": 0.7}}
EVAL = {"use": "users-eval", "inputs": {"model": "mix"}}


def test_from_a_simulation_to_a_report(home: Path) -> None:
    stages = {
        "logs": LOGS,
        "mix": FIT,
        "near": {"use": "users-fit", "kind": "item-knn", "inputs": {"logs": "logs"}},
        "report": {"use": "users-eval", "inputs": {"model": "mix", "model-2": "near"}, "few": 4},
    }
    made = run(home, stages)
    assert made["mix"].manifest.metadata["kind"] == "markov-knn"
    assert made["mix"].manifest.metadata["settings"]["knn"] == 0.7
    assert (made["logs"].path / "traits.parquet").is_file()
    results = Results.model_validate_json((made["report"].path / RANKING).read_text(encoding="utf-8"))
    assert [one.name for one in results.models] == [
        "demo-mix", "demo-near", "popularity", "item-knn", "markov-knn", "best possible",
    ]  # fmt: skip
    figures = {one.name: one.groups["all"].ndcg for one in results.models}
    assert figures["popularity"].value < figures["demo-mix"].value < figures["best possible"].value
    assert all(one.low <= one.value <= one.high for one in figures.values())
    # The figures are those of the saved model on the held-out events.
    logs = load_logs(made["logs"].path)
    model = build_user_models().get("markov-knn").load(made["mix"].path)
    ranks = rank_cases(model, leave_one_out(logs).test)
    assert figures["demo-mix"].value == pytest.approx(ndcg(ranks))
    np.testing.assert_array_equal(np.load(made["report"].path / "ranks.npy")[0], ranks)
    assert len(results.comparisons) == 15
    assert set(results.models[0].groups) >= {"all", "histories of at most 4"}
    # Everything is found again.
    again = run(home, stages)
    assert {name: one.id for name, one in again.items()} == {name: one.id for name, one in made.items()}


def test_a_report_of_users_is_none_of_language_models(home: Path) -> None:
    run(home, {"logs": LOGS, "report": {"use": "users-eval", "baselines": ["popularity"]}})
    store = Store(home / "store")
    assert len(store.artifacts("report")) == 1
    assert read_boards(store) == []
    with pytest.raises(UnknownName, match="no evaluation report 'latest'"):
        find_report(store, "latest")


def test_users_that_nobody_has_seen_are_reported_apart(home: Path) -> None:
    split = {"method": "users", "share": 0.2, "seed": 1}
    stages = {
        "logs": LOGS,
        "mix": {**FIT, "split": split},
        "report": {
            "use": "users-eval",
            "split": split,
            "inputs": {"model": "mix"},
            "baselines": ["popularity"],
        },
    }
    made = run(home, stages)
    results = Results.model_validate_json((made["report"].path / RANKING).read_text(encoding="utf-8"))
    groups = results.models[0].groups
    assert groups["new users"].cases == groups["all"].cases == results.cases == 40


@pytest.mark.parametrize(
    "change", [{"on": "all"}, {"split": {"method": "users", "share": 0.2}}], ids=["all", "split"]
)
def test_a_model_is_not_asked_what_it_has_learned(home: Path, change: dict[str, Any]) -> None:
    stages = {
        "logs": LOGS,
        "mix": {**FIT, **change},
        "report": EVAL,
    }
    with pytest.raises(InvalidInput, match="may have learned what it would be asked"):
        run(home, stages)


def test_a_model_of_other_logs_is_said_to_be_so(home: Path) -> None:
    other = {"use": "users-logs", "simulate": {**SMALL, "seed": 4}}
    stages = {
        "logs": LOGS,
        "mix": FIT,
        "other": other,
        "report": {"use": "users-eval", "inputs": {"model": "mix", "logs": "other"}, "baselines": []},
    }
    made = run(home, stages)
    results = json.loads((made["report"].path / RANKING).read_text(encoding="utf-8"))
    assert results["notes"] == [
        "demo-mix was fitted on other logs; whether it knows these users is not checked."
    ]


def test_an_evaluation_that_was_killed_goes_on_with_the_next_model(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = {"logs": LOGS, "mix": FIT, "report": EVAL}
    asked: list[str] = []

    def dies(model: Any, cases: Any, **options: Any) -> Any:
        asked.append(model.kind)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return rank_cases(model, cases, **options)

    monkeypatch.setattr("malmoi.users.report.stage.rank_cases", dies)
    with pytest.raises(KeyboardInterrupt):
        run(home, stages)
    made = run(home, stages)
    assert asked == ["markov-knn", "popularity", "item-knn", "item-knn", "markov-knn", "best"]
    monkeypatch.undo()
    whole = run(home.parent / "other", stages)
    ranks = [np.load(one["report"].path / "ranks.npy") for one in (made, whole)]
    np.testing.assert_array_equal(ranks[0], ranks[1])


def test_files_become_logs_and_changed_files_are_read_again(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.csv").write_text("user,item,time\nkim,a,1\nkim,b,2\n", encoding="utf-8")
    stages = {"logs": {"use": "users-logs", "read": {"sources": [{"files": ["x.csv"], "time_unit": "s"}]}}}
    made = run(home, stages, data)
    assert made["logs"].manifest.metadata["events"] == 2
    assert (made["logs"].path / "about" / "import.json").is_file()
    assert run(home, stages, data)["logs"].id == made["logs"].id
    (data / "x.csv").write_text("user,item,time\nkim,a,1\nkim,b,2\nkim,c,3\n", encoding="utf-8")
    assert run(home, stages, data)["logs"].manifest.metadata["events"] == 3


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"logs": {"use": "users-logs"}}, "either read"),
        ({"logs": LOGS, "mix": {**FIT, "kind": "item-kn"}}, "did you mean item-knn"),
        ({"logs": LOGS, "mix": {**FIT, "split": {"method": "time"}}}, "needs `time`"),
    ],
    ids=["origin", "kind", "time"],
)
def test_recipes_that_cannot_be(stages: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_recipe(stages)


def test_settings_of_a_kind_are_checked_with_their_path(home: Path) -> None:
    with pytest.raises(MalmoiError, match=r"settings\.knm"):
        run(home, {"logs": LOGS, "mix": {**FIT, "settings": {"knm": 1}}})


def test_the_page_escapes_what_it_shows(home: Path) -> None:
    made = run(home, {"logs": LOGS, "mix": FIT, "report": EVAL})
    results = Results.model_validate_json((made["report"].path / RANKING).read_text(encoding="utf-8"))
    evil = results.models[0].model_copy(update={"name": "<script>alert(1)</script>"})
    page = render_page(results.model_copy(update={"models": (evil,), "notes": ("<b>note</b>",)}))
    assert "<script" not in page
    assert "&lt;b&gt;note" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<svg" in page
    assert (made["report"].path / "about" / "report.html").is_file()
