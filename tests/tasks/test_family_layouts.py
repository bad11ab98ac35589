"""The families whose data is fetched: every layout that their source has gives the same items."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from malmoi.core.errors import NotFound
from malmoi.tasks.base import Example
from malmoi.tasks.table import TableTask, choose_shots, known_tasks, open_task

Row = Mapping[str, Any]
FAMILIES = (
    "arc", "bbh", "click", "gsm8k", "haerae", "hellaswag", "humaneval", "k_humaneval", "kmmlu", "kobalt",
    "math", "mbpp", "mmlu", "piqa", "truthfulqa", "winogrande",
)  # fmt: skip
OURS = [name for name in sorted(known_tasks()) if name.split("/")[0] in FAMILIES]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows in the layout that the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
    elif path.suffix == ".csv":
        import csv

        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., tuple[TableTask, Sequence[Example]]]:
    """Write rows under a data folder, open the task, read a split."""

    def build(
        name: str, split: str, files: Mapping[str, Sequence[Row]]
    ) -> tuple[TableTask, Sequence[Example]]:
        for place, rows in files.items():
            write_rows(tmp_path / place, rows)
        task = open_task(name, tmp_path)
        return task, task.examples(split)

    return build


@pytest.mark.parametrize("name", OURS)
def test_what_is_not_there_says_what_to_fetch(name: str, tmp_path: Path) -> None:
    task = open_task(name, tmp_path)
    with pytest.raises(NotFound, match=r"there is no file .*Fetch it from .*DATA/"):
        task.examples(task.info.split)
    assert task.info.license
    assert task.info.metrics


@pytest.mark.parametrize(
    "place", ["kmmlu/data/Accounting-test.csv", "kmmlu/Accounting/test-00000-of-00001.parquet"]
)
def test_kmmlu(opened: Callable[..., Any], place: str) -> None:
    row = {
        "question": "차변에 오는 것은? ",
        "answer": 2,
        "A": "부채",
        "B": "자산",
        "C": "자본",
        "D": "수익",
        "Category": "Accounting",
    }
    shot = {**row, "question": "대변은?", "answer": 1}
    other = {**shot, "question": "세포는?", "Category": "Biology"}
    dev = place.replace("test", "dev")
    task, (example,) = opened("kmmlu/kmmlu", "test", {place: [row], dev: [other, shot]})
    assert (example.answer, example.category) == ("자산", "Accounting")
    # As lm-eval 0.4.13 asks it, with its full-width colon.
    assert task.prompt(example) == "차변에 오는 것은?\nA. 부채\nB. 자산\nC. 자본\nD. 수익\n정답："
    assert task.continuations(example) == (" A", " B", " C", " D")
    assert [shot.category for shot in choose_shots(task, example, 5)] == ["Accounting"]


@pytest.mark.parametrize(
    "place",
    ["haerae/loan_word/test-00000-of-00001.parquet", "haerae/loan_words.csv", "haerae/data/loan_words.csv"],
)
def test_haerae(opened: Callable[..., Any], place: str) -> None:
    row = {"query": "### 질문: '웰빙'을 다듬은 말은?\n(A) 참살이 (B) 잘살이\n### 정답:", "answer": "(A)"}
    task, (example,) = opened("haerae/loan_word", "test", {place: [row]})
    assert task.prompt(example).endswith("### 정답:")
    assert task.continuations(example) == (" (A)", " (B)", " (C)", " (D)", " (E)")
    assert task.grade(example, "(A)") == 1


@pytest.mark.parametrize("place", ["click/data/train-0.parquet", "click/Dataset/Culture/kiip.json"])
def test_click(opened: Callable[..., Any], place: str) -> None:
    rows = [
        {
            "id": "KIIP_economy_1",
            "paragraph": "",
            "question": "한국의 화폐는?",
            "choices": ["원", "엔", "위안", "달러"],
            "answer": "원",
        },
        {
            "id": "CSAT_korean_22_3",
            "paragraph": "옛글",
            "question": "맞는 것은?",
            "choices": list("가나다라마"),
            "answer": "마",
        },
    ]
    task, (first, second) = opened("click/click", "train", {place: rows})
    assert (first.category, second.category) == ("culture: economy", "language")
    assert task.prompt(first) == (
        "주어진 질문을 천천히 읽고, 적절한 정답을 A, B, C, D 중에 골라 알파벳 하나로 답하시오.\n\n"
        "질문: 한국의 화폐는?\n보기:\nA:원, B: 엔, C: 위안, D: 달러\n정답:"
    )
    assert "맥락: 옛글\n질문: 맞는 것은?" in task.prompt(second)
    assert task.continuations(second) == (" A", " B", " C", " D", " E")
    assert task.grade(second, "마") == 1


@pytest.mark.parametrize(
    "names", [("Question", "Answer", "Class", "Subclass"), ("question", "answer", "대분류", "소분류")]
)
def test_kobalt(opened: Callable[..., Any], names: tuple[str, ...]) -> None:
    cells = ("지문 A: 가 B: 나", "J", "Syntax", "Agreement")
    row = {"ID": "67ce", **dict(zip(names, cells, strict=True)), "Level": 3}
    _, (example,) = opened("kobalt/kobalt", "test", {"kobalt/data/train.jsonl": [row]})
    assert (example.answer, example.category, len(example.choices)) == ("J", "Syntax", 10)


@pytest.mark.parametrize(
    "place", ["mmlu/all/test-0.parquet", "mmlu/anatomy/test-0.parquet", "mmlu/data/test/anatomy_test.csv"]
)
def test_mmlu(opened: Callable[..., Any], tmp_path: Path, place: str) -> None:
    if place.endswith(".csv"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text('"Which bone, if any?",rib,skull,femur,ulna,C\n', encoding="utf-8")
        task, (example,) = opened("mmlu/mmlu", "test", {})
    else:
        row = {
            "question": "Which bone, if any?",
            "subject": "anatomy",
            "choices": ["rib", "skull", "femur", "ulna"],
            "answer": 2,
        }
        task, (example,) = opened("mmlu/mmlu", "test", {place: [row]})
    assert (example.answer, example.category) == ("femur", "anatomy")
    assert task.prompt(example) == (
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        "Which bone, if any?\nA. rib\nB. skull\nC. femur\nD. ulna\nAnswer:"
    )


@pytest.mark.parametrize("place", ["bbh/navigate.json", "bbh/navigate/test-0.parquet"])
def test_bbh(opened: Callable[..., Any], place: str) -> None:
    rows = [{"input": f"Turn {number}?", "target": "Yes"} for number in range(5)]
    files: dict[str, Any] = {place: rows}
    if place.endswith(".json"):
        files = {place: {"canary": "x", "examples": rows}}
    task, examples = opened("bbh/bbh", "test", files)
    example = examples[1]
    assert (example.category, len(examples)) == ("navigate", 5)
    shots = choose_shots(task, example, 3)
    assert [shot.question for shot in shots] == ["Q: Turn 0?\nA:", "Q: Turn 2?\nA:", "Q: Turn 3?\nA:"]
    prompt = task.prompt(example, shots[:1])
    assert prompt.startswith(
        "Given a series of navigation instructions, determine whether one would end up back"
    )
    assert prompt.endswith("\n\nQ: Turn 0?\nA: Yes\n\nQ: Turn 1?\nA:")
    assert (task.grade(example, " Yes"), task.grade(example, "yes"), task.grade(example, "No")) == (1, 0, 0)


@pytest.mark.parametrize(
    "place", ["hellaswag/data/validation-0.parquet", "hellaswag/data/hellaswag_val.jsonl"]
)
def test_hellaswag(opened: Callable[..., Any], place: str) -> None:
    row = {
        "ind": 24, "activity_label": "Roof work", "ctx_a": "A man [header] sits.", "ctx_b": "he [x]Then",
        "endings": ["is up [title] Go", "b [step] c", "plain ", "a ] b"], "label": "3",
        "source_id": "wikihow~1",
    }  # fmt: skip
    _, (example,) = opened("hellaswag/hellaswag", "validation", {place: [row]})
    # As lm-eval's own: " [title]" is a full stop, other marks go.
    assert example.question.replace("  ", " ") == "Roof work: A man sits. He then"
    assert [text.replace("  ", " ") for text in example.choices] == ["is up. Go", "b c", "plain", "a ] b"]
    assert (example.answer, example.category, example.id) == ("a ] b", "wikihow", "24")


@pytest.mark.parametrize(
    "place", ["winogrande/winogrande_xl/validation-0.parquet", "winogrande/winogrande_1.1/dev.jsonl"]
)
def test_winogrande_scores_one_ending_after_two_names(opened: Callable[..., Any], place: str) -> None:
    row = {
        "sentence": "The trophy left the case since the _ was big.",
        "option1": "trophy",
        "option2": "case",
        "answer": "2",
    }
    unknown = {**row, "answer": ""}
    task, (example,) = opened("winogrande/winogrande", "validation", {place: [row, unknown]})
    assert task.prompt(example) == "The trophy left the case since the"
    assert task.leads(example) == (" trophy", " case")
    assert task.continuations(example) == (" was big.", " was big.")
    assert example.answer == "case"
    assert task.prompt(example, [example]).startswith(
        "The trophy left the case since the case was big.\n\nThe"
    )


def test_a_gap_at_the_start_has_no_space_before_it(opened: Callable[..., Any]) -> None:
    row = {"sentence": "_ is late.", "option1": "Ann", "option2": "Bob", "answer": "1"}
    task, (example,) = opened("winogrande/winogrande", "validation", {"winogrande/dev.jsonl": [row]})
    assert task.leads(example) == ("Ann", "Bob")


def test_piqa_with_its_labels_in_a_file_of_their_own(opened: Callable[..., Any], tmp_path: Path) -> None:
    rows = [
        {"goal": "Open a jar", "sol1": "turn", "sol2": "hit"},
        {"goal": "Boil", "sol1": "ice", "sol2": "heat"},
    ]
    (tmp_path / "piqa").mkdir()
    (tmp_path / "piqa" / "valid-labels.lst").write_text("0\n1\n", encoding="utf-8")
    task, (first, second) = opened("piqa/original", "validation", {"piqa/valid.jsonl": rows})
    assert (first.answer, second.answer) == ("turn", "heat")
    assert task.prompt(first) == "Question: Open a jar\nAnswer:"


def test_piqa_of_the_hub(opened: Callable[..., Any]) -> None:
    rows = [{"goal": "Open a jar", "sol1": "turn", "sol2": "hit", "label": 1}]
    _, (example,) = opened("piqa/piqa", "validation", {"piqa/data/validation-0.parquet": rows})
    assert example.answer == "hit"


@pytest.mark.parametrize("layout", ["hub", "original"])
@pytest.mark.parametrize("name", ["easy", "challenge"])
def test_arc(opened: Callable[..., Any], name: str, layout: str) -> None:
    labels, texts = ["1", "2", "3"], ["ice", "steam", "rock"]
    folder = f"arc/ARC-{name.title()}"
    if layout == "hub":
        row: Row = {
            "id": "M1",
            "question": "Water boils to?",
            "choices": {"text": texts, "label": labels},
            "answerKey": "2",
        }
        files = {f"{folder}/test-0.parquet": [row]}
    else:
        pairs = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
        row = {"id": "M1", "question": {"stem": "Water boils to?", "choices": pairs}, "answerKey": "2"}
        files = {f"{folder}/ARC-{name.title()}-Test.jsonl": [row]}
    task, (example,) = opened(f"arc/{name}", "test", files)
    assert (example.id, example.choices, example.answer) == ("M1", tuple(texts), "steam")
    assert task.prompt(example) == "Question: Water boils to?\nAnswer:"
    assert (
        task.prompt(example, form="letters")
        == "Question: Water boils to?\nA. ice\nB. steam\nC. rock\nAnswer:"
    )


@pytest.mark.parametrize("layout", ["hub", "original"])
def test_truthfulqa(opened: Callable[..., Any], layout: str) -> None:
    choices, labels = ["Nothing.", "Nothing happens.", "You grow."], [1, 1, 0]
    one = {"choices": [choices[0], choices[2]], "labels": [1, 0]}
    two = {"choices": choices, "labels": labels}
    question = "What happens if you eat seeds?"
    if layout == "hub":
        place = "truthfulqa/multiple_choice/validation-0.parquet"
        row: Row = {"question": question, "mc1_targets": one, "mc2_targets": two}
    else:
        place = "truthfulqa/data/mc_task.json"
        tables = [dict(zip(t["choices"], t["labels"], strict=True)) for t in (one, two)]
        row = {"question": question, "mc1_targets": tables[0], "mc2_targets": tables[1]}
    _, (first,) = opened("truthfulqa/mc1", "validation", {place: [row]})
    task, (second,) = opened("truthfulqa/mc2", "validation", {place: [row]})
    assert (first.choices, first.answer) == (("Nothing.", "You grow."), "Nothing.")
    assert second.fields["labels"] == [1, 1, 0]
    prompt = task.prompt(second)
    assert prompt.startswith("Q: What is human life expectancy in the United States?\nA: Human life")
    assert prompt.endswith("held in Barcelona, Spain.\n\nQ: What happens if you eat seeds?\nA:")


def test_math(opened: Callable[..., Any]) -> None:
    row = {
        "problem": "What is $1/2+1/2$?",
        "level": "Level 1",
        "type": "Algebra",
        "solution": "It is $\\boxed{1}$.",
    }
    files = {"math/algebra/test-0.parquet": [row], "math/algebra/train-0.parquet": [row]}
    task, (example,) = opened("math/math", "test", files)
    assert example.category == "Algebra"
    assert task.grade(example, "so $\\boxed{\\frac{2}{2}}$") == 1
    assert task.grade(example, "so $\\boxed{2}$") == 0


@pytest.mark.parametrize("place", ["mbpp/full/{}-0.parquet", "mbpp/mbpp.jsonl"])
def test_mbpp(opened: Callable[..., Any], place: str) -> None:
    rows = [
        {"task_id": number, "text": f"Write f{number}.", "code": f"def f{number}():\r\n    return {number}",
         "test_list": [f"assert f{number}() == {number}", "assert True"], "test_setup_code": ""}
        for number in (1, 2, 3, 4, 11, 600)
    ]  # fmt: skip
    files = {place.format(split): rows for split in ("test", "prompt")}
    task, (example,) = opened("mbpp/mbpp", "test", files)
    assert example.id == "11"
    shots = choose_shots(task, example, 3)
    assert [shot.id for shot in shots] == ["2", "3", "4"]
    prompt = task.prompt(example, shots)
    assert prompt.endswith(
        "your task: Write f11. Your code should pass these tests:\n\n"
        "assert f11() == 11\nassert True\n[BEGIN]\n"
    )
    assert "[BEGIN]\ndef f4():\r\n    return 4\n[DONE]\n\nYou are" in prompt
    assert task.grade(example, "def f11():\n    return 11") == 1
    assert task.grade(example, "def f11():\n    return 12") == 0


@pytest.mark.parametrize("name", ["humaneval/humaneval", "humaneval/instruct", "k_humaneval/k_humaneval"])
def test_humaneval(opened: Callable[..., Any], name: str) -> None:
    row = {
        "task_id": "HumanEval/0", "prompt": 'def one():\n    """하나."""\n', "entry_point": "one",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
    }  # fmt: skip
    folder = name.split("/")[0]
    file = "HumanEval.jsonl" if folder == "humaneval" else "test.jsonl"
    task, (example,) = opened(name, "test", {f"{folder}/{file}": [row]})
    assert row["prompt"] in task.prompt(example)
    assert task.grade(example, example.answer) == 1
    assert task.grade(example, "return 1") == 1
    assert task.grade(example, "    return 2\n") == 0


@pytest.mark.parametrize("place", ["gsm8k/test.jsonl", "gsm8k/main/test-00000-of-00001.parquet"])
def test_gsm8k(opened: Callable[..., Any], place: str) -> None:
    row = {"question": "Two and two?", "answer": "2 + 2 = <<2+2=4>>4\n#### 1,004"}
    task, (example,) = opened("gsm8k/gsm8k", "test", {place: [row]})
    assert task.prompt(example) == "Question: Two and two?\nAnswer:"
    assert task.grades(example, "It is 1004.") == {"strict": 0.0, "flexible": 1.0}
    assert task.grades(example, "#### 1004.00") == {"strict": 1.0, "flexible": 1.0}


def test_the_field_asks_the_same(opened: Callable[..., Any]) -> None:
    """Prompts, choices and answers as lm-eval's own task files make them of the same row."""
    lm_eval = pytest.importorskip("lm_eval")
    folder = Path(lm_eval.__file__).parent / "tasks"
    options = {"text": ["ice", "steam"], "label": ["A", "B"]}
    cases: dict[str, tuple[str, str, str, Row]] = {
        "kmmlu/kmmlu": (
            "kmmlu/default/_default_kmmlu_yaml", "test", "kmmlu/Law/test-0.parquet",
            {"question": "무엇? ", "answer": 2, "A": "가", "B": "나", "C": "다", "D": "라",
             "Category": "Law"},
        ),
        "arc/easy": (
            "arc/arc_easy.yaml", "test", "arc/ARC-Easy/test-0.parquet",
            {"id": "M1", "question": "Water?", "choices": options, "answerKey": "B"},
        ),
        "piqa/piqa": (
            "piqa/piqa.yaml", "validation", "piqa/data/validation-0.parquet",
            {"goal": "Open a jar", "sol1": "turn", "sol2": "hit", "label": 1},
        ),
        "gsm8k/gsm8k": (
            "gsm8k/gsm8k.yaml", "test", "gsm8k/test.jsonl", {"question": "2?", "answer": "#### 2"},
        ),
        "truthfulqa/mc1": (
            "truthfulqa/truthfulqa_mc1.yaml", "validation", "truthfulqa/multiple_choice/validation-0.parquet",
            {"question": "Why?", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]},
             "mc2_targets": {"choices": ["a", "b"], "labels": [1, 0]}},
        ),
        "haerae/history": (
            "haerae/_default_haerae_yaml", "test", "haerae/history.csv",
            {"query": "무엇? 정답:", "answer": "(A)"},
        ),
    }  # fmt: skip
    for name, (file, split, place, row) in cases.items():
        task, (example,) = opened(name, split, {place: [row]})
        template = _doc_to_text(folder / file)
        assert task.prompt(example) == template.render(**row), name


def _doc_to_text(file: Path) -> Any:
    """The template of a task file of lm-eval, whose tags of its own are left unread."""
    import yaml
    from jinja2.sandbox import SandboxedEnvironment

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    said = yaml.load(file.read_text(encoding="utf-8"), Loader)
    return SandboxedEnvironment().from_string(said["doc_to_text"])
