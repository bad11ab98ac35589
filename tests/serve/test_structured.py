import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.base import Completion
from malmoi.serve.structured import AnswerCheck, SchemaCheck, ask_again, call_schema, forced_call, instruct


def check(schema: object) -> SchemaCheck:
    return SchemaCheck(schema, field="response_format")


@pytest.mark.parametrize(
    ("schema", "text", "fits"),
    [
        ({"type": "object"}, "{}", True),
        ({"type": "object"}, "[]", False),
        ({"type": "object"}, "{} extra", False),
        ({"type": "number"}, "NaN", False),
        ({"type": "string", "pattern": "^[가-힣]+$"}, '"말모이"', True),
        ({"type": "string", "pattern": "^[가-힣]+$"}, '"malmoi"', False),
        (
            {"patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": False},
            '{"n1": 1}',
            True,
        ),
        (
            {"patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": False},
            '{"m": 1}',
            False,
        ),
        ({"patternProperties": {"^n": {"type": "integer"}}}, '{"n": "x"}', False),
        ({"additionalProperties": {"type": "integer"}}, '{"a": 1}', True),
        ({"additionalProperties": {"type": "integer"}}, '{"a": "x"}', False),
        ({"$defs": {"a": {"type": "integer"}}, "items": {"$ref": "#/$defs/a"}}, "[1, 2]", True),
        ({"$defs": {"a": {"type": "integer"}}, "items": {"$ref": "#/$defs/a"}}, '["x"]', False),
    ],
)
def test_answers_are_checked(schema: dict, text: str, fits: bool) -> None:
    assert (check(schema).complaint_about_text(text) is None) is fits


def test_a_complaint_says_where_and_what() -> None:
    schema = {"properties": {"people": {"items": {"properties": {"age": {"type": "integer"}}}}}}
    complaint = check(schema).complaint({"people": [{"age": "old"}]})
    assert complaint is not None
    assert '$["people"][0]["age"]' in complaint
    assert "old" in complaint


@pytest.mark.parametrize(
    "schema",
    [
        [],
        "text",
        {"type": "nothing"},
        {"type": 3},
        {"$ref": "http://127.0.0.1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json#/a"}}},
        {"pattern": "("},
        {"pattern": "a" * 1000},
        {"patternProperties": {"[": {}}},
        {"description": "x" * 100_000},
    ],
)
def test_schemas_that_are_wrong_or_wild_are_refused(schema: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(schema)
    assert (caught.value.field or "").startswith("response_format")


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict = {}
    for _ in range(40):
        schema = {"items": schema}
    with pytest.raises(InvalidInput, match="deeper"):
        check(schema)


def test_schemas_that_would_take_long_to_check_are_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput, match="more than 2000"):
        check({"anyOf": [{}] * 15_000})
    tools = tuple(Tool(f"f{i}", "", {"anyOf": [{}] * 1_900}) for i in range(128))
    with pytest.raises(InvalidInput, match="together") as caught:
        AnswerCheck(tools, None)
    assert caught.value.field == "tools"
    assert time.process_time() - began < 2.0


def test_a_reference_to_nowhere_is_the_clients_error() -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        check({"$ref": "#/$defs/missing"}).complaint({})


def test_a_schema_without_end_does_not_hang() -> None:
    assert check({"$ref": "#"}).complaint({}) is not None


def test_a_schema_that_branches_without_end_is_stopped() -> None:
    defs = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(28)}
    schema = {"$defs": {**defs, "d28": {"type": "string"}}, "$ref": "#/$defs/d0"}
    began = time.process_time()
    complaint = check(schema).complaint(3)
    assert complaint is not None
    assert time.process_time() - began < 3


def test_a_pattern_without_end_is_stopped() -> None:
    began = time.process_time()
    complaint = check({"pattern": "^(a|aa)+$"}).complaint("a" * 60 + "!")
    assert complaint is not None
    assert time.process_time() - began < 2


@given(st.text(max_size=50))
def test_any_text_is_judged_without_a_crash(text: str) -> None:
    complaint = check({"type": "object"}).complaint_about_text(text)
    try:
        fits = isinstance(json.loads(text), dict)
    except ValueError:
        fits = False
    assert (complaint is None) is fits


CITY = Tool("city", "", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
DEFS = Tool("defs", "", {"$defs": {"a": {}}, "properties": {"x": {"$ref": "#/$defs/a"}}})


def chat(mode: str = "required", name: str | None = None) -> Chat:
    return Chat((Message("user", "x"),), tools=(CITY, DEFS), tool_choice=ToolChoice(mode, name))  # type: ignore[arg-type]


def test_the_schema_of_a_call_holds_name_and_arguments() -> None:
    schema = call_schema((CITY, DEFS))
    it = check(schema)
    assert it.complaint({"name": "city", "arguments": {"n": 1}}) is None
    assert it.complaint({"name": "city", "arguments": {}}) is not None
    assert it.complaint({"name": "defs", "arguments": {"x": 1}}) is None
    assert it.complaint({"name": "other", "arguments": {}}) is not None


def test_a_forced_call_is_read_from_text() -> None:
    answer = forced_call(Completion('{"name": "city", "arguments": {"n": 1}}', "stop"), chat())
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("city", '{"n": 1}')]
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")
    for text in ("no", "[]", '{"name": "city"}', '{"name": "rm", "arguments": {}}'):
        unchanged = forced_call(Completion(text, "stop"), chat())
        assert unchanged.tool_calls == ()
    other = Completion("", "tool_calls", tool_calls=(ToolCall("1", "defs", "{}"),))
    assert forced_call(other, chat("function", "city")).tool_calls == ()


def test_checks_of_calls() -> None:
    it = AnswerCheck((CITY,), None, forced=True)
    assert it.complaint(Completion("text", "stop")) == "a function must be called."
    fine = Completion("", "tool_calls", tool_calls=(ToolCall("1", "city", '{"n": 1}'),))
    assert it.complaint(fine) is None
    empty = Completion("", "tool_calls", tool_calls=(ToolCall("1", "city", ""),))
    assert "required" in (it.complaint(empty) or "")


def test_instructions_go_into_the_system_message() -> None:
    with_system = Chat((Message("system", "be kind"), Message("user", "x")))
    first = instruct(with_system, "json_schema.txt", {"type": "object"}).messages[0]
    assert first.content.startswith("be kind")
    assert '{"type": "object"}' in first.content
    assert instruct(chat(), "json_schema.txt", {}).messages[0].role == "system"
    again = ask_again(chat(), Completion("wrong", "stop"), "too short").messages
    assert [message.role for message in again] == ["user", "assistant", "user"]
    assert "too short" in again[-1].content
