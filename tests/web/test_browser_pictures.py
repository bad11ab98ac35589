"""The README's pictures: taken by this test, with MALMOI_SCREENSHOTS set, of a conversation as people see it.

MALMOI_TEST_CHAT_MODEL names a GGUF file of the default chat model: then the answers are the model's own.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from browser_site import Site, start_site
from playwright.sync_api import Page, expect

from malmoi.engine.scripted import Rule

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MODEL = os.environ.get("MALMOI_TEST_CHAT_MODEL")
# A model of this size writes some words a second on a small machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900 if MODEL else 60)]
PATIENCE = 400_000 if MODEL else 10_000

EARLIER = {
    "ko-KR": ("‘고맙습니다’를 영어로 옮겨 줘", "3 곱하기 7은?"),
    "en-GB": ("Say thank you in Korean", "What is 3 times 7?"),
}
QUESTIONS = {
    "ko-KR": "파이썬으로 문자열을 뒤집는 함수를 만들고 짧게 설명해 줘.",
    "en-GB": "Write a Python function that returns the median of a list, and explain it briefly.",
}
SCRIPTED = {
    "ko-KR": "‘시작이 반이다’의 뜻과 쓰임을 표로 정리해 줘.",
    "en-GB": "Explain a proverb about beginnings, with a table.",
}


@pytest.fixture
def site(home: Path, rules: Sequence[Rule]) -> Iterator[Site]:
    """A server with the real model, where one is named."""
    site = start_site(home, rules, model=Path(MODEL) if MODEL else None)
    yield site
    site.close()


def ask(page: Page, text: str) -> None:
    page.fill(".composer textarea", text)
    page.keyboard.press("Enter")
    page.wait_for_selector(".figures", timeout=PATIENCE)


@pytest.mark.parametrize(("locale", "name"), [("ko-KR", "chat-ko"), ("en-GB", "chat-en")])
def test_pictures_for_the_readme(new_page: Any, locale: str, name: str) -> None:
    page = new_page(locale=locale, width=1280, height=800)
    page.goto("/")
    page.wait_for_selector(".picker .dot.ready", timeout=PATIENCE)
    for text in EARLIER[locale]:
        ask(page, text)
        page.keyboard.press("Control+Shift+O")
        page.wait_for_selector(".suggestions")
    ask(page, (QUESTIONS if MODEL else SCRIPTED)[locale])
    page.wait_for_selector(".hljs-keyword")
    if not MODEL:
        page.wait_for_selector(".katex")
    page.evaluate("document.querySelector('.log').scrollTop = 0")
    page.mouse.move(760, 400)
    expect(page).to_have_title(re.compile("말모이|Malmoi"))
    if os.environ.get("MALMOI_SCREENSHOTS"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png")
