from pathlib import Path

import pytest

from malmoi.core.errors import InvalidInput, NotFound, UnknownName
from malmoi.tasks.base import Task
from malmoi.tasks.table import known_tasks, open_task

ROWS = (
    "ID\tsentence\tquestion\t1\t2\tAnswer\n"
    "1\t비가 왔다.\t결과\t땅이 젖었다.\t해가 떴다.\t1\n"
    "2\t길이 막혔다.\t원인\t길이 비었다.\t사고가 났다.\t2\n"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "kobest" / "COPA"
    folder.mkdir(parents=True)
    (folder / "dev.tsv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def test_a_task_reads_asks_and_grades(data: Path) -> None:
    task = open_task("kobest/copa", data)
    assert isinstance(task, Task)
    first, second = task.examples("dev")
    assert task.prompt(first) == "비가 왔다. 그래서"
    assert first.choices == ("땅이 젖었다.", "해가 떴다.")
    assert task.prompt(second, [first]) == "비가 왔다. 그래서 땅이 젖었다.\n\n길이 막혔다. 왜냐하면"
    assert [task.grade(second, choice) for choice in second.choices] == [0.0, 1.0]


def test_text_of_a_row_is_never_a_template(data: Path) -> None:
    file = data / "kobest" / "COPA" / "dev.tsv"
    file.write_text(ROWS.replace("비가 왔다.", "{{ 7 * 7 }}"), encoding="utf-8")
    assert open_task("kobest/copa", data).prompt(open_task("kobest/copa", data).examples("dev")[0]) == (
        "{{ 7 * 7 }} 그래서"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Answer", "Label", "line 2"),
        ("사고가 났다.\t2", "사고가 났다.\t3", "line 3"),
        ("\t2\n", "\ttwo\n", "line 3"),
    ],
)
def test_a_wrong_row_is_named(data: Path, old: str, new: str, message: str) -> None:
    file = data / "kobest" / "COPA" / "dev.tsv"
    file.write_text(ROWS.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        open_task("kobest/copa", data).examples("dev")


def test_what_is_missing_is_said(data: Path) -> None:
    with pytest.raises(NotFound, match=r"no file .*train.tsv. Fetch it from github"):
        open_task("kobest/copa", data).examples("train")
    with pytest.raises(NotFound, match="no split 'test'"):
        open_task("kobest/copa", data).examples("test")
    with pytest.raises(UnknownName, match="did you mean 'kobest/copa'"):
        open_task("kobest/cpoa", data)


@pytest.mark.parametrize("name", sorted(known_tasks()))
def test_every_description_is_whole(name: str, tmp_path: Path) -> None:
    settings = open_task(name, tmp_path).settings
    assert len(settings.choices) > 1
    assert settings.license
