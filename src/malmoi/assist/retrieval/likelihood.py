"""How likely a question is to a language model that has just read a passage (query likelihood).

A passage that answers a question makes it likely (Ponte and Croft 1998; with language models Sachan et al.
2022, arXiv 2204.07496). The model writes nothing of its own and sees one passage at a time: it is given the
question, and the probability of each of its tokens is read. So a passage cannot give it orders, nor say
anything of other passages; what it can do is to make the question likelier, as by repeating it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING

from malmoi.assist.retrieval.matching import content_words, coverage, is_korean, terms_of
from malmoi.assist.retrieval.sentences import sentence_spans
from malmoi.core.errors import EngineError, Unsupported

if TYPE_CHECKING:
    from malmoi.engine.base import Engine

_TEXT = 600  # characters of a passage that are read
_ABOVE = 160  # characters of its titles
_QUESTION = 300  # characters of a question


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage that is read: its text, and the titles above it in one line."""

    text: str
    above: str


async def likelihoods(engine: Engine, question: str, readings: Sequence[Reading]) -> list[float]:
    """For each passage the natural log of the question's probability after it.

    Args:
        engine: what reads; it can `score`.
        question: what is asked.
        readings: the passages; of a long one, what is around its best sentence.

    Raises:
        Unsupported: the engine cannot.
        EngineError: it told no numbers.
        MalmoiError: whatever the engine raises.
    """
    if "score" not in engine.info.capabilities:
        raise Unsupported(
            f"the model {engine.info.name!r} does not tell how likely a text is.",
            fix="Run it with torch (`torch:NAME`), or on a server whose /completions echo log-probabilities.",
        )
    question = _plain(question)[:_QUESTION].strip()
    if not question or not readings:
        return [0.0 for _ in readings]
    scores = await engine.score([(_prompt(question, reading), f" {question}") for reading in readings])
    told = [score.logprob for score in scores]
    if len(told) != len(readings) or not all(map(isfinite, told)):
        raise EngineError(f"the model {engine.info.name!r} gave log-probabilities that are none.")
    return told


def around_best(question: str, text: str, most: int = _TEXT) -> str:
    """What of a text is read: sentences around the one that has most of the question.

    Args:
        question: what is asked.
        text: the passage.
        most: characters, about.
    """
    if len(text) <= most:
        return text
    spans = sentence_spans(text)
    asked = content_words(question)
    found = [coverage(asked, terms_of(text[start:end])) for start, end in spans]
    first = last = max(range(len(spans)), key=found.__getitem__, default=0)
    while spans:
        if last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= most:
            last += 1
        elif first and spans[last][1] - spans[first - 1][0] <= most:
            first -= 1
        else:
            break
    return text[spans[first][0] : spans[last][1]][:most] if spans else text[:most]


def _prompt(question: str, reading: Reading) -> str:
    template = _template("ko" if is_korean(question) else "en")
    text = around_best(question, reading.text).strip()
    return template.format(above=_plain(reading.above)[:_ABOVE], text=text)  # neither fills the other's place


def _plain(text: str) -> str:
    """One line, without characters that cannot be seen."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


@cache
def _template(language: str) -> str:
    name = f"likelihood.{language}.txt"
    return (files("malmoi.assist.retrieval") / "prompts" / name).read_text(encoding="utf-8").strip()
