"""Whatever a model writes: cutting changes nothing, nothing is lost, and time is linear."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import UnknownName
from malmoi.core.types import Tool, ToolChoice
from malmoi.engine.base import ToolCallDelta
from malmoi.engine.parsers import Parsed, ParsedDelta, collect, parser_for, random_id, rules_for, start, step

TOOLS = (
    Tool("now"),
    Tool("f", parameters={"properties": {"s": {"type": "string"}, "n": {"type": "integer"}}}),
)
STYLES = ("qwen", "chatml", "gemma", "hyperclovax-2024", "hyperclovax-seed", "hyperclovax-think", "plain")
FRAGMENTS = (
    *(
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<tools>",
        "</tools>",
        "```json\n",
        "```",
        "\n",
        " ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        '"',
        ",",
        ":",
        "\\",
        "name",
        "arguments",
        '{"name": "now", "arguments": ',
        "{}",
        "now",
    ),
    *(
        '{"name": "f", "arguments": {"s": "x"}}',
        "<arg_key>s</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "`",
        "<",
    ),
    *(
        "<|im_end|>",
        "<|im_start|>assistant",
        "/think\n",
        " -> tool/function_call\n",
        "<|endofturn|>",
        "가",
        "a",
        "1",
    ),
    *("f\n", '"name": "f"', "<|im_", "</", "\\u", "\\ud83d", "d", "<arguments>", "</arguments>"),
)
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)


def parse(style: str, pieces: list[str], tools: tuple[Tool, ...] = TOOLS) -> Parsed:
    parser = parser_for(style, tools=tools, prefix="", new_id=str)
    return collect([delta for piece in pieces for delta in parser.push(piece)] + parser.finish())


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(STYLES), texts, st.data())
def test_cutting_changes_nothing(style: str, text: str, data: st.DataObject) -> None:
    whole = parse(style, [text])
    assert parse(style, list(text)) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    assert parse(style, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == whole


@settings(max_examples=300, deadline=None)
@given(st.text(), st.sampled_from(["plain", "chatml", "qwen"]))
def test_text_without_markers_comes_through(text: str, style: str) -> None:
    text = text.replace("<", "(")
    assert parse(style, [text], tools=()) == Parsed(text)


@settings(max_examples=300, deadline=None)
@given(texts, st.sampled_from(STYLES))
def test_stop_markers_never_show(text: str, style: str) -> None:
    parsed = parse(style, list(text))
    if style in ("qwen", "hyperclovax-think"):
        assert "<|im_end|>" not in parsed.text + parsed.reasoning
    if style == "hyperclovax-seed":
        assert "<|endofturn|>" not in parsed.text + parsed.reasoning


def test_calls_stream() -> None:
    """Name and id come first, then the arguments as they are written; nothing waits for the end."""
    parser = parser_for("qwen", tools=TOOLS, new_id=lambda index: f"call_{index}")
    assert parser.push('Well.\n<tool_call>\n{"name": "f"') == [
        ParsedDelta(text="Well."),
        ParsedDelta(tool_calls=(ToolCallDelta(0, "call_0", "f"),)),
    ]
    assert parser.push(', "arguments": {"s"') == [
        ParsedDelta(tool_calls=(ToolCallDelta(0, arguments='{"s"'),))
    ]
    assert parser.push(': "x') == [ParsedDelta(tool_calls=(ToolCallDelta(0, arguments=': "x'),))]
    assert parser.push('"}}\n</tool_') == [ParsedDelta(tool_calls=(ToolCallDelta(0, arguments='"}'),))]
    assert parser.push("call>") == []
    assert parser.finish() == []
    assert parser.push("more") == []


def test_pairs_stream() -> None:
    parser = parser_for("hyperclovax-think", tools=TOOLS, thinking=False, new_id=str)
    assert parser.push("<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>ab")[-1] == ParsedDelta(
        tool_calls=(ToolCallDelta(0, "0", "f", '{"s": "ab'),)
    )
    assert parser.push("c</arg_") == [ParsedDelta(tool_calls=(ToolCallDelta(0, arguments="c"),))]
    assert parser.push("value></tool_call>") == [ParsedDelta(tool_calls=(ToolCallDelta(0, arguments='"}'),))]


def test_text_streams_at_once() -> None:
    parser = parser_for("qwen", tools=TOOLS)
    assert parser.push("안녕") == [ParsedDelta(text="안녕")]
    assert parser.push("하세") == [ParsedDelta(text="하세")]
    assert parser.push("요 <") == [ParsedDelta(text="요")]
    assert parser.push("b") == [ParsedDelta(text=" <b")]


def test_choice_none_parses_no_calls() -> None:
    text = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
    parser = parser_for("qwen", tools=TOOLS, tool_choice=ToolChoice("none"))
    assert collect(parser.push(text) + parser.finish()) == Parsed(text)


def test_thinking_without_a_prefix() -> None:
    for style, closing in (
        ("hyperclovax-think", "</think>\n\n"),
        ("hyperclovax-seed", "<|im_end|>\n<|im_start|>assistant\n"),
    ):
        parser = parser_for(style, thinking=True)
        assert collect(parser.push(f"음{closing}답") + parser.finish()) == Parsed("답", "음")
        parser = parser_for(style, thinking=False)
        assert collect(parser.push("답") + parser.finish()) == Parsed("답")


def test_unknown_style() -> None:
    with pytest.raises(UnknownName, match="qwen"):
        parser_for("qwne")


def test_ids_differ() -> None:
    assert random_id(0) != random_id(0)


HOSTILE = {
    "angles": "<" * 100_000,
    "ticks": "`" * 100_000,
    "fences": "```\n" * 25_000,
    "fence heads": "```json\n" * 12_500,
    "json fences": "```json\n{" * 11_000,
    "braces": "{" * 100_000,
    "brace lines": "{\n" * 50_000,
    "brackets": "[\n" * 50_000,
    "half calls": '{"name":\n' * 11_000,
    "nested": '{"a":\n' * 16_000,
    "tags": "<tool_call>" * 9_000,
    "tags with braces": "<tool_call>{" * 8_000,
    "tag beginnings": "<tool_cal" * 11_000,
    "names": '<tool_call>{"name": "' + "a" * 100_000,
    "keys": '<tool_call>{"' + "a" * 100_000,
    "numbers": '<tool_call>{"name": "now", "arguments": ' + "1" * 100_000,
    "blanks": " " * 100_000,
    "line ends": "\n" * 100_000,
    "thoughts": "<think>" * 14_000,
    "blank thought": "<think>" + " " * 100_000 + "a" + "\n" * 100_000,
    "ends of thoughts": "<think>" + "</thin" * 16_000,
    "escapes": '<tool_call>{"name": "now", "arguments": "' + "\\" * 100_000,
    "surrogates": '<tool_call>{"name": "now", "arguments": "' + "\\ud83d" * 16_000,
    "deep arguments": '<tool_call>{"name": "now", "arguments": ' + "[" * 100_000,
    "calls": '<tool_call>{"name": "now", "arguments": {}}</tool_call>\n' * 1_800,
    "keys of pairs": "<tool_call>now\n<arg_key>" + "a" * 100_000,
    "values": "<tool_call>f\n<arg_key>n</arg_key><arg_value>" + "1" * 100_000,
    "long strings": "<tool_call>f\n<arg_key>s</arg_key><arg_value>" + "</arg" * 20_000,
    "pairs": "<tool_call>f\n" + "<arg_key>n</arg_key>\n<arg_value>1</arg_value>" * 2_000,
    "blocks": "<|im_start|>assistant\n" * 4_500,
    "block ends": "<|im_end|>" * 10_000,
    "block beginnings": "<|im_" * 20_000,
    "call blocks": " -> tool/function_call\n" + "[" * 100_000,
}


# Many small refused calls: linear, but with a large factor.
SLOW = {"brackets", "half calls", "tags with braces", "brace lines", "surrogates", "escapes", "tags"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_output_takes_linear_time(name: str) -> None:
    """A step does bounded work for each new character: it is quick, and what is kept stays small."""
    text = HOSTILE[name]
    if name in SLOW:
        text = text[:30_000]
    pairs = "<tool_call>f\n" in text or "<tool_call>now\n" in text
    style = "hyperclovax-seed" if "block" in name else "hyperclovax-think" if pairs else "qwen"
    began = time.process_time()
    parse(style, [text])
    assert time.process_time() - began < 10  # quadratic work on 100,000 characters takes minutes
    rules = rules_for(style, tools=TOOLS, new_id=str)
    state = start(rules)
    for place in range(0, len(text), 99):
        state, _ = step(rules, state, text[place : place + 99])
        if place % 25 == 0:
            assert len(repr(state)) < 80_000
