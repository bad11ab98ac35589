"""`malmoi evals judge`: one model's scores, two models against each other, and what it refuses."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from malmoi.cli.evals import evals
from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat
from malmoi.engine.base import Completion, Prompt, Sampling
from malmoi.engine.scripted import Rule, ScriptedEngine
from malmoi.evals.results import read_items


class Judge(ScriptedEngine):
    """Scores an answer by its length; of two it likes the longer."""

    def __init__(self) -> None:
        super().__init__((), name="judge", context_length=100_000)
        self.asked = 0
        self.told = ""

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        return [self._judge(prompt) for prompt in prompts]

    def _judge(self, prompt: Prompt) -> Completion:
        assert isinstance(prompt, Chat)
        self.asked += 1
        self.told = prompt.messages[0].content
        mark = re.search(r"VERDICT-\w+", prompt.messages[0].content)
        assert mark is not None
        texts = re.findall(r"<(text-\w+)>\n(.*?)\n</\1>", prompt.messages[1].content, re.DOTALL)
        lengths = [len(text) for _, text in texts]
        if "도우미 A의 답" in prompt.messages[1].content:
            said = "A" if lengths[1] > lengths[2] else "B"
        else:
            said = str(min(10, lengths[-1]))
        return Completion(f"길이로 정했다.\n{mark.group()}: {said}", "stop")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, ScriptedEngine]:
    """Three models by name, instead of real ones."""
    known: dict[str, ScriptedEngine] = {
        "short": ScriptedEngine((Rule(reply="짧다."),), name="short", context_length=100_000),
        "long": ScriptedEngine((Rule(reply="훨씬 더 길다."),), name="long", context_length=100_000),
        "judge": Judge(),
    }

    async def open_engine(ref: str, **_: Any) -> ScriptedEngine:
        return known[ref]

    class Identity:
        sha256 = None
        artifact = None

        def __init__(self, ref: str) -> None:
            self.key = self.ref = ref

    for module in ("judged", "engines"):
        monkeypatch.setattr(f"malmoi.evals.harness.{module}.open_engine", open_engine)
    monkeypatch.setattr("malmoi.evals.harness.identity.identify", lambda ref, home: Identity(ref))
    monkeypatch.setattr("malmoi.evals.harness.judged.identify", lambda ref, home: Identity(ref))
    return known


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [
        {"question_id": 1, "category": "writing", "turns": ["봄을 말해 주세요.", "더 짧게요."]},
        {"question_id": 2, "category": "math", "turns": ["2 더하기 2는?"]},
    ]
    path = tmp_path / "ours.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def call(*args: object) -> str:
    result = CliRunner().invoke(evals, ["judge", *map(str, args), "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_turn_of_one_model_is_scored(
    home: Path, engines: dict[str, ScriptedEngine], questions: Path
) -> None:
    shown = call(questions, "--model", "short", "--judge", "judge", "--home", home)
    assert re.search(r"^score +3\.000$", shown, re.MULTILINE)
    assert re.search(r"^items +3$", shown, re.MULTILINE)
    assert re.search(r"^by turn +1: 3\.000, 2: 3\.000$", shown, re.MULTILINE)
    page = Path(shown.rpartition("look: ")[2].strip())
    assert "judged/ours" in page.read_text(encoding="utf-8")
    items = list(read_items(page.parent.parent))
    assert [(item.id, item.grade) for item in items] == [("1-1", 0.3), ("1-2", 0.3), ("2-1", 0.3)]


def test_what_was_judged_is_not_asked_again(
    home: Path, engines: dict[str, ScriptedEngine], questions: Path
) -> None:
    asked = (questions, "--model", "short", "--judge", "judge", "--home", home, "--json")
    first = json.loads(call(*asked))
    judge = engines["judge"]
    assert isinstance(judge, Judge)
    assert judge.asked == 3
    again = json.loads(call(*asked))
    assert judge.asked == 3
    assert {**first, "report": ""} == {**again, "report": ""}


@pytest.mark.parametrize(("model", "against", "rate"), [("short", "long", 0.0), ("long", "short", 1.0)])
def test_two_models_are_compared_in_both_orders(
    home: Path, engines: dict[str, ScriptedEngine], questions: Path, model: str, against: str, rate: float
) -> None:
    told = json.loads(
        call(questions, "--model", model, "--against", against, "--judge", "judge", "--home", home, "--json")
    )
    assert (told["win_rate"], told["agreement"], told["items"]) == (rate, 1.0, 2)


def test_a_file_that_holds_no_questions_is_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "no.jsonl"
    path.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"no\.jsonl, line 1"):
        call(path, "--model", "short", "--judge", "judge", "--home", home)


@pytest.mark.parametrize(
    ("turn", "korean"), [("Speak of the spring, please.", False), ("봄을 말해요.", True)]
)
def test_the_judge_is_asked_in_the_language_of_the_questions(
    home: Path,
    engines: dict[str, ScriptedEngine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn: str,
    korean: bool,
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    row = {"question_id": 1, "category": "writing", "turns": [turn]}
    (folder / "question.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    shown = call("question.jsonl", "--model", "short", "--judge", "judge", "--home", home)
    judge = engines["judge"]
    assert isinstance(judge, Judge)
    assert bool(re.search(r"[가-힣]", judge.told)) == korean
    assert "judged/mine" in Path(shown.rpartition("look: ")[2].strip()).read_text(encoding="utf-8")


@pytest.mark.parametrize(("against", "steps"), [((), 4), (("--against", "long"), 6)])
def test_answers_and_judgements_are_both_progress(
    home: Path, engines: dict[str, ScriptedEngine], questions: Path, against: tuple[str, ...], steps: int
) -> None:
    asked = ("judge", str(questions), "--model", "short", *against, "--judge", "judge", "--home", str(home))
    result = CliRunner().invoke(evals, asked, catch_exceptions=False)
    assert f"  {steps} conversations" in result.stderr
