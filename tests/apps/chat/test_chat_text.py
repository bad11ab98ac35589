"""The pure parts: titles, trees, prompts, and the text of a reply that grows."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.apps.chat.live import LiveEvent, LiveReply
from malmoi.apps.chat.personas import load_builtin_personas
from malmoi.apps.chat.prompts import merge_turns, plan_prompt
from malmoi.apps.chat.titles import make_title
from malmoi.apps.chat.tree import in_order, newest_leaf, path_to
from malmoi.core.types import Chat, Message
from malmoi.engine.base import EngineInfo, Prompt


@dataclass(frozen=True)
class Node:
    id: str
    parent_id: str | None


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("대한민국의 수도는 어디인가요? 자세히 알려 주세요.", "대한민국의 수도는 어디인가요?"),
        ("안녕하세요! 보고서 초안을 부탁드립니다.", "안녕하세요! 보고서 초안을 부탁드립니다"),
        ("버전 3.5로 올리는 방법", "버전 3.5로 올리는 방법"),
        ("# 할 일\n- 하나\n- 둘", "할 일"),
        ("```python\nprint(1)\n```\n왜 안 되나요?", "왜 안 되나요?"),
        ("```\nprint(1)\n```", "print(1)"),
        ("\n\n  **굵은** 제목  ", "굵은 제목"),
        ("가" * 100, "가" * 39 + "…"),
        (
            "회의록을 요약해서 팀장님께 보낼 메일을 정중한 말투로 세 문단 이내로 작성해 주세요",
            "회의록을 요약해서 팀장님께 보낼 메일을 정중한 말투로 세 문단 이내로…",
        ),
        ("!!! ???", "!!! ???"),
        ("🎉", "🎉"),
    ],
)
def test_titles(message: str, title: str) -> None:
    assert make_title(message) == title


@given(st.text(max_size=300))
def test_any_message_gives_one_short_line(message: str) -> None:
    title = make_title(message)
    assert len(title) <= 40
    assert title == title.strip()
    assert len(title.splitlines()) <= 1


NODES = [Node("a", None), Node("b", "a"), Node("c", "a"), Node("d", "b"), Node("e", None)]


def test_a_branch_is_the_path_from_the_root() -> None:
    assert [node.id for node in path_to(NODES, "d")] == ["a", "b", "d"]
    assert path_to(NODES, None) == path_to(NODES, "x") == []
    assert newest_leaf(NODES, "a") == "c"
    assert newest_leaf(NODES, "b") == "d"
    assert newest_leaf(NODES, "d") == "d"


def test_parents_come_before_children() -> None:
    ordered = [node.id for node in in_order(reversed(NODES))]
    assert sorted(ordered) == ["a", "b", "c", "d", "e"]
    assert all(
        node.parent_id is None or ordered.index(node.parent_id) < ordered.index(node.id) for node in NODES
    )
    for broken, why in (
        ([Node("a", "b"), Node("b", "a")], "circle"),
        ([Node("a", None), Node("a", None)], "same id"),
        ([Node("a", "x")], "missing"),
    ):
        with pytest.raises(ValueError, match=why):
            in_order(broken)


def test_a_damaged_tree_does_not_hang() -> None:
    circle = [Node("a", "b"), Node("b", "a")]
    assert len(path_to(circle, "a")) <= 3
    newest_leaf(circle, "a")


def test_turns_alternate_and_begin_with_the_user() -> None:
    branch = [
        Message("assistant", "인사"),
        Message("user", "하나"),
        Message("assistant", ""),  # it failed
        Message("user", "둘"),
        Message("assistant", "답"),
        Message("user", "셋"),
    ]
    assert merge_turns(branch) == [
        Message("user", "하나\n\n둘"),
        Message("assistant", "답"),
        Message("user", "셋"),
    ]


def info(context_length: int, *capabilities: str) -> EngineInfo:
    return EngineInfo("m", "scripted", frozenset(capabilities or ("chat", "tokenize")), context_length)  # type: ignore[arg-type]


@given(
    st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=41).filter(
        lambda sizes: len(sizes) % 2
    ),
    st.integers(min_value=40, max_value=1000),
)
async def test_a_plan_fits_or_has_the_last_question_alone(sizes: list[int], context: int) -> None:
    branch = [Message("user" if n % 2 == 0 else "assistant", "x" * size) for n, size in enumerate(sizes)]

    async def count(prompt: Prompt) -> int:
        assert isinstance(prompt, Chat)
        return sum(len(message.content) + 2 for message in prompt.messages)

    plan = await plan_prompt(
        branch, info=info(context), count=count, system="sys", max_tokens=None, thinking=None
    )
    assert isinstance(plan.prompt, Chat)
    system, *turns = plan.prompt.messages
    assert system.content == "sys"
    assert turns == branch[2 * plan.dropped_turns :]
    assert turns[0].role == turns[-1].role == "user"
    room = context - context // 4
    assert await count(plan.prompt) <= room or len(turns) == 1
    if plan.dropped_turns == 0:
        return
    everything = Chat((Message("system", "sys"), *branch))
    assert await count(everything) > room  # nothing is dropped without need


async def test_short_conversations_are_not_counted() -> None:
    async def count(prompt: Prompt) -> int:
        raise AssertionError("counted")

    branch = [Message("user", "하나"), Message("assistant", "둘"), Message("user", "셋")]
    plan = await plan_prompt(branch, info=info(4096), count=count, system="", max_tokens=None, thinking=True)
    assert plan.prompt == Chat(tuple(branch), thinking=True)


async def read(live: LiveReply, *, snapshot: bool) -> list[LiveEvent]:
    async with aclosing(live.events(snapshot=snapshot)) as events:
        return [event async for event in events]


async def test_slow_readers_get_everything_in_larger_pieces() -> None:
    live = LiveReply("m", "a", "c", title="제목")
    quick = asyncio.create_task(read(live, snapshot=False))
    await asyncio.sleep(0)
    for letter in "가나다":
        live.add(letter, "")
        await asyncio.sleep(0)
    live.end()
    assert await quick == [
        LiveEvent("title", "제목"),
        *(LiveEvent("token", letter) for letter in "가나다"),
        LiveEvent("done"),
    ]
    assert await read(live, snapshot=False) == [
        LiveEvent("title", "제목"),
        LiveEvent("token", "가나다"),
        LiveEvent("done"),
    ]
    assert (await read(live, snapshot=True))[0] == LiveEvent("snapshot", "가나다")


async def test_a_reader_that_leaves_does_not_disturb_the_others() -> None:
    live = LiveReply("m", "a", "c")
    one, other = (asyncio.create_task(read(live, snapshot=False)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    live.add("가", "나")
    live.end()
    assert await other == [LiveEvent("token", "가", "나"), LiveEvent("done")]


def test_built_in_personas_have_both_languages() -> None:
    personas = load_builtin_personas()
    assert next(iter(personas)) == "assistant"
    assert personas["assistant"].system_prompt.ko == ""
    for key, persona in personas.items():
        assert persona.name.ko
        assert persona.name.en
        assert persona.description.ko
        assert persona.description.en
        assert bool(persona.system_prompt.ko) == bool(persona.system_prompt.en), key
    assert "109" in personas["listener"].system_prompt.ko
    assert "109" in personas["listener"].system_prompt.en


def test_the_app_is_light_to_import() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from malmoi.apps.chat import app; assert app.name == 'chat'; "
        "assert not {'fastapi', 'sqlalchemy', 'kiwipiepy', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
