"""Small parts of the harness: tables of letters, contexts that do not fit, languages, suites."""

import copy
from pathlib import Path

import pytest

from malmoi.core.errors import ConfigError, ContextOverflow, UnknownName, Unsupported
from malmoi.core.hangul.language import hangul_share, text_language
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Completion, EngineInfo, TokenLogprob
from malmoi.engine.scripted import ScriptedEngine
from malmoi.evals.harness.fitting import fit_context, rolling_pairs
from malmoi.evals.harness.letters_table import read_table, table_sampling
from malmoi.evals.harness.texts import Answer, AnswerNotes, ChatText
from malmoi.evals.suites import known_suites, read_suite
from malmoi.tasks.table import known_tasks

LETTERS = (" A", " B", " C")


def info(*capabilities: str, kind: str = "llamacpp") -> EngineInfo:
    return EngineInfo("small", kind, frozenset(capabilities), 100)  # type: ignore[arg-type]


def completion(top: dict[str, float], text: str = "") -> Completion:
    token = max(top, key=lambda token: top[token])
    return Completion(
        text or token, "length", logprobs=(TokenLogprob(token, top[token], 5, tuple(top.items())),)
    )


def test_letters_are_asked_for_by_one_token() -> None:
    sampling = table_sampling(LETTERS, info("logprobs", "grammar"))
    assert (sampling.max_tokens, sampling.temperature, sampling.top_logprobs) == (1, 0.0, 1000)
    assert sampling.grammar == 'root ::= " A" | "A" | " B" | "B" | " C" | "C"'
    assert table_sampling(LETTERS, info("logprobs", kind="http")).top_logprobs == 20
    assert table_sampling(LETTERS, info("logprobs")).grammar is None


def test_more_than_letters_cannot_be_read_from_a_table() -> None:
    with pytest.raises(Unsupported, match="letters"):
        table_sampling([" 부정적인 뜻", " 긍정"], info("logprobs"))
    with pytest.raises(Unsupported, match="probabilities"):
        table_sampling(LETTERS, info("generate"))


def test_a_table_is_read_with_its_spaces() -> None:
    found = read_table(completion({" B": -0.5, "A": -2.0, " A": -1.0, "x": -3.0}), LETTERS)
    assert found == [(-1.0, False), (-0.5, True), (-4.0, False)]


def test_a_letter_counts_however_spaced_where_its_own_form_is_absent() -> None:
    found = read_table(completion({"B": -0.5, "\nA": -1.0, "A": -1.0}), LETTERS)
    assert found[0][0] == pytest.approx(-1.0 + 0.6931471805599453)
    assert found[1] == (-0.5, True)


def test_where_no_letter_is_in_the_table_the_answer_says_it() -> None:
    found = read_table(completion({"x": -0.5, "y": -1.0}, text=" C"), LETTERS)
    assert max(range(3), key=lambda place: found[place][0]) == 2


async def test_a_context_loses_its_beginning_until_it_fits() -> None:
    engine = ScriptedEngine(context_length=40)
    text = "가나다라마바사아자차" * 8
    kept, cut = await fit_context(engine, text, after="끝말", room=5)
    assert cut
    assert text.endswith(kept)
    assert 25 <= len(kept) <= 33
    assert await fit_context(engine, "짧은 글", after="끝") == ("짧은 글", False)
    with pytest.raises(ContextOverflow):
        await fit_context(engine, "", after="가" * 50)


async def test_long_texts_are_scored_once_with_context() -> None:
    engine = ScriptedEngine(context_length=64)
    text = " ".join(["우리말을 모으는 일은"] * 30)
    pairs = await rolling_pairs(engine, text)
    assert len(pairs) > 3
    assert "".join(part for _, part in pairs) == text
    place = 0
    for context, part in pairs:
        assert len(await engine.tokenize(context + part)) <= 64
        assert text[:place].endswith(context)
        assert context or not place
        place += len(part)
    assert await rolling_pairs(engine, "짧다") == [("", "짧다")]
    assert await rolling_pairs(engine, "") == [("", "")]


def test_texts_carry_their_notes_through_copies() -> None:
    answer = copy.deepcopy(Answer("네", AnswerNotes("length", 3, 4)))
    assert (answer, answer.notes.finish_reason) == ("네", "length")
    chat = copy.deepcopy(ChatText("[user] 안녕", Chat((Message("user", "안녕"),))))
    assert chat.chat.messages[0].content == "안녕"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("네, 맞습니다.", "ko"),
        ("PyTorch와 CUDA를 설치하세요: `pip install torch`", "ko"),
        ("Yes, that is right.", "en"),
        ("```python\nprint('안녕')\n```\nThis prints a greeting.", "en"),
        ("東京は日本の首都です", "other"),
        ("42", None),
        ("A", None),
        ("", None),
    ],
)
def test_the_language_of_a_text(text: str, language: str | None) -> None:
    assert text_language(text) == language


def test_the_share_of_hangul() -> None:
    assert hangul_share("한글 abc") == pytest.approx(2 / 5)
    assert hangul_share("123") is None


@pytest.mark.parametrize("name", sorted(known_suites()))
def test_every_suite_names_tasks_that_exist(name: str) -> None:
    suite = read_suite(name)
    known = list(known_tasks())
    expanded = suite.expanded(known)
    assert suite.title
    assert [task.name for task in expanded if task.name not in known] == []
    for line in suite.tasks:
        assert any(line is suite.settings(task.name) for task in expanded), f"{line.name} fits no task"


def test_a_suite_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[[tasks]]\nname = "kobest/*"\nshots = 2\n', encoding="utf-8")
    suite = read_suite(str(path))
    assert [(task.name, task.shots) for task in suite.expanded(["kobest/copa", "klue/nli"])] == [
        ("kobest/copa", 2)
    ]
    path.write_text('title = "Mine"\n[[tasks]]\nname = "x"\nshot = 2\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="shot"):
        read_suite(str(path))
    with pytest.raises(UnknownName, match="korean"):
        read_suite("koraen")
