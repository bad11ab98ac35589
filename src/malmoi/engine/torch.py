"""Models by transformers: safetensors folders and GGUF files (dequantised), with exact scores.

The only module that imports torch; `open_torch` does so, not the import of this module. It is for evaluation
and for checkpoints under training, not for serving: everything is float32, and requests take turns token by
token in one thread. Letters: B batch, T time, V vocabulary, D width.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import (
    ContextOverflow,
    EngineUnavailable,
    InvalidInput,
    MissingExtra,
    ModelFileInvalid,
    Unsupported,
)
from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import (
    Capability,
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
from malmoi.engine.modelfile import ModelFileInfo, SpecialToken, check_model_async
from malmoi.engine.options import EngineOptions
from malmoi.engine.parsers import OutputParser, ParsedDelta, parser_for
from malmoi.engine.sampling import Chooser, log_softmax, top_logprobs, with_defaults
from malmoi.engine.templates import ChatTemplate, Rendered, forging_tokens, load_template

_MAX_CONTEXT = 8192  # unless the options say more: keys and values cost memory
_PREFILL = 512  # prompt tokens a turn, so that a long prompt can be cancelled and does not block the others
_SCORE_TOKENS = 4096  # B * T of one batch
_LOGIT_BYTES = 256 * 1024 * 1024  # most memory for the logits of one step
_KINDS = {"unknown": 2, "control": 3, "user_defined": 4}

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
        self._tokenizer = tokenizer
        self._template = template
        self._info = info
        self._ends = _end_ids(model, tokenizer)
        self._vocab = int(model.get_output_embeddings().weight.shape[0])
        self._bos = _added_bos(tokenizer)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")
        self._slots = asyncio.Semaphore(info.num_slots)
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
            ids, rendered = await self._run(self._encode, prompt)
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
        """Exact log-probabilities, in batches, see `Engine.score`.

        Spaces at the end of a context belong to the continuation; then the whole is tokenised and cut after
        as many tokens as the context alone has, as lm-eval-harness does. An empty context is the start token.

        Raises:
            ContextOverflow: context and continuation together are too long; nothing is cut off silently.
        """
        rows = await self._run(lambda: [self._encode_pair(*pair) for pair in pairs])
        scores: list[Score | None] = [None] * len(rows)
        for batch in _batches([len(ids) for ids, _ in rows]):
            done = await self._run(self._score_batch, [rows[place] for place in batch])
            for place, score in zip(batch, done, strict=True):
                scores[place] = score
        return [score for score in scores if score is not None]

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of the last hidden states, of unit length: (N, D)."""
        rows = await self._run(lambda: [self._encode_text(text) or [self._start()] for text in texts])
        for ids in rows:
            if len(ids) > self._info.context_length:
                raise ContextOverflow(len(ids), self._info.context_length)
        vectors = np.zeros((len(rows), self._info.embedding_size or 0), dtype=np.float32)
        for batch in _batches([len(ids) for ids in rows]):
            vectors[batch] = await self._run(self._embed_batch, [rows[place] for place in batch])
        return vectors

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids of a prompt; control tokens are recognised only in what the template writes."""
        if isinstance(prompt, Chat) and self._template is None:
            raise self._no_chat()
        ids, _ = await self._run(self._encode, prompt)
        return tuple(ids)

    async def close(self) -> None:
        """Free the weights; answers under way end with `EngineUnavailable`."""
        self._closed = True
        self._worker.shutdown(wait=False)
        self._model = None

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
        if isinstance(prompt, Chat) and self._template is None:
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

    def _encode(self, prompt: Prompt) -> tuple[list[int], Rendered | None]:
        if isinstance(prompt, Chat):
            assert self._template is not None
            rendered = self._template.render(prompt)
            ids = [] if rendered.writes_bos else list(self._bos)
            for segment in rendered.segments:
                ids += self._tokenizer.encode(segment, add_special_tokens=False)
            return ids, rendered
        if isinstance(prompt, str):
            return self._encode_text(prompt), None
        if any(not 0 <= token < self._vocab for token in prompt):
            raise InvalidInput(f"token ids lie between 0 and {self._vocab - 1}.", field="prompt")
        return list(prompt), None

    def _encode_text(self, text: str) -> list[int]:
        """Text from anywhere: the text of a control token in it stays text."""
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [*self._bos, *ids]

    def _start(self) -> int:
        """The token that stands for "nothing before"."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, *sorted(self._ends)):
            if token is not None:
                return int(token)
        raise InvalidInput("this model has no start token: the context must not be empty.", field="context")

    def _begin(
        self, ids: list[int], rendered: Rendered | None, prompt: Prompt, sampling: Sampling
    ) -> _Answer:
        from transformers import DynamicCache

        room = self._info.context_length - len(ids)
        if room < 1:
            raise ContextOverflow(len(ids), self._info.context_length)
        if not ids:
            ids.append(self._start())
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

        def decode(token_ids: Sequence[int]) -> str:
            return str(
                self._tokenizer.decode(
                    token_ids, skip_special_tokens=not keep_special, clean_up_tokenization_spaces=False
                )
            )

        return _Answer(
            ids=list(ids),
            sampling=sampling,
            limit=room if sampling.max_tokens is None else min(room, sampling.max_tokens),
            chooser=Chooser(sampling, ids, vocab_size=self._vocab),
            text=Detokenizer(decode, before=ids[-4:]),
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
        token = answer.chooser.choose(logits, forbidden=self._ends if answer.sampling.ignore_eos else ())
        answer.ids.append(token)
        answer.generated += 1
        reason: FinishReason | None = None
        raw = ""
        if token in self._ends:
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
        top = tuple((self._piece(other), logprob) for other, logprob in best)
        return TokenLogprob(self._piece(token), float(logprobs[token]), token, top)

    def _piece(self, token: int) -> str:
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], int]:
        """The ids of both together, and where the continuation begins."""
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        whole = self._encode_text(stripped + continuation)
        start = len(self._encode_text(stripped))
        if start == 0:
            whole, start = [self._start(), *whole], 1
        if len(whole) < 2:
            raise InvalidInput("the continuation is empty.", field="continuation")
        if len(whole) > self._info.context_length:
            raise ContextOverflow(len(whole), self._info.context_length)
        # Where both grow together to fewer tokens, the last token is the continuation's.
        return whole, min(start, len(whole) - 1)

    def _score_batch(self, rows: list[tuple[list[int], int]]) -> list[Score]:
        """Scores of rows of ids, padded on the right: a causal model does not see what comes after."""
        import torch
        from transformers import DynamicCache

        longest = max(len(ids) for ids, _ in rows)
        ids, mask = _padded([ids for ids, _ in rows])
        first = min(start for _, start in rows) - 1
        # A chunk of all rows at a time, so that no more logits exist at once than memory allows.
        width = max(1, _LOGIT_BYTES // (4 * self._vocab * len(rows)))
        cache = DynamicCache(config=self._model.config)
        logprobs = torch.zeros(len(rows), longest)
        greedy = torch.ones(len(rows), longest, dtype=torch.bool)
        begin = 0
        while begin < longest - 1:
            # Nothing before the first continuation is scored: there only the cache is filled.
            end = first if begin < first else min(begin + width, longest - 1)
            out = self._model(
                input_ids=ids[:, begin:end],
                attention_mask=mask[:, :end],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1 if begin < first else 0,
            )
            if begin >= first:
                told = out.logits.float().log_softmax(-1)  # (B, end - begin, V)
                wanted = ids[:, begin + 1 : end + 1]
                logprobs[:, begin + 1 : end + 1] = told.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
                greedy[:, begin + 1 : end + 1] = told.argmax(-1) == wanted
            begin = end
        return [
            _score(logprobs[place, start : len(row)], greedy[place, start : len(row)])
            for place, (row, start) in enumerate(rows)
        ]

    def _embed_batch(self, rows: list[list[int]]) -> NDArray[np.float32]:
        import torch

        ids, mask = _padded(rows)
        hidden = self._model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).float()
        mean = (hidden * weights).sum(1) / weights.sum(1)  # (B, D)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return vectors


async def open_torch(path: Path, *, name: str, options: EngineOptions | None = None) -> TorchEngine:
    """Load a folder of safetensors or a GGUF file, after it was checked.

    Args:
        path: the folder or file.
        name: what it is called.
        options: `threads`, `slots` and `context_length` are used.

    Raises:
        ModelFileInvalid: the files must not be loaded, or transformers cannot load them.
        MissingExtra: torch or transformers is not installed.
    """
    options = options or EngineOptions()
    found = await check_model_async(path)
    if found.folder is None and found.gguf is None:
        raise ModelFileInvalid(f"{path} is not a model.", fix="Give the folder that the file lies in.")
    model, tokenizer = await asyncio.to_thread(_load, path, options.threads)
    template = _template(tokenizer, found, name)
    capabilities: set[Capability] = {"generate", "logprobs", "score", "embed", "tokenize"}
    if template is not None:
        capabilities.add("chat")
        if "tools" in str(tokenizer.chat_template):
            capabilities.add("tools")
    trained = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or _MAX_CONTEXT)
    info = EngineInfo(
        name=name,
        kind="torch",
        capabilities=frozenset(capabilities),
        context_length=min(trained, options.context_length or _MAX_CONTEXT),
        num_slots=options.slots,
        embedding_size=int(model.get_input_embeddings().weight.shape[1]),
        sampling_defaults=_defaults(model, template),
        description="transformers, float32.",
    )
    return TorchEngine(model, tokenizer, template, info)


def _load(path: Path, threads: int | None) -> tuple[Any, Any]:
    """Model and tokenizer; in a thread, for it takes seconds."""
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtra("Running models with torch", "train") from error
    disable_progress_bar()  # a server's log is no place for it
    if threads is not None:
        torch.set_num_threads(threads)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    folder = path
    if path.is_file():
        folder = path.parent
        options["gguf_file"] = path.name
        if find_spec("accelerate") is None:
            raise MissingExtra("Reading GGUF files with torch", "train")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        # transformers raises any of these for files that it does not understand.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ModelFileInvalid(f"{path.name}: transformers cannot load it: {reason}") from error
    # transformers fills what is missing with random numbers and only writes a line to the log.
    absent = sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"]))
    if absent:
        raise ModelFileInvalid(
            f"{path.name}: {len(absent)} weights are missing or have a wrong shape, such as {absent[0]}.",
            fix="Fetch the model again.",
        )
    return model.eval(), tokenizer


def _template(tokenizer: Any, found: ModelFileInfo, name: str) -> ChatTemplate | None:
    source = tokenizer.chat_template
    if not isinstance(source, str) or not source:
        return None
    special: tuple[SpecialToken, ...] = ()
    if found.folder is not None:
        special = found.folder.special_tokens
    elif found.gguf is not None:
        special = found.gguf.special_tokens
    texts = [token.text for token in special]
    # transformers may add tokens of its own to those that the file names.
    texts += [str(token) for token in tokenizer.all_special_tokens]
    kinds = [_KINDS[token.kind] for token in special] + [_KINDS["control"]] * (len(texts) - len(special))
    return load_template(
        source,
        special_tokens=forging_tokens(texts, kinds),
        bos_token=tokenizer.bos_token or "",
        eos_token=tokenizer.eos_token or "",
        name=name,
    )


def _defaults(model: Any, template: ChatTemplate | None) -> Sampling:
    """The sampling that the model's files recommend, else its family's authors."""
    config = model.generation_config
    told = Sampling(
        temperature=_number(config.temperature),
        top_p=_number(config.top_p),
        top_k=None if config.top_k is None else int(config.top_k),
        min_p=_number(config.min_p),
        repetition_penalty=_number(config.repetition_penalty),
    )
    return with_defaults(told, template.sampling) if template is not None else told


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The ids that end a text, by the model's configuration and its tokenizer's."""
    ends: set[int] = set()
    for told in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        if told is not None:
            ends.update([told] if isinstance(told, int) else told)
    return frozenset(ends)


def _added_bos(tokenizer: Any) -> tuple[int, ...]:
    """The start token, if the tokenizer puts one in front by itself."""
    ids = tokenizer("a")["input_ids"]
    return (ids[0],) if ids and ids[0] == tokenizer.bos_token_id else ()


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of rows in batches of like length, longest first, `_SCORE_TOKENS` at most each."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > _SCORE_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Ids and mask of rows, padded on the right: (B, T) both."""
    import torch

    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return ids, mask


def _score(logprobs: Any, greedy: Any) -> Score:
    values = tuple(float(value) for value in logprobs)
    return Score(logprob=sum(values), token_logprobs=values, is_greedy=bool(greedy.all()))


def _joined(answer: _Answer, deltas: Sequence[ParsedDelta]) -> _Said:
    """Text, reasoning and tool calls of deltas, as the first fields of a chunk."""
    calls = tuple(call for delta in deltas for call in delta.tool_calls)
    answer.called = answer.called or bool(calls)
    return "".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas), calls
