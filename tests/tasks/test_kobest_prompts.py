"""KoBEST is asked with lm-evaluation-harness's own text, byte for byte."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from malmoi.tasks.table import open_task

# Spaces at the ends of cells, as the published files have them, and signs that templates might trip over.
CELLS = {
    "boolq": (
        "ID\tText\tQuestion\tAnswer\n1\t지문 하나. \t질문{{ 1 }}인가? \tTRUE\n2\t둘\t아닌가?\tFalse\n",
        [{"paragraph": "지문 하나. ", "question": "질문{{ 1 }}인가? ", "label": 1},
         {"paragraph": "둘", "question": "아닌가?", "label": 0}],
    ),
    "copa": (
        "ID\tsentence\tquestion\t1\t2\tAnswer\n"
        "1\t비가 왔다. \t결과\t젖었다. \t떴다.\t1\n2\t막혔다.\t원인 \t하나\t둘\t2\n",
        [{"premise": "비가 왔다. ", "question": "결과",
          "alternative_1": "젖었다. ", "alternative_2": "떴다.", "label": 0},
         {"premise": "막혔다.", "question": "원인 ",
          "alternative_1": "하나", "alternative_2": "둘", "label": 1}],
    ),
    "hellaswag": (
        "context\tchoice1\tchoice2\tchoice3\tchoice4\tlabel\n"
        '문맥.\t"""가"" 나"\t나\t다\t라\t0\n문맥 둘\t1\t2\t3\t4\t3\n',
        [{"context": "문맥.",
          "ending_1": '"가" 나', "ending_2": "나", "ending_3": "다", "ending_4": "라", "label": 0},
         {"context": "문맥 둘",
          "ending_1": "1", "ending_2": "2", "ending_3": "3", "ending_4": "4", "label": 3}],
    ),
    "sentineg": (
        "ID\tLabel\tText\n1\t1\t좋지 않지 않다 \n2\t0\t별로\n",
        [{"sentence": "좋지 않지 않다 ", "label": 1}, {"sentence": "별로", "label": 0}],
    ),
    "wic": (
        "ID\tTarget\tSENTENCE1\tD1\tL1\tSENTENCE2\tD2\tL2\tANSWER\n"
        "1\t실정\t[실정]이다. \t1\tx\t다른 [실정]\t4\ty\tFalse\n"
        "2\t배\t[배]를 탔다\t1\tx\t[배]가 떴다\t1\ty\tTRUE\n",
        [{"word": "실정", "context_1": "[실정]이다. ", "context_2": "다른 [실정]", "label": 0},
         {"word": "배", "context_1": "[배]를 탔다", "context_2": "[배]가 떴다", "label": 1}],
    ),
}  # fmt: skip
FOLDERS = {"boolq": "BoolQ", "copa": "COPA", "hellaswag": "HellaSwag", "sentineg": "SentiNeg", "wic": "WiC"}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Mapping[str, Any]]:
    """The YAML of lm-eval's task, with its functions; without importing lm-eval, which takes seconds."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        pytest.skip("lm-eval is not installed")
    yaml = pytest.importorskip("yaml")
    folder = Path(spec.origin).parent / "tasks" / "kobest"
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(Dataset=list))  # type: ignore[arg-type]
    utils = ModuleType("kobest_utils")
    exec(compile((folder / "utils.py").read_bytes(), "utils.py", "exec"), utils.__dict__)

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined]
        pass

    Loader.add_constructor(
        "!function", lambda loader, node: getattr(utils, loader.construct_scalar(node).partition(".")[2])
    )
    return lambda name: yaml.load((folder / f"kobest_{name}.yaml").read_bytes(), Loader)


def field(said: object, doc: Mapping[str, Any]) -> Any:
    from jinja2 import Environment

    if callable(said):
        return said(doc)
    return doc[said] if isinstance(said, str) and said in doc else (
        Environment(autoescape=False).from_string(said).render(doc) if isinstance(said, str) else said
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(CELLS))
def test_every_byte_is_theirs(name: str, theirs: Callable[[str], Mapping[str, Any]], tmp_path: Path) -> None:
    text, docs = CELLS[name]
    folder = tmp_path / "kobest" / FOLDERS[name]
    folder.mkdir(parents=True)
    (folder / "dev.tsv").write_text(text, encoding="utf-8")
    task = open_task(f"kobest/{name}", tmp_path)
    examples = task.examples("dev")
    said = theirs(name)
    if "process_docs" in said:
        maps = type("Docs", (list,), {"map": lambda self, change: [{**doc, **change(doc)} for doc in self]})
        docs = said["process_docs"](maps(docs))
    questions, choices, targets = [], [], []
    for doc in docs:
        questions.append(field(said["doc_to_text"], doc))
        choices.append(field(said["doc_to_choice"], doc))
        target = field(said["doc_to_target"], doc)
        targets.append(choices[-1][int(target)] if str(target).isdecimal() and name != "copa" else target)
    delimiter, between = said.get("target_delimiter", " "), said.get("fewshot_delimiter", "\n\n")
    context = questions[0] + delimiter + targets[0] + between + questions[1]
    wanted = [context + delimiter + choice for choice in choices[1]]
    prompt = task.prompt(examples[1], [examples[0]])
    assert [prompt + text for text in task.continuations(examples[1])] == wanted
    assert examples[1].answer == targets[1]
    # lm-eval moves white space at the end of a context to the continuation before it scores.
    assert prompt == context.rstrip(" ")


def test_what_is_written_here_is_what_was_read_there(tmp_path: Path) -> None:
    """The same without lm-eval at hand: its text of version 0.4.13, copied."""
    wanted = {
        "boolq": "둘 질문: 아닌가? 답변:  예",
        "copa": "막혔다.  왜냐하면 둘",
        "hellaswag": "문장: 문맥 둘 4",
        "sentineg": "문장: 별로 긍부정: 긍정",
        "wic": "문장1: [배]를 탔다 문장2: [배]가 떴다 두 문장에서 배가 같은 뜻으로 쓰였나? 예",
    }
    for name, (text, _) in CELLS.items():
        folder = tmp_path / "kobest" / FOLDERS[name]
        folder.mkdir(parents=True)
        (folder / "dev.tsv").write_text(text, encoding="utf-8")
        task = open_task(f"kobest/{name}", tmp_path)
        example = task.examples("dev")[1]
        assert task.prompt(example) + task.continuations(example)[-1] == wanted[name]
