"""What each kind of model writes, and what must come of it, however the text is cut."""

import pytest

from malmoi.core.types import Tool, ToolCall
from malmoi.engine.parsers import Parsed, collect, finish, parser_for, rules_for, start, step

WEATHER = Tool(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "units": {"type": "array"},
            "code": {"type": "string"},
        },
    },
)
NOW = Tool("now")
TOOLS = (WEATHER, NOW)


def call(index: int, name: str, arguments: str) -> ToolCall:
    return ToolCall(f"id{index}", name, arguments)


def seoul(index: int = 0) -> ToolCall:
    return call(index, "get_weather", '{"city": "서울"}')


CALL = '{"name": "get_weather", "arguments": {"city": "서울"}}'

# style, prefix, what the model writes, what it means
GOLDEN = {
    "text": (
        "chatml",
        "",
        "안녕하세요!\n\n무엇을 도와드릴까요?\n",
        Parsed("안녕하세요!\n\n무엇을 도와드릴까요?\n"),
    ),
    "empty": ("chatml", "", "", Parsed()),
    "blanks": ("chatml", "", " \n ", Parsed(" \n ")),
    "thought": (
        "qwen",
        "",
        "<think>\n음, 그러니까\n\n</think>\n\n답이다.",
        Parsed("답이다.", "음, 그러니까"),
    ),
    "thought after blanks": ("qwen", "", "\n <think>a</think>b", Parsed("b", "a")),
    "thought opened by the prompt": ("qwen", "<think>\n", "a < b\n</think>\n\n응", Parsed("응", "a < b")),
    "empty thought": ("qwen", "", "<think>\n\n</think>\n\n응", Parsed("응")),
    "thought cut off": ("qwen", "", "<think>\na</thi", Parsed("", "a</thi")),
    "tag in a thought": (
        "qwen",
        "",
        "<think>I see </thi and <think></think>x",
        Parsed("x", "I see </thi and <think>"),
    ),
    "thought named later": ("qwen", "", "The <think>tag</think> is", Parsed("The <think>tag</think> is")),
    "tag": ("qwen", "", f"<tool_call>\n{CALL}\n</tool_call>", Parsed("", "", (seoul(),))),
    "text and tag": (
        "qwen",
        "",
        f"볼게요.\n<tool_call>\n{CALL}\n</tool_call>\n",
        Parsed("볼게요.", "", (seoul(),)),
    ),
    "two tags": (
        "qwen",
        "",
        f'<tool_call>\n{CALL}\n</tool_call>\n<tool_call>\n{{"name": "now", "arguments": {{}}}}\n</tool_call>',
        Parsed("", "", (seoul(), call(1, "now", "{}"))),
    ),
    "two calls in a tag": (
        "qwen",
        "",
        f"<tool_call>\n{CALL}\n{CALL}\n</tool_call>",
        Parsed("", "", (seoul(), seoul(1))),
    ),
    "thought and tag": (
        "qwen",
        "",
        f"<think>\n날씨\n</think>\n\n<tool_call>\n{CALL}\n</tool_call>",
        Parsed("", "날씨", (seoul(),)),
    ),
    "text around": (
        "qwen",
        "",
        f"앞\n<tool_call>{CALL}</tool_call>\n뒤",
        Parsed("앞\n뒤", "", (seoul(),)),
    ),
    "unknown name in a tag": (
        "qwen",
        "",
        '<tool_call>{"name": "other", "arguments": {"a": [1, {"b": "}"}]}}</tool_call>',
        Parsed("", "", (call(0, "other", '{"a": [1, {"b": "}"}]}'),)),
    ),
    "brackets and quotes in strings": (
        "qwen",
        "",
        '<tool_call>{"name": "now", "arguments": {"a": "\\"}]</tool_call>\\\\"}}</tool_call>',
        Parsed("", "", (call(0, "now", '{"a": "\\"}]</tool_call>\\\\"}'),)),
    ),
    "arguments first": (
        "qwen",
        "",
        '<tool_call>{"arguments": {"city": "서울"}, "name": "get_weather"}</tool_call>',
        Parsed("", "", (seoul(),)),
    ),
    "arguments as a string": (
        "qwen",
        "",
        '<tool_call>{"name": "get_weather", '
        '"arguments": "{\\"city\\": \\"\\uc11c\\uc6b8 \\ud83d\\ude00\\\\n\\"}"}</tool_call>',
        Parsed("", "", (call(0, "get_weather", '{"city": "서울 😀\\n"}'),)),
    ),
    "null arguments": (
        "qwen",
        "",
        '<tool_call>{"name": "now", "arguments": null}</tool_call>',
        Parsed("", "", (call(0, "now", "{}"),)),
    ),
    "no arguments": (
        "qwen",
        "",
        '<tool_call>{"name": "now"}</tool_call>',
        Parsed("", "", (call(0, "now", "{}"),)),
    ),
    "other keys": (
        "qwen",
        "",
        '<tool_call>{"id": 7, "type": "function", "x": [{"name": 1}], '
        '"name": "now", "arguments": {}}</tool_call>',
        Parsed("", "", (call(0, "now", "{}"),)),
    ),
    "doubled braces": (
        "qwen",
        "",
        '<tool_call>\n{{"name": "get_weather", "arguments": {"city": "서울"}}}\n</tool_call>',
        Parsed("", "", (seoul(),)),
    ),
    "one brace too many": ("qwen", "", f"<tool_call>\n{CALL}}}\n</tool_call>", Parsed("", "", (seoul(),))),
    "one brace too few": ("qwen", "", f"<tool_call>\n{CALL[:-1]}\n</tool_call>", Parsed("", "", (seoul(),))),
    "no closing tag": ("qwen", "", f"<tool_call>\n{CALL}", Parsed("", "", (seoul(),))),
    "wrong tag": ("qwen", "", f"<tools>\n{CALL}\n</tools>", Parsed("", "", (seoul(),))),
    "tag without a call": (
        "qwen",
        "",
        "Write <tool_call>x</tool_call>.",
        Parsed("Write <tool_call>x</tool_call>."),
    ),
    "cut off in the tag": ("qwen", "", "ok\n<tool_ca", Parsed("ok\n<tool_ca")),
    "cut off before the name": ("qwen", "", '<tool_call>\n{"na', Parsed('<tool_call>\n{"na')),
    "cut off after the name": (
        "qwen",
        "",
        '<tool_call>\n{"name": "now", ',
        Parsed("", "", (call(0, "now", ""),)),
    ),
    "cut off in the arguments": (
        "qwen",
        "",
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "서',
        Parsed("", "", (call(0, "get_weather", '{"city": "서'),)),
    ),
    "fence": (
        "qwen",
        "",
        '```json\n{\n  "name": "get_weather",\n  "arguments": {\n    "city": "서울"\n  }\n}\n```',
        Parsed("", "", (call(0, "get_weather", '{\n    "city": "서울"\n  }'),)),
    ),
    "text and fence": (
        "qwen",
        "",
        f"이렇게요:\n\n```json\n{CALL}\n```\n",
        Parsed("이렇게요:", "", (seoul(),)),
    ),
    "two calls in a fence": (
        "qwen",
        "",
        f"```json\n{CALL}\n{CALL}\n```",
        Parsed("", "", (seoul(), seoul(1))),
    ),
    "list in a fence": ("qwen", "", f"```\n[{CALL},\n {CALL}]\n```", Parsed("", "", (seoul(), seoul(1)))),
    "tag in a fence": (
        "qwen",
        "",
        f"```xml\n<tool_call>\n{CALL}\n</tool_call>\n```\n끝",
        Parsed("끝", "", (seoul(),)),
    ),
    "bare": ("qwen", "", CALL, Parsed("", "", (seoul(),))),
    "bare after text": ("qwen", "", f"좋아요.\n  {CALL}\n끝", Parsed("좋아요.\n끝", "", (seoul(),))),
    "bare list": ("qwen", "", f"[{CALL}, {CALL}]", Parsed("", "", (seoul(), seoul(1)))),
    "fence cut off": ("qwen", "", '```json\n{"name": "get_wea', Parsed('```json\n{"name": "get_wea')),
    "fence with another name": (
        "qwen",
        "",
        '```json\n{"name": "김철수", "arguments": {}}\n```\n끝',
        Parsed('```json\n{"name": "김철수", "arguments": {}}\n```\n끝'),
    ),
    "fence without arguments": (
        "qwen",
        "",
        '```json\n{"name": "now", "description": "시각"}\n```\n',
        Parsed('```json\n{"name": "now", "description": "시각"}\n```\n'),
    ),
    "call in other code": (
        "qwen",
        "",
        f"```python\n{CALL}\n```\n",
        Parsed(f"```python\n{CALL}\n```\n"),
    ),
    "code, then a call": (
        "qwen",
        "",
        f"```python\nx = 1\n```\n{CALL}",
        Parsed("```python\nx = 1\n```", "", (seoul(),)),
    ),
    "call within a line": ("qwen", "", f"Say {CALL} now", Parsed(f"Say {CALL} now")),
    "link": ("qwen", "", "[네이버](https://naver.com)\n{x}", Parsed("[네이버](https://naver.com)\n{x}")),
    "ticks": ("qwen", "", "`a` ``b``\n``````````\n`", Parsed("`a` ``b``\n``````````\n`")),
    "stop marker": ("qwen", "", "끝<|im_end|>\n<|im_start|>user\n더", Parsed("끝")),
    "stop marker cut off": ("qwen", "", "끝<|im_en", Parsed("끝<|im_en")),
    "stop marker after a call": (
        "qwen",
        "",
        f"<tool_call>{CALL}</tool_call><|im_end|>",
        Parsed("", "", (seoul(),)),
    ),
    "forced call": (
        "qwen",
        '<tool_call>\n{"name": "',
        f"{CALL[10:]}\n</tool_call>",
        Parsed("", "", (seoul(),)),
    ),
    "forced function": (
        "qwen",
        '<tool_call>\n{"name": "get_weather", "arguments":',
        ' {"city": "서울"}}\n</tool_call>',
        Parsed("", "", (seoul(),)),
    ),
    "gemma fence": ("gemma", "", f"```json\n{CALL}\n```<end_of_turn>", Parsed("", "", (seoul(),))),
    "2024": ("hyperclovax-2024", "", "안녕하세요.<|endofturn|>", Parsed("안녕하세요.")),
    "seed answer": ("hyperclovax-seed", "", "\n답<|im_end|><|endofturn|>", Parsed("답")),
    "seed chosen thought": (
        "hyperclovax-seed",
        "",
        "/think\n생각\n<|im_end|>\n<|im_start|>assistant\n답\n\n둘<|im_end|><|endofturn|>",
        Parsed("답\n\n둘", "생각"),
    ),
    "seed forced thought": (
        "hyperclovax-seed",
        "/think\n",
        "생각<|im_end|>\n<|im_start|>assistant\n답<|im_end|><|endofturn|>",
        Parsed("답", "생각"),
    ),
    "seed thought cut off": ("hyperclovax-seed", "/think\n", "생각 <|im_", Parsed("", "생각 <|im_")),
    "seed without a header": ("hyperclovax-seed", "", "답 </think>", Parsed("답 </think>")),
    "seed text and call": (
        "hyperclovax-seed",
        "\n",
        f"볼게요.<|im_end|>\n<|im_start|>assistant -> tool/function_call\n[{CALL}]<|im_end|><|stop|>",
        Parsed("볼게요.", "", (seoul(),)),
    ),
    "seed thought and call": (
        "hyperclovax-seed",
        "/think\n",
        "음<|im_end|>\n<|im_start|>assistant -> tool/function_call\n"
        '{"name": "get_weather","input": {"city": "서울"}}<|im_end|><|stop|>',
        Parsed("", "음", (seoul(),)),
    ),
    "seed parameters": (
        "hyperclovax-seed",
        "",
        ' -> tool/function_call\n[{"name": "get_weather", "parameters": {"city": "a <|im_end|> b"}},\n'
        ' {"name": "now", "parameters": {}}]<|im_end|><|stop|>',
        Parsed("", "", (call(0, "get_weather", '{"city": "a <|im_end|> b"}'), call(1, "now", "{}"))),
    ),
    "seed invents a user": (
        "hyperclovax-seed",
        "\n",
        "답<|im_end|>\n<|im_start|>user\n질문<|im_end|>\n<|im_start|>assistant\n더",
        Parsed("답"),
    ),
    "seed forced call": (
        "hyperclovax-seed",
        ' -> tool/function_call\n[{"name": "get_weather", "arguments":',
        ' {"city": "서울"}}]<|im_end|><|stop|>',
        Parsed("", "", (seoul(),)),
    ),
    "think": ("hyperclovax-think", "<think>\n", "음\n</think>\n\n답", Parsed("답", "음")),
    "think call": (
        "hyperclovax-think",
        "<think>\n\n</think>\n\n",
        "볼게요.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>서울</arg_value>\n</tool_call><|im_end|>",
        Parsed("볼게요.", "", (seoul(),)),
    ),
    "think typed values": (
        "hyperclovax-think",
        "",
        "<tool_call>get_weather\n"
        '<arg_key>city</arg_key>\n<arg_value>서울 <"1"> </arg_val </arg_value>\n'
        "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n"
        '<arg_key>units</arg_key>\n<arg_value>["c", "f"]</arg_value>\n'
        "<arg_key>code</arg_key>\n<arg_value>007</arg_value>\n"
        "<arg_key>extra</arg_key>\n<arg_value>그냥</arg_value>\n</tool_call>",
        Parsed(
            "",
            "",
            (
                call(
                    0,
                    "get_weather",
                    '{"city": "서울 <\\"1\\"> </arg_val ", "days": 3, "units": ["c", "f"], "code": "007", '
                    '"extra": "그냥"}',
                ),
            ),
        ),
    ),
    "think two calls": (
        "hyperclovax-think",
        "",
        "<tool_call>now\n</tool_call>\n<tool_call>get_weather\n<arg_key>city</arg_key><arg_value>서울</arg_value></tool_call>",
        Parsed("", "", (call(0, "now", "{}"), seoul(1))),
    ),
    "think whole arguments": (
        "hyperclovax-think",
        "",
        '<tool_call>get_weather\n<arguments>{"city": "서울"}</arguments>\n</tool_call>\n끝',
        Parsed("끝", "", (seoul(),)),
    ),
    "think cut off": (
        "hyperclovax-think",
        "",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>서",
        Parsed("", "", (call(0, "get_weather", '{"city": "서'),)),
    ),
    "think cut off in the name": ("hyperclovax-think", "", "<tool_call>get_w", Parsed("<tool_call>get_w")),
    "think no name": (
        "hyperclovax-think",
        "",
        "The <tool_call> tag {x}\n",
        Parsed("The <tool_call> tag {x}\n"),
    ),
}


def parse(style: str, prefix: str, pieces: list[str], tools: tuple[Tool, ...] = TOOLS) -> Parsed:
    parser = parser_for(style, tools=tools, prefix=prefix, new_id=lambda index: f"id{index}")
    deltas = [delta for piece in pieces for delta in parser.push(piece)]
    return collect([*deltas, *parser.finish()])


@pytest.mark.parametrize("name", GOLDEN)
def test_whole(name: str) -> None:
    style, prefix, text, expected = GOLDEN[name]
    assert parse(style, prefix, [text]) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_cut_anywhere_in_two(name: str) -> None:
    style, prefix, text, expected = GOLDEN[name]
    for cut in range(len(text) + 1):
        assert parse(style, prefix, [text[:cut], text[cut:]]) == expected, (text[:cut], text[cut:])


@pytest.mark.parametrize("name", GOLDEN)
def test_cut_at_every_byte(name: str) -> None:
    """Bytes arrive one by one; an incremental decoder, as engines use it, gives whole characters."""
    import codecs

    style, prefix, text, expected = GOLDEN[name]
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = [decoder.decode(bytes([byte])) for byte in text.encode()]
    assert parse(style, prefix, pieces) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_steps_are_pure(name: str) -> None:
    """An old state can be gone on from twice, with the same result."""
    style, prefix, text, expected = GOLDEN[name]
    rules = rules_for(style, tools=TOOLS, new_id=lambda index: f"id{index}")
    state, early = step(rules, start(rules), prefix)
    half, first = step(rules, state, text[: len(text) // 2])
    for _ in range(2):
        late, second = step(rules, half, text[len(text) // 2 :])
        _, last = finish(rules, late)
        assert collect([*early, *first, *second, *last]) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_without_tools_nothing_is_a_call(name: str) -> None:
    style, prefix, text, _ = GOLDEN[name]
    assert parse(style, prefix, [text], tools=()).tool_calls == ()
