from typing import Any

import pytest

from malmoi.core.errors import ConfigError, InvalidInput, UnknownName
from malmoi.tasks.base import Example
from malmoi.tasks.graders import Grader, build_grader, grader_kinds, patterns
from malmoi.tasks.graders.choice import parse_choice

OPTIONS = ("자산", "부채", "자본", "고정 자산")


def grade(kind: str, answer: str, gold: str = "", **options: Any) -> float:
    fields = options.pop("fields", {})
    example = Example(id="1", question="?", answer=gold, choices=options.pop("choices", ()), fields=fields)
    return build_grader({"kind": kind, **options}).grade(example, answer)


@pytest.mark.parametrize("kind", grader_kinds())
def test_every_kind_is_a_grader(kind: str) -> None:
    assert isinstance(build_grader({"kind": kind}), Grader)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({}, ConfigError, "no kind"),
        ({"kind": "exakt"}, UnknownName, "did you mean 'exact'"),
        ({"kind": "exact", "ignroe": []}, ConfigError, "grader.ignroe"),
        ({"kind": "exact", "ignore": ["colour"]}, ConfigError, "grader.ignore"),
        ({"kind": "regex", "pattern": "("}, ConfigError, "not a regular expression"),
        ({"kind": "numeric", "main": "loose"}, ConfigError, "grader.main"),
        ({"kind": "code", "seconds": 0}, ConfigError, "grader.seconds"),
    ],
    ids=range(7),
)
def test_wrong_settings_are_named(settings: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        build_grader(settings)


@pytest.mark.parametrize(
    ("answer", "gold", "options", "expected"),
    [
        (" 서울. ", "서울", {}, 1),
        ("Seoul", "seoul", {}, 1),
        ("Seoul", "seoul", {"ignore": ["punctuation"]}, 0),
        ("광화문 광장", "광화문광장", {}, 1),
        ("광화문 광장", "광화문광장", {"ignore": []}, 0),
        ("한", "한", {}, 1),
        ("서울입니다", "서울", {}, 0),
        ("서울입니다", "서울", {"match": "prefix"}, 1),
        ("", "", {"match": "prefix"}, 0),
        ("the answer is Yes.", "yes", {"extract": r"answer is (\w+)"}, 1),
        ("a 1 b 2", "2", {"extract": r"\d", "take": "last"}, 1),
        ("둘", "하나", {"fields": {"answers": ["둘", "셋"]}}, 1),
        ("둘", "하나", {"fields": {"answers": "둘"}}, 1),
        ("1-2", "12", {"ignore": ["punctuation"]}, 1),
        ("1+2", "12", {}, 0),
    ],
    ids=range(15),
)
def test_exact(answer: str, gold: str, options: dict[str, Any], expected: float) -> None:
    assert grade("exact", answer, gold, **options) == expected


def test_contains_and_regex() -> None:
    assert grade("contains", "수도는 서울 입니다", "서울") == 1
    assert grade("contains", "수도는 부산입니다", "서울") == 0
    assert grade("contains", "무엇이든", "") == 0
    assert grade("regex", "답은 42번", pattern=r"\d+번") == 1
    assert grade("regex", "답은 42번", pattern=r"\d+번", whole=True) == 0
    assert grade("regex", "가나", fields={"pattern": "^가"}) == 1
    assert grade("regex", "가나") == 0
    assert grade("none", "가나", "가나") == 0


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        ("자산", 0), ("A", 0), (" (b) ", 1), ("C. 자본", 2), ("②", 1), ("3", 2), ("[D]", 3),
        ("정답: B", 1),
        ("정답은 B입니다.", 1), ("정답은 ③번", 2), ("The answer is (C).", 2), ("답: **D**", 3),
        ("**B** 부채", 1),
        ("A라고 생각했지만 정답: B", 0), ("곰곰이 보면 정답: A, 아니 정답: B", 1), ("고정 자산이 맞다", 3),
        ("부채가 맞다", 1), ("부채와 자본", None), ("모르겠다", None), ("", None), ("A cat sat", None),
        ("E", None), ("9", None), ("Answer this", None), ("Because", None),
    ],
    ids=range(25),
)  # fmt: skip
def test_choices_are_found(answer: str, index: int | None) -> None:
    assert parse_choice(answer, OPTIONS) == index


def test_choice_grades() -> None:
    example = Example(id="1", question="?", choices=OPTIONS, answer="부채")
    lettered = Example(id="1", question="?", choices=OPTIONS, answer="B")
    grader = build_grader({"kind": "choice"})
    assert [grader.grade(one, "정답은 ②") for one in (example, lettered)] == [1, 1]
    assert grader.grade(example, "A") == 0
    assert grader.grades(example, "모름") == {"out_of_choice": 1.0}


@pytest.mark.parametrize(
    ("answer", "gold", "unit", "f1", "exact"),
    [
        ("임진왜란", "임진왜란", "character", 1.0, 1.0),
        ("임진왜란에서", "임진왜란", "character", 0.8, 0.0),
        ("《햄릿》", "햄릿", "character", 1.0, 1.0),
        ("정유재란", "임진왜란", "character", 0.25, 0.0),
        ("", "가", "character", 0.0, 0.0),
        ("the Big Apple", "big apple", "word", 1.0, 1.0),
        ("a big red apple", "big apple", "word", 0.8, 0.0),
    ],
    ids=range(7),
)
def test_spans(answer: str, gold: str, unit: str, f1: float, exact: float) -> None:
    example = Example(id="1", question="?", answer=gold)
    grader = build_grader({"kind": "span_f1", "unit": unit})
    assert grader.grade(example, answer) == pytest.approx(f1)
    assert grader.grades(example, answer)["exact_match"] == exact


def test_the_nearest_of_several_spans_counts() -> None:
    assert grade("span_f1", "이순신", "충무공", fields={"answers": ["이순신 장군", "이순신"]}) == 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("regex", {"pattern": r"(a|aa)+$"}),
        ("regex", {"pattern": r"(a|aa)+", "whole": True}),
        ("exact", {"extract": r"(a|aa)+$"}),
    ],
    ids=range(3),
)
def test_a_pattern_that_takes_for_ever_is_stopped(
    kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.1)
    with pytest.raises(InvalidInput, match="takes longer"):
        grade(kind, "a" * 60 + "!", **options)


def test_a_pattern_of_an_example_that_is_none_is_told() -> None:
    with pytest.raises(InvalidInput, match="not a regular expression"):
        grade("regex", "a", fields={"pattern": "("})
