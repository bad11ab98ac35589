"""`malmoi documents ask`: with a model and without one, as text and as JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from malmoi.cli import cli
from malmoi.core.morphemes import MorphemeAnalyzer

LAW = "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다.\n\n제42조 국회의원의 임기는 4년으로 한다.\n"
QUESTION = "대통령의 임기는 몇 년인가요?"
QUOTE = "제70조 대통령의 임기는 5년으로 하며, 중임할 수 없다."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ask")
    (folder / "law.txt").write_text(LAW, encoding="utf-8")
    (folder / "script.toml").write_text(
        '[[rules]]\ncontains = "대통령"\nreply = "대통령의 임기는 5년입니다. [1]"\n', encoding="utf-8"
    )
    added = run(folder, "add", "--collection", "law", "--quiet", str(folder / "law.txt"))
    assert added.exit_code == 0, added.output
    return folder


def run(home: Path, *arguments: str) -> Result:
    """A command, without the child process of the analyser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MorphemeAnalyzer, "is_available", False)
        return _invoke(home, *arguments)


def _invoke(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["documents", *arguments, "--home", str(home), "--set", "documents.embedder=nobody"]
    )


def test_sentences_answer_without_a_model(home: Path) -> None:
    result = run(home, "ask", QUESTION, "--no-model")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == QUOTE
    assert "[1] law.txt (0-32)" in lines


def test_a_model_answers_and_its_sentence_is_cited(home: Path) -> None:
    result = run(home, "ask", QUESTION, "--model", f"scripted:{home / 'script.toml'}", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["answer"] == "대통령의 임기는 5년입니다."
    assert [(one["quote"], one["start"], one["end"]) for one in told["citations"]] == [(QUOTE, 0, 32)]
    shown = run(home, "ask", QUESTION, "--model", f"scripted:{home / 'script.toml'}")
    assert shown.output.splitlines()[0] == "대통령의 임기는 5년입니다."


def test_what_is_not_there_is_said_to_be_so(home: Path) -> None:
    result = run(home, "ask", "김치찌개 끓이는 방법을 알려줘", "--collection", "law")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("문서에서 이 질문의 답을 찾지 못했습니다.")


def test_a_model_that_is_named_must_be_there(home: Path) -> None:
    result = run(home, "ask", QUESTION, "--model", "nowhere")
    assert result.exit_code != 0
    assert "nowhere" in str(result.exception) + result.output
