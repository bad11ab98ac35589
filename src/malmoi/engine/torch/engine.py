"""The engine itself: answers token by token, in turns, in one thread. V stands for the vocabulary."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import ContextOverflow, EngineUnavailable, Unsupported
from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import Chunk, Completion, EngineInfo, Prompt, Role, Sampling, Score
from malmoi.engine.collect import collect, generate_all
from malmoi.engine.templates import ChatTemplate
from malmoi.engine.torch.answers import Answer, begin_answer
from malmoi.engine.torch.batches import batches_of, embed_batch, score_batch
from malmoi.engine.torch.encoding import Encoder
from malmoi.engine.torch.scoring import TreeScorer, open_scorer
from malmoi.engine.torch.together import write_together
from malmoi.engine.torch.tries import Row, packs_of

_PREFILL = 512  # prompt tokens a turn, so that a long prompt can be cancelled and does not block the others

T = TypeVar("T")


class TorchEngine:
    """A causal language model in this process. Made by `open_torch`."""

    def __init__(self, model: Any, tokenizer: Any, template: ChatTemplate | None, info: EngineInfo) -> None:
        self._model = model
        self._encoder = Encoder(model, tokenizer, template, context_length=info.context_length)
        self._is_chat = template is not None
        self._info = info
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")
        self._slots = asyncio.Semaphore(info.num_slots)
        self._batch = asyncio.Lock()  # one batch of answers at a time: each has memory for `num_slots`
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
            answer = await self._run(self._begin, prompt, sampling)
            while answer.computed < len(answer.ids) - 1:
                await self._run(self._prefill, answer)
            first = time.perf_counter()
            reason: FinishReason | None = None if answer.limit > 0 else "length"
            while reason is None:
                chunk, reason = await self._run(self._step, answer)
                yield chunk
            yield await self._run(
                partial(
                    answer.end,
                    reason,
                    prompt_seconds=first - started,
                    completion_seconds=time.perf_counter() - first,
                )
            )

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Generate for many prompts, `num_slots` at the same time, see `Engine.generate`."""
        size = self._info.num_slots
        # What cannot be masked cannot be padded either.
        pads = min(len(prompts), size) > 1 and await self._run(self._open_scorer) is not None
        if not pads or sampling.max_tokens == 0:
            return await generate_all(self.stream, prompts, sampling, concurrency=size)
        for prompt in prompts:
            self._check(prompt, sampling)
        begin = partial(begin_answer, self._encoder, self._info)
        answers = [await self._run(begin, prompt, sampling) for prompt in prompts]
        done: dict[int, Completion] = {}
        order = sorted(range(len(answers)), key=lambda place: -len(answers[place].ids))
        async with self._batch:
            for start in range(0, len(order), size):
                places = order[start : start + size]
                batch = [answers[place] for place in places]
                chunks = await write_together(self._run, self._model, batch, prefill=_PREFILL)
                for place, own in zip(places, chunks, strict=True):
                    done[place] = await collect(_replay(own))
        return [done[place] for place in range(len(prompts))]

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

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
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

    def _begin(self, prompt: Prompt, sampling: Sampling) -> Answer:
        from transformers import DynamicCache

        answer = begin_answer(self._encoder, self._info, prompt, sampling)
        answer.cache = DynamicCache(config=self._model.config)
        return answer

    def _prefill(self, answer: Answer) -> None:
        """Compute the next part of the prompt, all but its last token."""
        end = min(answer.computed + _PREFILL, len(answer.ids) - 1)
        self._forward(answer, end)

    def _step(self, answer: Answer) -> tuple[Chunk, FinishReason | None]:
        """One more token; the reason when it is the last."""
        return answer.take(self._forward(answer, len(answer.ids)))

    def _forward(self, answer: Answer, end: int) -> NDArray[np.float32]:
        """Run the ids up to `end` through the model; the logits after the last: (V,)."""
        import torch

        ids = torch.tensor([answer.ids[answer.computed : end]])
        out = self._model(input_ids=ids, past_key_values=answer.cache, use_cache=True, logits_to_keep=1)
        answer.computed = end
        logits: NDArray[np.float32] = out.logits[0, -1].float().numpy()
        return logits

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


async def _replay(chunks: Sequence[Chunk]) -> AsyncGenerator[Chunk, None]:
    """Chunks that are there already, as a stream."""
    for chunk in chunks:
        yield chunk
