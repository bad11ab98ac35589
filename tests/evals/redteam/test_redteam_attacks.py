"""Seeds, what counts as a new question, and who judges."""

import json
from pathlib import Path
from typing import Any

import pytest
from redteam_fakes import WordClassifier

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.engine.classify import LabelGroup
from malmoi.evals.redteam.attacker import KnownQuestions, parse_question
from malmoi.evals.redteam.judging import choose_group, risks
from malmoi.evals.redteam.regression import Failure, keep_failures, question_id, read_failures
from malmoi.evals.redteam.seeds import Seed, read_safety_data, read_seeds


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (" 정부가 옳은가?", "정부가 옳은가?"),
        ("\n\n“정부가  옳은가?” 그렇다.", "정부가  옳은가?".replace("  ", " ")),
        ("질문: 누가 이겼을까?\n답변: 몰라", "누가 이겼을까?"),
        ("누가 이겼을까? 나는 안다", "누가 이겼을까?"),
        ("끝이 없는 문장을 말해 봐", "끝이 없는 문장을 말해 봐"),
        ("왜?", None),
        ("가" * 300, None),
        ("What is it, really?", None),
        ("", None),
        ("\n\n", None),
    ],
    ids=range(10),
)
def test_questions_are_read_from_what_an_attacker_writes(text: str, question: str | None) -> None:
    assert parse_question(text, "ko") == question


def test_english_questions() -> None:
    assert parse_question(" Who won? Nobody.", "en") == "Who won?"


def test_a_question_in_slightly_other_words_is_not_new() -> None:
    known = KnownQuestions()
    known.add("청년들이 결혼을 하지 않는 까닭은 무엇인가?")
    assert "청년들이 결혼을 하지 않는 까닭은 무엇인가" in known
    assert "청년들이 결혼을  하지 않는 까닭은, 무엇인가?!" in known
    assert "요즘 청년들이 결혼을 하지 않는 까닭은 무엇인가?" in known
    assert "노인들이 일자리를 찾는 까닭은 무엇인가?" not in known


def test_seeds_of_files(tmp_path: Path) -> None:
    text = tmp_path / "seeds.txt"
    text.write_text("첫째 질문인가?\n\n둘째 질문인가?\n첫째 질문인가?\n", encoding="utf-8")
    assert [seed.question for seed in read_seeds(text).questions] == ["첫째 질문인가?", "둘째 질문인가?"]
    rows: list[Any] = [
        {"question": "하나인가?", "topic": "수", "category": "ethical"},
        {"messages": [{"role": "user", "content": "둘인가?"}, {"role": "assistant", "content": "답"}]},
        {
            "prompt": [{"role": "user", "content": "먼저"}, {"role": "user", "content": "셋인가?"}],
            "chosen": [],
            "provenance": {"topic": "bias"},
        },
    ]
    lines = tmp_path / "seeds.jsonl"
    lines.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert read_seeds(lines).questions == (
        Seed("하나인가?", "수", "ethical"),
        Seed("둘인가?"),
        Seed("셋인가?", "", "bias"),
    )


@pytest.mark.parametrize("line", ["[1]", "{}", "not json", '{"question": 3}', '{"messages": "x"}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"question": "그런가?"}\n' + line, encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2"):
        read_seeds(path)


def test_the_safety_benchmarks(tmp_path: Path) -> None:
    files: dict[str, list[dict[str, Any]]] = {
        "pipeline/square/demo/square_question_iter0.json": [
            {
                "question": "해도 되는가?",
                "sensitive?": 1,
                "category": "ethical",
                "generation_info": {"topic": "소식"},
            },
            {"question": "날씨는 어떤가?", "sensitive?": 0, "category": None},
        ],
        "pipeline/square_topic.json": [{"sensitive_topic": "어떤 소식"}, {"sensitive_topic": "어떤 소식"}],
        "SQuARe/question_valid.json": [
            {"question": "몇 시인가?", "sensitive?": 0},
            {"question": "누구 잘못인가?", "sensitive?": 1},
        ],
    }
    for name, rows in files.items():
        path = tmp_path / "safety" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    for folder in (tmp_path, tmp_path / "safety"):
        seeds = read_safety_data(folder)
        assert seeds.questions == (Seed("해도 되는가?", "소식", "ethical"),)
        assert (seeds.topics, seeds.harmless) == (("어떤 소식",), ("몇 시인가?",))
    with pytest.raises(NotFound, match="korean-safety-benchmarks"):
        read_safety_data(tmp_path / "SQuARe")


def failure(question: str, **fields: Any) -> Failure:
    row = {
        "id": question_id(question),
        "question": question,
        "language": "ko",
        "answer": "답",
        "risk": 0.9,
        "target": "t",
        "attacker": "a",
        "classifier": "c",
    }
    return Failure.model_validate(row | fields)


def test_a_regression_set_holds_each_attack_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "set.jsonl"
    assert keep_failures(path, []) == 0
    assert not path.exists()
    assert keep_failures(path, [failure("그런가?"), failure("왜 그런가?"), failure("그런가!")]) == 2
    assert keep_failures(path, [failure("그런가?", answer="다른 답"), failure("새것인가?")]) == 1
    assert [row.question for row in read_failures(path)] == ["그런가?", "왜 그런가?", "새것인가?"]
    assert read_failures(path)[0].answer == "답"


def test_a_damaged_regression_set_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("no json\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        keep_failures(path, [failure("그런가?")])
    assert path.read_text(encoding="utf-8") == "no json\n"


def test_statements_are_judged_by_the_group_that_judges_statements() -> None:
    classifier = WordClassifier()
    assert choose_group(classifier, None).name == "safe"
    assert choose_group(classifier, "sensitive").name == "sensitive"

    class OfQuestions(WordClassifier):
        groups = (LabelGroup("sensitive", ("not_sensitive", "sensitive"), "not_sensitive"),)

    with pytest.raises(InvalidInput, match="judges no statements"):
        choose_group(OfQuestions(), None)


def test_the_risk_is_what_is_left_of_the_harmless() -> None:
    classifier = WordClassifier()
    found = risks(classifier, choose_group(classifier, None), ["가", "나", "다"], ["나쁜", "", "좋은"])
    assert found.tolist() == pytest.approx([0.9, 0.0, 0.2])
    assert [text for _, text in classifier.seen] == ["나쁜", "좋은"]  # nothing is asked about an empty answer
