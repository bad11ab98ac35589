"""Pairwise comparison: a judge compares two models' conversations, in both orders."""

import secrets
from collections.abc import Callable, Sequence

from malmoi.engine.base import Engine, Sampling
from malmoi.evals.judge.conversations import Conversation, as_prompt, ask, each, hold_conversations
from malmoi.evals.judge.questions import Question
from malmoi.evals.judge.verdict import (
    Asked,
    Preference,
    PromptLanguage,
    ask_again,
    ask_for_preference,
    held_to_verdict,
    parse_preference,
)
from malmoi.evals.results import ItemResult

# What a letter says of the first model, in the order as asked and in the other one.
_POINTS = {"A": 1.0, "C": 0.5, "B": 0.0}


async def compare_conversations(
    questions: Sequence[Question],
    first: Engine,
    second: Engine,
    judge: Engine,
    *,
    task: str = "mt_bench_pairs",
    language: PromptLanguage = "ko",
    max_tokens: int = 1024,
    judge_max_tokens: int = 1024,
    seed: int = 0,
    key: bytes | None = None,
    progress: Callable[[], None] | None = None,
) -> list[ItemResult]:
    """Which of two models answers better: one item a question, whose grade is the first model's share.

    The judge is asked twice, with the conversations in both orders. The grade is 1 where it prefers the
    first model both times, 0 where the second, and 0.5 otherwise: a preference that turns with the order is a
    tie, and so is one that cannot be read.

    Args:
        questions: what is asked.
        first: one model.
        second: the other one.
        judge: who compares; greedily.
        task: name in the items.
        language: of the judge's prompt.
        max_tokens: of an answer.
        judge_max_tokens: of a judgement.
        seed: of the answers.
        key: of the fences around judged texts; None: a new one, known to nobody.
        progress: called after each conversation that a model has held, and after each that is judged.
    """
    ones, others = [
        await hold_conversations(questions, model, max_tokens=max_tokens, seed=seed, progress=progress)
        for model in (first, second)
    ]
    held = {one.question.id: (one, other) for one, other in zip(ones, others, strict=True)}
    secret = secrets.token_bytes(16) if key is None else key
    sampling = Sampling(max_tokens=judge_max_tokens, temperature=0.0, seed=seed)

    async def compare(question: Question) -> ItemResult:
        one, other = held[question.id]
        replies: list[str] = []
        letters: list[Preference | None] = []
        for left, right in ((one, other), (other, one)):
            asked = ask_for_preference(question, left.texts, right.texts, language=language, key=secret)
            letter, reply = await _preference(judge, asked, sampling, language)
            letters.append(letter)
            replies.append(reply)
        if progress is not None:
            progress()
        return _item(task, one, other, letters, replies, judge.info.name)

    return await each(questions, compare, at_once=judge.info.num_slots)


async def _preference(
    judge: Engine, asked: Asked, sampling: Sampling, language: PromptLanguage
) -> tuple[Preference | None, str]:
    reply = (await ask(judge, as_prompt(asked.chat, judge), sampling)).text
    letter = parse_preference(reply, asked.mark)
    if letter is not None:
        return letter, reply
    again = ask_again(asked, reply, language=language)
    held = held_to_verdict(sampling, judge, asked, "letters")
    second = (await ask(judge, as_prompt(again.chat, judge), held)).text
    return parse_preference(second, asked.mark), f"{reply}\n\n{second}"


def _item(
    task: str,
    one: Conversation,
    other: Conversation,
    letters: Sequence[Preference | None],
    replies: Sequence[str],
    judge: str,
) -> ItemResult:
    question = one.question
    points = [_POINTS[letter] if letter is not None else 0.5 for letter in letters]
    # In the second order the first model is B.
    for_first = (points[0], 1.0 - points[1])
    agreed = for_first[0] == for_first[1] and None not in letters
    grade = for_first[0] if agreed else 0.5
    lengths = [sum(map(len, conversation.texts)) for conversation in (one, other)]
    return ItemResult(
        task=task,
        id=question.id,
        category=question.category,
        prompt="\n\n".join(question.turns),
        choices=("first", "second", "tie"),
        answer={1.0: "first", 0.0: "second"}.get(grade, "tie"),
        grade=grade,
        grades={"agreed": float(agreed), "unreadable": float(None in letters)},
        fields={
            "judge": judge,
            "letters": list(letters),
            "judgements": list(replies),
            "characters": lengths,
            "first": list(one.texts),
            "second": list(other.texts),
        },
    )
