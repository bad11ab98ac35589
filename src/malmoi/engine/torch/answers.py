"""One answer under way: from logits to tokens, to text, to what may be shown. V stands for the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import ContextOverflow
from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import Chunk, EngineInfo, Prompt, Sampling, TokenLogprob, ToolCallDelta, Usage
from malmoi.engine.growing_text import Detokenizer, StopBuffer
from malmoi.engine.parsers import OutputParser, ParsedDelta, parser_for
from malmoi.engine.sampling import Chooser, log_softmax, top_logprobs, with_defaults
from malmoi.engine.templates import Rendered
from malmoi.engine.torch.encoding import Encoder

# What a chunk says: text, reasoning and pieces of tool calls.
_Said: TypeAlias = tuple[str, str, tuple[ToolCallDelta, ...]]


@dataclass(slots=True)
class Answer:
    """One answer: its ids so far, its chooser, and the text that is not out yet."""

    encoder: Encoder
    ids: list[int]
    prompt_tokens: int
    sampling: Sampling
    limit: int
    chooser: Chooser
    text: Detokenizer
    stops: StopBuffer
    parser: OutputParser | None
    cache: Any = None
    computed: int = 0
    generated: int = 0
    reasoning_tokens: int = 0
    called: bool = False

    def take(self, logits: NDArray[np.float32]) -> tuple[Chunk, FinishReason | None]:
        """Choose the next token by the logits (V,); the reason when it is the last."""
        # Without end tokens the model could stop only by its limit.
        token = self.chooser.choose(logits, forbidden=self.encoder.ends if self.sampling.ignore_eos else ())
        self.ids.append(token)
        self.generated += 1
        reason: FinishReason | None = None
        raw = ""
        if token in self.encoder.ends:
            reason = "stop"
        else:
            raw = self.stops.push(self.text.push(token))
            if self.stops.stopped:
                reason = "stop"
            elif self.generated >= self.limit:
                reason = "length"
        deltas = self._parsed(raw)
        logprobs = () if self.sampling.top_logprobs is None else (self._logprob(logits, token),)
        if any(delta.reasoning for delta in deltas):
            self.reasoning_tokens += 1
        text, reasoning, calls = self._joined(deltas)
        return Chunk(text, reasoning, calls, token_ids=(token,), logprobs=logprobs), reason

    def end(self, reason: FinishReason, *, prompt_seconds: float, completion_seconds: float) -> Chunk:
        """The last chunk: what was still held back, why it ended, and what it took."""
        raw = ""
        if not self.stops.stopped:
            raw = self.stops.push(self.text.finish())
            raw += self.stops.finish()
        deltas = self._parsed(raw)
        if self.parser is not None:
            deltas += self.parser.finish()
        text, reasoning, calls = self._joined(deltas)
        usage = Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.generated,
            reasoning_tokens=self.reasoning_tokens,
            prompt_seconds=prompt_seconds,
            completion_seconds=completion_seconds,
        )
        if reason == "stop" and self.called:
            reason = "tool_calls"
        return Chunk(text, reasoning, calls, finish_reason=reason, usage=usage)

    def _parsed(self, raw: str) -> list[ParsedDelta]:
        if self.parser is not None:
            return self.parser.push(raw) if raw else []
        return [ParsedDelta(text=raw)] if raw else []

    def _logprob(self, logits: NDArray[np.float32], token: int) -> TokenLogprob:
        """Of the model itself, before penalties and temperature."""
        logprobs = log_softmax(logits)
        best = top_logprobs(logprobs, self.sampling.top_logprobs or 0)
        top = tuple((self.encoder.decode([other]), logprob) for other, logprob in best)
        return TokenLogprob(self.encoder.decode([token]), float(logprobs[token]), token, top)

    def _joined(self, deltas: Sequence[ParsedDelta]) -> _Said:
        calls = tuple(call for delta in deltas for call in delta.tool_calls)
        self.called = self.called or bool(calls)
        return "".join(d.text for d in deltas), "".join(d.reasoning for d in deltas), calls


def begin_answer(encoder: Encoder, info: EngineInfo, prompt: Prompt, sampling: Sampling) -> Answer:
    """An answer to a prompt, before its first token.

    Raises:
        InvalidInput: a token id is not one of the model's.
        ContextOverflow: the prompt leaves no room for an answer.
    """
    ids, rendered = encoder.prompt_ids(prompt)
    prompt_tokens = len(ids)
    room = info.context_length - prompt_tokens
    if room < 1:
        raise ContextOverflow(prompt_tokens, info.context_length)
    if not ids:
        ids.append(encoder.start_id())
    sampling = with_defaults(sampling, info.sampling_defaults)
    parser, stops = _parser_of(prompt, rendered, sampling)
    decode = partial(encoder.decode, keep_special=rendered is not None and rendered.keep_special)
    return Answer(
        encoder=encoder,
        ids=list(ids),
        prompt_tokens=len(ids),
        sampling=sampling,
        limit=room if sampling.max_tokens is None else min(room, sampling.max_tokens),
        chooser=Chooser(sampling, ids, vocab_size=encoder.vocab_size),
        text=Detokenizer(decode, before=ids[-4:]),
        stops=StopBuffer(stops),
        parser=parser,
    )


def _parser_of(
    prompt: Prompt, rendered: Rendered | None, sampling: Sampling
) -> tuple[OutputParser | None, tuple[str, ...]]:
    """What reads a chat's answer, and all strings that end it."""
    if rendered is None or not isinstance(prompt, Chat):
        return None, sampling.stop
    parser = parser_for(
        rendered.style,
        tools=prompt.tools,
        thinking=prompt.thinking,
        prefix=rendered.prefix,
        tool_choice=prompt.tool_choice,
    )
    return parser, (*sampling.stop, *rendered.stop)
