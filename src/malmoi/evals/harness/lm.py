"""A model of ours as a model of lm-eval. Imported when a run begins: it imports lm-eval."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from malmoi.core.errors import ContextOverflow, Unsupported
from malmoi.core.stage import Progress, SilentProgress
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Completion, Engine, Prompt, Sampling, Score
from malmoi.evals.harness.engines import ModelEngines
from malmoi.evals.harness.fitting import fit_context, rolling_pairs
from malmoi.evals.harness.ledger import Ledger, request_key
from malmoi.evals.harness.letters_table import read_table, table_sampling
from malmoi.evals.harness.texts import Answer, AnswerNotes, ChatText, Likelihood

_PAIRS = 256  # most texts that are scored between two writes of the ledger
_CHARACTERS = 30_000  # and most characters of their contexts
_SEEDS = 1_000_003  # apart from each other by more than anybody samples


class EngineLM(LM):  # type: ignore[misc]
    """Answers lm-eval's requests with our engines; what the ledger holds is not asked again.

    Args:
        engines: of the model.
        model: what stands for it in the ledger.
        ledger: its answers so far.
        progress: shows how far it is.
        seed: of sampled answers.
        title: what is being asked, for the progress.
    """

    def __init__(
        self,
        engines: ModelEngines,
        *,
        model: str,
        ledger: Ledger,
        progress: Progress | None = None,
        seed: int = 0,
        title: str = "",
    ) -> None:
        super().__init__()
        self._engines = engines
        self._model = model
        self._ledger = ledger
        self._progress = progress or SilentProgress()
        self._seed = seed
        self.title = title

    @property
    def tokenizer_name(self) -> str:
        """What tells prompts of this model from another's."""
        return self._model

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> ChatText:
        """A conversation, which the engine will render itself."""
        roles = {"system": "system", "assistant": "assistant"}
        messages = tuple(
            Message(roles.get(turn["role"], "user"), turn["content"])  # type: ignore[arg-type]
            for turn in chat_history
        )
        return chat_text(messages)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """The log-probability of each continuation after its context.

        Raises:
            Unsupported: the engine can neither score texts nor be read by letters.
        """
        pairs = [(context, continuation) for context, continuation in (request.args for request in requests)]
        is_chat = any(isinstance(context, ChatText) for context, _ in pairs)
        scorer = None if is_chat else self._engines.scorer()
        engine = scorer or self._engines.writer()
        if scorer is None:
            return self._by_table(engine, pairs)
        keys = [self._key("score", engine, *pair) for pair in pairs]

        async def ask(batch: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
            return [_score_row(score, cut) for score, cut in await _scores(engine, batch)]

        rows = self._answered(keys, pairs, ask, unit="choices", batches=_batches_of_pairs)
        return [
            Likelihood(
                row["logprob"],
                row["greedy"],
                prompt_tokens=row["prompt_tokens"],
                completion_tokens=row["completion_tokens"],
                cut=row["cut"],
            )
            for row in rows
        ]

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """The log-probability of each whole text.

        Raises:
            Unsupported: the engine cannot score texts.
        """
        texts = [request.args[0] for request in requests]
        engine = self._engines.need_scorer()

        async def ask(batch: Sequence[str]) -> list[dict[str, Any]]:
            rows = []
            for text in batch:
                scores = await engine.score(await rolling_pairs(engine, text))
                rows.append({"logprob": sum(score.logprob for score in scores)})
            return rows

        keys = [self._key("rolling", engine, text) for text in texts]
        rows = self._answered(keys, texts, ask, unit="texts", batches=lambda found: _in_parts(found, 8))
        return [row["logprob"] for row in rows]

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """An answer to each prompt, by lm-eval's `until`, `max_gen_toks`, `do_sample` and so on."""
        engine = self._engines.writer()
        turns: dict[int, int] = {}
        asked: list[tuple[str, Sampling]] = []
        for request in requests:
            context, settings = request.args
            turn = turns[id(request)] = turns.get(id(request), -1) + 1
            asked.append((context, sampling_of(settings, seed=self._seed + turn * _SEEDS)))
        keys = [self._key("generate", engine, prompt, _settled(sampling)) for prompt, sampling in asked]

        async def ask(batch: Sequence[tuple[str, Sampling]]) -> list[dict[str, Any]]:
            prompts = [prompt for prompt, _ in batch]
            return [_answer_row(*done) for done in await _completions(engine, prompts, batch[0][1])]

        def batches(found: Sequence[tuple[str, Sampling]]) -> Iterator[list[int]]:
            groups: dict[str, list[int]] = {}
            for place, (_, sampling) in enumerate(found):
                groups.setdefault(repr(sampling), []).append(place)
            for places in groups.values():
                # Of like length together, so that none waits long for another.
                places.sort(key=lambda place: len(found[place][0]))
                for part in _in_parts(places, 2 * engine.info.num_slots):
                    yield [places[number] for number in part]

        rows = self._answered(keys, asked, ask, unit="answers", batches=batches)
        return [
            Answer(
                row["text"],
                AnswerNotes(
                    row["finish_reason"], row["prompt_tokens"], row["completion_tokens"], cut=row["cut"]
                ),
            )
            for row in rows
        ]

    def _by_table(self, engine: Engine, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Letters by one generated token a context."""
        groups: dict[str, list[str]] = {}
        for context, continuation in pairs:
            groups.setdefault(context, []).append(continuation)
        asked = [(context, tuple(dict.fromkeys(texts))) for context, texts in groups.items()]
        keys = [self._key("table", engine, context, list(texts)) for context, texts in asked]
        samplings = {texts: table_sampling(texts, engine.info) for _, texts in asked}

        async def ask(batch: Sequence[tuple[str, tuple[str, ...]]]) -> list[dict[str, Any]]:
            texts = batch[0][1]
            done = await _completions(engine, [context for context, _ in batch], samplings[texts])
            return [
                {
                    "table": read_table(completion, texts),
                    "prompt_tokens": completion.usage.prompt_tokens,
                    "cut": cut,
                }
                for completion, cut in done
            ]

        def batches(found: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[list[int]]:
            alike: dict[tuple[str, ...], list[int]] = {}
            for place, (_, texts) in enumerate(found):
                alike.setdefault(texts, []).append(place)
            for places in alike.values():
                for part in _in_parts(places, 4 * engine.info.num_slots):
                    yield [places[number] for number in part]

        rows = self._answered(keys, asked, ask, unit="questions", batches=batches)
        tables = {
            context: (row, dict(zip(texts, row["table"], strict=True)))
            for (context, texts), row in zip(asked, rows, strict=True)
        }
        found = []
        for context, continuation in pairs:
            row, table = tables[context]
            logprob, greedy = table[continuation]
            found.append(
                Likelihood(
                    logprob, greedy, prompt_tokens=row["prompt_tokens"], completion_tokens=1, cut=row["cut"]
                )
            )
        return list(found)

    def _key(self, kind: str, engine: Engine, *parts: Any) -> str:
        # The engine belongs to it: llama.cpp computes with the quantised weights, torch with what they mean.
        said = [{"chat": asdict(part.chat)} if isinstance(part, ChatText) else part for part in parts]
        return request_key(self._model, kind, engine.info.kind, engine.info.context_length, *said)

    def _answered(
        self,
        keys: Sequence[str],
        asked: Sequence[Any],
        ask: Callable[[Sequence[Any]], Any],
        *,
        unit: str,
        batches: Callable[[Sequence[Any]], Iterator[list[int]]],
    ) -> list[Mapping[str, Any]]:
        """The row of every request: from the ledger, or asked now and put there."""
        rows = {key: row for key in dict.fromkeys(keys) if (row := self._ledger.get(key)) is not None}
        open_: dict[str, Any] = {
            key: request for key, request in zip(keys, asked, strict=True) if key not in rows
        }
        waiting_keys, waiting = list(open_), list(open_.values())
        if waiting:
            total = len(rows) + len(waiting)
            with self._progress.task(self.title or "Ask", total=total, unit=unit) as task:
                task.at(len(rows))
                for places in batches(waiting):
                    found = self._engines.runner.run(ask([waiting[place] for place in places]))
                    new = [(waiting_keys[place], row) for place, row in zip(places, found, strict=True)]
                    self._ledger.add(new)
                    rows.update(new)
                    task.advance(len(new))
        return [rows[key] for key in keys]


def chat_text(messages: tuple[Message, ...]) -> ChatText:
    """A conversation as a prompt; its text is for people."""
    text = "\n".join(f"[{message.role}] {message.content}" for message in messages)
    return ChatText(text, Chat(messages, thinking=False))


def sampling_of(settings: Mapping[str, Any], *, seed: int) -> Sampling:
    """lm-eval's generation settings as ours.

    Raises:
        Unsupported: a setting that our engines do not have.
    """
    known = {"until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k", "min_p"}
    unknown = sorted(name for name in settings if name not in known)
    if unknown:
        raise Unsupported(f"the task asks for {', '.join(unknown)} of generation, which is not known here.")
    until = settings.get("until") or ()
    temperature = float(settings.get("temperature", 1.0 if settings.get("do_sample") else 0.0))
    sampled = bool(settings.get("do_sample", temperature > 0)) and temperature > 0
    return Sampling(
        max_tokens=int(settings.get("max_gen_toks", 256)),
        temperature=temperature if sampled else 0.0,
        top_p=float(settings["top_p"]) if sampled and "top_p" in settings else None if sampled else 1.0,
        top_k=int(settings["top_k"]) if sampled and "top_k" in settings else None if sampled else 0,
        min_p=float(settings["min_p"]) if sampled and "min_p" in settings else None if sampled else 0.0,
        repetition_penalty=1.0,
        seed=seed if sampled else None,
        stop=(until,) if isinstance(until, str) else tuple(until),
    )


def _settled(sampling: Sampling) -> dict[str, Any]:
    """Sampling as JSON, without what is not said."""
    return {name: value for name, value in asdict(sampling).items() if value not in (None, (), {})}


async def _scores(engine: Engine, batch: Sequence[tuple[str, str]]) -> list[tuple[Score, bool]]:
    """The score of each pair, and whether its context lost its beginning, for it did not fit."""
    try:
        return [(score, False) for score in await engine.score(batch)]
    except ContextOverflow:
        fitted = [await fit_context(engine, context, after=text) for context, text in batch]
        pairs = [(context, text) for (context, _), (_, text) in zip(fitted, batch, strict=True)]
        scores = await engine.score(pairs)
        return [(score, cut) for score, (_, cut) in zip(scores, fitted, strict=True)]


async def _completions(
    engine: Engine, prompts: Sequence[str], sampling: Sampling
) -> list[tuple[Completion, bool]]:
    """The answer to each prompt, and whether it lost its beginning, for it did not fit."""
    ready: list[Prompt] = [prompt.chat if isinstance(prompt, ChatText) else str(prompt) for prompt in prompts]
    try:
        return [(done, False) for done in await engine.generate(ready, sampling)]
    except ContextOverflow:
        if any(isinstance(prompt, Chat) for prompt in ready):
            raise  # where to cut a conversation is not ours to say
        room = sampling.max_tokens or 1
        fitted = [await fit_context(engine, prompt, room=room) for prompt in prompts]
        done = await engine.generate([text for text, _ in fitted], sampling)
        return [(completion, cut) for completion, (_, cut) in zip(done, fitted, strict=True)]


def _score_row(score: Score, cut: bool) -> dict[str, Any]:
    return {
        "logprob": score.logprob,
        "greedy": score.is_greedy,
        "prompt_tokens": score.context_tokens,
        "completion_tokens": score.num_tokens,
        "cut": cut,
    }


def _answer_row(completion: Completion, cut: bool) -> dict[str, Any]:
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.usage.prompt_tokens,
        "completion_tokens": completion.usage.completion_tokens,
        "cut": cut,
    }


def _batches_of_pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[list[int]]:
    """Places in batches; those with one context are never parted, and contexts that begin alike are near."""
    batch: list[int] = []
    characters, before = 0, None
    for place in sorted(range(len(pairs)), key=lambda place: pairs[place]):
        context = pairs[place][0]
        if context != before:
            if batch and (len(batch) >= _PAIRS or characters + len(context) > _CHARACTERS):
                yield batch
                batch, characters = [], 0
            characters += len(context)
            before = context
        batch.append(place)
    if batch:
        yield batch


def _in_parts(items: Sequence[Any], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(range(start, min(start + size, len(items))))
