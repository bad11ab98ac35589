"""The evaluation of skills: what counts as right, which skills are on, and that nothing is ever called."""

import json
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "assist" / "skills"))
from skill_world import Model, embed, operation, skill

from malmoi.assist.skills.found import builtin_skills
from malmoi.assist.skills.routing import Router
from malmoi.assist.skills.routing.weighing import load_weights
from malmoi.cli import skills as commands
from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.engine import embed as engine_embed
from malmoi.serve.skills.evaluation.asking import EngineModel
from malmoi.serve.skills.evaluation.figures import figures
from malmoi.serve.skills.evaluation.judging import is_right
from malmoi.serve.skills.evaluation.keeping import Kept
from malmoi.serve.skills.evaluation.queries import Query, load_queries
from malmoi.serve.skills.evaluation.run import CLOCK, evaluate, sample, shown_by, skills_for

FOOD = {"전주 비빔밥집 찾아줘": "find", "근처 국밥집 어디 있어": "find", "냉면집 예약해줘": "book"}
BUS = {"서울역 가는 버스 언제 와": "times", "버스표 취소해줘": "cancel"}


def two() -> tuple[list[Any], list[Any]]:
    day = {"type": "string", "format": "date"}
    food, kitchen = skill(
        "food",
        [operation("find"), operation("book", "write", ("day", "name"), day=day, name={"type": "string"})],
        FOOD,
    )
    bus, garage = skill("bus", [operation("times"), operation("cancel", "write")], BUS)
    return [food, bus], [kitchen, garage]


def asked(text: str, wanted: str = "", *, id: str = "q", **more: Any) -> Query:
    name, _, what = wanted.partition(".")
    kind = more.pop("kind", "plain" if wanted else "none")
    return Query(
        id=id, language="ko", query=text, kind=kind, skill=name or None, operation=what or None, **more
    )


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_query_names_an_operation_that_is_there_and_arguments_that_it_takes(split: Any) -> None:
    queries = load_queries(split)
    names = {one.name for one in builtin_skills()}
    assert {one.skill for one in queries} - {None} == names
    assert len({one.id for one in queries}) == len(queries) > 100
    assert Counter(one.kind for one in queries)["none"] >= 20


def test_dev_and_test_share_no_query() -> None:
    assert not {one.query for one in load_queries("dev")} & {one.query for one in load_queries("test")}


def test_a_line_that_is_no_query_is_named(tmp_path: Path) -> None:
    told = {"id": "x", "language": "ko", "query": "뭐", "kind": "none", "skill": "food", "operation": "find"}
    file = tmp_path / "q.jsonl"
    file.write_text("\n" + json.dumps(told), encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"q\.jsonl: line 2"):
        load_queries(path=file)


@pytest.mark.parametrize(
    ("given", "wanted", "right"),
    [
        (7, 7, True),
        ("7", 7, True),
        (7.0, 7, True),
        (8, 7, False),
        (True, 1, False),
        (True, True, True),
        ("2026-11-24T14:00:00+09:00", "2026-11-24T14:00", True),
        ("2026-11-24T15:00", "2026-11-24T14:00", False),
        ("2026-11-24", "2026-11-24T00:00", True),
        ("12:00:00", "12:00", True),
        ("3층  회의실에서", "3층 회의실", True),
        ("2층 회의실", "3층 회의실", False),
        (["b", "A"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        ({"radius": "20", "height": 55, "more": 1}, {"radius": "20", "height": "55"}, True),
        ({"radius": "20"}, {"radius": "20", "height": "55"}, False),
        (None, "", False),
    ],
    ids=str,
)
def test_values_are_compared_by_what_they_mean(given: Any, wanted: Any, right: bool) -> None:
    assert is_right(given, wanted) is right


@pytest.mark.parametrize(
    ("given", "wanted", "right"),
    [
        ("876000/12", "87만 6천/12", True),
        ("876000/13", "87만 6천/12", False),
        ("x**2 - 2*x", "x^2-2x", True),
        ("x^2+2x", "x^2-2x", False),
        ("320000000*0.038", "3억 2천만의 3.8%", True),
        (["x - y - 1 = 0", "2x+3y=12"], ["2x+3y=12", "x-y=1"], True),
        (["x-y=2", "2x+3y=12"], ["2x+3y=12", "x-y=1"], False),
        ("[[2, 1], [5, 3]]", "[[2,1],[5,3]]", True),
        ("(3,-1)", "(3, -1)", True),
        ("(3, 1)", "(3, -1)", False),
        ("oo", "oo", True),
        ("제곱미터", "제곱미터", True),
        ("㎡", "제곱미터", True),
        ("34 평", "34평", True),
        ("35평", "34평", False),
        ("y", "x", False),
        ("x" * 5000, "x", False),
    ],
)
def test_expressions_are_compared_by_their_value(given: Any, wanted: Any, right: bool) -> None:
    assert is_right(given, wanted, is_math=True) is right


def test_a_pair_is_drawn_by_seed_and_id_and_never_of_one_domain() -> None:
    domains = {"a": "1", "b": "1", "c": "2", "d": "3", "e": "4"}
    query = asked("무엇", "a.do")
    pairs = {skills_for(query, domains, "pair", seed=seed) for seed in range(40)}
    assert pairs == {("a", "c"), ("a", "d"), ("a", "e")}
    assert skills_for(query, domains, "pair") == skills_for(query, domains, "pair")
    drawn = {skills_for(asked("무엇", id=f"n{n}"), domains, "pair") for n in range(60)}
    assert all(len(one) == 2 and one != ("a", "b") for one in drawn)
    assert skills_for(query, domains, "all") == ("a", "b", "c", "d", "e")


async def test_outcomes_say_what_was_right_and_nothing_is_called() -> None:
    opened, worlds = two()
    queries = [
        asked("광주 국밥집 찾아줘", "food.find", id="a"),
        asked("내일 냉면집 예약해줘", "food.book", id="b", arguments={"day": "2026-11-21", "name": "냉면"}),
        asked("광합성이 뭐야", id="c"),
        asked("부산 가는 버스 언제 와", "bus.times", id="d"),
    ]
    done: list[str] = []
    outcomes = await evaluate(
        queries, opened, Router(embed), setting="all", on_done=lambda outcome: done.append(outcome.id)
    )
    assert [one.id for one in outcomes] == ["a", "b", "c", "d"]
    assert [one.found for one in outcomes] == ["food.find", "food.book", "", "bus.times"]
    assert outcomes[1].right == {"day": True}
    assert not outcomes[1].are_arguments_right
    assert outcomes[1].asks
    assert sorted(done) == ["a", "b", "c", "d"]
    assert not any(world.calls for world in worlds)
    told = {(one.of, one.name): one.share for one in figures(outcomes, with_model=False)}
    assert told["all", "right operation"].value == 1.0
    assert (told["all", "none for none"].count, told["all", "none for none"].total) == (1, 1)
    assert (told["all", "arguments filled"].count, told["all", "arguments filled"].total) == (1, 2)
    assert ("none", "right skill") not in told
    assert ("all", "task success") not in told


async def test_what_was_found_before_is_not_found_again(tmp_path: Path) -> None:
    opened, _ = two()
    queries = [asked("광주 국밥집 찾아줘", "food.find", id="a"), asked("광합성이 뭐야", id="c")]
    kept = Kept(tmp_path / "out.jsonl", "test -")
    first = await evaluate(queries[:1], opened, Router(embed), setting="all", on_done=kept.add)
    again = Kept(tmp_path / "out.jsonl", "test -")
    assert again.of("all") == {"a": first[0]}
    assert again.of("pair") == {}
    changed = {"a": replace(first[0], found="food.book")}
    outcomes = await evaluate(queries, opened, Router(embed), setting="all", known=changed, on_done=again.add)
    assert [one.found for one in outcomes] == ["food.book", ""]
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2
    with (tmp_path / "out.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"way": "te')  # broken off
    assert set(Kept(tmp_path / "out.jsonl", "test -").of("all")) == {"a", "c"}
    assert (tmp_path / "out.jsonl").read_text("utf-8").endswith("}\n")
    with pytest.raises(InvalidInput, match="another evaluation"):
        Kept(tmp_path / "out.jsonl", "test standard")
    (tmp_path / "out.jsonl").write_text("{}\n", "utf-8")
    with pytest.raises(InvalidInput, match=r"out\.jsonl:1: this is no outcome"):
        Kept(tmp_path / "out.jsonl", "test -")


async def test_queries_of_an_author_are_demonstrations() -> None:
    opened, _ = two()
    shown = shown_by(
        [
            asked("밥 먹을 데 없나", "food.find", id="a"),
            asked("그걸로", "food.find", id="b", kind="follow"),
            asked("졸려", id="c"),
        ]
    )
    assert [(one.query, one.skill) for one in shown] == [("밥 먹을 데 없나", "food"), ("졸려", "")]
    asked_again = [asked("밥 먹을 데 없나", "food.find", id="d")]
    outcomes = await evaluate(asked_again, opened, Router(embed), setting="all", demonstrations=shown)
    assert outcomes[0].is_operation_right


async def test_a_model_reads_arguments_and_the_task_is_done_or_asked_for() -> None:
    opened, worlds = two()
    queries = [
        asked("내일 냉면집 예약해줘", "food.book", id="a", arguments={"day": "2026-11-21", "name": "냉면"}),
        asked("냉면집 예약해줘", "food.book", id="b", needs_question=True),
    ]
    model = Model(answers=[{"name": None, "day": None}, {"name": "냉면집"}])  # in the order that is drawn
    router = Router(embed, weights=replace(load_weights(), sure=0.0))  # the model chooses no operation
    outcomes = await evaluate(queries, opened, router, setting="pair", model=model)
    told = {(one.of, one.name): one.share.value for one in figures(outcomes, with_model=True)}
    assert outcomes[0].arguments["day"] == "2026-11-21"
    assert told["all", "asks when it must"] == 1.0
    assert told["all", "asks in vain"] == 0.0
    assert told["all", "arguments valid"] == 1.0
    assert not any(world.calls for world in worlds)


def test_a_sample_keeps_the_order_and_is_the_same_each_time() -> None:
    queries = load_queries("dev")
    some = sample(queries, 9)
    assert some == sample(queries, 9)
    assert [queries.index(one) for one in some] == sorted(queries.index(one) for one in some)
    assert datetime.fromisoformat("2026-11-20T10:00:00+09:00") == CLOCK


class _Continues:
    """An engine without a chat template."""

    async def tokenize(self, prompt: Any) -> tuple[int, ...]:
        raise Unsupported("it only continues text.")


async def test_a_model_that_cannot_chat_is_refused_instead_of_measured() -> None:
    with pytest.raises(Unsupported):
        await EngineModel(_Continues()).check()  # type: ignore[arg-type]


class _Letters:
    """An embedder that sees letters alone."""

    embed = staticmethod(embed)

    async def close(self) -> None:
        pass


def test_the_command_tells_figures_and_writes_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_embed, "UseEmbedder", _Letters)
    out = tmp_path / "out.jsonl"
    given = [
        "evaluate",
        "--limit",
        "5",
        "--setting",
        "pair",
        "--json",
        "--quiet",
        "--home",
        str(tmp_path / "home"),
    ]
    ended = CliRunner().invoke(commands.skills, [*given, "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    rows = [json.loads(line) for line in ended.output.splitlines()]
    assert {row["setting"] for row in rows} == {"pair"}
    assert all(0 <= row["low"] <= row["value"] <= row["high"] <= 1 for row in rows)
    kept = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(kept) == 5
    assert all(len(one["on"]) == 2 for one in kept)
    plain = CliRunner().invoke(commands.skills, [one for one in given if one != "--json"])
    assert "right operation" in plain.output
