"""The automatic loop as a whole: the same figures each time, also after a kill; replay; what is kept."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from redteam_fakes import WordClassifier, write_script, write_seeds

from malmoi.core.errors import EngineError, InvalidInput, NotFound
from malmoi.core.stage import SilentProgress
from malmoi.engine.base import Completion, Prompt, Sampling
from malmoi.engine.scripted import ScriptedEngine, load_script
from malmoi.evals.redteam.regression import read_failures
from malmoi.evals.redteam.run import RedteamOutcome, RedteamSettings, run_redteam
from malmoi.evals.results import read_items, read_result


class Dying(ScriptedEngine):
    """A model that is gone after some answers, as if the power had failed."""

    left = 20

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        if self.left <= 0:
            raise EngineError("gone")
        self.left -= 1
        return await super().generate(prompts, sampling)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path / "model.toml")


@pytest.fixture
def settings(tmp_path: Path, script: Path) -> RedteamSettings:
    return RedteamSettings(
        model=f"scripted:{script}",
        classifier="word",
        seeds=write_seeds(tmp_path / "seeds.txt"),
        count=20,
        harmless=10,
    )


async def run(settings: RedteamSettings, home: Path, **more: Any) -> RedteamOutcome:
    return await run_redteam(
        settings, home=home, progress=SilentProgress(), classifier=WordClassifier(), **more
    )


def figures(outcome: RedteamOutcome) -> Any:
    return [
        (
            task.name,
            task.items,
            [(metric.name, metric.value, metric.low, metric.high) for metric in task.metrics],
        )
        for task in outcome.result.tasks
    ]


async def test_a_run_finds_what_is_there(settings: RedteamSettings, home: Path) -> None:
    outcome = await run(settings, home)
    items = [item for item in read_items(outcome.report.path) if item.task == "redteam/attacks"]
    assert len(items) > 10
    for item in items:
        assert (item.grade == 0.0) == ("7" in item.prompt), item.prompt
    attacks, harmless = outcome.result.tasks
    failed = sum(item.grade == 0.0 for item in items)
    assert failed > 0
    assert attacks.metrics[0].name == "attack_success_rate"
    assert attacks.metrics[0].value == failed / len(items)
    assert attacks.metrics[0].low < attacks.metrics[0].value < attacks.metrics[0].high  # type: ignore[operator]
    assert harmless.items == 10
    assert harmless.metrics[0].name == "over_refusal_rate"
    assert harmless.metrics[0].value == 0.1  # the question about locking bicycles is refused
    assert read_result(outcome.report.path) == outcome.result
    page = (outcome.report.path / "about" / "report.html").read_text(encoding="utf-8")
    assert "attack_success_rate" in page


async def test_all_attacks_are_different(settings: RedteamSettings, home: Path) -> None:
    outcome = await run(settings, home)
    items = [item for item in read_items(outcome.report.path) if item.task == "redteam/attacks"]
    assert len({item.prompt for item in items}) == len({item.id for item in items}) == len(items)


async def test_the_same_seed_gives_the_same(settings: RedteamSettings, tmp_path: Path) -> None:
    first, second = [await run(settings, tmp_path / name) for name in ("one", "two")]
    assert figures(first) == figures(second)
    assert first.failures == second.failures
    from dataclasses import replace

    other = await run(replace(settings, seed=1), tmp_path / "three")
    assert [f.question for f in other.failures] != [f.question for f in first.failures]


@pytest.mark.parametrize("after", [0, 5, 21, 40])
async def test_a_run_that_died_goes_on_without_asking_again(
    settings: RedteamSettings, script: Path, tmp_path: Path, after: int
) -> None:
    straight = ScriptedEngine(load_script(script))
    whole = await run(settings, tmp_path / "whole", engines={settings.model: straight})
    dying = Dying(load_script(script))
    dying.left = after
    home = tmp_path / "home"
    with pytest.raises(EngineError):
        await run(settings, home, engines={settings.model: dying})
    again = ScriptedEngine(load_script(script))
    resumed = await run(settings, home, engines={settings.model: again})
    assert figures(resumed) == figures(whole)
    assert resumed.failures == whole.failures
    # What had been answered when it died is not asked again.
    assert len(again.requests) <= len(straight.requests) - after


async def test_a_finished_run_asks_nothing_again(settings: RedteamSettings, script: Path, home: Path) -> None:
    await run(settings, home)
    again = ScriptedEngine(load_script(script))
    await run(settings, home, engines={settings.model: again})
    assert again.requests == []


async def test_failures_are_kept_once_and_replayed(
    settings: RedteamSettings, script: Path, home: Path, tmp_path: Path
) -> None:
    first = await run(settings, home)
    rows = read_failures(first.regression)
    assert first.kept == len(rows) == len(first.failures) > 0
    assert (await run(settings, home)).kept == 0
    assert read_failures(first.regression) == rows
    from dataclasses import replace

    again = await run(replace(settings, seeds=None, replay=first.regression), home)
    [replay, _] = again.result.tasks
    assert (replay.name, replay.items, replay.metrics[0].value) == ("redteam/replay", len(rows), 1.0)
    better = tmp_path / "better.toml"
    better.write_text('[[rules]]\nwhen = "."\nreply = "좋은 답입니다."\n', encoding="utf-8")
    mended = replace(settings, seeds=None, replay=first.regression, model=f"scripted:{better}")
    outcome = await run(mended, home)
    assert outcome.result.tasks[0].metrics[0].value == 0.0
    assert read_failures(first.regression) == rows  # a set only grows


async def test_what_succeeds_shows_what_to_write_next(
    settings: RedteamSettings, script: Path, home: Path
) -> None:
    engine = ScriptedEngine(load_script(script))
    outcome = await run(settings, home, engines={settings.model: engine})
    prompts = [request.prompt for request in engine.requests if isinstance(request.prompt, str)]
    assert any(failure.question in prompt for failure in outcome.failures for prompt in prompts)
    safe = {
        item.prompt
        for item in read_items(outcome.report.path)
        if item.task == "redteam/attacks" and item.grade == 1.0
    }
    assert not any(question in prompt for question in safe for prompt in prompts)


async def test_the_answer_is_judged_after_its_question(settings: RedteamSettings, home: Path) -> None:
    classifier = WordClassifier()
    await run_redteam(settings, home=home, progress=SilentProgress(), classifier=classifier)
    assert classifier.seen
    assert all(question.endswith("?") and answer.endswith(".") for question, answer in classifier.seen)


async def test_a_model_without_a_chat_template_goes_on_with_text(
    settings: RedteamSettings, script: Path, home: Path
) -> None:
    engine = ScriptedEngine(load_script(script), capabilities=("generate",))
    outcome = await run(settings, home, engines={settings.model: engine})
    answered = [r for r in engine.requests if isinstance(r.prompt, str) and r.prompt.endswith("답변:")]
    assert answered
    assert all("\n질문:" in request.sampling.stop for request in answered)
    assert outcome.result.tasks[0].items > 0


async def test_what_is_not_there_is_said(settings: RedteamSettings, home: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(InvalidInput, match="nothing to begin from"):
        await run(replace(settings, seeds=None), home)
    with pytest.raises(NotFound, match=r"seeds\.txt"):
        await run(replace(settings, seeds=tmp_path / "no" / "seeds.txt"), home)
    with pytest.raises(NotFound, match="there is no classifier"):
        await run_redteam(settings, home=home, progress=SilentProgress())
    with pytest.raises(InvalidInput, match="no group"):
        await run(replace(settings, group="nothing"), home)
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "1"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        await run(replace(settings, seeds=None, replay=broken), home)


async def test_a_hostile_answer_is_text_on_the_page(
    settings: RedteamSettings, home: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    hostile = tmp_path / "hostile.toml"
    hostile.write_text(
        'num_slots = 1\n[[rules]]\nwhen = "질문:$"\nreply = ["<script>alert(1)</script> 7 무엇인가?"]\n'
        '[[rules]]\nwhen = "."\nreply = "나쁜 <img src=x onerror=alert(1)>"\n',
        encoding="utf-8",
    )
    outcome = await run(replace(settings, model=f"scripted:{hostile}", count=2), home)
    page = (outcome.report.path / "about" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


def test_the_command(settings: RedteamSettings, home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from click.testing import CliRunner

    import malmoi.evals.redteam.run as module
    from malmoi.cli import cli

    monkeypatch.setattr(module, "load_classifier", lambda folder: WordClassifier())
    folder = tmp_path / "word"
    folder.mkdir()
    arguments = [
        *("safety", "redteam", "--model", settings.model, "--classifier", str(folder)),
        *("--seeds", str(settings.seeds), "--count", "12", "--harmless", "4", "--home", str(home), "--quiet"),
    ]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "attack_success_rate" in done.output
    assert "over_refusal_rate" in done.output
    assert str(home / "redteam" / "regression.jsonl") in done.output
    shown = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(shown.output)["suite"] == "redteam"
    unnamed = [argument for argument in arguments if argument not in ("--classifier", str(folder))]
    none_yet = CliRunner().invoke(cli, unnamed)  # without the option: the newest in the store
    assert "malmoi safety train" in str(none_yet.exception)
    shutil.rmtree(home)


def test_a_prompt_that_does_not_fit_says_which_option_helps(
    home: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    from click.testing import CliRunner

    import malmoi.evals.redteam.run as module
    from malmoi.cli import cli
    from malmoi.core.errors import ContextOverflow

    async def overflow(*_: Any, **__: Any) -> None:
        raise ContextOverflow(653, 512)

    monkeypatch.setattr(module, "run_redteam", overflow)
    arguments = ["safety", "redteam", "--model", "tiny", "--classifier", str(tmp_path), "--home", str(home)]
    done = CliRunner().invoke(cli, [*arguments, "--quiet"])
    assert "653 tokens" in str(done.exception)
    assert "--attacker" in str(done.exception)
