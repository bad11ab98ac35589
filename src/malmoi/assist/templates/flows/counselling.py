"""Talk that listens: the model comforts, and the code keeps it from what it must not say.

Needs are found before any model is asked (`answering.py`). Here the model's answer goes out sentence by
sentence; sentences that diagnose, advise on medicine, name a number to call, or hurt are left out
(`rules/counselling.toml`), and an answer ends with an open question. After a need was told, every later
answer has the help lines under it.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import lru_cache
from typing import cast

from malmoi.assist.guard.data import help_lines, known_topics, read_table
from malmoi.assist.guard.sentences import language_of, sentences
from malmoi.assist.guard.topics import find_needs
from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, recent, request
from malmoi.assist.templates.form import Form
from malmoi.assist.templates.template import Template
from malmoi.assist.templates.texts import Texts
from malmoi.assist.templates.texts import read_table as read_rules
from malmoi.core.errors import MalmoiError

_CONTEXT = 2500  # characters
_MOST_SENTENCES = 5
# Numbers that one could dial: whole ones, and the short ones before words of calling.
_NUMBER = re.compile(
    r"(?<![\d-])(?:0\d{1,2}[- ]?\d{3,4}[- ]?\d{4}|1\d{3}[- ]\d{4}"
    r"|1\d{2,3}(?=번|에|으로|로| ?\(|,? (?:call|line|hotline)))(?![\d-])"
)


class Counselling:
    """The flow. It needs no fields and has no options."""

    def check(self, template: Template) -> None:
        """It has no options."""
        if template.flow is not None and template.flow.options:
            raise ValueError("counselling has no options")

    def opening(self, template: Template, form: Form) -> str:
        """The template's own."""
        return plain_opening(template, form)

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The model's words, as far as they may be said, and an open question."""
        texts = Texts("counselling", occasion.language)
        said, removed = 0, False
        last = ""
        # Closed where the answer is long enough: that stops the model.
        async with aclosing(_sentences(occasion, writer)) as written:
            async for sentence in written:
                if language_of(sentence) != occasion.language:
                    continue
                if not is_allowed(sentence):
                    removed = True
                    continue
                if said >= _MOST_SENTENCES:
                    break
                said += 1
                last = sentence.strip() or last
                yield Piece(sentence)
        questions = texts.listed("questions")
        closing = questions[len(occasion.said("user")) % len(questions)]
        if not said:
            yield Piece(f"{texts('heard')} {closing}")
        elif not last.endswith(("?", "？")):
            yield Piece(f"\n\n{closing}")
        if removed:
            yield Piece(f"\n\n{texts('not_a_doctor')}")
        footer = _footer(occasion)
        if footer:
            yield Piece(f"\n\n{footer}")


def is_allowed(sentence: str) -> bool:
    """Whether a sentence of a model may be said to somebody who confides."""
    folded = " ".join(sentence.casefold().split())
    if any(pattern.search(folded) for pattern in _rules()):
        return False
    known = {line.number for line in help_lines().values()}
    return all(found.replace(" ", "-") in known for found in _NUMBER.findall(folded))


async def _sentences(occasion: Occasion, writer: Writer) -> AsyncGenerator[str, None]:
    """The model's answer sentence by sentence; one that fails before it has said anything says nothing."""
    prompt = request(occasion.system, *recent(occasion.branch, characters=_CONTEXT))
    waiting, has_said = "", False
    try:
        source = cast("AsyncGenerator[str, None]", writer.write(prompt, occasion.sampling))
        async with aclosing(source) as texts:
            async for text in texts:
                waiting += text
                spans = list(sentences(waiting))
                for start, end in spans[:-1]:
                    has_said = True
                    yield waiting[start:end]
                waiting = waiting[spans[-1][0] :] if spans else waiting
    except MalmoiError:
        if not has_said and not waiting:
            raise
    if waiting.strip():
        yield waiting


def _footer(occasion: Occasion) -> str:
    """The help lines again, where a need was told before."""
    table = read_table("rules", "topics.toml")["topics"]
    told = [need.topic for text in occasion.said("user") for need in find_needs(text, known_topics())]
    names = dict.fromkeys(line for topic in told for line in table[topic]["lines"])
    if not names:
        return ""
    shown = ", ".join(help_lines()[name].said(occasion.language) for name in names)
    return Texts("counselling", occasion.language)("footer", lines=shown)


@lru_cache
def _rules() -> tuple[re.Pattern[str], ...]:
    table = read_rules("rules", "counselling.toml")
    return tuple(re.compile(pattern) for kind in table.values() for pattern in kind["patterns"])


counselling = Counselling()
