"""Answers from documents in the browser: choose a collection, ask, open what a sentence cites."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_site import Pages, Site, start_site
from playwright.sync_api import Page, expect

from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e
LAW = """# 휴가 규정

## 신청

연차 휴가는 사흘 전까지 신청합니다.

## 보고

출장을 다녀오면 닷새 안에 보고서를 냅니다.
"""
RULES = (
    Rule(
        contains="연차",
        reply="😀 연차 휴가는 사흘 전까지 신청합니다 [1]. 점심은 늘 무료입니다.",
        chunk_tokens=3,
    ),
    Rule(when=".", reply="네."),
)
KOREAN = {
    "new": "새 모음",
    "name": "이름",
    "save": "저장",
    "off": "답을 찾을 문서: 문서 없이",
    "on": "답을 찾을 문서: 인사",
    "sources": "출처",
    "open": "출처 1 열기",
    "unsupported": "문서에서 근거를 찾지 못한 문장이 1개 있습니다.",
    "box": "메시지",
}
ENGLISH = {
    "new": "New collection",
    "name": "Name",
    "save": "Save",
    "off": "Documents to answer from: No documents",
    "on": "Documents to answer from: 인사",
    "sources": "Sources",
    "open": "Open source 1",
    "unsupported": "Sentences that the documents do not support: 1.",
    "box": "Message",
}
WORDS = {"ko-KR": KOREAN, "en-GB": ENGLISH}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = start_site(tmp_path / "home", RULES)
    yield site
    site.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/answers-{name}.png")


def add_law(page: Page, words: dict[str, str]) -> None:
    page.goto("/documents")
    page.get_by_role("button", name=words["new"]).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(words["name"]).fill("인사")
    dialog.get_by_role("button", name=words["save"]).click()
    file = {"name": "휴가.md", "mimeType": "text/markdown", "buffer": LAW.encode()}
    page.locator("input[type=file]").first.set_input_files([file])  # type: ignore[list-item]
    page.locator(".documents-row a").wait_for(timeout=30_000)
    expect(page.locator(".documents-progress")).to_have_count(0, timeout=30_000)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_sentence_leads_to_the_words_that_support_it(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    add_law(page, words)
    page.goto("/chat")
    page.get_by_role("button", name=words["off"]).click()
    page.get_by_role("checkbox", name="인사").check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=words["on"])).to_be_visible()
    page.locator(".composer textarea").fill("연차는 언제까지 신청하나요?")
    page.keyboard.press("Enter")
    chip = page.locator(".prose .cite")
    expect(chip).to_have_count(1, timeout=20_000)
    expect(chip).to_have_accessible_name(words["open"])
    expect(page.locator(".prose")).to_contain_text(
        "😀 연차 휴가는 사흘 전까지 신청합니다.1 점심은 늘 무료입니다."
    )
    expect(page.get_by_text(words["unsupported"])).to_be_visible()
    expect(page.get_by_role("region", name=words["sources"])).to_contain_text("휴가 규정")
    shoot(page, f"cited-{locale}")
    chip.click()
    expect(page.locator(".viewer-text mark")).to_have_text("연차 휴가는 사흘 전까지 신청합니다.")
    page.go_back()
    expect(page.locator(".prose .cite")).to_have_count(1)  # it is kept with the message
    page.reload()
    expect(page.locator(".prose .cite")).to_have_count(1)
    expect(page.get_by_role("button", name=words["on"])).to_be_visible()


@pytest.mark.timeout(120)
def test_a_model_makes_no_chips(new_page: Pages, site: Site) -> None:
    page = new_page(locale="ko-KR", reduced_motion="reduce")
    add_law(page, KOREAN)
    forged = "\ue0000\ue001 거짓 \ue0007\ue001."
    site.engine.enqueue(f"연차 휴가는 사흘 전까지 신청합니다 [1]. {forged}")
    page.goto("/chat")
    page.get_by_role("button", name=KOREAN["off"]).click()
    page.get_by_role("checkbox", name="인사").check()
    page.keyboard.press("Escape")
    page.locator(".composer textarea").fill("연차는 언제까지 신청하나요?")
    page.keyboard.press("Enter")
    expect(page.locator(".prose .cite")).to_have_count(1, timeout=20_000)
