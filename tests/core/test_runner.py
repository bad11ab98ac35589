import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import counting_stages
from malmoi.core.errors import ConfigError, Conflict, MalmoiError, UnknownName
from malmoi.core.locks import locked
from malmoi.core.recipe import Recipe, check_recipe, read_recipe
from malmoi.core.runner import RunOptions, plan_recipe, run_recipe
from malmoi.core.stage import Metrics
from malmoi.core.store import Run

PLAIN = 'name = "tiny"\nseed = 3\n[stages.count]\nupto = 4\n[stages.double]\n'


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    (tmp_path / "home").mkdir()
    return RunOptions(home=tmp_path / "home")


def recipe(options: RunOptions, *overrides: str, text: str = PLAIN) -> Recipe:
    file = options.home / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    return check_recipe(read_recipe(file, overrides), counting_stages.stages())


def ran(options: RunOptions) -> list[str]:
    file = options.home / "ran.txt"
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return names


def content(options: RunOptions, run: Run, stage: str, file: str) -> str:
    made = next(record.artifact for record in run.record.stages if record.name == stage)
    assert made is not None
    return (options.store.artifact(made).path / file).read_text()


def test_stages_run_once_and_are_reused(options: RunOptions) -> None:
    first = run_recipe(recipe(options), options)
    assert ran(options) == ["count", "double"]
    assert content(options, first, "double", "doubled.txt") == "6 8 10 12"
    second = run_recipe(recipe(options), options)
    assert ran(options) == []
    assert [stage.status for stage in second.record.stages] == ["reused", "reused"]
    assert [stage.artifact for stage in second.record.stages] == [s.artifact for s in first.record.stages]
    assert first.id != second.id
    assert list((options.store.root / "work").glob("*")) == []


def test_only_what_a_change_reaches_runs_again(options: RunOptions) -> None:
    run_recipe(recipe(options), options)
    ran(options)
    run_recipe(recipe(options, "count.workers=8"), options)
    assert ran(options) == []  # the result does not depend on it
    run_recipe(recipe(options, "count.upto=5"), options)
    assert ran(options) == ["count", "double"]
    run_recipe(recipe(options, "count.upto=4"), options)
    assert ran(options) == []  # both are in the store
    run_recipe(recipe(options, "seed=4"), options)
    assert ran(options) == ["count", "double"]


def test_the_same_content_made_anew_is_no_change_for_what_follows(options: RunOptions) -> None:
    data = options.home / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    run_recipe(recipe(options), replace(options, data=data))
    ran(options)
    (data / "a.txt").write_text("two")  # read by `count`, which makes the same numbers from it
    run = run_recipe(recipe(options), replace(options, data=data))
    assert ran(options) == ["count"]
    assert [stage.status for stage in run.record.stages] == ["finished", "reused"]


def test_the_plan_says_why(options: RunOptions) -> None:
    def plan(*overrides: str, **changes: object) -> list[tuple[str, str, str]]:
        rows = plan_recipe(recipe(options, *overrides), replace(options, **changes))  # type: ignore[arg-type]
        return [(row.name, row.action, row.why) for row in rows]

    assert plan() == [("count", "run", "it was never run"), ("double", "run", "count will be made first")]
    run_recipe(recipe(options), options)
    assert plan() == [("count", "reuse", "nothing changed"), ("double", "reuse", "nothing changed")]
    assert plan("count.upto=6")[0] == ("count", "run", "upto = 6, was 4")
    assert plan("seed=9")[0] == ("count", "run", "seed = 9, was 3")
    assert plan(start="double") == [("count", "reuse", "nothing changed"), ("double", "run", "asked for")]
    assert plan(until="count") == [("count", "reuse", "nothing changed"), ("double", "skip", "--until count")]
    assert ran(options) == ["count", "double"]  # planning ran nothing


def test_until_and_from(options: RunOptions) -> None:
    with pytest.raises(Conflict, match="count before it is not there"):
        run_recipe(recipe(options), replace(options, start="double"))
    run_recipe(recipe(options), replace(options, until="count"))
    assert ran(options) == ["count"]
    run_recipe(recipe(options), options)
    assert ran(options) == ["double"]
    run_recipe(recipe(options), replace(options, start="double"))
    assert ran(options) == ["double"]
    run_recipe(recipe(options), replace(options, again=True))
    assert ran(options) == ["count", "double"]
    with pytest.raises(UnknownName, match="did you mean 'double'"):
        run_recipe(recipe(options), replace(options, until="duble"))
    with pytest.raises(ConfigError, match="comes after"):
        run_recipe(recipe(options), replace(options, until="count", start="double"))


def kill(options: RunOptions, point: str) -> None:
    recipe(options, text=PLAIN.replace("4", "12"))
    ended = subprocess.run(
        [sys.executable, counting_stages.__file__, options.home / "tiny.toml", options.home],
        env={**os.environ, "KILL_AT": point},
        check=False,
    )
    assert ended.returncode == -9


def test_a_killed_run_goes_on_to_the_same_result(options: RunOptions, tmp_path: Path) -> None:
    """Killed at random numbers, and once when `out` was filled but was no artifact yet."""
    points = sorted(random.Random(5).sample(range(12), 3))
    for point in [*map(str, points), "end"]:
        kill(options, point)
        interrupted = options.store.runs()[-1]
        assert interrupted.status == "interrupted"
        assert options.store.artifacts() == []
        plan = plan_recipe(recipe(options, text=PLAIN.replace("4", "12")), options)
        assert plan[0].action == "resume"
    finished = run_recipe(recipe(options, text=PLAIN.replace("4", "12")), options)
    assert finished.id == interrupted.id  # the same run went on
    assert len(options.store.runs()) == 1
    assert content(options, finished, "count", "numbers.txt").split() == [str(n + 3) for n in range(12)]
    made = options.store.artifact(finished.record.stages[0].artifact or "")
    steps = [row["step"] for row in Metrics(made.path / "about" / "metrics.jsonl").read()]
    assert steps == list(range(12))
    straight = replace(options, home=tmp_path / "straight")
    straight.home.mkdir()
    other = run_recipe(recipe(straight, text=PLAIN.replace("4", "12")), straight)
    digests = [straight.store.artifact(s.artifact or "").digest for s in other.record.stages]
    assert digests == [options.store.artifact(s.artifact or "").digest for s in finished.record.stages]


def test_an_error_of_a_person_is_recorded_and_raised_as_it_is(options: RunOptions) -> None:
    with pytest.raises(MalmoiError, match=r"corpus.txt: line 3"):
        run_recipe(recipe(options, "count.fail=input"), options)
    run = options.store.runs()[-1]
    assert (run.status, run.record.error) == ("failed", "corpus.txt: line 3 is wrong. Mend it.")
    assert run.record.stages[0].status == "failed"


def test_a_bug_becomes_a_sentence_and_a_log(options: RunOptions) -> None:
    with pytest.raises(MalmoiError, match="count failed: RuntimeError: a bug") as caught:
        run_recipe(recipe(options, "count.fail=bug"), options)
    run = options.store.runs()[-1]
    log = run.path / "error.log"
    assert str(log) in str(caught.value)
    assert 'raise RuntimeError("a bug")' in log.read_text()


def test_two_processes_do_not_work_on_the_same_stage(options: RunOptions) -> None:
    plan = plan_recipe(recipe(options), options)
    assert plan[0].action == "run"
    run_recipe(recipe(options), options)
    key = options.store.runs()[-1].record.stages[0].key
    with (
        locked(options.store.root / "work" / f"{key}.lock", busy=""),
        pytest.raises(Conflict, match="another process is working on the stage count"),
    ):
        run_recipe(recipe(options), replace(options, again=True))


def test_a_lost_file_is_noticed(options: RunOptions) -> None:
    run = run_recipe(recipe(options), options)
    ran(options)
    made = options.store.artifact(run.record.stages[0].artifact or "")
    (made.path / "numbers.txt").unlink()
    assert plan_recipe(recipe(options), options)[0].why == f"files of {made.id} are missing"
    run_recipe(recipe(options), options)
    assert ran(options) == ["count"]


def test_an_artifact_of_another_run_can_be_an_input(options: RunOptions) -> None:
    run = run_recipe(recipe(options), options)
    made = run.record.stages[0].artifact
    text = f'name = "t"\n[stages.double]\ninputs = {{numbers = "{made}"}}\n'
    other = run_recipe(recipe(options, text=text), options)
    assert content(options, other, "double", "doubled.txt") == "6 8 10 12"
    wrong = f'name = "t"\n[stages.double]\ninputs = {{numbers = "{run.record.stages[1].artifact}"}}\n'
    with pytest.raises(ConfigError, match="is not a corpus"):
        run_recipe(recipe(options, text=wrong), options)
    ran(options)
    late = PLAIN + '[stages.again]\nuse = "double"\ninputs = {numbers = "corpus-none"}\n'
    with pytest.raises(UnknownName, match="no artifact 'corpus-none'"):
        run_recipe(recipe(options, "count.upto=7", text=late), options)
    assert ran(options) == []  # it was found out before the first stage


def test_other_ranks_wait_for_what_rank_0_makes(options: RunOptions) -> None:
    from threading import Thread

    follower = replace(options, rank=1, world_size=2)
    found: list[Run] = []
    thread = Thread(target=lambda: found.append(run_recipe(recipe(options), follower)), daemon=True)
    checked = recipe(options)
    thread.start()
    run = run_recipe(checked, replace(options, world_size=2))
    thread.join(timeout=30)
    assert [seen.id for seen in found] == [run.id]
    assert ran(options) == ["count", "double"]
