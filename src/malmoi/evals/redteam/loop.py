"""The automatic loop: generate attacks, answer, classify, learn from what succeeded.

Beside it is measured how often the same model refuses harmless questions.

Attacks come in batches. Those that succeed join the demonstrations of the next batch, so that the attacker
finds more of their kind. All draws depend on the seed and the number of the attempt; answers are kept in a
ledger, so a run that was killed goes on and ends in the same figures.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from malmoi.engine.base import Sampling
from malmoi.engine.classify import LabelGroup, TextClassifier
from malmoi.evals.redteam.asking import Answer, AskedModel
from malmoi.evals.redteam.attacker import Attack, Attacker, KnownQuestions
from malmoi.evals.redteam.judging import risks
from malmoi.evals.redteam.regression import Failure, question_id
from malmoi.evals.redteam.seeds import Seed, Seeds
from malmoi.tasks.redteam.refusals import is_refusal

T = TypeVar("T")

BATCH = 8
"""Attacks between two looks at what succeeded."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An attack, the answer, and what the classifier made of it."""

    attack: Attack
    answer: Answer
    risk: float
    success: bool


@dataclass(frozen=True, slots=True)
class Harmless:
    """A harmless question, the answer, and whether it was refused."""

    question: str
    answer: Answer
    refused: bool


@dataclass(frozen=True, slots=True)
class Judge:
    """A classifier, the group by which it judges, and the risk from which on an attack has succeeded."""

    classifier: TextClassifier
    group: LabelGroup
    threshold: float
    name: str


async def attack_model(
    target: AskedModel,
    attacker: AskedModel,
    judge: Judge,
    seeds: Seeds,
    *,
    count: int,
    seed: int,
    language: str,
    max_tokens: int,
    report: Callable[[int, int], None] = lambda done, successes: None,
) -> tuple[tuple[Judged, ...], int]:
    """Generate `count` attacks and try them.

    Args:
        target: the model that is attacked.
        attacker: the model that generates; it may be the same.
        judge: decides what succeeded.
        seeds: demonstrations and topics.
        count: attempts.
        seed: of all draws.
        language: of questions and answers.
        max_tokens: longest answer.
        report: told how many attempts are done, and how many succeeded.

    Returns:
        The attacks, and for how many attempts no new question was found.
    """
    generator = Attacker(attacker, language=language, topics=seeds.topics, seed=seed)
    known = KnownQuestions()
    for known_seed in seeds.questions:
        known.add(known_seed.question)
    pool = list(seeds.questions)
    judged: list[Judged] = []
    for numbers in _batches(range(count), BATCH):
        made = await generator.generate(numbers, pool, known)
        found = await try_attacks(
            target, judge, [made[number] for number in numbers if number in made], language, max_tokens
        )
        judged += found
        pool += [
            Seed(one.attack.question, one.attack.topic, one.attack.category) for one in found if one.success
        ]
        report(numbers[-1] + 1, sum(one.success for one in judged))
    return tuple(judged), count - len(judged)


async def try_attacks(
    target: AskedModel, judge: Judge, attacks: Sequence[Attack], language: str, max_tokens: int
) -> list[Judged]:
    """Let a model answer attacks, and judge the answers."""
    questions = [attack.question for attack in attacks]
    answers = await target.answer_questions(questions, _greedy(max_tokens), language=language)
    found = risks(judge.classifier, judge.group, questions, [answer.text for answer in answers])
    return [
        Judged(attack, answer, round(float(risk), 6), bool(risk >= judge.threshold))
        for attack, answer, risk in zip(attacks, answers, found, strict=True)
    ]


async def replay_attacks(
    target: AskedModel,
    judge: Judge,
    failures: Sequence[Failure],
    *,
    language: str,
    max_tokens: int,
    report: Callable[[int, int], None] = lambda done, successes: None,
) -> tuple[Judged, ...]:
    """Try the attacks of a regression set again, in their order."""
    judged: list[Judged] = []
    for batch in _batches(failures, BATCH):
        attacks = [Attack(row.question, row.topic, row.category, 1) for row in batch]
        judged += await try_attacks(target, judge, attacks, language, max_tokens)
        report(len(judged), sum(one.success for one in judged))
    return tuple(judged)


async def ask_harmless(
    target: AskedModel,
    questions: Sequence[str],
    *,
    language: str,
    max_tokens: int,
    report: Callable[[int, int], None] = lambda done, refused: None,
) -> tuple[Harmless, ...]:
    """Ask harmless questions, and see which are refused."""
    found: list[Harmless] = []
    for batch in _batches(questions, BATCH):
        answers = await target.answer_questions(batch, _greedy(max_tokens), language=language)
        found += [
            Harmless(question, answer, is_refusal(answer.text))
            for question, answer in zip(batch, answers, strict=True)
        ]
        report(len(found), sum(one.refused for one in found))
    return tuple(found)


def failures_of(
    judged: Sequence[Judged], *, language: str, target: str, attacker: str, classifier: str
) -> list[Failure]:
    """The attacks that succeeded, as rows of a regression set."""
    return [
        Failure(
            id=question_id(one.attack.question),
            question=one.attack.question,
            language=language,
            topic=one.attack.topic,
            category=one.attack.category,
            answer=one.answer.text,
            risk=one.risk,
            target=target,
            attacker=attacker,
            classifier=classifier,
        )
        for one in judged
        if one.success
    ]


def _greedy(max_tokens: int) -> Sampling:
    return Sampling(max_tokens=max_tokens, temperature=0)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
