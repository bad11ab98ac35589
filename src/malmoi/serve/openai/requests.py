"""What clients of OpenAI's API send. Known fields are checked strictly; unknown ones are ignored and listed.

Clients (SDKs, LangChain, Open WebUI) send fields that a model of ours has no use for. Refusing them would
refuse the client, so they are named in the response header `x-malmoi-ignored` instead.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Text = Annotated[str, Field(max_length=8_000_000)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)


class FunctionCall(_Body):
    """A call that an assistant message made."""

    name: str
    arguments: str
    """JSON text, as the model wrote it."""


class ToolCallIn(_Body):
    """A tool call in an assistant message."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ContentPart(_Body):
    """A part of a message. Models here read text: `type` must be `text` (or `refusal`)."""

    type: str
    text: Text | None = None
    refusal: Text | None = None


class MessageIn(_Body):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None


class FunctionIn(_Body):
    """A function that may be called."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    """JSON Schema of the arguments object."""
    strict: bool | None = None


class ToolIn(_Body):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: FunctionIn


class FunctionName(_Body):
    """A function by its name."""

    name: str


class NamedToolChoice(_Body):
    """One function that must be called."""

    type: Literal["function"]
    function: FunctionName


class JsonSchemaIn(_Body):
    """A named schema."""

    name: str | None = None
    description: str | None = None
    schema_: dict[str, JsonValue] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(_Body):
    """What form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaIn | None = None


class StreamOptions(_Body):
    """How to stream."""

    include_usage: bool | None = None
    """End the stream with a chunk that has the usage and no choice."""


class Reasoning(_Body):
    """How much to think; the same as `reasoning_effort`."""

    effort: Effort | None = None


class SamplingFields(_Body):
    """What chat completions and completions have in common."""

    model: str = ""
    """Name of the model; empty: the server's default."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=128)
    """Number of answers; at most admission.max_choices."""
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    stop: str | list[str] | None = None
    """Up to 16 texts that end the answer."""
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    """0 or -1 turns it off."""
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    """Token id (as text) -> bias between -100 and 100."""
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    user: str | None = None
    """Kept nowhere."""


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    tools: list[ToolIn] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    """False: at most one call an answer."""
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    reasoning_effort: Effort | None = None
    """`none` turns thinking off, anything else on, in models that can think."""
    reasoning: Reasoning | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None
    """Further variables for the model's chat template."""


class CompletionRequest(SamplingFields):
    """`POST /v1/completions`."""

    prompt: Text | list[Text] | list[TokenId] | list[list[TokenId]]
    """One text or several, or their token ids."""
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: bool | None = None
    """Begin the answer with the prompt; for texts, without logprobs."""
    suffix: str | None = None
    """Not possible: only null or empty."""
    best_of: int | None = Field(None, ge=1, le=128)
    """Not possible: only null or the value of `n`."""


class EmbeddingRequest(_Body):
    """`POST /v1/embeddings`."""

    input: Text | list[Any]
    """One text or up to 2048; token ids are not possible."""
    model: str = ""
    encoding_format: Literal["float", "base64"] | None = None
    """`base64`: 32-bit floats, little-endian."""
    dimensions: int | None = Field(None, ge=1)
    """Only the length that the model has."""
    user: str | None = None


def ignored_fields(body: BaseModel, path: str = "") -> list[str]:
    """Fields that the client sent and the server has no use for, as paths."""
    found = [f"{path}{name}" for name in body.model_extra or ()]
    for name in type(body).model_fields:
        value = getattr(body, name)
        if isinstance(value, BaseModel):
            found += ignored_fields(value, f"{path}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            nested = {field for item in value for field in ignored_fields(item, f"{path}{name}.")}
            found += sorted(nested)
    return found


def ignored_header(body: BaseModel) -> dict[str, str]:
    """The header that lists ignored fields, if there are any."""
    shown = [name for name in ignored_fields(body) if name.replace("_", "").replace(".", "").isalnum()]
    shown = [name for name in shown if name.isascii()]
    return {"x-malmoi-ignored": ", ".join(shown[:20])[:1000]} if shown else {}
