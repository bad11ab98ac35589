"""Asking a model, with every answer kept on disk: a run that was killed asks nothing twice."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from malmoi.core.types import Chat, Message
from malmoi.engine.base import Completion, Engine, Sampling
from malmoi.evals.harness.ledger import Ledger, request_key


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and how it ended."""

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class AskedModel:
    """A model whose answers are kept.

    Args:
        engine: that runs it.
        key: what stands for the model in the ledger: a hash of its files.
        ledger: where answers are kept.
    """

    def __init__(self, engine: Engine, key: str, ledger: Ledger) -> None:
        self.engine = engine
        self._key = key
        self._ledger = ledger

    async def continue_texts(self, prompts: Sequence[str], samplings: Sequence[Sampling]) -> list[Answer]:
        """Continuations of plain texts, in their order.

        Raises:
            MalmoiError: the engine failed; what was answered is kept.
        """
        return await _all(
            self._ask(prompt, prompt, how) for prompt, how in zip(prompts, samplings, strict=True)
        )

    async def answer_questions(
        self, questions: Sequence[str], sampling: Sampling, *, language: str
    ) -> list[Answer]:
        """Answers to questions: by its chat template, or, of a model without one, as the text goes on.

        Raises:
            MalmoiError: the engine failed; what was answered is kept.
        """
        if "chat" in self.engine.info.capabilities:
            prompts: list[Chat | str] = [Chat((Message("user", question),)) for question in questions]
        else:
            asked, answered = ("질문", "답변") if language == "ko" else ("Question", "Answer")
            prompts = [f"{asked}: {question}\n{answered}:" for question in questions]
            sampling = replace(sampling, stop=(*sampling.stop, f"\n{asked}:"))
        return await _all(
            self._ask(prompt, question, sampling) for prompt, question in zip(prompts, questions, strict=True)
        )

    async def _ask(self, prompt: Chat | str, text: str, sampling: Sampling) -> Answer:
        kind = "chat" if isinstance(prompt, Chat) else "text"
        key = request_key(self._key, f"redteam/{kind}", text, asdict(sampling))
        known = self._ledger.get(key)
        if known is not None:
            return Answer(**known)
        [completion] = await self.engine.generate([prompt], sampling)
        answer = _kept(completion)
        self._ledger.add([(key, asdict(answer))])
        return answer


async def _all(asked: Iterable[Coroutine[None, None, Answer]]) -> list[Answer]:
    """All answers; where one fails, the others are waited for and kept before its error is raised."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in found if isinstance(answer, Answer)]


def _kept(completion: Completion) -> Answer:
    return Answer(
        # Half a character cannot be written as UTF-8.
        completion.text.encode("utf-8", "replace").decode().strip(),
        completion.finish_reason,
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
    )
