"""What clients of the Studio API send: names, ranges and defaults as its guide has them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Text = Annotated[str, Field(max_length=8_000_000)]
Effort = Literal["none", "low", "medium", "high"]


class Body(BaseModel):
    """What every request has: unknown fields are ignored, and said to be so in a header."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)


class ContentPart(Body):
    """A part of a message. Models here read text: `type` must be `text`."""

    type: str
    text: Text | None = None


class CalledFunction(Body):
    """A call that an assistant message made."""

    name: str
    arguments: dict[str, JsonValue]
    """An object, not JSON text as in OpenAI's API."""


class ToolCallIn(Body):
    """A tool call in an assistant message."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class MessageIn(Body):
    """One turn. At most one has the role `system`."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Text | list[ContentPart] | None = None
    toolCalls: list[ToolCallIn] | None = None  # noqa: N815
    toolCallId: str | None = None  # noqa: N815
    name: str | None = None


class FunctionIn(Body):
    """A function that may be called."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    """JSON Schema of the arguments object."""


class ToolIn(Body):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: FunctionIn


class FunctionName(Body):
    """A function by its name."""

    name: str


class NamedToolChoice(Body):
    """One function that must be called."""

    type: Literal["function"]
    function: FunctionName


class Thinking(Body):
    """How much to think before the answer."""

    effort: Effort = "low"


class ResponseFormat(Body):
    """The answer must be JSON for this schema."""

    type: Literal["json"]
    schema_: dict[str, JsonValue] = Field(alias="schema")


class ChatV3(Body):
    """`POST /v3/chat-completions/{model}`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)
    topP: float = Field(0.8, gt=0, le=1)  # noqa: N815
    topK: int = Field(0, ge=0, le=128)  # noqa: N815
    maxTokens: int | None = Field(None, ge=1, le=2**31 - 1)  # noqa: N815
    maxCompletionTokens: int | None = Field(None, ge=1, le=2**31 - 1)  # noqa: N815
    """Not together with maxTokens. Default 512; with thinking low 5120, medium 10240, high 20480."""
    temperature: float = Field(0.5, ge=0, le=1)
    repetitionPenalty: float = Field(1.1, gt=0, le=2)  # noqa: N815
    stop: list[str] = Field(default_factory=list)
    """Not together with thinking."""
    seed: int = Field(0, ge=0, le=4294967295)
    """0: a random one, which the answer tells."""
    includeAiFilters: bool = False  # noqa: N815
    """Tell in `aiFilter` how risky the answer is."""
    thinking: Thinking | None = None
    tools: list[ToolIn] | None = Field(None, max_length=128)
    """Not together with thinking."""
    toolChoice: Literal["auto", "none"] | NamedToolChoice | None = None  # noqa: N815
    responseFormat: ResponseFormat | None = None  # noqa: N815
    """Not together with thinking."""


class ChatV1(Body):
    """`POST /v1/chat-completions/{model}`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)
    temperature: float = Field(0.5, gt=0, le=1)
    topK: int = Field(0, ge=0, le=128)  # noqa: N815
    topP: float = Field(0.8, gt=0, le=1)  # noqa: N815
    repeatPenalty: float = Field(5.0, gt=0, le=10)  # noqa: N815
    """Stands for a repetition penalty of 1 + repeatPenalty / 50, so that the default is that of v3."""
    stopBefore: list[str] = Field(default_factory=list)  # noqa: N815
    maxTokens: int = Field(100, ge=1, le=4096)  # noqa: N815
    includeAiFilters: bool = False  # noqa: N815
    """Tell in `aiFilter` how risky the answer is."""
    seed: int = Field(0, ge=0, le=4294967295)
    """0: a random one, which the answer tells."""


class TokenizeV1(Body):
    """`POST /v1/api-tools/chat-tokenize/{model}`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)


class TokenizeV3(TokenizeV1):
    """`POST /v3/api-tools/chat-tokenize/{model}`."""

    tools: list[ToolIn] | None = Field(None, max_length=128)
    responseFormat: ResponseFormat | None = None  # noqa: N815


class Sliding(Body):
    """`POST /v1/api-tools/sliding/chat-messages/{model}`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)
    maxTokens: int = Field(ge=1, le=2**31 - 1)  # noqa: N815
    """Tokens to keep free for the answer."""


class TextIn(Body):
    """One text."""

    text: Text = Field(min_length=1)


class Status(BaseModel):
    """`20000` and `OK`, or what is wrong."""

    code: str
    message: str


class Envelope(BaseModel):
    """A success; its result depends on the route."""

    status: Status
    result: dict[str, Any]
