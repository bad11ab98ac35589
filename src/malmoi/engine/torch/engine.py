"""The engine itself: answers token by token, in turns, in one thread. V stands for the vocabulary."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import (
    ContextOverflow,
    EngineUnavailable,
    Unsupported,
)
from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import (
    Chunk,
    Completion,
    EngineInfo,
    Prompt,
    Sampling,
    Score,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from malmoi.engine.collect import generate_all
from malmoi.engine.growing_text import Detokenizer, StopBuffer
from malmoi.engine.parsers import OutputParser, ParsedDelta, parser_for
from malmoi.engine.sampling import Chooser, log_softmax, top_logprobs, with_defaults
from malmoi.engine.templates import ChatTemplate, Rendered
from malmoi.engine.torch.batches import batches_of, embed_batch, score_batch
from malmoi.engine.torch.encoding import Encoder
from malmoi.engine.torch.scoring import TreeScorer, open_scorer
from malmoi.engine.torch.tries import Row, packs_of

_PREFILL = 512  # prompt tokens a turn, so that a long prompt can be cancelled and does not block the others

T = TypeVar("T")
# What a chunk says: text, reasoning and pieces of tool calls.
_Said: TypeAlias = tuple[str, str, tuple[ToolCallDelta, ...]]


@dataclass(slots=True)
class _Answer:
    """One answer under way: its cache, its chooser, and the text that is not out yet."""

    ids: list[int]
    sampling: Sampling
    limit: int
    chooser: Chooser
    text: Detokenizer
    stops: StopBuffer
    parser: OutputParser | None
    cache: Any
    computed: int = 0
    generated: int = 0
    reasoning_tokens: int = 0
    called: bool = False


class TorchEngine:
    """A causal language model in this process. Made by `open_torch`."""

    def __init__(self, model: Any, tokenizer: Any, template: ChatTemplate | None, info: EngineInfo) -> None:
        self._model = model
        self._encoder = Encoder(model, tokenizer, template, context_length=info.context_length)
        self._is_chat = template is not None
        self._info = info
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")
        self._slots = asyncio.Semaphore(info.num_slots)
        self._scorer: tuple[TreeScorer | None, ...] = ()  # empty until the first score
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits."""
        return self._info

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Generate, one chunk a token, see `Engine.stream`."""
        self._check(prompt, sampling)
        started = time.perf_counter()
        async with self._slots:
            ids, rendered = await self._run(self._encoder.prompt_ids, prompt)
            answer = await self._run(self._begin, ids, rendered, prompt, sampling)
            while answer.computed < len(ids) - 1:
                await self._run(self._prefill, answer)
            first = time.perf_counter()
            reason: FinishReason | None = None if answer.limit > 0 else "length"
            while reason is None:
                chunk, reason = await self._run(self._step, answer)
                yield chunk
            text, reasoning, calls = await self._run(self._end, answer)
            if reason == "stop" and answer.called:
                reason = "tool_calls"
            usage = Usage(
                prompt_tokens=len(ids),
                completion_tokens=answer.generated,
                reasoning_tokens=answer.reasoning_tokens,
                prompt_seconds=first - started,
                completion_seconds=time.perf_counter() - first,
            )
            yield Chunk(text, reasoning, calls, finish_reason=reason, usage=usage)

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Generate for many prompts, see `Engine.generate`."""
        return await generate_all(self.stream, prompts, sampling, concurrency=self._info.num_slots)

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """Exact log-probabilities, see `Engine.score`; what contexts share is computed once.

        Spaces at the end of a context belong to the continuation; then the whole is tokenised and cut after
        as many tokens as the context alone has, as lm-eval-harness does. An empty context is the start token.

        Raises:
            ContextOverflow: context and continuation together are too long; nothing is cut off silently.
        """
        rows = await self._run(self._encoder.pairs_ids, pairs)
        scores: list[Score | None] = [None] * len(rows)
        shares = await self._run(self._open_scorer) is not None
        for batch in packs_of(rows) if shares else batches_of([len(ids) for ids, _ in rows]):
            done = await self._run(self._scores, [rows[place] for place in batch])
            for place, score in zip(batch, done, strict=True):
                scores[place] = score
        return [score for score in scores if score is not None]

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of the last hidden states, of unit length: (N, D)."""
        rows = await self._run(
            lambda: [self._encoder.text_ids(text) or [self._encoder.start_id()] for text in texts]
        )
        for ids in rows:
            if len(ids) > self._info.context_length:
                raise ContextOverflow(len(ids), self._info.context_length)
        vectors = np.zeros((len(rows), self._info.embedding_size or 0), dtype=np.float32)
        for batch in batches_of([len(ids) for ids in rows]):
            vectors[batch] = await self._run(self._vectors, [rows[place] for place in batch])
        return vectors

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids of a prompt; control tokens are recognised only in what the template writes."""
        if isinstance(prompt, Chat) and not self._is_chat:
            raise self._no_chat()
        ids, _ = await self._run(self._encoder.prompt_ids, prompt)
        return tuple(ids)

    async def close(self) -> None:
        """Free the weights; answers under way end with `EngineUnavailable`."""
        self._closed = True
        self._worker.shutdown(wait=False)
        self._model = None
        self._scorer = ()

    # On the event loop

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do one piece of work in the engine's thread."""
        if self._closed:
            raise EngineUnavailable("the torch engine is closed.")

        def guarded() -> T:
            import torch

            if self._closed:
                raise EngineUnavailable("the torch engine is closed.")
            with torch.inference_mode():
                return work(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._worker, guarded)

    def _check(self, prompt: Prompt, sampling: Sampling) -> None:
        if isinstance(prompt, Chat) and not self._is_chat:
            raise self._no_chat()
        if sampling.grammar is not None or sampling.json_schema is not None:
            raise Unsupported(
                "the torch engine cannot follow a grammar.", fix="Use a llama.cpp or vLLM engine."
            )
        if any(sampling.adapters.values()):
            raise Unsupported("the torch engine applies no adapters by request.")

    def _no_chat(self) -> Unsupported:
        return Unsupported(
            f"the model {self._info.name!r} has no chat template.", fix="Send text, or choose a chat model."
        )

    # In the thread

    def _begin(
        self, ids: list[int], rendered: Rendered | None, prompt: Prompt, sampling: Sampling
    ) -> _Answer:
        from transformers import DynamicCache

        room = self._info.context_length - len(ids)
        if room < 1:
            raise ContextOverflow(len(ids), self._info.context_length)
        if not ids:
            ids.append(self._encoder.start_id())
        parser = None
        sampling = with_defaults(sampling, self._info.sampling_defaults)
        stops = sampling.stop
        keep_special = rendered is not None and rendered.keep_special
        if rendered is not None and isinstance(prompt, Chat):
            parser = parser_for(
                rendered.style,
                tools=prompt.tools,
                thinking=prompt.thinking,
                prefix=rendered.prefix,
                tool_choice=prompt.tool_choice,
            )
            stops = (*stops, *rendered.stop)

        return _Answer(
            ids=list(ids),
            sampling=sampling,
            limit=room if sampling.max_tokens is None else min(room, sampling.max_tokens),
            chooser=Chooser(sampling, ids, vocab_size=self._encoder.vocab_size),
            text=Detokenizer(partial(self._encoder.decode, keep_special=keep_special), before=ids[-4:]),
            stops=StopBuffer(stops),
            parser=parser,
            cache=DynamicCache(config=self._model.config),
        )

    def _prefill(self, answer: _Answer) -> None:
        """Compute the next part of the prompt, all but its last token."""
        end = min(answer.computed + _PREFILL, len(answer.ids) - 1)
        self._forward(answer, end)

    def _step(self, answer: _Answer) -> tuple[Chunk, FinishReason | None]:
        """One more token; the reason when it is the last."""
        logits = self._forward(answer, len(answer.ids))
        # Without end tokens the model could stop only by its limit.
        token = answer.chooser.choose(
            logits, forbidden=self._encoder.ends if answer.sampling.ignore_eos else ()
        )
        answer.ids.append(token)
        answer.generated += 1
        reason: FinishReason | None = None
        raw = ""
        if token in self._encoder.ends:
            reason = "stop"
        else:
            raw = answer.stops.push(answer.text.push(token))
            if answer.stops.stopped:
                reason = "stop"
            elif answer.generated >= answer.limit:
                reason = "length"
        deltas = self._parsed(answer, raw)
        logprobs = () if answer.sampling.top_logprobs is None else (self._logprob(answer, logits, token),)
        if any(delta.reasoning for delta in deltas):
            answer.reasoning_tokens += 1
        text, reasoning, calls = _joined(answer, deltas)
        return Chunk(text, reasoning, calls, token_ids=(token,), logprobs=logprobs), reason

    def _end(self, answer: _Answer) -> _Said:
        """What was still held back, as the first fields of a chunk."""
        raw = ""
        if not answer.stops.stopped:
            raw = answer.stops.push(answer.text.finish())
            raw += answer.stops.finish()
        deltas = self._parsed(answer, raw)
        if answer.parser is not None:
            deltas += answer.parser.finish()
        return _joined(answer, deltas)

    def _parsed(self, answer: _Answer, raw: str) -> list[ParsedDelta]:
        if answer.parser is not None:
            return answer.parser.push(raw) if raw else []
        return [ParsedDelta(text=raw)] if raw else []

    def _forward(self, answer: _Answer, end: int) -> NDArray[np.float32]:
        """Run the ids up to `end` through the model; the logits after the last: (V,)."""
        import torch

        ids = torch.tensor([answer.ids[answer.computed : end]])
        out = self._model(input_ids=ids, past_key_values=answer.cache, use_cache=True, logits_to_keep=1)
        answer.computed = end
        logits: NDArray[np.float32] = out.logits[0, -1].float().numpy()
        return logits

    def _logprob(self, answer: _Answer, logits: NDArray[np.float32], token: int) -> TokenLogprob:
        """Of the model itself, before penalties and temperature."""
        logprobs = log_softmax(logits)
        best = top_logprobs(logprobs, answer.sampling.top_logprobs or 0)
        top = tuple((self._encoder.decode([other]), logprob) for other, logprob in best)
        return TokenLogprob(self._encoder.decode([token]), float(logprobs[token]), token, top)

    def _open_scorer(self) -> TreeScorer | None:
        """The scorer that shares prefixes; None where the model cannot."""
        if not self._scorer:
            size, start = self._encoder.vocab_size, self._encoder.start_id()
            self._scorer = (open_scorer(self._model, vocab_size=size, start_id=start),)
        return self._scorer[0]

    def _scores(self, rows: Sequence[Row]) -> list[Score]:
        scorer = self._open_scorer()
        if scorer is not None:
            return scorer.score(rows)
        return score_batch(self._model, rows, vocab_size=self._encoder.vocab_size)

    def _vectors(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        return embed_batch(self._model, rows)


def _joined(answer: _Answer, deltas: Sequence[ParsedDelta]) -> _Said:
    """Text, reasoning and tool calls of deltas, as the first fields of a chunk."""
    calls = tuple(call for delta in deltas for call in delta.tool_calls)
    answer.called = answer.called or bool(calls)
    return "".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas), calls
