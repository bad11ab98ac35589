"""Whole runs on scripted engines: resume, generation, tables of letters, reports, the command."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("lm_eval")

from harness_models import CountingEngine, GivenEngines, write_copa, write_gsm8k

from malmoi.cli import cli
from malmoi.core.store import Store
from malmoi.engine.base import Sampling
from malmoi.engine.scripted import Rule
from malmoi.evals.harness.identity import ModelIdentity, identify
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.harness.plan import Asked, make_plan
from malmoi.evals.harness.quiet import import_lm_eval
from malmoi.evals.harness.run import Outcome, run_plan, save_report
from malmoi.evals.results import read_items, read_result

MODEL = ModelIdentity("given", "0" * 64)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    import_lm_eval()
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_copa(tmp_path / "data")
    write_gsm8k(tmp_path / "data")
    return tmp_path / "data"


def run(engine: Any, asked: Asked, runner: asyncio.Runner, ledger: Ledger) -> Outcome:
    engines: Any = GivenEngines(runner, engine)
    return run_plan(make_plan(asked), asked, engines, MODEL, ledger=ledger)


def test_a_run_that_was_stopped_asks_nothing_twice(
    runner: asyncio.Runner, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("malmoi.evals.harness.lm._PAIRS", 4)
    asked = Asked(data, tasks=("kobest/copa", "kobest/boolq"), shots=1)
    path = tmp_path / "ledger.jsonl"
    first = CountingEngine(fail_after=30)
    with pytest.raises(KeyboardInterrupt):
        run(first, asked, runner, Ledger(path))
    assert 0 < len(first.pairs) <= 30
    second = CountingEngine()
    whole = run(second, asked, runner, Ledger(path))
    assert set(first.pairs).isdisjoint(second.pairs)
    assert len(first.pairs) + len(second.pairs) == 48
    third = CountingEngine()
    again = run(third, asked, runner, Ledger(path))
    assert third.pairs == []
    assert again.items == whole.items
    fresh = run(CountingEngine(), asked, runner, Ledger(tmp_path / "other.jsonl"))
    assert fresh.items == whole.items


def test_answers_of_another_model_are_not_taken(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    asked = Asked(data, tasks=("kobest/copa",), shots=0)
    path = tmp_path / "ledger.jsonl"
    engine = CountingEngine()
    run(engine, asked, runner, Ledger(path))
    engines: Any = GivenEngines(runner, engine)
    run_plan(make_plan(asked), asked, engines, ModelIdentity("x", "1" * 64), ledger=Ledger(path))
    assert len(engine.pairs) == 48


def test_generated_answers_are_graded_and_told(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    engine = CountingEngine(
        [
            Rule(reply="The sum is 2. #### 2"),
        ]
    )
    asked = Asked(data, tasks=("gsm8k/gsm8k",), shots=0)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    outcome = run(engine, asked, runner, ledger)
    (task,) = outcome.result.tasks
    assert [item.grade for item in outcome.items] == [1.0, 0.0, 0.0, 0.0]
    assert task.metrics[0].value == 0.25
    assert (task.truncated, task.in_language) == (0.0, 1.0)
    assert {item.finish_reason for item in outcome.items} == {"stop"}
    assert outcome.result.completion_tokens > 0
    assert outcome.result.prompt_tokens > 0
    assert all("plus 2" in item.prompt for item in outcome.items)
    before = len(engine.requests)
    assert run(engine, asked, runner, Ledger(ledger.path)).items == outcome.items
    assert len(engine.requests) == before


def test_an_answer_that_was_cut_off_is_told(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    engine = CountingEngine([Rule(reply="답은 " + "아주 길다 " * 400)])
    outcome = run(engine, Asked(data, tasks=("gsm8k/gsm8k",), shots=0), runner, Ledger(tmp_path / "l"))
    (task,) = outcome.result.tasks
    assert (task.truncated, task.in_language) == (1.0, 0.0)


def test_the_answer_that_most_give_counts(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    replies = ("It is 2.", "It is 3.", "So 3 it is.", "#### 7")
    engine = CountingEngine([Rule(reply=replies)])
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'title = "M"\n[[tasks]]\nname = "gsm8k/gsm8k"\nshots = 0\nsamples = 4\ntemperature = 0.7\n',
        encoding="utf-8",
    )
    outcome = run(engine, Asked(data, suite=str(suite)), runner, Ledger(tmp_path / "l"))
    for item in outcome.items:
        said = item.fields["sampled"]
        assert len(said) == 4
        assert item.fields["passed"] == sum(answer in said and _right(answer, item) for answer in said)
    seeds = {request.sampling.seed for request in engine.requests}
    assert len(seeds) == 4
    assert all(request.sampling.temperature == 0.7 for request in engine.requests)


def _right(answer: str, item: Any) -> bool:
    return answer.rstrip(".").split()[-1] == item.gold.split()[-1] or f" {item.gold.split()[-1]} " in answer


def test_letters_are_read_from_one_token_where_nothing_is_scored(
    runner: asyncio.Runner, data: Path, tmp_path: Path
) -> None:
    engine = CountingEngine([Rule(reply=" B")], capabilities=("generate", "logprobs", "tokenize", "chat"))
    asked = Asked(data, tasks=("kobest/copa",), protocol="report", shots=0)
    outcome = run(engine, asked, runner, Ledger(tmp_path / "l"))
    assert engine.pairs == []
    assert len(engine.requests) == len(outcome.items) == 12
    assert {request.sampling.max_tokens for request in engine.requests} == {1}
    assert all(item.answer == item.choices[1] for item in outcome.items)
    # The options were put into another order, so that B is right now and then.
    assert len({item.grade for item in outcome.items}) == 2
    assert all("A. " in item.prompt for item in outcome.items)


def test_what_an_engine_cannot_do_is_skipped_with_a_reason(
    runner: asyncio.Runner, data: Path, tmp_path: Path
) -> None:
    engine = CountingEngine([Rule(reply="3")], capabilities=("generate", "logprobs", "tokenize"))
    asked = Asked(data, tasks=("kobest/copa", "gsm8k/gsm8k"), shots=0)
    outcome = run(engine, asked, runner, Ledger(tmp_path / "l"))
    assert [task.name for task in outcome.result.tasks] == ["gsm8k/gsm8k"]
    (skipped,) = outcome.result.skipped
    assert skipped.name == "kobest/copa"
    assert "--protocol report" in skipped.fix


def test_a_chat_is_asked_as_a_conversation(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    engine = CountingEngine([Rule(reply="A")])
    asked = Asked(data, tasks=("kobest/copa",), shots=1, chat=True)
    outcome = run(engine, asked, runner, Ledger(tmp_path / "l"))
    assert engine.pairs == []
    assert all(item.answer == item.choices[0] for item in outcome.items)
    chats = [request.prompt for request in engine.requests]
    assert all(chat.messages[-1].role == "user" for chat in chats)  # type: ignore[union-attr]


def test_a_context_that_does_not_fit_is_cut_and_told(
    runner: asyncio.Runner, data: Path, tmp_path: Path
) -> None:
    from malmoi.core.errors import ContextOverflow

    class Strict(CountingEngine):
        async def score(self, pairs: Any) -> Any:
            for context, continuation in pairs:
                if (length := len(await self.tokenize(context + continuation))) > 60:
                    raise ContextOverflow(length, 60)
            return await super().score(pairs)

    asked = Asked(data, tasks=("kobest/boolq",), shots=3)
    outcome = run(Strict(context_length=60), asked, runner, Ledger(tmp_path / "l"))
    assert all(item.fields["context_cut"] for item in outcome.items)


def test_a_missing_file_is_said_and_the_rest_goes_on(
    runner: asyncio.Runner, data: Path, tmp_path: Path
) -> None:
    asked = Asked(data, tasks=("kobest/copa", "kobest/wic"), shots=0)
    plan = make_plan(asked)
    assert [task.name for task in plan.tasks] == ["kobest/copa"]
    assert [(skipped.name, "KoBEST" in skipped.fix) for skipped in plan.skipped] == [("kobest/wic", True)]
    outcome = run(CountingEngine(), asked, runner, Ledger(tmp_path / "l"))
    assert outcome.result.skipped == plan.skipped


def test_a_report_is_an_artifact(runner: asyncio.Runner, data: Path, tmp_path: Path, home: Path) -> None:
    asked = Asked(data, tasks=("kobest/copa", "gsm8k/gsm8k"), shots=0, seed=3)
    engine = CountingEngine([Rule(reply="<script>alert(1)</script> 3")])
    outcome = run(engine, asked, runner, Ledger(tmp_path / "l"))
    report = save_report(outcome, home=home, model=MODEL)
    report.verify()
    assert report.manifest.kind == "report"
    assert read_result(report.path) == outcome.result
    assert list(read_items(report.path)) == outcome.items
    page = (report.path / "about" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert outcome.result.seed == 3
    assert "lm-eval" in outcome.result.versions
    (copa, _) = outcome.result.tasks
    assert set(copa.data_sha256) == {"COPA/dev.tsv"}


# The command


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.toml"
    path.write_text('[[rules]]\nreply = "It is 3."\n', encoding="utf-8")
    return path


def test_the_command_runs_and_keeps_a_report(data: Path, home: Path, script: Path) -> None:
    arguments = [
        "evals",
        "run",
        "--model",
        f"scripted:{script}",
        "--task",
        "kobest/copa",
        "--task",
        "kobest/wic",
    ]
    arguments += ["--data", str(data), "--home", str(home), "--shots", "0", "--limit", "5"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "skipped kobest/wic" in done.output
    (report,) = Store(home / "store").artifacts("report")
    assert report.id in done.output
    assert len(list(read_items(report.path))) == 5
    again = CliRunner().invoke(cli, [*arguments, "--json"])
    shown = json.loads(again.stdout)
    assert [task["items"] for task in shown["tasks"]] == [5]
    assert shown["model_sha256"] == identify(f"scripted:{script}", home=home).sha256
    third = CliRunner().invoke(cli, [*arguments, "--quiet"])
    assert "10 answers were known from before, 0 are new" in third.output


def test_a_dry_run_asks_nothing(data: Path, home: Path, script: Path) -> None:
    arguments = ["evals", "run", "--model", f"scripted:{script}", "--suite", "korean", "--dry-run"]
    done = CliRunner().invoke(cli, [*arguments, "--data", str(data), "--home", str(home)])
    assert done.exit_code == 0, done.output
    assert "kobest/copa" in done.output
    assert "kmmlu/data/*-test.csv (or in one of 3 other layouts). Fetch it from" in done.output
    assert "hf download HAERAE-HUB/KMMLU" in done.output
    assert not (home / "evals").exists()


def test_stopping_says_how_to_go_on(
    data: Path, home: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("malmoi.evals.harness.run.run_task", stop)
    arguments = ["evals", "run", "--model", f"scripted:{script}", "--task", "kobest/copa"]
    done = CliRunner().invoke(cli, [*arguments, "--data", str(data), "--home", str(home)])
    assert done.exit_code == 130
    assert "goes on from here" in done.output
    assert not (home / "store").exists()


def test_what_there_is_can_be_listed(data: Path, home: Path) -> None:
    done = CliRunner().invoke(cli, ["evals", "tasks", "--data", str(data), "--home", str(home), "--json"])
    listed = {row["name"]: row for row in json.loads(done.stdout)}
    assert listed["kobest/copa"]["missing"] == ""
    assert "Fetch it from" in listed["kobest/wic"]["missing"]
    assert "kobest/copa" in CliRunner().invoke(cli, ["evals", "tasks", "--home", str(home)]).output
    shown = CliRunner().invoke(cli, ["evals", "suites", "--json"])
    assert "kobest/copa" in json.loads(shown.stdout)["korean"]["tasks"]
    assert "report" in CliRunner().invoke(cli, ["evals", "suites"]).output


def test_lm_eval_s_own_tasks_are_found(runner: asyncio.Runner) -> None:
    from malmoi.core.errors import UnknownName
    from malmoi.evals.harness.stock import find_family

    assert find_family("kobest_copa").name == "kobest"
    with pytest.raises(UnknownName, match="kobest_copa"):
        find_family("kobest_kopa")


def test_lm_eval_s_own_tasks_say_what_they_need(
    runner: asyncio.Runner, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.tasks import TaskManager

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("cannot reach the hub")

    monkeypatch.setattr(TaskManager, "load", unreachable)
    outcome = run(
        CountingEngine(), Asked(data, tasks=("lm-eval:kobest_copa",)), runner, Ledger(tmp_path / "l")
    )
    (skipped,) = outcome.result.skipped
    assert "cannot reach the hub" in skipped.reason
    assert "--data" in skipped.fix
    assert skipped.sentence().count("lm-eval:kobest_copa") == 1


def test_a_task_of_lm_eval_runs_as_it_is(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    """A stock task over local rows: what the hub would give is laid under it."""
    import warnings

    from malmoi.evals.harness import stock

    family = tmp_path / "family"
    family.mkdir()
    rows = [{"q": f"{n} 더하기 1은", "c": [str(n + 1), str(n)], "a": 0} for n in range(5)]
    (family / "rows.json").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    (family / "plus.yaml").write_text(
        f"""task: plus_one
dataset_path: json
dataset_kwargs: {{data_files: {{test: {family / "rows.json"}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{q}}}}"
doc_to_choice: c
doc_to_target: a
metric_list: [{{metric: acc}}]
""",
        encoding="utf-8",
    )
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stock, "find_family", lambda _: family)
    with warnings.catch_warnings(), monkeypatch.context():
        warnings.simplefilter("ignore")
        asked = Asked(data, tasks=("lm-eval:plus_one",), limit=4)
        outcome = run(CountingEngine(), asked, runner, Ledger(tmp_path / "l"))
    monkeypatch.undo()
    assert outcome.result.skipped == ()
    (task,) = outcome.result.tasks
    assert (task.name, task.items, task.metrics[0].name) == ("lm-eval:plus_one", 4, "acc")
    assert task.metrics[0].value == sum(item.grade for item in outcome.items) / 4
    assert next(item.choices for item in outcome.items) == ("1", "0")


def test_lm_eval_is_imported_without_torch() -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom malmoi.evals.harness.quiet import import_lm_eval\nimport_lm_eval()\n"
        "import malmoi.evals.harness.wrapped\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_sampling_settings_of_lm_eval_are_ours() -> None:
    import_lm_eval()
    from malmoi.core.errors import Unsupported
    from malmoi.evals.harness.lm import sampling_of

    greedy = sampling_of({"until": ["\n"], "do_sample": False, "temperature": 0.7, "max_gen_toks": 9}, seed=1)
    assert (greedy.temperature, greedy.seed, greedy.stop, greedy.max_tokens) == (0.0, None, ("\n",), 9)
    drawn = sampling_of({"until": "x", "do_sample": True, "top_p": 0.9}, seed=4)
    assert drawn == Sampling(256, 1.0, top_p=0.9, repetition_penalty=1.0, seed=4, stop=("x",))
    with pytest.raises(Unsupported, match="num_beams"):
        sampling_of({"num_beams": 4}, seed=0)


# A judge


def test_conversations_are_judged_and_nothing_is_asked_twice(data: Path, home: Path, tmp_path: Path) -> None:
    folder = data / "ko_mt_bench"
    folder.mkdir(parents=True)
    rows = [
        {"question_id": n, "category": "writing", "turns": [f"{n}번 글을 써 줘.", "더 짧게 써 줘."]}
        for n in range(2)
    ]
    (folder / "question.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
    )
    model, judge = tmp_path / "model.toml", tmp_path / "judge.toml"
    model.write_text('[[rules]]\nreply = "짧은 글입니다."\n', encoding="utf-8")
    judge.write_text('[[rules]]\nreply = "좋지 않다."\n', encoding="utf-8")
    arguments = ["evals", "run", "--model", f"scripted:{model}", "--judge", f"scripted:{judge}", "--quiet"]
    arguments += ["--data", str(data), "--home", str(home)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    (report,) = Store(home / "store").artifacts("report")
    result = read_result(report.path)
    (task,) = result.tasks
    assert (task.name, task.items, task.in_language) == ("judged/ko_mt_bench", 4, 1.0)
    assert [item.grade for item in read_items(report.path)] == [0.0] * 4  # the verdicts cannot be read
    again = CliRunner().invoke(cli, arguments)
    assert "0 are new" in again.output


def test_a_judge_without_questions_says_what_is_missing(data: Path, home: Path, script: Path) -> None:
    arguments = ["evals", "run", "--model", f"scripted:{script}", "--judge", f"scripted:{script}", "--quiet"]
    done = CliRunner().invoke(cli, [*arguments, "--data", str(data), "--home", str(home)])
    assert "question.jsonl" in done.output
    assert done.exit_code == 1
    assert not Store(home / "store").artifacts("report")  # an empty report would stand in the leaderboard


def test_choices_that_add_to_the_prompt(runner: asyncio.Runner, data: Path, tmp_path: Path) -> None:
    folder = data / "winogrande"
    folder.mkdir(parents=True)
    row = {
        "qID": "x",
        "sentence": "Ann thanked Bea because _ had helped.",
        "option1": "Ann",
        "option2": "Bea",
    }
    (folder / "dev.jsonl").write_text(json.dumps({**row, "answer": "2"}) + "\n", encoding="utf-8")
    engine = CountingEngine()
    run(engine, Asked(data, tasks=("winogrande/winogrande",), shots=0), runner, Ledger(tmp_path / "l"))
    contexts = sorted(context for context, _ in engine.pairs)
    assert [context.split()[-1] for context in contexts] == ["Ann", "Bea"]
    assert len({continuation for _, continuation in engine.pairs}) == 1
