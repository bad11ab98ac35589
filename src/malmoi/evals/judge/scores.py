"""Single-answer grading: a judge scores each turn's answer from 1 to 10, less what it loses by language."""

import secrets
from collections.abc import Callable, Sequence

from malmoi.core.hangul.language import text_language
from malmoi.engine.base import Engine, Sampling
from malmoi.evals.judge.conversations import Conversation, as_prompt, ask, each, hold_conversations
from malmoi.evals.judge.questions import Question
from malmoi.evals.judge.verdict import (
    Asked,
    PromptLanguage,
    ask_again,
    ask_for_score,
    held_to_verdict,
    parse_score,
)
from malmoi.evals.results import ItemResult

DEDUCTION = 5.0
"""Points that an answer in another language loses; what remains is at least 1 (the judge's lowest score)."""

_LOWEST = 1.0
_HIGHEST = 10.0


async def judge_conversations(
    questions: Sequence[Question],
    model: Engine,
    judge: Engine,
    *,
    task: str = "mt_bench",
    language: PromptLanguage = "ko",
    deduction: float = DEDUCTION,
    max_tokens: int = 1024,
    judge_max_tokens: int = 1024,
    seed: int = 0,
    key: bytes | None = None,
    progress: Callable[[], None] | None = None,
) -> list[ItemResult]:
    """Have a model answer and a judge score every turn: an item a turn, its grade being the score / 10.

    A verdict that cannot be read is asked for once more; then the item's grade is 0, so that nothing is won
    by confusing a judge, and its further grade `unreadable` is 1.

    Args:
        questions: with reference answers where they have them.
        model: who answers.
        judge: who scores; greedily.
        task: name in the items.
        language: of the judge's prompt.
        deduction: points off for an answer in another language than the question's.
        max_tokens: of an answer.
        judge_max_tokens: of a judgement.
        seed: of the answers.
        key: of the fences around judged texts; None: a new one, known to nobody.
        progress: called after each conversation that a model has held, and after each that is judged.
    """
    conversations = await hold_conversations(
        questions, model, max_tokens=max_tokens, seed=seed, progress=progress
    )
    held = {conversation.question.id: conversation for conversation in conversations}
    secret = secrets.token_bytes(16) if key is None else key
    sampling = Sampling(max_tokens=judge_max_tokens, temperature=0.0, seed=seed)

    async def score(question: Question) -> list[ItemResult]:
        conversation = held[question.id]
        items = []
        for turn in range(len(question.turns)):
            texts = conversation.texts[: turn + 1]
            asked = ask_for_score(question, texts, language=language, key=secret)
            points, reply, asks = await _verdict(judge, asked, sampling, language)
            items.append(_item(task, conversation, turn, points, reply, asks, deduction, judge.info.name))
        if progress is not None:
            progress()
        return items

    scored = await each(questions, score, at_once=judge.info.num_slots)
    return [item for items in scored for item in items]


async def _verdict(
    judge: Engine, asked: Asked, sampling: Sampling, language: PromptLanguage
) -> tuple[int | None, str, int]:
    """The score, the reply that it stands in, and how often was asked."""
    reply = (await ask(judge, as_prompt(asked.chat, judge), sampling)).text
    points = parse_score(reply, asked.mark)
    if points is not None:
        return points, reply, 1
    again = ask_again(asked, reply, language=language)
    held = held_to_verdict(sampling, judge, asked, "scores")
    second = (await ask(judge, as_prompt(again.chat, judge), held)).text
    points = parse_score(second, asked.mark)
    return points, reply if points is None else f"{reply}\n\n{second}", 2


def _item(
    task: str,
    conversation: Conversation,
    turn: int,
    points: int | None,
    reply: str,
    asks: int,
    deduction: float,
    judge: str,
) -> ItemResult:
    question, answer = conversation.question, conversation.answers[turn]
    text = conversation.texts[turn]
    said = text_language(text)
    strayed = bool(question.language) and said is not None and said != question.language
    lost = deduction if strayed else 0.0
    score = max(_LOWEST, points - lost) if points is not None else 0.0
    turns = [f"[{number}] {asked}" for number, asked in enumerate(question.turns[: turn + 1], start=1)]
    return ItemResult(
        task=task,
        id=f"{question.id}-{turn + 1}",
        category=question.category,
        prompt="\n\n".join(turns),
        gold=question.reference[turn] if turn < len(question.reference) else "",
        answer=text,
        grade=score / _HIGHEST,
        grades={"unreadable": float(points is None), "other_language": float(strayed)},
        finish_reason=answer.finish_reason,
        language=said,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        fields={
            "turn": turn + 1,
            "judge": judge,
            "judge_score": points,
            "deduction": lost,
            "score": score,
            "judgement": reply,
            "asked": asks,
            "characters": len(text),
        },
    )
