"""KLUE's own layouts and answers, by examples worked out by hand."""

from pathlib import Path

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.tasks.klue.dependencies import parse_arcs
from malmoi.tasks.klue.entities import mark_entities, parse_entities, spans_of
from malmoi.tasks.table import TableTask, open_task

NER = (
    "## 컬럼명 : CHAR\tNE_TAG\n"
    "## klue-ner-v1_dev_00000-wikitree\t<경찰:OG>은 또 <김:PS>모(<33:QT>)\n"
    "경\tB-OG\n찰\tI-OG\n은\tO\n \tO\n또\tO\n \tO\n김\tB-PS\n모\tO\n(\tO\n3\tB-QT\n3\tI-QT\n)\tO\n"
    "\n"
    "## klue-ner-v1_dev_00001-nsmc\t#좋다\n#\tO\n좋\tO\n다\tO\n"
)
DP = (
    "## 칼럼명 : INDEX\tWORD_FORM\tLEMMA\tPOS\tHEAD\tDEPREL\n"
    "## klue-dp-v1_dev_00000_wikitree\t유희열이 눈물을 흘렸다.\n"
    "1\t유희열이\t유희열 이\tNNP+JKS\t3\tNP_SBJ\n"
    "2\t눈물을\t눈물 을\tNNG+JKO\t3\tNP_OBJ\n"
    "3\t흘렸다.\t흘리 었 다 .\tVV+EP+EF+SF\t0\tVP\n\n"
)
TEXT = "경찰은 또 김모(33)"
GOLD = ((0, 2, "OG"), (6, 7, "PS"), (9, 11, "QT"))


def opened(tmp_path: Path, name: str, file: str, text: str) -> TableTask:
    (tmp_path / "klue").mkdir(exist_ok=True)
    (tmp_path / "klue" / file).write_text(text, encoding="utf-8")
    return open_task(name, tmp_path)


def test_entities_are_read_from_characters_with_tags(tmp_path: Path) -> None:
    task = opened(tmp_path, "klue/ner", "klue-ner-v1.1_dev.tsv", NER)
    first, second = task.examples("dev")
    assert (first.id, first.category) == ("klue-ner-v1_dev_00000-wikitree", "wikitree")
    assert first.question == f"문장: {TEXT}\n표시:"
    assert first.answer == "<경찰:OG>은 또 <김:PS>모(<33:QT>)"
    assert first.fields["entities"] == [list(span) for span in GOLD]
    assert second.answer == "#좋다"
    assert task.prompt(second, [first]).endswith(f"{first.question} {first.answer}\n\n{second.question}")
    assert [task.grade(example, example.answer) for example in (first, second)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("answer", "spans", "elsewhere", "grade"),
    [
        ("<경찰:OG>은 또 <김:PS>모(<33:QT>)", GOLD, (), 1.0),
        ("<경찰:OG> <김:PS> <33:QT>", GOLD, (), 1.0),
        (" <경찰:og>은 또 김모(<33:QT>)", (GOLD[0], GOLD[2]), (), 2 * 2 / 5),
        ("<경찰:PS>은 또 <김모:PS>(33)", ((0, 2, "PS"), (6, 8, "PS")), (), 0.0),
        ("<경찰:OG> <검찰:OG>", (GOLD[0],), (("검찰", "OG"),), 2 / 5),
        ("<경찰:XX>", (), (("경찰", "XX"),), 0.0),
        ("<33:QT> <경찰:OG>", (GOLD[2],), (("경찰", "OG"),), 2 / 5),  # order counts
        (TEXT, (), (), 0.0),
        ("", (), (), 0.0),
        ("<경찰:OG" * 3, (), (), 0.0),
    ],
    ids=("whole", "list", "case", "types", "not-there", "strange-type", "order", "none", "empty", "broken"),
)
def test_entities_of_an_answer(
    tmp_path: Path, answer: str, spans: object, elsewhere: object, grade: float
) -> None:
    found = parse_entities(answer, TEXT)
    assert (found.spans, found.elsewhere) == (spans, elsewhere)
    task = opened(tmp_path, "klue/ner", "klue-ner-v1.1_dev.tsv", NER)
    assert task.grade(task.examples("dev")[0], answer) == pytest.approx(grade)


def test_an_entity_stands_where_the_answer_has_it() -> None:
    assert parse_entities("김씨와 <김:PS>씨", "김씨와 김씨").spans == ((4, 5, "PS"),)
    assert parse_entities("<김:PS>씨와 김씨", "김씨와 김씨").spans == ((0, 1, "PS"),)


def test_a_sentence_without_entities_wants_the_sentence_or_nothing_marked(tmp_path: Path) -> None:
    task = opened(tmp_path, "klue/ner", "klue-ner-v1.1_dev.tsv", NER)
    plain = task.examples("dev")[1]
    assert [task.grade(plain, answer) for answer in ("#좋다", "모르겠다", "<좋다:PS>")] == [1.0, 0.0, 0.0]
    assert task.grades(plain, "모르겠다") == {"unreadable": 1.0}


def test_spans_and_marks_are_each_other_undone() -> None:
    assert spans_of(["B-PS", "B-PS", "I-PS", "O", "B-TI"]) == [(0, 1, "PS"), (1, 3, "PS"), (4, 5, "TI")]
    assert mark_entities("가나다라마", [(0, 1, "PS"), (1, 3, "PS")]) == "<가:PS><나다:PS>라마"
    for tags in (["I-PS"], ["B-PS", "I-LC"], ["B-XX"], ["?"]):
        with pytest.raises(ValueError, match="at place"):
            spans_of(tags)


def test_trees_are_read_and_graded(tmp_path: Path) -> None:
    task = opened(tmp_path, "klue/dp", "klue-dp-v1.1_dev.tsv", DP)
    example = task.examples("dev")[0]
    assert (example.id, example.category) == ("klue-dp-v1_dev_00000_wikitree", "wikitree")
    assert example.question == "문장: 1.유희열이 2.눈물을 3.흘렸다. \n분석:"
    assert example.answer == "3:NP_SBJ 3:NP_OBJ 0:VP"
    assert task.grade(example, example.answer) == 1.0
    assert task.grade(example, "3:NP_SBJ 3:NP_SBJ 0:VP") == pytest.approx(2 / 3)
    assert task.grades(example, "2:NP_SBJ 3:NP_SBJ") == pytest.approx(
        {"labelled": 0.0, "unlabelled": 1 / 3, "unread": 1 / 3}
    )
    assert task.grade(example, "") == 0.0


@pytest.mark.parametrize(
    ("answer", "arcs"),
    [
        ("2:NP 0:VP", ((2, "NP"), (0, "VP"))),
        ("2/NP, 0 : VP 입니다", ((2, "NP"), (0, "VP"))),
        ("9:NP 0:VP", (None, (0, "VP"))),
        ("2:NP", ((2, "NP"), None)),
        ("2:NP 0:VP 1:NP", ((2, "NP"), (0, "VP"))),
        ("모름 12:3 99999:NP", (None, None)),
    ],
    ids=("exact", "other-signs", "no-such-word", "short", "long", "nothing"),
)
def test_arcs_of_an_answer(answer: str, arcs: object) -> None:
    assert parse_arcs(answer, 2) == arcs


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("klue/ner", "klue-ner-v1.1_dev.tsv", NER.replace("찰\tI-OG", "찰찰\tI-OG"), "line 4"),
        ("klue/ner", "klue-ner-v1.1_dev.tsv", NER.replace("찰\tI-OG", "찰\tI-PS"), "line 2"),
        ("klue/dp", "klue-dp-v1.1_dev.tsv", DP.replace("\t3\tNP_OBJ", "\t4\tNP_OBJ"), "line 4"),
        ("klue/dp", "klue-dp-v1.1_dev.tsv", DP.replace("2\t눈물을", "5\t눈물을"), "line 4"),
        ("klue/dp", "klue-dp-v1.1_dev.tsv", DP.replace("\t0\tVP", ""), "line 5"),
    ],
    ids=("two-characters", "tag", "head", "number", "cells"),
)
def test_broken_blocks_are_named(tmp_path: Path, name: str, file: str, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        opened(tmp_path, name, file, text).examples("dev")
