"""The tests in template files: checks that hold, checks that catch, and the command that runs them."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from flow_talk import as_json

from malmoi.assist.templates import load_builtin
from malmoi.assist.templates.checks import has_table, korean_share, run_checks
from malmoi.assist.templates.template import Checks, Trial, TrialTurn
from malmoi.assist.templates.trials import Answered, run_trials
from malmoi.cli import cli
from malmoi.engine.scripted import Rule, ScriptedEngine

NAMES = ["dialect", "email", "interview", "listener", "polish", "quiz", "resume", "trip"]
SCORES = as_json(structure=4, relevance=4, concreteness=4, clarity=4, quote="느린 쿼리 4개")
STOPS = as_json(stops=[{"time": f"{9 + n:02}:00", "place": f"경기전 {n}", "note": "걷기"} for n in range(3)])


def choice(number: int) -> str:
    return as_json(
        question=f"훈민정음은 무엇인가? {number}",
        correct="글자",
        wrong=["노래", "그림", "춤"],
        explanation="글에 있다.",
    )


def good_engine() -> ScriptedEngine:
    """A model that does what it is asked."""
    return ScriptedEngine(
        [
            Rule(contains="JSON으로 채점", reply=SCORES),
            Rule(contains="일차에 갈", reply=STOPS),
            Rule(contains="이미 낸 문제", reply=choice(2)),
            Rule(contains="문제를 하나", reply=choice(1)),
            Rule(contains="꼬리 질문", reply="그때 무엇을 하셨나요?"),
            Rule(contains="고쳐 쓰라", reply="저는 느린 쿼리 4개를 찾아 색인을 넣었습니다."),
            Rule(contains="제목만", reply="수요일 회의 부탁드립니다"),
            Rule(contains="본문만", reply="안녕하세요. 수요일 10시로 옮겼으면 합니다. 고맙습니다. " * 3),
            Rule(contains="only the subject", reply="Slides by Friday"),
            Rule(
                contains="body of this",
                reply="Hi Dana, could you send the slides by Friday? Thanks.",
            ),
            Rule(contains="이력서의", reply="한빛상사 물류팀에서 재고 시스템을 운영하고 오배송을 40% 줄임."),
            Rule(contains="experience", reply="Nurse at Riverside Hospital, ward 4, 12 beds."),
            Rule(contains="Write only the", reply="A nurse with care and order."),
            Rule(
                contains="다듬어",
                reply="매출은 1,250만 원으로 지난달보다 12% 늘었고 불만 7건은 모두 처리함.",
            ),
            Rule(contains="사투리로 옮기라", reply="솔전을 먹어 불자."),
            Rule(contains="사투리를 표준어로", reply="부추전 좀 먹어 봐라."),
            Rule(when="[가-힣]", reply="많이 속상하셨겠어요."),
            Rule(when=".", reply="That sounds very hard."),
        ]
    )


def bad_engine() -> ScriptedEngine:
    """A model that breaks every rule: another language, no form, doctor's words."""
    return ScriptedEngine([Rule(when=".", reply="You have depression, take 20 mg. " * 60)])


async def results(
    name: str, engine: ScriptedEngine, trials: tuple[Trial, ...] | None = None
) -> list[Answered]:
    return [one async for one in run_trials(load_builtin()[name], engine, trials)]


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_that_does_what_it_is_asked_passes(name: str) -> None:
    failed = [
        (one.trial, one.said, result.check, result.detail, one.text)
        for one in await results(name, good_engine())
        for result in one.results
        if not result.passed
    ]
    assert failed == []


@pytest.mark.parametrize(
    ("name", "caught"),
    [
        ("dialect", "does not contain '지키지 않아'"),
        ("email", "is in ko"),
        ("interview", "contains '연습할 것'"),
        ("polish", "does not contain '빠졌습니다'"),
        ("quiz", "contains '문제 1/3'"),
        ("resume", "contains '한빛상사'"),
        ("trip", "has a table"),
    ],
)
async def test_a_model_that_breaks_the_rules_is_caught(name: str, caught: str) -> None:
    found = await results(name, bad_engine())
    failed = [result.check for one in found for result in one.results if not result.passed]
    assert caught in failed


async def test_a_talk_that_needs_care_keeps_its_promises_with_a_bad_model() -> None:
    assert all(one.passed for one in await results("listener", bad_engine()))


async def test_a_flow_is_what_keeps_the_listener_from_diagnosing() -> None:
    """Without its flow the same tests catch the same model."""
    template = load_builtin()["listener"].model_copy(update={"flow": None})
    failed = [one.trial async for one in run_trials(template, bad_engine()) if not one.passed]
    assert "no diagnosis in English" in failed


async def test_a_failing_engine_is_a_failed_check() -> None:
    engine = ScriptedEngine([Rule(when=".", fail_after=0)])
    trial = Trial(name="x", turns=(TrialTurn(say="안녕"), TrialTurn(say="또")))
    found = await results("listener", engine, (trial,))
    assert [(one.said, one.passed) for one in found] == [("안녕", False)]


@pytest.mark.parametrize(
    ("checks", "text", "held"),
    [
        (Checks(contains=("B",)), "abc", True),
        (Checks(not_contains=("B",)), "abc", False),
        (Checks(contains_any=("x", "c")), "abc", True),
        (Checks(language="ko"), "안녕 hello 반가워", True),
        (Checks(language="en"), "안녕하세요", False),
        (Checks(at_least=4), "abc", False),
        (Checks(at_most=3), " abc ", True),
        (Checks(table=True), "| a | b |\n|---|---|\n| 1 | 2 |", True),
        (Checks(table=True), "| a | b |\n|---|---|\n", False),
        (Checks(table=True), "a\n---\nb", False),
        (Checks(ends_with_question=True), "네.\n**왜요?**\n", True),
        (Checks(ends_with_question=False), "왜요?", False),
        (Checks(help_lines=("109",)), "1090번", False),
        (Checks(help_lines=("109",)), "109번", True),
        (Checks(most_calls=0), "abc", False),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else None,
)
def test_checks(checks: Checks, text: str, held: bool) -> None:
    assert [result.passed for result in run_checks(checks, text, calls=1)] == [held]


def test_shares_and_tables_of_nothing() -> None:
    assert korean_share("123") == 0.0
    assert not has_table("")


def test_the_command_prints_each_check_and_fails_where_one_does(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text("[[rules]]\nwhen = '.'\nreply = 'Sales went up.'\n", encoding="utf-8")
    arguments = ["templates", "test", "polish", "--model", f"scripted:{script}", "--home", str(tmp_path)]
    done = CliRunner().invoke(cli, [*arguments, "--answers"])
    assert done.exit_code == 1
    assert "FAIL  does not contain '빠졌습니다': it does" in done.output
    assert "[1 calls, " in done.output
    assert "| Sales went up." in done.output
    assert "polish with" in done.output
    assert "7 checks held." in done.output


def test_the_command_names_missing_skills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malmoi.assist.templates.packaged_skills", lambda: ["travel"])
    listed = CliRunner().invoke(cli, ["templates", "list"])
    assert "missing skills: weather" in listed.output


def test_the_command_lists_and_shows() -> None:
    listed = CliRunner().invoke(cli, ["templates", "list"])
    assert listed.exit_code == 0
    assert "interview" in listed.output
    shown = CliRunner().invoke(cli, ["templates", "show", "interview", "--language", "en"])
    assert shown.exit_code == 0
    assert "Question 1 of 3." in shown.output
    assert "Field area: Field of work, choice (software," in shown.output


def test_a_template_without_tests_says_so() -> None:
    done = CliRunner().invoke(cli, ["templates", "test", "translator", "--model", "scripted:none"])
    assert done.exit_code == 0
    assert "has no tests" in done.output
