"""KLUE's tasks whose files must be fetched, by rows of their published form."""

import json
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.tasks.base import Example
from malmoi.tasks.table import TableTask, open_task


def opened(tmp_path: Path, name: str, file: str, content: Any) -> tuple[TableTask, list[Example]]:
    path = tmp_path / "klue" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    task = open_task(name, tmp_path)
    return task, list(task.examples("dev"))


def test_topics_by_their_names_and_by_the_hubs_numbers(tmp_path: Path) -> None:
    row = {"guid": "ynat-v1_dev_00000", "title": "5억원 이상 고액 예금 계좌", "label": "경제", "url": "x"}
    task, examples = opened(tmp_path / "a", "klue/ynat", "ynat-v1.1/ynat-v1.1_dev.json", [row])
    assert (examples[0].question, examples[0].answer) == ("제목: 5억원 이상 고액 예금 계좌\n주제:", "경제")
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "b" / "klue" / "ynat" / "validation-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**row, "label": 1}]), path)
    assert open_task("klue/ynat", tmp_path / "b").examples("dev") == tuple(examples)
    assert task.info.metrics[0] == "macro_f1"
    with pytest.raises(InvalidInput, match="line 1: there is no choice '날씨'"):
        opened(tmp_path / "c", "klue/ynat", "ynat-v1.1_dev.json", [{**row, "label": "날씨"}])


def test_relations_have_thirty_labels_and_one_that_does_not_count(tmp_path: Path) -> None:
    row = {
        "guid": "klue-re-v1_dev_00000", "sentence": "20대 남성 A씨가 B사를 세웠다.",
        "label": "org:founded_by",
        "subject_entity": {"word": "B사", "start_idx": 12, "end_idx": 13, "type": "ORG"},
        "object_entity": {"word": "A씨", "start_idx": 7, "end_idx": 8, "type": "PER"},
    }  # fmt: skip
    task, examples = opened(tmp_path, "klue/re", "klue-re-v1.1_dev.json", [row])
    assert examples[0].question == "문장: 20대 남성 A씨가 B사를 세웠다.\n'B사'에 대한 'A씨'의 관계:"
    assert (len(examples[0].choices), examples[0].answer) == (30, "org:founded_by")
    assert examples[0].fields == {"ignored_label": "no_relation"}
    letters = task.continuations(examples[0], form="letters")
    assert (len(set(letters)), letters[-1]) == (30, " d")


def test_questions_know_their_text_and_may_have_no_answer(tmp_path: Path) -> None:
    asked = [
        {"guid": "a", "question": "누가?", "is_impossible": False,
         "answers": [{"text": "김씨", "answer_start": 0}, {"text": "김 씨", "answer_start": 0}]},
        {"guid": "b", "question": "왜?", "is_impossible": True, "answers": []},
    ]  # fmt: skip
    tree = {
        "data": [
            {"title": "제목", "source": "hankyung", "paragraphs": [{"context": "김씨가 갔다.", "qas": asked}]}
        ]
    }
    task, (first, second) = opened(tmp_path, "klue/mrc", "klue-mrc-v1.1_dev.json", tree)
    assert first.question == "제목: 제목\n내용: 김씨가 갔다.\n질문: 누가?\n답:"
    assert (first.answer, first.fields["answers"], first.category) == ("김씨", ["김씨", "김 씨"], "hankyung")
    assert (second.answer, second.fields["answers"]) == ("없음", ["없음"])
    assert task.grade(first, "김 씨") == 1.0
    assert task.grade(first, "김씨가") == pytest.approx(2 * 2 / 5)
    assert task.grade(second, "모름") == 0.0


def test_inference_by_names_and_by_the_hubs_numbers(tmp_path: Path) -> None:
    row = {
        "guid": "g",
        "source": "airbnb",
        "premise": "전",
        "hypothesis": "후",
        "gold_label": "contradiction",
    }
    _, (first,) = opened(tmp_path / "a", "klue/nli", "klue-nli-v1.1_dev.json", [row])
    row = {name: cell for name, cell in row.items() if name != "gold_label"} | {"label": 2}
    _, (second,) = opened(tmp_path / "b", "klue/nli", "klue-nli-v1.1_dev.json", [row])
    assert first == second
    assert first.answer == "모순"


def test_similarity_is_rounded_to_a_choice_and_kept_exact(tmp_path: Path) -> None:
    labels = {"label": 3.7, "real-label": 3.714285714285714, "binary-label": 1}
    row = {"guid": "g", "source": "airbnb-rtt", "sentence1": "하나", "sentence2": "둘", "labels": labels}
    _, (scored,) = opened(tmp_path, "klue/sts", "klue-sts-v1.1_dev.json", [row])
    assert (scored.answer, scored.fields["score"]) == ("4", 3.714285714285714)
    (binary,) = open_task("klue/sts_binary", tmp_path).examples("dev")
    assert (binary.answer, binary.fields["positive"]) == ("같음", "같음")
    assert binary.question == "문장1: 하나\n문장2: 둘\n정답:"
