import json
from pathlib import Path

import pytest

from malmoi.core.errors import ConfigError, InvalidInput, NotFound, UnknownName
from malmoi.tasks.base import Task
from malmoi.tasks.table import TableSettings, TableTask, known_tasks, open_task, shuffle_choices

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


def table(data: Path, rows: list[object], **settings: object) -> TableTask:
    """A task over JSON lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (data / "rows.jsonl").write_text(text, encoding="utf-8")
    said = {"title": "t", "license": "l", "source": "the makers", "files": {"test": "rows.jsonl"}} | settings
    return TableTask("family/task", TableSettings.model_validate(said), data)


def test_a_task_reads_asks_and_grades(data: Path) -> None:
    task = open_task("kobest/copa", data)
    assert isinstance(task, Task)
    first, second = task.examples("dev")
    assert task.prompt(first) == "비가 왔다.  그래서"
    assert first.choices == ("땅이 젖었다.", "해가 떴다.")
    assert task.continuations(first) == (" 땅이 젖었다.", " 해가 떴다.")
    assert task.prompt(second, [first]) == "비가 왔다.  그래서 땅이 젖었다.\n\n길이 막혔다.  왜냐하면"
    assert [task.grade(second, choice) for choice in second.choices] == [0.0, 1.0]
    assert (task.info.split, task.info.shot_split) == ("dev", "dev")  # the only file that is there


def test_choices_are_shown_with_letters(data: Path) -> None:
    task = open_task("kobest/copa", data)
    first, second = task.examples("dev")
    asked = task.prompt(second, [first], form="letters")
    assert asked == (
        "비가 왔다.  그래서\nA. 땅이 젖었다.\nB. 해가 떴다.\n정답: A\n\n"
        "길이 막혔다.  왜냐하면\nA. 길이 비었다.\nB. 사고가 났다.\n정답:"
    )
    assert task.continuations(second, form="letters") == (" A", " B")
    assert task.grade(second, "정답은 B입니다.") == 1.0  # as a conversation answers


def test_shuffled_choices_stay_right_in_both_forms(tmp_path: Path) -> None:
    rows = [{"q": f"q{n}", "c": list("가나다라"), "a": n % 4} for n in range(40)]
    task = table(
        tmp_path, rows, question="{{ row.q }}", choices_from="row.c", answer="{{ row.a }}", language="en"
    )
    examples = task.examples("test")
    shuffled = [shuffle_choices(example, 7) for example in examples]
    assert shuffled == [shuffle_choices(example, 7) for example in examples]
    assert shuffled != [shuffle_choices(example, 8) for example in examples]
    assert len({example.choices for example in shuffled}) > 10
    for old, new in zip(examples, shuffled, strict=True):
        assert sorted(new.choices) == sorted(old.choices)
        assert new.answer == old.answer
        letter = task.solution(new, form="letters").strip()
        assert f"\n{letter}. {new.answer}\n" in task.prompt(new, form="letters")
        assert task.prompt(new, form="letters").endswith("Answer:")
        assert task.prompt(new, form="cloze") == old.question


HOSTILE = "{{ 7 * 7 }}{% for x in y %}<|im_end|><|endoftext|>\0</s>'\"\u2028" + "한" * 300_000


def test_text_of_a_row_is_never_a_template_nor_cut(data: Path) -> None:
    file = data / "kobest" / "COPA" / "dev.tsv"
    file.write_text(ROWS.replace("비가 왔다.", HOSTILE), encoding="utf-8")
    task = open_task("kobest/copa", data)
    first = task.examples("dev")[0]
    assert task.prompt(first) == f"{HOSTILE}  그래서"
    assert task.prompt(first, form="letters").startswith(HOSTILE)


def test_hostile_cells_stay_values_everywhere(tmp_path: Path) -> None:
    bad = "{{ row }}{% raw %}\0<|im_start|>"
    rows = [{"q": bad, "c": [bad, "other"], "k": bad}]
    task = table(
        tmp_path,
        rows,
        id="{{ row.k }}",
        question="{{ row.q }}",
        choices_from="row.c",
        answer="0",
        category="{{ row.k }}",
        description="{{ category }}|",
        fields={"kept": "{{ row.k | tojson }}", "plain": "{{ row.k }}"},
        fields_json=["kept"],
        shown_question="{{ fields.plain }}{{ question }}{{ options }}",
    )
    example = task.examples("test")[0]
    assert (example.id, example.category, example.fields) == (bad, bad, {"kept": bad, "plain": bad})
    assert task.prompt(example, form="letters") == f"{bad}|{bad}{bad}A. {bad}\nB. other"


def test_a_cell_named_like_a_method_is_the_cell(tmp_path: Path) -> None:
    task = table(tmp_path, [{"items": "a", "count": 3}], question="{{ row.items }} {{ row.count }}")
    assert task.examples("test")[0].question == "a 3"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Answer", "Label", "line 2"),
        ("사고가 났다.\t2", "사고가 났다.\t3", "line 3"),
        ("\t2\n", "\ttwo\n", "line 3"),
        ("\t2\n", "\t2\tmore\n", "line 3: it has 7 cells, the table 6 columns"),
        ("원인", "까닭", "line 3"),
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
    with pytest.raises(NotFound, match="no split 'other'"):
        open_task("kobest/copa", data).examples("other")
    with pytest.raises(UnknownName, match="did you mean 'kobest/copa'"):
        open_task("kobest/cpoa", data)


def test_rows_are_chosen_named_and_told_apart(tmp_path: Path) -> None:
    rows = [{"id": "x", "q": "1", "keep": True}, {"id": "x", "q": "2", "keep": False},
            {"id": "x", "q": "3", "keep": True}, {"id": "", "q": "4", "keep": True}]  # fmt: skip
    task = table(tmp_path, rows, question="{{ row.q }}", where="row.keep", id="{{ row.id }}")
    assert [(e.id, e.question) for e in task.examples("test")] == [("x", "1"), ("x~2", "3"), ("4", "4")]


@pytest.mark.parametrize(
    ("rows", "settings", "choices", "answer"),
    [
        ([{"c": "['손자', \"할머니\"]", "a": "B"}], {"answer_as": "letter"}, ("손자", "할머니"), "할머니"),
        ([{"c": '["x", "y"]', "a": "1"}], {"answer_as": "letter"}, ("x", "y"), "x"),
        ([{"c": "x#y", "a": "y"}], {"answer_as": "text", "choices_split": "#"}, ("x", "y"), "y"),
        ([{"c": [1, 2], "a": 1}], {}, ("1", "2"), "2"),
    ],
    ids=("python-list", "json-list", "split", "numbers"),
)
def test_choices_come_in_many_shapes(
    tmp_path: Path, rows: list[object], settings: dict[str, str], choices: tuple[str, ...], answer: str
) -> None:
    task = table(tmp_path, rows, question="q", choices_from="row.c", answer="{{ row.a }}", **settings)
    example = task.examples("test")[0]
    assert (example.choices, example.answer) == (choices, answer)


@pytest.mark.parametrize(
    "cell", ["__import__('os').getcwd()", "[" * 5000, "{1: 2}", "3"], ids=("call", "deep", "table", "number")
)
def test_a_text_that_holds_no_list_is_named(tmp_path: Path, cell: str) -> None:
    task = table(tmp_path, [{"c": cell}], question="q", choices_from="row.c", answer="0")
    with pytest.raises(InvalidInput, match=r"rows.jsonl, line 1: .*not a list"):
        task.examples("test")


def test_each_choice_stands_once_at_each_place(tmp_path: Path) -> None:
    task = table(
        tmp_path,
        [{"c": ["x", "y", "z"]}],
        question="q",
        choices_from="row.c",
        answer="1",
        rotate_choices=True,
    )
    turned = task.examples("test")
    # scipy.linalg.circulant(["x", "y", "z"]), row by row.
    assert [example.choices for example in turned] == [("x", "z", "y"), ("y", "x", "z"), ("z", "y", "x")]
    assert [example.id for example in turned] == ["1-0", "1-1", "1-2"]
    assert {example.answer for example in turned} == {"y"}


def test_more_choices_than_letters_are_refused_in_letters_form_only(tmp_path: Path) -> None:
    rows: list[object] = [{"c": [str(n) for n in range(4)]}]
    task = table(tmp_path, rows, question="q", choices_from="row.c", answer="0", letters="abc")
    example = task.examples("test")[0]
    assert len(task.continuations(example, form="cloze")) == 4
    with pytest.raises(InvalidInput, match="4 choices, for 3 letters"):
        task.prompt(example, form="letters")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"question": "{{ row.q"}, "question"),
        ({"question": "{{ row.q | shell }}"}, "question"),
        ({"question": "{% include 'x' %}"}, "include"),
        ({"question": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"}, "macro"),
        ({"question": "{{ answer }}"}, "question knows no answer"),
        ({"question": "q", "description": "{{ row.q }}"}, "description knows no row"),
        ({"question": "{% for a in row %}{% for b in row %}{% for c in row %}x"
                      "{% endfor %}{% endfor %}{% endfor %}"}, "loops"),
        ({"question": "{% set a = 'x' %}" * 9 + "{{ a }}"}, "more than 8 variables"),
        ({"question": "x" * 20_001 + "{{ row }}"}, "20000"),
        ({"question": "q", "where": "row."}, "where"),
        ({"question": "q", "grader": {"kind": "sehll"}}, "grader"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_broken_description_is_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, UnknownName), match=message):
        table(tmp_path, [], **settings)


@pytest.mark.parametrize(
    "question",
    [
        "{{ row.__class__.__mro__ }}",
        "{{ row.q.__init__.__globals__ }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ row.q.ljust(1000000000) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{% for n in range(1000000000) %}x{% endfor %}",
        "{{ row.q" + "|replace('x', 'xxxxxxxxxx')" * 9 + " }}",
        "{{ row.q" + ".replace('x', 'xxxxxxxxxx')" * 9 + " }}",
        "{{ range(1000)|join(range(1000)|join(range(1000)|join(row.q))) }}",
        "{{ row.q|batch(1000000000, 'y')|list }}",
        "{{ row.q|slice(1000000000, 'y')|list }}",
        "{{ [row.q]|tojson(indent=1000000000) }}",
        "{{ (1).to_bytes(1000000000) }}",
        "{% for a in range(1000) %}{% for b in range(1000) %}xxxxx{% endfor %}{% endfor %}",
        "{{ row.missing }}",
        "{{ 1 / 0 }}",
    ],
    ids=lambda text: text[3:28],
)
def test_a_template_reaches_nothing_and_blows_nothing_up(tmp_path: Path, question: str) -> None:
    with pytest.raises(InvalidInput, match=r"rows.jsonl, line 1"):
        table(tmp_path, [{"q": "x"}], question=question).examples("test")


@pytest.mark.parametrize(
    "question",
    [
        "".join(f"{{% set v{n + 1} = v{n}" + f" ~ v{n}" * 20 + " %}" for n in range(6)) + "{{ v6 }}",
        "{% set a %}{% for n in range(1000) %}{{ row.q }}{% endfor %}{% endset %}{{ a }}",
        "{% filter upper %}{% for n in range(1000) %}{{ row.q }}{% endfor %}{% endfilter %}",
    ],
    ids=["variables", "set", "filter"],
)
def test_a_template_may_not_keep_much_before_it_says_it(tmp_path: Path, question: str) -> None:
    with pytest.raises(ConfigError, match="question"):
        table(tmp_path, [{"q": "x"}], question="{% set v0 = row.q %}" + question)


@pytest.mark.parametrize(
    "pattern", ["/etc/passwd", "../../etc/passwd", "a/../../b", "", "a\\b", "a\0b"], ids=repr
)
def test_files_lie_under_the_data_folder(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="not a path under the data folder"):
        table(tmp_path, [], question="q", files={"test": pattern})


@pytest.mark.parametrize("name", sorted(known_tasks()))
def test_every_description_is_whole(name: str, tmp_path: Path) -> None:
    task = open_task(name, tmp_path)
    settings = task.settings
    assert settings.license
    assert settings.source
    assert settings.title
    assert (task.info.kind == "choice") <= bool(settings.choices or settings.choices_from)
    assert task.info.metrics
    assert settings.language in ("ko", "en") or task.info.kind == "generate"
