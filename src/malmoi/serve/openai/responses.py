"""What OpenAI's API answers, for the OpenAPI document. Answers themselves are made by `render`."""

from typing import Any, Literal

from pydantic import BaseModel


class ModelObject(BaseModel):
    """A model that can be used."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int | None = None


class ModelList(BaseModel):
    """All models that can be used."""

    object: Literal["list"]
    data: list[ModelObject]


class CachedTokens(BaseModel):
    """How the prompt was processed."""

    cached_tokens: int


class ReasoningTokens(BaseModel):
    """What was generated."""

    reasoning_tokens: int


class UsageObject(BaseModel):
    """Counts of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens
    completion_tokens_details: ReasoningTokens


class FunctionCallObject(BaseModel):
    """A call: `arguments` is JSON text that fits the function's parameters."""

    name: str
    arguments: str


class ToolCallObject(BaseModel):
    """A tool call."""

    id: str
    type: Literal["function"]
    function: FunctionCallObject


class AnswerMessage(BaseModel):
    """An answer. `reasoning_content` is there when the model thought before."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallObject] | None = None


class ChatChoice(BaseModel):
    """One answer of several."""

    index: int
    message: AnswerMessage
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls", "abort"]


class ChatCompletion(BaseModel):
    """A whole answer to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageObject


class TextChoice(BaseModel):
    """One continuation."""

    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length", "tool_calls", "abort"]


class TextCompletion(BaseModel):
    """Whole continuations."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageObject


class EmbeddingObject(BaseModel):
    """One vector: numbers, or base64 of 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Counts of tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """All vectors."""

    object: Literal["list"]
    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingUsage


def or_stream(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """A 200 that is JSON, or an event stream when the client asked for one."""
    return {
        200: {
            "model": model,
            "description": "The answer; with `stream` its chunks as server-sent events, up to [DONE].",
            "content": {"text/event-stream": {}},
        }
    }
