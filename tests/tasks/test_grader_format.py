import json
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.tasks.base import Example
from malmoi.tasks.graders import build_grader
from malmoi.tasks.graders.format_rules import keeps, known_rules
from malmoi.tasks.graders.sentences import ends_as, split_sentences
from malmoi.tasks.table import open_task


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        ({"rule": "characters", "at_least": 3, "at_most": 5}, "가나다라", "가나"),
        ({"rule": "characters", "at_most": 4, "spaces": False}, "가 나 다 라", "가 나 다 라 마"),
        ({"rule": "words", "at_least": 2, "at_most": 3}, "비가 옵니다", "비"),
        ({"rule": "sentences", "at_least": 2, "at_most": 2}, "비가 온다. 3.5mm다!", "비가 온다."),
        ({"rule": "lines", "at_least": 2, "at_most": 2}, "가\n\n나", "가"),
        ({"rule": "paragraphs", "at_least": 2, "at_most": 2}, "가\n나\n\n다", "가\n나"),
        ({"rule": "ending", "style": "습니다"}, "좋습니다. 그렇습니까?", "좋습니다. 그래요."),
        ({"rule": "ending", "style": "해요", "share": 0.5}, "좋아요. 그렇다.", "그렇다."),
        ({"rule": "list_items", "at_least": 2, "at_most": 2}, "- 하나\n- 둘", "- 하나"),
        ({"rule": "list_items", "at_least": 2, "marker": "number"}, "1. 하나\n2) 둘", "- 하나\n- 둘"),
        ({"rule": "headings", "at_least": 1, "at_most": 1}, "# 제목\n글", "글"),
        ({"rule": "bold", "at_least": 1}, "**굵은** 글", "글"),
        ({"rule": "json", "keys": ["a"]}, '```json\n{"a": 1}\n```', '{"b": 1}'),
        ({"rule": "json", "kind": "array", "items": 2}, "[1, 2]", "답: [1, 2]"),
        ({"rule": "language", "code": "ko", "at_least": 1.0}, "한글만 123", "한글과 English"),
        ({"rule": "language", "code": "en"}, "English only", "한글"),
        ({"rule": "contains", "texts": ["봄", "비"]}, "봄에 비가", "봄에"),
        ({"rule": "absent", "texts": [","]}, "가 나", "가, 나"),
        ({"rule": "occurs", "text": "눈", "at_least": 1, "at_most": 1}, "눈이", "눈과 눈"),
        ({"rule": "starts_with", "text": "부산은"}, " 부산은 항구다.", "항구는 부산이다."),
        ({"rule": "ends_with", "text": "이상입니다."}, "끝. 이상입니다.\n", "이상입니다. 끝."),
        ({"rule": "no_digits"}, "셋", "3"),
        ({"rule": "one_of", "texts": ["예", "아니요"]}, "예.", "예, 그렇습니다."),
    ],
    ids=range(23),
)
def test_each_rule_can_be_kept_and_broken(rule: dict[str, Any], kept: str, broken: str) -> None:
    assert keeps(kept, rule)
    assert not keeps(broken, rule)


def test_every_rule_is_tested_and_shipped_prompts_use_all_of_them(tmp_path: Path) -> None:
    examples = open_task("ifeval_ko/ifeval_ko", tmp_path).examples("test")
    used = {rule["rule"] for example in examples for rule in example.fields["rules"]}
    assert used == set(known_rules())
    assert len(examples) >= 60


@pytest.mark.parametrize(
    ("sentence", "endings"),
    [
        ("비가 옵니다.", {"습니다"}),
        ("어디로 가십니까?", {"습니다"}),
        ("문을 닫으십시오!", {"습니다"}),
        ("비가 와요~ ㅎㅎ", {"해요"}),
        ("그렇지요? 😊", {"해요"}),
        ("그렇죠.", {"해요"}),
        ("비가 온다.", {"한다", "반말"}),
        ("비 와.", {"반말"}),
        ("출시는 5월로 정함.", {"명사형", "반말"}),
        ("물 많이 마시기", {"명사형", "반말"}),
        ("‘가자’라고 말했습니다.”", {"습니다"}),
        ("**좋습니다.**", {"습니다"}),
        ("OK", set()),
    ],
    ids=range(13),
)
def test_endings_by_rule(sentence: str, endings: set[str]) -> None:
    styles = ("습니다", "해요", "한다", "반말", "명사형")
    bare = sentence.replace("😊", "")
    assert {style for style in styles if ends_as(bare, style)} == endings  # type: ignore[arg-type]


def test_sentences_of_lists_and_decimals() -> None:
    assert split_sentences("# 제목\n- 3.5배다. 또 있다!\n\n1. 끝\n***") == [
        "제목",
        "3.5배다.",
        "또 있다!",
        "끝",
    ]


def test_grades_by_all_rules_by_share_and_kindly() -> None:
    rules = [{"rule": "sentences", "at_most": 1}, {"rule": "ending", "style": "습니다"}]
    example = Example(id="1", question="?", fields={"rules": rules})
    strict, partial = build_grader({"kind": "format"}), build_grader({"kind": "format", "partial": True})
    assert (strict.grade(example, "좋습니다."), partial.grade(example, "좋습니다.")) == (1, 1)
    assert (strict.grade(example, "좋아요."), partial.grade(example, "좋아요.")) == (0, 0.5)
    talk = "네, 알겠어요!\n좋습니다."
    assert strict.grades(example, talk) == {"strict": 0.0, "rules": 0.0, "loose": 1.0}
    assert strict.grade(example, "  ") == 0


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"rule": "rhyme"}], "no rule 'rhyme'"),
        ([{"rule": "words", "most": 3}], "words"),
        ([{"rule": "ending", "style": "사극체"}], "사극체"),
        (["words"], "not a table"),
        ([], "no rules"),
    ],
    ids=range(5),
)
def test_a_wrong_rule_names_its_item(rules: list[Any], said: str) -> None:
    example = Example(id="item-7", question="?", fields={"rules": rules})
    with pytest.raises(InvalidInput, match=f"item-7.*{said}"):
        build_grader({"kind": "format"}).grade(example, "답")


def test_shipped_prompts_can_be_answered(tmp_path: Path) -> None:
    task = open_task("ifeval_ko/ifeval_ko", tmp_path)
    by_id = {example.id: example for example in task.examples("test")}
    answers = {
        "03": "이순신은 조선의 장군입니다. 그는 거북선으로 나라를 지켰습니다.",
        "14": "출시는 5월로 정함. 광고는 4월에 시작함.",
        "19": "1. 물을 끓인다.\n2. 면을 넣는다.\n3. 4분 기다린다.",
        "27": json.dumps(["사과", "배", "감", "귤", "포도"], ensure_ascii=False),
        "41": "안녕하세요. 배송이 늦어집니다. 감사합니다.",
        "45": "예",
        "48": "인터넷은 온 세상을 잇는 그물입니다.",
    }
    assert {number: task.grade(by_id[number], answer) for number, answer in answers.items()} == dict.fromkeys(
        answers, 1.0
    )
    assert all(task.grade(example, "I do not know.") == 0 for example in by_id.values())
