import json

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.engine.llamacpp.schema import MAX_BYTES, MAX_COUNT, MAX_DEPTH, check_gbnf, schema_grammar


def test_the_schema_is_in_the_grammar_on_one_line() -> None:
    grammar = schema_grammar({"type": "string", "description": "줄\n바꿈", "x-guidance": {"lenient": False}})
    first, second = grammar.splitlines()
    assert first == "%llguidance {}"
    schema = json.loads(second.removeprefix("start: %json "))
    assert schema["description"] == "줄\n바꿈"
    assert schema["x-guidance"]["lenient"] is True
    assert schema["x-guidance"]["whitespace_flexible"] is False


def test_counts_that_would_take_minutes_to_compile_are_left_to_the_check_of_the_answer() -> None:
    many = 10**8
    grammar = schema_grammar(
        {
            "minItems": many,
            "maxItems": MAX_COUNT,
            "items": {"anyOf": [{"minLength": float(many), "maxLength": 5}, {"const": {"minItems": many}}]},
            "properties": {"minItems": {"type": "string"}},
        }
    )
    schema = json.loads(grammar.splitlines()[1].removeprefix("start: %json "))
    del schema["x-guidance"]
    assert schema == {
        "maxItems": MAX_COUNT,
        "items": {"anyOf": [{"maxLength": 5}, {"const": {"minItems": many}}]},
        "properties": {"minItems": {"type": "string"}},
    }


def nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(depth - 1):
        schema = {"items": schema}
    return schema


def test_depth_and_size_are_limited() -> None:
    schema_grammar(nested(MAX_DEPTH))
    for schema in (
        nested(MAX_DEPTH + 1),
        nested(100_000),
        {"description": "가" * MAX_BYTES},
        {"const": float("nan")},
        {"const": {1, 2}},
        {"const": "\ud800"},
    ):
        with pytest.raises(InvalidInput) as caught:
            schema_grammar(schema)
        assert caught.value.field == "json_schema"


@pytest.mark.parametrize("grammar", ["", " \n", "%llguidance {}\nstart: /a/", "a" * (MAX_BYTES + 1)])
def test_what_is_not_gbnf(grammar: str) -> None:
    with pytest.raises(InvalidInput):
        check_gbnf(grammar)


def test_gbnf_is_passed_on() -> None:
    assert check_gbnf('root ::= "a"') == 'root ::= "a"'
