"""From requests of OpenAI's API to the house's own words, with checks that pydantic cannot make."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.core.types import Chat, JsonSchema, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.base import Prompt, Sampling
from malmoi.serve.openai.requests import (
    ChatRequest,
    CompletionRequest,
    ContentPart,
    EmbeddingRequest,
    MessageIn,
    NamedToolChoice,
    SamplingFields,
)
from malmoi.serve.structured import ANY_OBJECT

_MAX_STOPS = 16
_MAX_BIASES = 1024
_MAX_PROMPTS = 128
_MAX_TEXTS = 2048
_DEFAULT_COMPLETION = 16  # tokens, as OpenAI's API has it
# Variables of a template that belong to the server, not to the client.
_RESERVED = frozenset({"messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "documents"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request in the house's own words: one prompt or several, and how many answers to each."""

    prompts: tuple[Prompt, ...]
    sampling: Sampling
    choices: int
    stream: bool
    include_usage: bool
    echo: bool = False


def read_chat(body: ChatRequest, *, max_choices: int) -> Wanted:
    """A chat completion.

    Raises:
        InvalidInput: fields contradict each other, or a value is out of range.
        Unsupported: a field asks for what no model here can do.
    """
    if body.model_extra and (body.model_extra.get("functions") or body.model_extra.get("function_call")):
        raise Unsupported("functions and function_call are not possible.", fix="Use tools and tool_choice.")
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        raise InvalidInput("max_tokens and max_completion_tokens contradict each other.", field="max_tokens")
    options = body.chat_template_kwargs or {}
    for name in options:
        if name in _RESERVED:
            raise InvalidInput(
                f"the template variable {name!r} is not a client's.", field="chat_template_kwargs"
            )
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidInput("top_logprobs needs logprobs: true.", field="top_logprobs")
    effort = body.reasoning_effort or (body.reasoning.effort if body.reasoning is not None else None)
    tools = _tools(body)
    chat = Chat(
        messages=tuple(read_message(message, f"messages.{i}") for i, message in enumerate(body.messages)),
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        thinking=None if effort is None else effort != "none",
        template_options=options,
    )
    sampling = _sampling(
        body,
        max_tokens=limits.pop() if limits else None,
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        json_schema=_json_schema(body),
    )
    return _wanted(body, (chat,), sampling, max_choices)


def read_completion(body: CompletionRequest, *, max_choices: int) -> Wanted:
    """A completion. Raises what `read_chat` raises."""
    if body.suffix:
        raise Unsupported("suffix is not possible: the models here write forwards only.")
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise Unsupported("best_of is not possible other than with the value of n.")
    prompts = _prompts(body)
    if body.echo and (body.logprobs is not None or not isinstance(prompts[0], str)):
        raise Unsupported("echo is possible for texts without logprobs only.")
    sampling = _sampling(
        body,
        max_tokens=body.max_tokens or _DEFAULT_COMPLETION,
        top_logprobs=body.logprobs,
        json_schema=None,
    )
    return _wanted(body, prompts, sampling, max_choices, echo=bool(body.echo))


def read_texts(body: EmbeddingRequest) -> list[str]:
    """The texts to embed. Raises what `read_chat` raises."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts:
        raise InvalidInput("there is nothing to embed.", field="input")
    if len(texts) > _MAX_TEXTS:
        raise InvalidInput(f"more than {_MAX_TEXTS} texts in one request.", field="input")
    for index, text in enumerate(texts):
        if isinstance(text, int | list) and not isinstance(text, bool):
            raise Unsupported(
                "token ids cannot be embedded: the sentence encoder reads text.",
                fix="Send text (LangChain: check_embedding_ctx_length=False).",
            )
        if not isinstance(text, str) or not text:
            raise InvalidInput(
                "every text to embed must be a string that is not empty.", field=f"input.{index}"
            )
    return texts


def read_message(message: MessageIn, field: str) -> Message:
    """One turn; `field` is its path for messages."""
    if message.role == "tool" and not message.tool_call_id:
        raise InvalidInput(f"{field}: a tool message needs tool_call_id.", field=f"{field}.tool_call_id")
    calls = message.tool_calls or []
    if calls and message.role != "assistant":
        raise InvalidInput(f"{field}: only an assistant message has tool_calls.", field=f"{field}.tool_calls")
    if message.content is None and message.role != "assistant":
        raise InvalidInput(f"{field}: the message has no content.", field=f"{field}.content")
    reasoning = (message.model_extra or {}).get("reasoning_content")
    return Message(
        role="system" if message.role == "developer" else message.role,
        content=read_content(message.content, f"{field}.content"),
        reasoning=reasoning if isinstance(reasoning, str) else "",
        tool_calls=tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in calls),
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def read_content(content: str | Sequence[ContentPart] | None, field: str) -> str:
    """The text of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for index, part in enumerate(content):
        text = part.text if part.type == "text" else part.refusal if part.type == "refusal" else None
        if part.type not in ("text", "refusal"):
            raise Unsupported(
                f"{field}.{index}: parts of type {part.type[:40]!r} are not possible.",
                fix="The models here read text only.",
            )
        if text is None:
            raise InvalidInput(f"{field}.{index}: the part has no text.", field=f"{field}.{index}.text")
        texts.append(text)
    return "".join(texts)


def _wanted(
    body: SamplingFields,
    prompts: tuple[Prompt, ...],
    sampling: Sampling,
    max_choices: int,
    *,
    echo: bool = False,
) -> Wanted:
    choices = body.n or 1
    if choices > max_choices:
        raise InvalidInput(f"n is {choices}, but this server gives at most {max_choices} answers.", field="n")
    if body.stream_options is not None and not body.stream:
        raise InvalidInput("stream_options needs stream: true.", field="stream_options")
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return Wanted(prompts, sampling, choices, bool(body.stream), usage, echo)


def _sampling(
    body: SamplingFields, *, max_tokens: int | None, top_logprobs: int | None, json_schema: JsonSchema | None
) -> Sampling:
    return Sampling(
        max_tokens=max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=None if body.top_k is None else max(0, body.top_k),
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=read_stops(body.stop),
        top_logprobs=top_logprobs,
        logit_bias=_logit_bias(body.logit_bias),
        json_schema=json_schema,
    )


def read_stops(stop: str | Sequence[str] | None, field: str = "stop") -> tuple[str, ...]:
    """The texts that end an answer."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > _MAX_STOPS:
        raise InvalidInput(f"more than {_MAX_STOPS} stop texts.", field=field)
    if any(not text or len(text) > 256 for text in stops):
        raise InvalidInput("a stop text must have 1 to 256 characters.", field=field)
    return stops


def _logit_bias(biases: dict[str, float] | None) -> dict[int, float]:
    if not biases:
        return {}
    if len(biases) > _MAX_BIASES:
        raise InvalidInput(f"more than {_MAX_BIASES} biases.", field="logit_bias")
    result: dict[int, float] = {}
    for token, bias in biases.items():
        if not (token.isascii() and token.isdigit() and len(token) <= 10 and -100 <= bias <= 100):
            raise InvalidInput("logit_bias maps token ids to numbers from -100 to 100.", field="logit_bias")
        result[int(token)] = bias
    return result


def _prompts(body: CompletionRequest) -> tuple[Prompt, ...]:
    prompt = body.prompt
    if isinstance(prompt, str):
        return (prompt,)
    if not prompt:
        raise InvalidInput("the prompt is empty.", field="prompt")
    if isinstance(prompt[0], int):
        return (tuple(token for token in prompt if isinstance(token, int)),)
    if len(prompt) > _MAX_PROMPTS:
        raise InvalidInput(f"more than {_MAX_PROMPTS} prompts in one request.", field="prompt")
    prompts: list[Prompt] = []
    for index, item in enumerate(prompt):
        if isinstance(item, list) and not item:
            raise InvalidInput("a prompt of no tokens.", field=f"prompt.{index}")
        prompts.append(tuple(item) if isinstance(item, list) else str(item))
    return tuple(prompts)


def _tools(body: ChatRequest) -> tuple[Tool, ...]:
    if body.tool_choice == "none":
        return ()
    tools: dict[str, Tool] = {}
    for index, tool in enumerate(body.tools or ()):
        function = tool.function
        if function.name in tools:
            raise InvalidInput(
                f"two tools are named {function.name!r}.", field=f"tools.{index}.function.name"
            )
        parameters = function.parameters or {"type": "object", "properties": {}}
        tools[function.name] = Tool(function.name, function.description or "", parameters)
    return tuple(tools.values())


def _tool_choice(body: ChatRequest, tools: Sequence[Tool]) -> ToolChoice:
    choice = body.tool_choice
    if choice is None or isinstance(choice, str):
        if choice == "required" and not tools:
            raise InvalidInput("tool_choice is 'required', but there are no tools.", field="tool_choice")
        return ToolChoice(choice or "auto")
    assert isinstance(choice, NamedToolChoice)
    name = choice.function.name
    if name not in {tool.name for tool in tools}:
        known = ", ".join(tool.name for tool in tools) or "none"
        raise InvalidInput(f"tool_choice names {name!r}, but the tools are: {known}.", field="tool_choice")
    return ToolChoice("function", name)


def _json_schema(body: ChatRequest) -> JsonSchema | None:
    wanted = body.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ANY_OBJECT
    if wanted.json_schema is None:
        raise InvalidInput("response_format needs json_schema.", field="response_format.json_schema")
    return wanted.json_schema.schema_


def arguments_object(text: str) -> object:
    """The arguments of a call as JSON, or as the text they are when they are not JSON."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
