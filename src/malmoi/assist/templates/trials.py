"""Run a template's tests with an engine: each is a conversation, each answer is checked."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from pydantic import ValidationError

from malmoi.assist.templates.answering import answer, opening
from malmoi.assist.templates.checks import CheckResult, run_checks
from malmoi.assist.templates.flows.flow import FormT, Occasion, Turn
from malmoi.assist.templates.form import fill_form
from malmoi.assist.templates.template import Template, Trial
from malmoi.core.errors import MalmoiError, StructuredOutputInvalid
from malmoi.core.types import Chat
from malmoi.engine.base import Chunk, Engine, Sampling
from malmoi.engine.collect import collect


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of a test with its checks.

    Attributes:
        said: what was said to it; empty: it is the opening.
        text: the answer; of a failure what went wrong.
        calls: how often the model was asked.
        seconds: how long it took.
        results: its checks; a failure is one that did not hold.
    """

    trial: str
    said: str
    text: str
    calls: int
    seconds: float
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether all of its checks held."""
        return all(result.passed for result in self.results)


class EngineWriter:
    """An engine as flows write with it; `calls` counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls = 0

    async def write(self, prompt: Chat, sampling: Sampling) -> AsyncGenerator[str, None]:
        """Free text, piece by piece."""
        self.calls += 1
        chunks = cast("AsyncGenerator[Chunk, None]", self._engine.stream(prompt, sampling))
        async with aclosing(chunks) as stream:
            async for chunk in stream:
                if chunk.text:
                    yield chunk.text

    async def fill(self, prompt: Chat, form: type[FormT], *, max_tokens: int) -> FormT:
        """An answer that fits a form."""
        self.calls += 1
        held = "grammar" in self._engine.info.capabilities
        sampling = Sampling(
            temperature=0.0,
            max_tokens=max_tokens,
            json_schema=form.model_json_schema() if held else None,
            seed=1,
        )
        text = (await collect(self._engine.stream(prompt, sampling))).text
        try:
            return form.model_validate_json(text)
        except ValidationError as error:
            raise StructuredOutputInvalid("the model's answer does not fit its form.") from error


async def run_trials(
    template: Template, engine: Engine, trials: Sequence[Trial] | None = None
) -> AsyncIterator[Answered]:
    """All answers of a template's tests, as they come. Nothing is random: the sampling has a seed.

    Args:
        template: whose tests.
        engine: that answers.
        trials: other tests than the template's own.

    Raises:
        InvalidInput: the values of a test do not fit the template's fields.
    """
    for trial in template.tests if trials is None else trials:
        async for answered in _converse(template, trial, engine):
            yield answered


async def _converse(template: Template, trial: Trial, engine: Engine) -> AsyncIterator[Answered]:
    # The marks are the same in each run: with a seed, an engine then says the same again.
    form = fill_form(template, trial.language, trial.values).model_copy(update={"mark": "5e1f0c9a27"})
    branch: list[Turn] = []
    first = opening(template, form)
    if first:
        branch.append(Turn("assistant", first))
    results = tuple(run_checks(trial.opening, first, calls=0))
    if results:
        yield Answered(trial.name, "", first, 0, 0.0, results)
    sampling = replace(template.sampling.to_sampling(), seed=1)
    for turn in trial.turns:
        branch.append(Turn("user", turn.say))
        writer = EngineWriter(engine)
        began = time.perf_counter()
        text, notes = "", None
        try:
            occasion = Occasion(template, form, tuple(branch), sampling)
            async with aclosing(answer(occasion, writer)) as pieces:
                async for piece in pieces:
                    text += piece.text
                    notes = piece.notes if piece.notes is not None else notes
        except MalmoiError as error:
            seconds = time.perf_counter() - began
            failure = CheckResult("answers", False, str(error))
            yield Answered(trial.name, turn.say, text, writer.calls, seconds, (failure,))
            return
        seconds = time.perf_counter() - began
        branch.append(Turn("assistant", text, notes))
        checked = tuple(run_checks(turn.checks, text, calls=writer.calls))
        yield Answered(trial.name, turn.say, text, writer.calls, seconds, checked)
