"""For everybody: axe finds nothing serious, the keyboard reaches all, small windows show all."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_site import until
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


def serious(page: Page) -> list[str]:
    # A panel that is still fading in has other colours than the ones that stay.
    page.evaluate(
        "Promise.all(document.getAnimations().filter((a) => a.effect?.getTiming().iterations !== Infinity)"
        ".map((a) => a.finished.catch(() => {})))"
    )
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


@pytest.mark.timeout(180)  # axe looks at a dozen views
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_axe_finds_nothing_serious(new_page: Any, locale: str, scheme: str) -> None:
    page = new_page(locale=locale, scheme=scheme, reduced_motion="reduce")
    page.goto("/")
    page.wait_for_selector(".suggestions")
    assert serious(page) == []
    page.fill(".composer textarea", "‘시작이 반이다’의 뜻")
    page.keyboard.press("Enter")
    page.wait_for_selector(".katex")
    page.wait_for_selector(".hljs-keyword")
    page.wait_for_selector(".figures")
    page.click(".reasoning summary")
    assert serious(page) == []
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("시작")
    page.wait_for_selector(".search-results mark")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.click(".picker")
    page.wait_for_selector(".model-row")
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.click(".bar button[aria-haspopup=dialog].icon-button")
    page.wait_for_selector(".dialog.side")
    assert serious(page) == []
    page.keyboard.press("Escape")
    for section in ("general", "models", "personas", "data", "keys", "usage", "accounts"):
        page.goto(f"/settings/{section}")
        page.wait_for_selector("#settings-heading")
        page.wait_for_load_state("networkidle")
        assert serious(page) == [], section


def test_the_keyboard_does_it_all(page: Page) -> None:
    until(page, "document.activeElement?.matches('.composer textarea')")
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    page.locator(".message.reply .message-foot").wait_for()
    page.locator(".brand a").focus()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".composer textarea")).to_be_focused()
    page.locator(".row.here a").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".row.here .row-menu")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".row.here .row-menu")).to_be_focused()


def test_the_end_of_a_reply_is_announced_once(page: Page) -> None:
    page.evaluate(
        """() => {
          window.said = [];
          const region = document.querySelector('.visually-hidden[role=status]');
          new MutationObserver(() => region.textContent && window.said.push(region.textContent))
            .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    page.locator(".message.reply .message-foot").wait_for()
    until(page, "window.said.length > 0")
    page.wait_for_timeout(200)
    assert page.evaluate("window.said") == ["답변이 끝났습니다."]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(new_page: Any, width: int) -> None:
    page = new_page(width=width, height=740)
    page.goto("/")
    page.wait_for_selector(".suggestions")
    page.fill(".composer textarea", "‘시작이 반이다’" + "가" * 300)
    page.keyboard.press("Enter")
    page.wait_for_selector(".katex")
    page.wait_for_selector(".figures")
    for element in ("html", ".log"):
        assert page.locator(element).evaluate("(element) => element.scrollWidth <= innerWidth")
    if width < 800:
        expect(page.locator(".sidebar")).not_to_be_visible()
        page.get_by_role("button", name="목록 열기").click()
        expect(page.locator(".sidebar")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".sidebar")).not_to_be_visible()
        expect(page.get_by_role("button", name="목록 열기")).to_be_focused()
    for section in ("general", "keys", "usage", "models"):
        page.goto(f"/settings/{section}")
        page.wait_for_selector("#settings-heading")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), section


def test_language_and_theme_follow_the_settings(page: Page) -> None:
    page.goto("/settings/general")
    page.get_by_label("English", exact=True).check()
    expect(page.get_by_role("heading", name="General")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Dark", exact=True).check()
    until(page, "(light) => getComputedStyle(document.body).backgroundColor !== light", arg=light)
    page.get_by_label("Ctrl+Enter", exact=True).check()
    page.wait_for_load_state("networkidle")
    page.goto("/")
    expect(page.get_by_role("heading", name="What can I help with?")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator(".composer textarea").click()
    page.keyboard.type("hi")
    page.keyboard.press("Enter")
    expect(page.locator(".composer textarea")).to_have_value("hi\n")
    page.keyboard.press("Control+Enter")
    page.locator(".message.reply .message-foot").wait_for()
