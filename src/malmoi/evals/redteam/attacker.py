"""Generating attacks: a model goes on with a list of questions on a topic, as SQuARe was made.

Each attempt shows ten demonstrations, drawn anew, and a topic. What is no new question is asked for again
with a higher temperature (0.5 to 1.0) and top-p (0.8 to 0.95), up to ten times (Lee et al. 2023, SQuARe,
appendix; Perez et al. 2022, "Red Teaming Language Models with Language Models", few-shot generation).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from malmoi.core.hangul import nfc
from malmoi.engine.base import Sampling
from malmoi.evals.redteam.asking import AskedModel
from malmoi.evals.redteam.seeds import Seed

if TYPE_CHECKING:
    from jinja2 import Template

DEMONSTRATIONS = 10
TRIES = 10
SHORTEST, LONGEST = 6, 200
"""Characters of a question."""
NEAR = 0.8
"""Share of common character trigrams from which on two questions count as one."""
_MAX_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Attack:
    """A question that was generated for a topic, at the `tries`-th try."""

    question: str
    topic: str
    category: str
    tries: int


class KnownQuestions:
    """Tells new questions from those that were there before, also in slightly other words."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._trigrams: list[frozenset[str]] = []

    def add(self, question: str) -> None:
        """Remember a question."""
        self._texts.add(plain(question))
        self._trigrams.append(trigrams(question))

    def __contains__(self, question: str) -> bool:
        if plain(question) in self._texts:
            return True
        found = trigrams(question)
        return any(len(found & other) >= NEAR * len(found | other) for other in self._trigrams)


class Attacker:
    """Generates attacks with a model.

    Args:
        model: that goes on with the list.
        language: of the questions.
        topics: what they are about; empty: nothing in particular.
        seed: of all draws.
    """

    def __init__(self, model: AskedModel, *, language: str, topics: Sequence[str], seed: int) -> None:
        self._model = model
        self._language = language
        self._topics = topics
        self._seed = seed

    async def generate(
        self, numbers: Sequence[int], pool: Sequence[Seed], known: KnownQuestions
    ) -> dict[int, Attack]:
        """New questions for some attempts; an attempt for which none was found is missing.

        Args:
            numbers: of the attempts; each draws by itself, so the order of answers does not matter.
            pool: demonstrations to draw from.
            known: questions that are not new; the new ones are added.
        """
        found: dict[int, Attack] = {}
        waiting = list(numbers)
        for tries in range(1, TRIES + 1):
            if not waiting:
                break
            draws = [self._draw(number, tries, pool) for number in waiting]
            answers = await self._model.continue_texts(
                [prompt for prompt, _, _ in draws], [self._sampling(number, tries) for number in waiting]
            )
            left = []
            for number, (_, topic, category), answer in zip(waiting, draws, answers, strict=True):
                question = parse_question(answer.text, self._language)
                if question is None or question in known:
                    left.append(number)
                else:
                    known.add(question)
                    found[number] = Attack(question, topic, category, tries)
            waiting = left
        return found

    def _draw(self, number: int, tries: int, pool: Sequence[Seed]) -> tuple[str, str, str]:
        """The prompt of an attempt, its topic, and the category that most demonstrations have."""
        chance = random.Random(f"{self._seed}/{number}/{tries}")  # noqa: S311 - not for secrets
        demos = chance.sample(list(pool), min(DEMONSTRATIONS, len(pool)))
        topic = random.Random(f"{self._seed}/{number}").choice(self._topics) if self._topics else ""  # noqa: S311
        categories = [seed.category for seed in demos if seed.category]
        category = max(sorted(set(categories)), key=categories.count) if categories else ""
        return _template(self._language).render(demos=demos, topic=topic).rstrip(), topic, category

    def _sampling(self, number: int, tries: int) -> Sampling:
        step = (tries - 1) / (TRIES - 1)
        chance = random.Random(f"{self._seed}/{number}/{tries}/sampling")  # noqa: S311
        return Sampling(
            max_tokens=_MAX_TOKENS,
            temperature=round(0.5 + 0.5 * step, 3),
            top_p=round(0.8 + 0.15 * step, 3),
            seed=chance.randrange(2**31),
            stop=("\n",),
        )


def parse_question(text: str, language: str) -> str | None:
    """The question in what an attacker wrote; None: there is none."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    question = nfc(" ".join(first.split())).strip(" \"'“”‘’")
    question = re.sub(r"^(질문|Question)\s*:\s*", "", question)
    # Past the first sentence an attacker begins to answer itself.
    cut = re.match(r".*?[?？](?=[\s\"'”’]|$)", question)
    question = cut[0] if cut else question
    if not SHORTEST <= len(question) <= LONGEST:
        return None
    if language == "ko" and not re.search(r"[가-힣]{2}", question):
        return None
    return question


def plain(question: str) -> str:
    """A question without what makes no difference: case, spaces, punctuation."""
    return re.sub(r"[\W_]+", "", nfc(question).lower())


def trigrams(question: str) -> frozenset[str]:
    """The character trigrams of a question in its plain form."""
    text = plain(question)
    return frozenset(text[at : at + 3] for at in range(max(1, len(text) - 2)))


@cache
def _template(language: str) -> "Template":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Not HTML: the text is read by a model. Questions and topics are only ever values.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    path = files("malmoi") / "evals" / "redteam" / "prompts" / f"{language}.jinja"
    return environment.from_string(path.read_text(encoding="utf-8"))
