from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from malmoi.core.errors import ConfigError, InvalidInput, NotFound, UnknownName
from malmoi.tasks import catalog
from malmoi.tasks.table import known_tasks, open_task

OWN = """
title = "Is it a number?"
license = "mine"
source = "my desk"
files = {test = "own.tsv"}
question = "{{ row.text }}"
choices = ["no", "yes"]
answer = "{{ row.label }}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "tasks" / "mine"
    own.mkdir(parents=True)
    (own / "numbers.toml").write_text(OWN, encoding="utf-8")
    (tmp_path / "own.tsv").write_text("text\tlabel\nseven\t1\n", encoding="utf-8")
    return tmp_path / "tasks"


def test_a_folder_of_the_user_adds_tasks(folder: Path) -> None:
    known = known_tasks(folder)
    assert known["mine/numbers"] == folder / "mine" / "numbers.toml"
    assert set(known) == set(known_tasks()) | {"mine/numbers"}
    task = open_task("mine/numbers", folder.parent, tasks_folder=folder)
    assert task.examples("test")[0].answer == "yes"
    with pytest.raises(UnknownName):
        open_task("mine/numbers", folder.parent)
    with pytest.raises(NotFound, match="no folder of tasks"):
        known_tasks(folder / "nowhere")


def test_a_file_may_begin_from_another(folder: Path) -> None:
    (folder / "mine" / "words.toml").write_text(
        'extends = "numbers"\nchoices = ["n", "y"]\n', encoding="utf-8"
    )
    task = open_task("mine/words", folder.parent, tasks_folder=folder)
    assert (task.info.title, task.examples("test")[0].answer) == ("Is it a number?", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "bad.toml is not valid TOML"),
        (OWN + "questoin = 'x'\n", "questoin"),
        (OWN.replace('license = "mine"', ""), "license"),
        (OWN + "shots = -1\n", "shots"),
        (OWN.replace('["no", "yes"]', '"row.x"'), "choices"),
        (OWN.replace('answer = "{{ row.label }}"', ""), "needs an answer"),
        (OWN.replace("own.tsv", "/etc/passwd"), "not a path under the data folder"),
        (OWN + 'split = "dev"\n', "split names dev"),
        (OWN.replace("{{ row.text }}", "{{ row.text | system }}"), "bad.toml: question"),
        ('extends = "../../kobest/copa"\n', "extends"),
        ('extends = "bad"\n', "circle"),
        ('extends = "gone"\n', "gone.toml"),
        ("x = 'a'\n" * 200_000, "larger than a task file"),
    ],
    ids=("toml", "key", "license", "shots", "choices", "answer", "path", "split", "template", "extends-path",
         "circle", "extends-gone", "size"),
)  # fmt: skip
def test_a_broken_file_is_named_with_what_is_wrong(folder: Path, text: str, message: str) -> None:
    (folder / "mine" / "bad.toml").write_text(text, encoding="utf-8")
    assert "mine/bad" in known_tasks(folder)  # a broken one does not hide the others
    open_task("mine/numbers", folder.parent, tasks_folder=folder)
    with pytest.raises(ConfigError, match=message) as caught:
        open_task("mine/bad", folder.parent, tasks_folder=folder)
    assert "mine" in str(caught.value)


def test_no_file_may_hide_one_of_ours_or_have_a_strange_name(folder: Path) -> None:
    (folder / "mine" / "a b;c.toml").write_text(OWN, encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot name a task"):
        known_tasks(folder)
    (folder / "mine" / "a b;c.toml").unlink()
    (folder / "kobest").mkdir()
    (folder / "kobest" / "copa.toml").write_text(OWN, encoding="utf-8")
    with pytest.raises(ConfigError, match="kobest/copa is there already"):
        known_tasks(folder)


def test_packages_add_tasks_by_an_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "added_tasks.py").write_text('"""Tasks beside this file."""\n', encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    points = [EntryPoint("added", "added_tasks", "malmoi.tasks")]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points)
    assert known_tasks()["mine/numbers"] == folder / "mine" / "numbers.toml"
    points[:] = [EntryPoint("gone", "no_such_module", "malmoi.tasks")]
    with pytest.raises(ConfigError, match=r"entry point 'gone'.*uninstall"):
        known_tasks()


def test_wrong_data_of_an_own_task_is_named(folder: Path) -> None:
    (folder.parent / "own.tsv").write_text("text\tlabel\nseven\tyes\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"own.tsv, line 2.*my desk"):
        open_task("mine/numbers", folder.parent, tasks_folder=folder).examples("test")
