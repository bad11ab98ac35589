"""Every task whose data is at hand reads all of it, with the counts that its makers give."""

import os
from pathlib import Path

import pytest

from malmoi.tasks.table import choose_shots, open_task

COUNTS = {
    ("hate_speech/bias", "train"): 7896, ("hate_speech/hate", "train"): 7896,
    ("klue/dp", "dev"): 2000, ("klue/ner", "dev"): 5000, ("klue/nli", "dev"): 3000, ("klue/sts", "dev"): 519,
    ("klue/sts_binary", "dev"): 519,
    ("kobbq/prompt_1", "test"): 3 * 2280, ("kobbq/prompt_2", "test"): 3 * 2280,
    ("kobbq/prompt_3", "test"): 3 * 2280, ("kobbq/prompt_4", "test"): 3 * 2280,
    ("kobbq/written_5", "test"): 3 * 2280,
    ("kobest/boolq", "dev"): 700, ("kobest/copa", "dev"): 500, ("kobest/hellaswag", "dev"): 500,
    ("kobest/sentineg", "dev"): 400, ("kobest/wic", "dev"): 610,
    ("kobest/boolq", "train"): 3665, ("kobest/copa", "train"): 3076, ("kobest/hellaswag", "train"): 2029,
    ("kobest/sentineg", "train"): 3649, ("kobest/wic", "train"): 3318,
    ("kor_nlu/sts", "dev"): 1500, ("kor_nlu/sts", "train"): 5749, ("kor_nlu/xnli", "dev"): 2490,
    ("safety/kosbi", "valid"): 3421, ("safety/square", "valid"): 6882,
}  # fmt: skip


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("MALMOI_TEST_DATA")
    if not folder:
        pytest.skip("MALMOI_TEST_DATA names no folder with the published files")
    return Path(folder)


@pytest.mark.parametrize(("name", "split"), sorted(COUNTS))
def test_a_published_file_is_read_whole(name: str, split: str, data: Path) -> None:
    task = open_task(name, data)
    examples = task.examples(split)
    assert len(examples) == COUNTS[name, split]
    assert len({example.id for example in examples}) == len(examples)
    assert all(example.question for example in examples)
    if task.info.kind == "choice":
        assert all(example.answer in example.choices for example in examples)
    middle = examples[len(examples) // 2]
    for shots in ([], choose_shots(task, middle, 3, pool=examples[:200])):
        for form in ("cloze", "letters"):
            assert task.prompt(middle, shots, form=form)  # type: ignore[arg-type]
    assert task.grade(middle, middle.answer) in (1.0, 0.0) if task.info.kind == "choice" else True


@pytest.mark.parametrize("name", ["klue/ner", "klue/dp"])
def test_a_right_answer_reads_back_as_right(name: str, data: Path) -> None:
    task = open_task(name, data)
    assert {task.grade(example, example.answer) for example in task.examples("dev")} == {1.0}


def test_a_biased_context_is_one_whose_right_answer_is_the_biased_one(data: Path) -> None:
    """KoBBQ's evaluation tells biased contexts by the template's letter; the metrics by the answers."""
    for example in open_task("kobbq/prompt_1", data).examples("test"):
        if example.fields["context"] == "disambiguated":
            letter = example.fields["sample_id"].split("-")[1][-1]
            assert (letter in "bd") == (example.answer == example.fields["biased_answer"])
        else:
            assert example.answer == example.fields["unknown"]
