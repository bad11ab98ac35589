"""Routers as files: what is written is read again, and what is wrong is named."""

import json

import pytest
from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.serve.routers.files import read_text, to_text
from malmoi.serve.routers.types import Content, NewRouter, RouterPatch

CONTENT = Content.model_validate(
    {
        "domains": [
            {"name": "날씨", "description": "예보", "examples": ["비 와?", "내일 날씨"]},
            {"name": "차", "examples": ["차 빌려줘", "렌터카 값"]},
        ],
        "blocked": [{"name": "날씨", "description": "막은 것", "examples": ["태풍 피해", "홍수 사진"]}],
        "others": ["안녕"],
        "usual_others": False,
    }
)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_both_forms_hold_everything(form: str) -> None:
    text = to_text("안내", "말", CONTENT, form)  # type: ignore[arg-type]
    for written in (text, "\ufeff" + text, text.replace("\n", "\r\n")):
        router = read_text(written)
        assert (router.name, router.description, router.content) == ("안내", "말", CONTENT)
    assert read_text(text, name="다른 이름").name == "다른 이름"
    empty = to_text("빈 것", "", Content(), form)  # type: ignore[arg-type]
    assert read_text(empty).content == Content()


def test_a_content_alone_is_a_router_with_a_name() -> None:
    text = json.dumps(CONTENT.model_dump(), ensure_ascii=False)
    assert read_text(text, name="안내").content == CONTENT
    assert read_text(json.dumps({"name": "b", **CONTENT.model_dump()})).name == "b"


def test_lines_may_come_in_any_order_and_without_any_about_the_router() -> None:
    lines = [
        '{"text": "차 빌려줘", "domain": "차"}',
        '{"text": "안녕", "domain": "", "blocked": null}',
        '{"domain": "차", "description": "빌리기"}',
        '{"text": "렌터카 값", "domain": "차"}',
    ]
    content = read_text("\n\n".join(lines), name="a").content
    assert [(one.name, one.description, one.examples) for one in content.domains] == [
        ("차", "빌리기", ["차 빌려줘", "렌터카 값"])
    ]
    assert (content.others, content.usual_others, content.safety) == (["안녕"], True, True)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_ends_a_line_elsewhere_stays_in_a_text(form: str) -> None:
    texts = ["비 와?\u2028우산은?", "내일\u0085날씨", "a\u2029b"]
    content = Content.model_validate({"domains": [{"name": "날씨", "examples": texts}]})
    written = to_text("안내", "", content, form)  # type: ignore[arg-type]
    assert read_text(written).content.domains[0].examples == texts


def test_a_text_is_one_line() -> None:
    texts = ["비 와? \r\n\n 우산은?", "내일\r날씨"]
    content = {"domains": [{"name": "날씨\n예보", "examples": texts}]}
    router = read_text(json.dumps({"content": content}), name="안\n내")
    (domain,) = router.content.domains
    assert (router.name, domain.name, domain.examples) == (
        "안 내",
        "날씨 예보",
        ["비 와? 우산은?", "내일 날씨"],
    )


FAULTS = {
    "no JSON": ("x", "line 1 is no JSON"),
    "cut": ('{"name": "a"}\n{"text": ', "line 2 is no JSON"),
    "list": ("[1]", "line 1: it must be an object"),
    "both": ('{"domain": "a", "blocked": "b", "text": "x"}', "line 1: an example is for a `domain` or"),
    "key": ('{"text": "x", "domains": "a"}', "line 1: domains cannot be here"),
    "number": ('{"name": "a"}\n{"text": 1}', "line 2: `text` must be words"),
    "topic": ('{"text": "x", "domain": 3}', "line 1: `domain` must be a name"),
    "few": ('{"text": "x", "domain": "날씨"}', "content.domains.'날씨'.examples: "),
    "unknown": ('{"content": {"topics": []}}', "content.topics"),
    "kind": ('{"content": 3}', "content: "),
    "many": ('{"text": "x"}\n' * 1201, "more than 1200 lines"),
    "nul": ('{"text": "a\\u0000b"}', "content.others.0: a text must not hold the character U+0000"),
    "nul in a description": (
        '{"name": "a", "content": {}, "description": "\\u0000"}',
        "description: a text must",
    ),
    "half a character": ('{"\\ud800": 1}', "line 1: '\\ud800' cannot be here"),
    "deep": ("[" * 100_000, "line 1 is no JSON"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_is_wrong_is_named(kind: str) -> None:
    text, said = FAULTS[kind]
    with pytest.raises(InvalidInput) as caught:
        read_text(text, name="a")
    assert said in caught.value.message


def test_a_change_of_the_description_is_checked_as_a_new_one() -> None:
    assert RouterPatch(description=None).description is None
    for text, said in (("x" * 2001, "at most 2000 characters"), ("\x00", "must not hold")):
        for kind in (RouterPatch, NewRouter):
            with pytest.raises(ValidationError, match=said):
                kind.model_validate({"name": "a", "description": text})


def test_a_file_without_a_name_needs_one() -> None:
    with pytest.raises(InvalidInput, match="name") as caught:
        read_text('{"text": "x"}')
    assert caught.value.field == "name"
