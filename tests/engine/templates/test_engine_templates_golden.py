"""The prompts that the built-in templates write, checked by hand against what their families document."""

import pytest

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.types import Chat, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.templates import ChatTemplate, load_template, template_named, template_names

SYSTEM = Message("system", "너는 도우미다.")
HELLO = Message("user", "안녕?")
ANSWER = Message("assistant", "안녕하세요.", reasoning="인사를 하자.")
THANKS = Message("user", "고마워")
WEATHER = Tool(
    "get_weather",
    '"날씨"를 <본다>',
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
WEATHER_JSON = (
    '{"name": "get_weather", "description": "\\"날씨\\"를 <본다>", "parameters": {"type": "object", '
    '"properties": {"city": {"type": "string"}}, "required": ["city"]}}'
)
CALL = Message("assistant", "볼게요.", tool_calls=(ToolCall("c1", "get_weather", '{"city": "서울"}'),))
RESULT = Message("tool", '{"t": 25}', tool_call_id="c1")
TALK = (SYSTEM, HELLO, ANSWER, THANKS)
TOOL_TALK = (HELLO, CALL, RESULT)


def text(template: ChatTemplate, *messages: Message, **options: object) -> str:
    return template.render(Chat(messages, **options)).text  # type: ignore[arg-type]


def test_chatml() -> None:
    template = template_named("chatml")
    assert text(template, *TALK) == (
        "<|im_start|>system\n너는 도우미다.<|im_end|>\n"
        "<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n안녕하세요.<|im_end|>\n"
        "<|im_start|>user\n고마워<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert text(template, HELLO) == "<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant\n"


def test_chatml_tools() -> None:
    assert text(template_named("chatml"), SYSTEM, *TOOL_TALK, tools=(WEATHER,)) == (
        "<|im_start|>system\n너는 도우미다.\n\n# Tools\n\n"
        "You may call one or more of these functions to help the user. "
        "Their signatures stand within <tools></tools> XML tags:\n<tools>\n"
        f'{{"type": "function", "function": {WEATHER_JSON}}}\n</tools>\n\n'
        "To call a function, return a JSON object with its name and arguments within <tool_call></tool_call> "
        'XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
        "<|im_end|>\n"
        "<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n볼게요.\n<tool_call>\n"
        '{"name": "get_weather", "arguments": {"city": "서울"}}\n</tool_call><|im_end|>\n'
        '<|im_start|>user\n<tool_response>\n{"t": 25}\n</tool_response><|im_end|>\n'
        "<|im_start|>assistant\n"
    )


def test_chatml_results_share_a_turn() -> None:
    calls = Message("assistant", "", tool_calls=(ToolCall("1", "f", "{}"), ToolCall("2", "f", "not JSON")))
    results = (Message("tool", "A", tool_call_id="1"), Message("tool", "B", tool_call_id="2"))
    assert text(template_named("chatml"), HELLO, calls, *results).split("안녕?<|im_end|>\n")[1] == (
        '<|im_start|>assistant\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n'
        '<tool_call>\n{"name": "f", "arguments": "not JSON"}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\nA\n</tool_response>\n<tool_response>\nB\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_gemma() -> None:
    template = template_named("gemma", bos_token="<bos>")
    rendered = template.render(Chat(TALK))
    assert rendered.text == (
        "<bos><start_of_turn>user\n너는 도우미다.\n\n안녕?<end_of_turn>\n"
        "<start_of_turn>model\n안녕하세요.<end_of_turn>\n"
        "<start_of_turn>user\n고마워<end_of_turn>\n"
        "<start_of_turn>model\n"
    )
    assert rendered.writes_bos
    assert not template_named("gemma").render(Chat(TALK)).writes_bos


def test_gemma_merges_turns() -> None:
    assert text(template_named("gemma"), HELLO, THANKS, ANSWER, ANSWER, HELLO) == (
        "<start_of_turn>user\n안녕?\n\n고마워<end_of_turn>\n"
        "<start_of_turn>model\n안녕하세요.\n\n안녕하세요.<end_of_turn>\n"
        "<start_of_turn>user\n안녕?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_gemma_tools_become_text() -> None:
    written = text(template_named("gemma"), *TOOL_TALK, tools=(WEATHER,))
    assert written.startswith("<start_of_turn>user\nYou can call these tools")
    assert f":\n{WEATHER_JSON}\n\nTo call a tool" in written
    assert written.endswith(
        "otherwise answer as usual.\n\n안녕?<end_of_turn>\n"
        "<start_of_turn>model\n볼게요.\n\n"
        '```json\n{"name": "get_weather", "arguments": {"city": "서울"}}\n```'
        '<end_of_turn>\n<start_of_turn>user\nTool result (get_weather):\n{"t": 25}<end_of_turn>\n'
        "<start_of_turn>model\n"
    )


def test_hyperclovax_2024() -> None:
    template = template_named("hyperclovax-2024")
    assert text(template, HELLO, ANSWER, THANKS) == (
        "다음은 인공지능 언어 모델과 사용자의 대화이다. 모델은 사용자의 요청을 정확하게 이해하고, "
        "그 요청을 수행하는 답변을 작성한다.\n\n"
        "<|user|>안녕?<|endofturn|><|assistant|>안녕하세요.<|endofturn|><|user|>고마워<|endofturn|><|assistant|>"
    )
    assert text(template, SYSTEM, HELLO) == "너는 도우미다.\n\n<|user|>안녕?<|endofturn|><|assistant|>"


SEED_START = "<|im_start|>tool_list\n<|im_end|>\n<|im_start|>system\n"


def test_hyperclovax_seed() -> None:
    template = template_named("hyperclovax-seed")
    assert text(template, HELLO) == (
        f"{SEED_START}<|im_end|>\n<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant"
    )
    # The thought of the past is not put back.
    assert text(template, *TALK, thinking=False) == (
        f"{SEED_START}너는 도우미다.<|im_end|>\n<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n안녕하세요.<|im_end|><|endofturn|>\n"
        "<|im_start|>user\n고마워<|im_end|>\n<|im_start|>assistant\n"
    )


def test_hyperclovax_seed_tools() -> None:
    assert text(template_named("hyperclovax-seed"), *TOOL_TALK, tools=(WEATHER,)) == (
        f"<|im_start|>tool_list\n[{WEATHER_JSON}]<|im_end|>\n<|im_start|>system\n<|im_end|>\n"
        "<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n볼게요.<|im_end|>\n"
        "<|im_start|>assistant -> tool/function_call\n"
        '[{"name": "get_weather", "arguments": {"city": "서울"}}]'
        "<|im_end|><|stop|>\n"
        '<|im_start|>tool/function_call\n{"t": 25}<|im_end|>\n'
        "<|im_start|>assistant"
    )


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, ""),
        ({"thinking": True}, "/think\n"),
        ({"thinking": False}, "\n"),
        ({"template_options": {"force_reasoning": True}}, "/think\n"),
        ({"template_options": {"skip_reasoning": True}}, "\n"),
        ({"template_options": {"force_reasoning": True, "skip_reasoning": True}}, "/think\n"),
        ({"template_options": {"force_reasoning": None, "skip_reasoning": False}}, ""),
        ({"template_options": {"enable_thinking": True}}, "/think\n"),
        ({"template_options": {"thinking": False}}, "\n"),
        ({"thinking": False, "template_options": {"enable_thinking": True}}, "\n"),
    ],
)
def test_hyperclovax_seed_reasoning(options: dict[str, object], end: str) -> None:
    rendered = template_named("hyperclovax-seed").render(Chat((HELLO,), **options))  # type: ignore[arg-type]
    assert rendered.text.endswith(f"<|im_end|>\n<|im_start|>assistant{end}")
    assert rendered.prefix == end
    assert rendered.keep_special


def test_hyperclovax_seed_budget() -> None:
    written = text(
        template_named("hyperclovax-seed"), HELLO, ANSWER, THANKS, template_options={"thinking_budget": 512}
    )
    assert "안녕?<|im_end|>" in written
    assert "고마워\nThink for maximum 512 tokens.<|im_end|>" in written


def test_hyperclovax_think() -> None:
    template = template_named("hyperclovax-think")
    assert text(template, *TALK) == (
        "<|im_start|>system\n너는 도우미다.<|im_end|>\n<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n안녕하세요.<|im_end|>\n<|im_start|>user\n고마워<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    rendered = template.render(Chat((HELLO,), thinking=True))
    assert rendered.text == "<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert rendered.prefix == "<think>\n"


def test_hyperclovax_think_tools() -> None:
    call = Message("assistant", "", reasoning="날씨를 보자.", tool_calls=CALL.tool_calls)
    written = text(template_named("hyperclovax-think"), HELLO, call, RESULT, tools=(WEATHER,), thinking=True)
    assert f'<tools>\n{{"type": "function", "function": {WEATHER_JSON}}}\n</tools>\n' in written
    assert written.endswith(
        "...\n</tool_call><|im_end|>\n<|im_start|>user\n안녕?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n날씨를 보자.\n</think>\n\n"
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>서울</arg_value>\n</tool_call><|im_end|>\n"
        '<|im_start|>tool\n<tool_response>get_weather\n{"t": 25}\n</tool_response><|im_end|>\n'
        "<|im_start|>assistant\n<think>\n"
    )


@pytest.mark.parametrize("name", template_names())
def test_no_tools_in_any_way_is_the_same(name: str) -> None:
    template = template_named(name)
    plain = template.render(Chat(TALK))
    assert template.render(Chat(TALK, tools=())) == plain
    assert template.render(Chat(TALK, tools=(WEATHER,), tool_choice=ToolChoice("none"))) == plain


@pytest.mark.parametrize("name", template_names())
def test_one_segment_in_the_usual_case(name: str) -> None:
    assert len(template_named(name).render(Chat((*TALK, CALL, RESULT), tools=(WEATHER,))).segments) == 1


@pytest.mark.parametrize("name", template_names())
def test_a_prompt_without_its_generation_prompt_is_its_beginning(name: str) -> None:
    template = template_named(name)
    without = template.render(Chat(TALK), add_generation_prompt=False)
    assert template.render(Chat(TALK)).text.startswith(without.text)
    assert without.prefix == ""


@pytest.mark.parametrize("name", template_names())
def test_stop_strings_do_not_occur_in_an_answer(name: str) -> None:
    rendered = template_named(name, eos_token="</s>").render(Chat(TALK))
    assert rendered.stop
    assert rendered.stop[-1] == "</s>"
    assert not any(stop in rendered.prefix for stop in rendered.stop)
    if name == "hyperclovax-seed":
        assert "<|im_end|>" not in rendered.stop
        assert "<|im_end|>" not in template_named(name, eos_token="<|im_end|>").render(Chat(TALK)).stop


@pytest.mark.parametrize(
    ("name", "choice", "prefix"),
    [
        ("chatml", ToolChoice("required"), '<tool_call>\n{"name": "'),
        (
            "chatml",
            ToolChoice("function", "get_weather"),
            '<tool_call>\n{"name": "get_weather", "arguments":',
        ),
        ("gemma", ToolChoice("required"), '```json\n{"name": "'),
        ("gemma", ToolChoice("function", "get_weather"), '```json\n{"name": "get_weather", "arguments":'),
        ("hyperclovax-seed", ToolChoice("required"), ' -> tool/function_call\n[{"name": "'),
        (
            "hyperclovax-seed",
            ToolChoice("function", "get_weather"),
            ' -> tool/function_call\n[{"name": "get_weather", "arguments":',
        ),
        ("hyperclovax-think", ToolChoice("required"), "<think>\n\n</think>\n\n<tool_call>"),
        (
            "hyperclovax-think",
            ToolChoice("function", "get_weather"),
            "<think>\n\n</think>\n\n<tool_call>get_weather\n",
        ),
    ],
)
def test_a_demanded_call_is_begun(name: str, choice: ToolChoice, prefix: str) -> None:
    rendered = template_named(name).render(Chat((HELLO,), tools=(WEATHER, Tool("now")), tool_choice=choice))
    assert rendered.prefix == prefix
    assert rendered.text.endswith(prefix)
    assert ("now" in rendered.text) == (choice.mode == "required")


@pytest.mark.parametrize("name", ["hyperclovax-seed", "hyperclovax-think"])
def test_a_thinking_model_thinks_before_a_demanded_call(name: str) -> None:
    rendered = template_named(name).render(
        Chat((HELLO,), tools=(WEATHER,), tool_choice=ToolChoice("required"), thinking=True)
    )
    assert "call" not in rendered.prefix


def test_inline_reasoning_counts_as_reasoning() -> None:
    said = Message("assistant", "<think>\n음\n</think>\n\n답")
    assert "음" not in text(template_named("hyperclovax-think"), HELLO, said, THANKS)
    assert "답" in text(template_named("hyperclovax-think"), HELLO, said, THANKS)


@pytest.mark.parametrize(
    ("chat", "field"),
    [
        (Chat(()), "messages"),
        (Chat((ANSWER, HELLO)), "messages"),
        (Chat((HELLO,), tool_choice=ToolChoice("required")), "tool_choice"),
        (Chat((HELLO,), tools=(WEATHER,), tool_choice=ToolChoice("function", "now")), "tool_choice"),
        (Chat((HELLO,), template_options={"messages": []}), "chat_template_kwargs.messages"),
        (Chat((HELLO,), template_options={"__class__": 1}), "chat_template_kwargs.__class__"),
        (Chat((HELLO,), template_options={"x": object()}), "chat_template_kwargs.x"),
        (Chat((HELLO,), template_options={"x": {1: 2}}), "chat_template_kwargs.x"),
    ],
)
def test_what_cannot_be_written_is_refused(chat: Chat, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        template_named("gemma").render(chat)
    assert caught.value.field == field


def test_deep_schema_is_refused() -> None:
    schema: dict[str, object] = {}
    for _ in range(2000):
        schema = {"items": schema}
    with pytest.raises(InvalidInput, match="nested"):
        template_named("chatml").render(Chat((HELLO,), tools=(Tool("f", "", schema),)))


def test_unknown_name() -> None:
    with pytest.raises(UnknownName, match="chatml"):
        template_named("chatlm")


def test_refusal_of_a_template_is_passed_on() -> None:
    template = load_template("{{ raise_exception('only on Sundays') }}", special_tokens=())
    with pytest.raises(InvalidInput, match="only on Sundays"):
        template.render(Chat((HELLO,)))


def test_a_template_that_drops_system_messages_gets_them_in_the_user_turn() -> None:
    source = "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% endif %}{% endfor %}"
    assert text(load_template(source, special_tokens=()), SYSTEM, HELLO) == "[너는 도우미다.\n\n안녕?]"
