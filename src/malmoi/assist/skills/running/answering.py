"""The answer of a run: what skills say themselves word for word, the rest told by the model from results."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from malmoi.assist.skills.limits import SkillLimits
from malmoi.assist.skills.planning.telling import prompt, say
from malmoi.assist.skills.planning.thinking import Spent
from malmoi.assist.skills.running.events import Event, TextAdded
from malmoi.assist.skills.running.request import RunRequest
from malmoi.assist.skills.running.state import RunState
from malmoi.assist.skills.trim import fit
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Sampling

_SAID = 2000  # characters of a sentence that a skill says itself


async def answer(
    state: RunState,
    request: RunRequest,
    messages: Sequence[Message],
    limits: SkillLimits,
    spent: Spent,
    in_time: Callable[[Awaitable[Any]], Awaitable[Any]],
) -> AsyncGenerator[Event, None]:
    """The texts of an answer, as they come.

    Args:
        state: of the run, with what was observed and said.
        request: of the run.
        messages: the conversation with the results, for the model.
        limits: of the run.
        spent: what the run has used of the model.
        in_time: waits for some work no longer than the run may take.

    Raises:
        TokensSpent: the run has no tokens left for a model's words.
        TimeoutError: the run's time is over.
    """
    for number, sentence in enumerate(state.said):
        yield TextAdded(("\n\n" if number else "") + sentence, "skill")
    needs_model = state.unsaid or request.always_tell
    if not needs_model or request.model is None:
        if not state.said:
            nothing = say("nothing", request.language)
            told = fit(state.observations[-1].text, _SAID) if state.observations else nothing
            yield TextAdded(plain_sentence(told), "skill")
        return
    system = prompt(f"answer_{request.language}").replace("{now}", request.now.strftime("%Y-%m-%d %H:%M"))
    if state.said:
        said = prompt(f"said_{request.language}").replace("{said}", "\n".join(state.said))
        system += f"\n\n{said}"
    left = limits.run_tokens - spent.usage.total_tokens
    spent.check()
    sampling = Sampling(max_tokens=min(limits.answer_tokens, left), temperature=0.3)
    chat = Chat((Message("system", system), *messages), thinking=False)
    is_first = bool(state.said)
    stream = request.model.stream(chat, sampling)
    try:
        while (chunk := await in_time(anext(stream, None))) is not None:
            if chunk.usage is not None:
                spent.add(chunk.usage)
            if chunk.text:
                yield TextAdded(("\n\n" if is_first else "") + chunk.text, "model")
                is_first = False
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def plain_sentence(text: str) -> str:
    """A sentence from outside: no pictures that a page would load, and not without end."""
    return text.replace("![", "[").strip()[:_SAID]
