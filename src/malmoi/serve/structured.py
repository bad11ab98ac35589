"""Structured answers: schemas of clients are bounded before use, answers are checked before they are sent.

An engine's grammar can fail open, and an engine without one only reads the instruction, so every answer to
a JSON schema and every tool call is validated here. A schema is data from a stranger: its size, depth and
patterns are bounded, it refers to nothing outside itself, and one validation has a budget of steps and each
pattern a time limit.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat, FinishReason, JsonSchema, Message, Tool, ToolCall
from malmoi.engine.base import Completion, Prompt

ANY_OBJECT: JsonSchema = {"type": "object"}
"""What `response_format: json_object` asks for."""

_MAX_SCHEMA_BYTES = 64 * 1024
_MAX_SCHEMA_DEPTH = 32
_MAX_SCHEMA_PARTS = 2000  # objects and lists; checking one takes about a millisecond
_MAX_ALL_PARTS = 4000  # of all schemas of a request
_MAX_PATTERN = 512  # characters
_CHECK_SECONDS = 0.5  # of one validation: the server's other requests wait for it
_STEPS_PER_LOOK = 64  # keyword applications between two looks at the clock
_PATTERN_SECONDS = 0.1
_SHOWN = 300  # characters of a complaint


class _OverBudget(Exception):
    """A validation took more steps, or a pattern more time, than any honest schema needs."""


class SchemaCheck:
    """A client's schema, bounded and ready to check answers.

    Args:
        schema: a JSON Schema (draft 2020-12).
        field: the path of the schema in the request, for messages.

    Raises:
        InvalidInput: it is no JSON Schema, or is larger, deeper or wilder than is allowed.
    """

    def __init__(self, schema: Any, *, field: str) -> None:
        if not isinstance(schema, Mapping):
            raise InvalidInput("a JSON schema must be an object.", field=field)
        _check_bounds(schema, field)
        self.schema: JsonSchema = schema
        self._field = field
        self._steps = 0
        self._deadline = 0.0
        try:
            Draft202012Validator.check_schema(dict(schema))
        except SchemaError as error:
            path = ".".join([field, *map(str, error.absolute_path)])
            raise InvalidInput(f"not a JSON Schema: {error.message[:_SHOWN]}", field=path) from error
        counted = {
            name: self._counted(_SAFE_KEYWORDS.get(name, apply))
            for name, apply in Draft202012Validator.VALIDATORS.items()
        }
        bounded: Any = extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]
        self._validator = bounded(dict(schema))

    def complaint(self, value: Any) -> str | None:
        """What is wrong with a parsed answer, in a sentence for the model and for people; None: it fits."""
        self._deadline = time.perf_counter() + _CHECK_SECONDS
        try:
            error = best_match(self._validator.iter_errors(value))
        except _OverBudget as over:
            return str(over)
        except RecursionError:
            return "the schema refers to itself without end."
        except Exception as unresolved:
            # A $ref to nowhere surfaces as one of several classes of the `referencing` library.
            if type(unresolved).__name__ not in {
                "_WrappedReferencingError",
                "Unresolvable",
                "PointerToNowhere",
            }:
                raise
            raise InvalidInput("the schema has a $ref that leads nowhere.", field=self._field) from unresolved
        if error is None:
            return None
        place = "".join(f"[{json.dumps(part, ensure_ascii=False)}]" for part in error.absolute_path)
        return f"at ${place}: {error.message[:_SHOWN]}"

    def complaint_about_text(self, text: str) -> str | None:
        """The same for an answer as text."""
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            return f"the answer is not JSON: {error}"
        return self.complaint(value)

    def _counted(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def step(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            self._steps += 1
            if self._steps % _STEPS_PER_LOOK == 0 and time.perf_counter() > self._deadline:
                raise _OverBudget("the answer could not be checked: its schema branches too much.")
            yield from apply(validator, value, instance, schema) or ()

        return step


class AnswerCheck:
    """What an answer to one request must hold: its text fits `json_schema`, its calls fit their tools.

    Args:
        tools: the functions that may be called.
        json_schema: what the text must be, when no function is called.
        forced: a function must be called.

    Raises:
        InvalidInput: a schema is not acceptable; `field` names which.
    """

    def __init__(
        self, tools: tuple[Tool, ...], json_schema: JsonSchema | None, *, forced: bool = False
    ) -> None:
        # The sum comes first, since checking is what takes time.
        if sum(_num_parts(tool.parameters) for tool in tools) > _MAX_ALL_PARTS:
            raise InvalidInput(
                f"the tools' schemas have more than {_MAX_ALL_PARTS} objects and lists together.",
                field="tools",
                fix="Offer fewer or simpler tools.",
            )
        self._tools = {
            tool.name: SchemaCheck(tool.parameters, field=f"tools.{index}.function.parameters")
            for index, tool in enumerate(tools)
        }
        self._text = None if json_schema is None else SchemaCheck(json_schema, field="response_format")
        self._forced = forced

    def complaint(self, answer: Completion) -> str | None:
        """What is wrong with an answer; None: it may be sent."""
        for call in answer.tool_calls:
            check = self._tools.get(call.name)
            if check is None:
                return f"there is no function {call.name!r}; there are: {', '.join(self._tools) or 'none'}."
            wrong = check.complaint_about_text(call.arguments or "{}")
            if wrong is not None:
                return f"the arguments of {call.name!r} are wrong: {wrong}"
        if answer.tool_calls:
            return None
        if self._forced:
            return "a function must be called."
        return None if self._text is None else self._text.complaint_about_text(answer.text)


def allowed_tools(chat: Chat) -> tuple[Tool, ...]:
    """The tools that the request's tool choice leaves."""
    if chat.tool_choice.mode != "function":
        return chat.tools
    return tuple(tool for tool in chat.tools if tool.name == chat.tool_choice.name)


def call_schema(tools: tuple[Tool, ...]) -> JsonSchema:
    """The schema of one call of any of `tools`: `{"name": ..., "arguments": {...}}`."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _without_definitions(tool.parameters)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def forced_call(answer: Completion, prompt: Prompt) -> Completion:
    """The answer to a forced call, as a call: an engine held to `call_schema` writes it as text."""
    if not isinstance(prompt, Chat) or prompt.tool_choice.mode not in ("required", "function"):
        return answer
    calls = answer.tool_calls
    if not calls:
        try:
            written = json.loads(answer.text)
            arguments = json.dumps(written["arguments"], ensure_ascii=False)
            calls = (
                ToolCall(id=f"call_{secrets.token_hex(12)}", name=str(written["name"]), arguments=arguments),
            )
        except (ValueError, LookupError, TypeError, RecursionError):
            return answer  # not a call; `AnswerCheck` complains
    allowed = {tool.name for tool in allowed_tools(prompt)}
    if any(call.name not in allowed for call in calls):
        return answer if not answer.tool_calls else replace(answer, tool_calls=())
    reason: FinishReason = "length" if answer.finish_reason == "length" else "tool_calls"
    return replace(answer, text="", tool_calls=calls, finish_reason=reason)


def instruct(chat: Chat, instruction: str, schema: JsonSchema) -> Chat:
    """The same conversation with an instruction and the schema in its system message.

    Engines that are held to a grammar get it too: a model that does not know the form fights the grammar.
    """
    text = _prompt(instruction).replace("{schema}", json.dumps(schema, ensure_ascii=False))
    first, *rest = chat.messages
    if first.role == "system":
        return replace(chat, messages=(replace(first, content=f"{first.content}\n\n{text}"), *rest))
    return replace(chat, messages=(Message("system", text), *chat.messages))


def ask_again(chat: Chat, answer: Completion, complaint: str) -> Chat:
    """The conversation with the wrong answer and what is wrong with it, for a second try."""
    wrong = answer.text or "\n".join(
        json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
        for call in answer.tool_calls
    )
    text = _prompt("json_repair.txt").replace("{complaint}", complaint)
    return replace(chat, messages=(*chat.messages, Message("assistant", wrong), Message("user", text)))


def _prompt(name: str) -> str:
    return files("malmoi.serve").joinpath("prompts", name).read_text(encoding="utf-8").strip()


def _without_definitions(parameters: JsonSchema) -> JsonSchema:
    """A schema with definitions cannot be nested as it is: its references are relative to its root."""
    return {"type": "object"} if "$defs" in parameters or "definitions" in parameters else parameters


def _num_parts(schema: Any) -> int:
    """How many objects and lists a schema has."""
    parts, pending = 0, [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping | list):
            parts += 1
            pending += node.values() if isinstance(node, Mapping) else node
    return parts


def _check_bounds(schema: Mapping[str, Any], field: str) -> None:
    if _num_parts(schema) > _MAX_SCHEMA_PARTS:
        raise InvalidInput(f"the schema has more than {_MAX_SCHEMA_PARTS} objects and lists.", field=field)
    pending: list[tuple[Any, int]] = [(schema, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > _MAX_SCHEMA_DEPTH:
            raise InvalidInput(f"the schema is nested deeper than {_MAX_SCHEMA_DEPTH} levels.", field=field)
        if isinstance(node, Mapping):
            _check_node(node, field)
            pending += [(child, depth + 1) for child in node.values()]
        elif isinstance(node, list):
            pending += [(child, depth + 1) for child in node]
    if len(json.dumps(schema, ensure_ascii=False).encode("utf-8", "replace")) > _MAX_SCHEMA_BYTES:
        raise InvalidInput(f"the schema is larger than {_MAX_SCHEMA_BYTES} bytes.", field=field)


def _check_node(node: Mapping[str, Any], field: str) -> None:
    for key in ("$ref", "$dynamicRef"):
        target = node.get(key)
        if isinstance(target, str) and not target.startswith("#"):
            raise InvalidInput(f"{key} {target[:80]!r} leads outside the schema.", field=field)
    patterns = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
    by_pattern = node.get("patternProperties")
    if isinstance(by_pattern, Mapping):
        patterns += [key for key in by_pattern if isinstance(key, str)]
    for pattern in patterns:
        if len(pattern) > _MAX_PATTERN:
            raise InvalidInput(f"a pattern is longer than {_MAX_PATTERN} characters.", field=field)
        try:
            regex.compile(pattern)
        except (regex.error, OverflowError, RecursionError) as error:
            raise InvalidInput(f"the pattern {pattern[:80]!r} is wrong: {error}.", field=field) from error


def _search(pattern: str, text: str) -> bool:
    try:
        return regex.search(pattern, text, timeout=_PATTERN_SECONDS) is not None
    except TimeoutError:
        raise _OverBudget(f"the pattern {pattern[:80]!r} takes too long.") from None


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _search(pattern, instance):
        yield ValidationError(f"{instance[:80]!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, by_pattern: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in by_pattern.items():
        for key, value in instance.items():
            if _search(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, extra: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    # The library's own version searches patternProperties with `re`, which has no time limit.
    if not isinstance(instance, dict):
        return
    patterns = list(schema.get("patternProperties", ()))
    for key, value in instance.items():
        if key in schema.get("properties", ()) or any(_search(pattern, key) for pattern in patterns):
            continue
        if extra is False:
            yield ValidationError(f"the property {key[:80]!r} is not allowed")
        elif isinstance(extra, Mapping):
            yield from validator.descend(value, extra, path=key)


_SAFE_KEYWORDS: Mapping[str, Callable[..., Any]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
