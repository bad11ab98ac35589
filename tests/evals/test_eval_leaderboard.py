"""The leaderboard: newest results, and only what may stand side by side."""

from pathlib import Path
from typing import Any

import pytest

from eval_rows import choice_items, eval_result, task_result
from malmoi.core.errors import UnknownName
from malmoi.core.store import Store
from malmoi.evals.leaderboard import find_report, read_boards
from malmoi.evals.report.tables import render_leaderboard
from malmoi.evals.results import write_items, write_result


def keep(store: Store, model: str, right: float, *, seed: int = 0, **values: Any) -> str:
    """A report in the store; `values` change its task."""
    items = choice_items(120, seed=seed, right=right)
    protocol = values.pop("protocol", "field")
    task = task_result(items, ("accuracy",)).model_copy(update=values)
    with store.new_artifact("report", f"{model}-korean") as out:
        write_result(out, eval_result([task], model=model, protocol=protocol))
        write_items(out / "items.jsonl", items)
    return store.artifacts("report")[-1].id


def test_the_newest_result_of_each_model_counts_and_the_best_comes_first(home: Path) -> None:
    store = Store(home / "store")
    keep(store, "small", 0.9)
    newest = keep(store, "small", 0.5)
    keep(store, "standard", 0.7)
    with store.new_artifact("report", "study") as out:
        (out / "table.json").write_text("{}")
    (board,) = read_boards(store)
    assert [row.model for row in board.rows] == ["standard", "small"]
    assert board.rows[1].report == newest
    assert len(board.columns) == 1
    assert board.mean(board.rows[0]) == board.rows[0].figures[board.columns[0]].value


@pytest.mark.parametrize(
    ("key", "value"), [("shots", 5), ("split", "dev"), ("version", 2), ("form", "letters"), ("items", 50)]
)
def test_unlike_runs_never_share_a_column(home: Path, key: str, value: object) -> None:
    store = Store(home / "store")
    keep(store, "small", 0.6)
    keep(store, "standard", 0.7, **{key: value})
    (board,) = read_boards(store)
    assert len(board.columns) == 2
    assert all(len(row.figures) == 1 for row in board.rows)
    assert [board.mean(row) for row in board.rows] == [None, None]


def test_protocols_and_suites_are_boards_of_their_own(home: Path) -> None:
    store = Store(home / "store")
    keep(store, "small", 0.6)
    keep(store, "small", 0.6, protocol="report")
    assert [(board.suite, board.protocol) for board in read_boards(store)] == [
        ("korean", "field"),
        ("korean", "report"),
    ]
    assert read_boards(store, suite="english") == []


def test_a_report_is_found_by_id_by_latest_and_by_folder(home: Path) -> None:
    store = Store(home / "store")
    first = keep(store, "small", 0.6)
    second = keep(store, "standard", 0.6)
    assert find_report(store, first).name == first
    assert find_report(store, "latest").name == second
    folder = store.artifact(first).path
    assert find_report(store, str(folder)) == folder
    with pytest.raises(UnknownName, match="did you mean"):
        find_report(store, first[:-1])


def test_the_page_has_every_model(home: Path) -> None:
    store = Store(home / "store")
    keep(store, "small", 0.6)
    keep(store, "standard", 0.7)
    page = render_leaderboard(read_boards(store))
    assert page.count("standard") >= 2
    assert "script-src 'sha256-" in page
