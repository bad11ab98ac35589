"""The engine protocol: what every way of running a model looks like to the rest of the house.

A prompt is text, token ids, or a `Chat`. Text and ids are continued as they are and come back as raw text; a
`Chat` is rendered by the engine with its model's own template, and what comes back is parsed: visible text,
reasoning and tool calls arrive apart. So no caller ever writes a control token.

An engine implements what it can and says so in `info.capabilities`; asking for more raises `Unsupported`.
Cancelling or closing the iterator of `stream` stops the generation and frees the engine's slot.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from malmoi.core.types import Chat, FinishReason, JsonSchema, ToolCall

Prompt: TypeAlias = str | tuple[int, ...] | Chat

Role: TypeAlias = Literal["query", "passage"]
"""What a text that is embedded is: encoders for search treat questions and what answers them differently.
Texts of one kind that are compared with each other are all queries."""

Capability: TypeAlias = Literal[
    "generate",  # stream, generate
    "chat",  # Chat prompts (a model without a template has no chat)
    "tools",  # Chat.tools
    "logprobs",  # Sampling.top_logprobs
    "grammar",  # Sampling.grammar and Sampling.json_schema constrain the output
    "score",
    "embed",
    "tokenize",
    "adapters",  # Sampling.adapters
]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose tokens; None means the model's own default, else the usual value of the field.

    Attributes:
        max_tokens: most tokens to generate; None: up to the end of the context.
        temperature: 0 is greedy.
        top_k: 0 turns it off.
        repetition_penalty: 1.0 turns it off (Keskar et al. 2019, CTRL).
        seed: the same seed and request give the same text on the same engine; None: random.
        stop: strings that end the text; they are not part of it.
        top_logprobs: None: no logprobs; 0: of the chosen tokens; k > 0: and of the k likeliest at each place.
        grammar: GBNF. At most one of `grammar` and `json_schema`.
        json_schema: the text will be JSON for this schema, where the engine has the capability `grammar`.
        adapters: adapter name -> scale.
        ignore_eos: go on to `max_tokens` (benchmarks).
        cache_prompt: reuse the keys and values of a prefix that a slot still holds.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    grammar: str | None = None
    json_schema: JsonSchema | None = None
    adapters: Mapping[str, float] = field(default_factory=dict)
    ignore_eos: bool = False
    cache_prompt: bool = True


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, its natural-log probability, and the likeliest alternatives (`(token, logprob)`)."""

    token: str
    logprob: float
    token_id: int | None = None
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts in tokens, times in seconds; `cached_tokens` of the prompt did not have to be computed."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_seconds: float = 0.0
    completion_seconds: float = 0.0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the `index`-th tool call; `id` and `name` come first, `arguments` in fragments."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a stream yields. The last chunk has `finish_reason` and `usage`; no chunk comes after it."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer; `sampled` is True for each token id that the model chose, False where it was forced."""

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    token_ids: tuple[int, ...] = ()
    sampled: tuple[bool, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Score:
    """The log-probability of a continuation, and whether greedy decoding would have written it.

    `context_tokens` come before it; 0 where the engine does not tell.
    """

    logprob: float
    token_logprobs: tuple[float, ...]
    is_greedy: bool
    context_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        """How many tokens the continuation has."""
        return len(self.token_logprobs)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is and can do. Lengths are in tokens; `num_slots` requests run at the same time."""

    name: str
    kind: str
    capabilities: frozenset[Capability]
    context_length: int
    num_slots: int = 1
    embedding_size: int | None = None
    adapters: tuple[str, ...] = ()
    sampling_defaults: Sampling = Sampling()
    description: str = ""


@runtime_checkable
class Engine(Protocol):
    """A running model. Safe for concurrent use within one event loop."""

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits; known as soon as the engine is open."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Generate, piece by piece.

        Raises:
            ContextOverflow: the prompt does not fit.
            Unsupported: the engine has not the capability.
            EngineUnavailable: the engine is restarting or gone.
        """
        ...

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Generate for many prompts, in their order, as many at a time as the engine can."""
        ...

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """The log-probability of each (context, continuation); a space between belongs to the latter."""
        ...

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """One unit-length vector a text: (N, D). Engines that make no difference of roles ignore theirs."""
        ...

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that `prompt` becomes, control tokens included."""
        ...

    async def close(self) -> None:
        """Stop and free everything; requests under way end with `EngineUnavailable`."""
        ...
