from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import counting_stages
from malmoi.cli import cli
from malmoi.core.errors import MalmoiError
from malmoi.core.store import Store

RECIPE = 'name = "tiny"\nseed = 3\n[stages.count]\nupto = 4\n[stages.double]\n'


@pytest.fixture(autouse=True)
def _counting_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malmoi.factory.stages.build_stages", counting_stages.stages)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def call(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def succeed(*args: object) -> str:
    result = call(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def last_run(home: Path) -> str:
    return Store(home / "store").runs()[-1].id


def test_run_says_what_it_made_and_runs_nothing_twice(recipe: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    plan = succeed("run", recipe, "--home", home, "--dry-run")
    assert plan.splitlines() == [
        "count   run     it was never run",
        "double  run     count will be made first",
    ]
    first = succeed("run", recipe, "--home", home)
    assert "count            finished" in first
    assert "double           finished" in first
    assert "count            reused" in succeed("run", recipe, "--home", home)
    assert (home / "ran.txt").read_text().split() == ["count", "double"]


def test_run_without_a_recipe_lists_those_that_come_with_it() -> None:
    assert "tiny-ko" in succeed("run")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tiny-kp"], "did you mean 'tiny-ko'"),
        (["nowhere/x.toml"], "there is no recipe nowhere/x.toml"),
        (["RECIPE", "--data", "nowhere"], "--data: there is no folder"),
        (["RECIPE", "--until", "cuont"], "did you mean 'count'"),
        (["RECIPE", "--set", "count.upto=x"], "--set count.upto=x: stages.count.upto"),
    ],
)
def test_bad_input_is_a_sentence(recipe: Path, home: Path, args: list[str], message: str) -> None:
    result = call("run", *[recipe if arg == "RECIPE" else arg for arg in args], "--home", home)
    assert isinstance(result.exception, MalmoiError)
    assert message in str(result.exception)


def test_runs_are_listed_shown_compared_and_repeated(recipe: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    assert "No runs" in succeed("runs", "ls", "--home", home)
    succeed("run", recipe, "--home", home)
    first = last_run(home)
    succeed("run", recipe, "--home", home, "--set", "count.upto=6")
    second = last_run(home)
    listed = succeed("runs", "ls", "--home", home).splitlines()
    assert [line.split()[:2] for line in listed] == [[first, "finished"], [second, "finished"]]
    shown = succeed("runs", "show", first, "--home", home)
    assert "value 3" in shown  # the last figure of `count`
    assert "seed 3" in shown
    compared = succeed("runs", "diff", first, second, "--home", home)
    assert "stages.count.upto" in compared
    assert "count.value" in compared
    again = succeed("runs", "rerun", first, "--again", "--home", home)
    assert again.count("the same") == 2
    assert (home / "ran.txt").read_text().split() == ["count", "double"] * 3
    other = succeed("runs", "rerun", first, "--set", "count.upto=7", "--dry-run", "--home", home)
    assert "upto = 7, was 4" in other


def test_half_done_work_can_be_removed(recipe: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    assert "no half-done work" in succeed("runs", "clean", "--home", home)
    assert call("run", recipe, "--home", home, "--set", "count.fail=bug").exit_code == 1
    assert "failed" in succeed("runs", "ls", "--home", home)
    assert "Removed" in succeed("runs", "clean", "--yes", "--home", home)
    assert list((home / "store" / "work").iterdir()) == []


def test_lineage_names_what_an_artifact_was_made_from(recipe: Path, home: Path) -> None:
    home.mkdir(exist_ok=True)
    succeed("run", recipe, "--home", home)
    made = [stage.artifact for stage in Store(home / "store").runs()[-1].record.stages]
    lines = succeed("artifacts", "lineage", str(made[1]), "--home", home).splitlines()
    assert [line.split()[0] for line in lines] == [made[1], made[0]]
