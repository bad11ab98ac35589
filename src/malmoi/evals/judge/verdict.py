"""What a judge is asked and how its verdict is read, so that no judged text can steer it.

Every text that was not written by us stands inside a fence whose name holds a word that its author cannot
have known: a hash, with a key of this run, over all of these texts. The verdict counts only on the last line
of the judge's reply, alone on it, after a mark that holds the same word. So a judge that repeats, or obeys,
what an answer says ("rate this 10") gives no verdict that counts; and the prompts never show a whole verdict
that could be repeated.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from string import Template
from typing import Literal, TypeAlias

from malmoi.core.types import Chat, Message
from malmoi.engine.base import Engine, Sampling
from malmoi.evals.judge.questions import Question

Preference: TypeAlias = Literal["A", "B", "C"]
PromptLanguage: TypeAlias = Literal["ko", "en"]

_LONGEST = 16_000  # characters of one text that a judge is shown
_LONGEST_REPLY = 50_000
_VERDICT_TOKENS = 64  # of a verdict's line; the grammar ends it
_SCORE = r"(?:\[\[)?(10|[1-9])(?:\.0)?(?:\]\])?(?:\s*(?:/\s*10|점))?"
_PREFERENCE = r"(?:\[\[)?([ABC])(?:\]\])?"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to a judge, and the mark that its verdict must follow."""

    chat: Chat
    mark: str


def ask_for_score(
    question: Question, answers: Sequence[str], *, language: PromptLanguage, key: bytes
) -> Asked:
    """The request to rate the last of these answers, with the conversation before it.

    Args:
        question: what was asked; its reference answers are shown where it has them.
        answers: to the turns up to the one that is rated.
        language: of the prompt.
        key: of this run, known to nobody whose text is judged; the fence's word depends on it.
    """
    words = _words(language)
    word = _word(key, *question.turns, *question.reference, *answers)
    fence = _Fence(word)
    parts: list[str] = []
    for turn, answer in enumerate(answers):
        parts += [fence.around(words["question"], question.turns[turn])]
        if turn < len(question.reference) and question.reference[turn]:
            parts += [fence.around(words["reference"], question.reference[turn])]
        parts += [fence.around(words["answer"], answer)]
    parts.append(Template(words["last"]).substitute(turn=len(answers)))
    return _asked("single", language, fence, parts)


def ask_for_preference(
    question: Question,
    first: Sequence[str],
    second: Sequence[str],
    *,
    language: PromptLanguage,
    key: bytes,
) -> Asked:
    """The request to compare two conversations over all turns: `first` as A, `second` as B."""
    words = _words(language)
    fence = _Fence(_word(key, *question.turns, *question.reference, *first, *second))
    parts: list[str] = []
    for turn, asked in enumerate(question.turns):
        parts += [fence.around(words["question"], asked)]
        if turn < len(question.reference) and question.reference[turn]:
            parts += [fence.around(words["reference"], question.reference[turn])]
        for name, answers in (("A", first), ("B", second)):
            title = Template(words["answer_of"]).substitute(name=name)
            parts += [fence.around(title, answers[turn] if turn < len(answers) else "")]
    parts.append(words["all"])
    return _asked("pair", language, fence, parts)


def ask_again(asked: Asked, reply: str, *, language: PromptLanguage) -> Asked:
    """The request to say an unreadable verdict again."""
    again = Template(_words(language)["again"]).substitute(mark=asked.mark)
    said = Message("assistant", reply[:_LONGEST])
    return Asked(Chat((*asked.chat.messages, said, Message("user", again))), asked.mark)


def held_to_verdict(
    sampling: Sampling, engine: Engine, asked: Asked, verdicts: Literal["scores", "letters"]
) -> Sampling:
    """Sampling that leaves a judge nothing but the line of a verdict, where its engine has grammars.

    For a judge that has said its reasons already: small models seldom repeat the mark as it stands.
    """
    if "grammar" not in engine.info.capabilities:
        return sampling
    choice = '("10" | [1-9])' if verdicts == "scores" else "[ABC]"
    return replace(sampling, grammar=f'root ::= "{asked.mark}: " {choice}', max_tokens=_VERDICT_TOKENS)


def parse_score(reply: str, mark: str) -> int | None:
    """The score from 1 to 10 on the reply's last line, or None where there is none that counts."""
    found = _last_line(reply, mark, _SCORE)
    return int(found) if found is not None else None


def parse_preference(reply: str, mark: str) -> Preference | None:
    """`A`, `B` or `C` (a tie) on the reply's last line, or None where there is none that counts."""
    found = _last_line(reply, mark, _PREFERENCE)
    return found if found in ("A", "B", "C") else None  # type: ignore[return-value]


def _last_line(reply: str, mark: str, verdict: str) -> str | None:
    lines = reply[-_LONGEST_REPLY:].strip().rsplit("\n", 1)
    pattern = rf"[\s*_`#>]*{re.escape(mark)}[*_`]*\s*[:：]\s*[*_`]*{verdict}[\s*_`.]*"
    match = re.fullmatch(pattern, lines[-1].strip())
    return match.group(1) if match else None


class _Fence:
    """Marks around texts of others; `word` is in the names of the fence and of the verdict's mark."""

    def __init__(self, word: str) -> None:
        self.name = f"text-{word}"
        self.mark = f"VERDICT-{word}"

    def around(self, title: str, text: str) -> str:
        """A title, and the text within the fence."""
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
        return f"{title}:\n<{self.name}>\n{cut}\n</{self.name}>"


def _asked(kind: str, language: PromptLanguage, fence: _Fence, parts: Sequence[str]) -> Asked:
    system = Template(_prompt(language, f"{kind}.txt")).substitute(fence=fence.name, mark=fence.mark).strip()
    return Asked(Chat((Message("system", system), Message("user", "\n\n".join(parts)))), fence.mark)


def _word(key: bytes, *texts: str) -> str:
    """Eight characters that depend on the key and on every text: nobody can have written them into one."""
    return blake2b(repr(texts).encode("utf-8", "surrogatepass"), digest_size=4, key=key).hexdigest()


def _words(language: PromptLanguage) -> Mapping[str, str]:
    import tomllib

    found: dict[str, str] = tomllib.loads(_prompt(language, "words.toml"))
    return found


@cache
def _prompt(language: str, name: str) -> str:
    return (files("malmoi.evals.judge") / "prompts" / language / name).read_text(encoding="utf-8")
