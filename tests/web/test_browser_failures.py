"""When the network or the server fails: plain words, nothing typed is lost, and nothing is sent twice."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser_site import RULES, Pages, Site, start_site
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.e2e
MESSAGES = "**/api/chat/conversations/*/messages"


@pytest.fixture(autouse=True)
def failures_are_expected(new_page: Pages) -> None:
    new_page.expected += ["Failed to load resource"]


def refuse(status: int, **headers: str) -> Any:
    body = json.dumps({"error": {"code": "x", "message": "no", "fix": "", "field": None}})

    def handle(route: Route) -> None:
        route.fulfill(status=status, headers=headers, content_type="application/json", body=body)

    return handle


def test_429_counts_down_and_keeps_the_text(page: Page, site: Site) -> None:
    page.route(MESSAGES, refuse(429, **{"Retry-After": "2"}))
    page.fill(".composer textarea", "급한 말")
    page.keyboard.press("Enter")
    banner = page.get_by_role("alert").filter(has_text="지금은 요청이 많습니다.")
    expect(banner.get_by_role("button")).to_be_disabled()
    expect(banner.get_by_role("button")).to_contain_text("초 뒤에 다시 시도")
    expect(page.locator(".composer textarea")).to_have_value("급한 말")
    page.unroute(MESSAGES)
    banner.get_by_role("button", name="다시 시도", exact=True).click()
    page.locator(".message.reply .message-foot").wait_for()
    expect(page.locator(".composer textarea")).to_have_value("")
    assert [request.prompt.messages[-1].content for request in site.engine.requests] == ["급한 말"]  # type: ignore[union-attr]


def test_offline_keeps_the_text_even_over_a_reload(page: Page) -> None:
    page.route(MESSAGES, lambda route: route.abort())
    page.fill(".composer textarea", "끊긴 말")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="서버에 연결할 수 없습니다.")).to_be_visible()
    page.reload()
    expect(page.locator(".composer textarea")).to_have_value("끊긴 말")


def test_a_message_whose_answer_was_lost_is_not_sent_twice(page: Page, site: Site) -> None:
    def lose(route: Route) -> None:
        route.fetch()  # the server has it; the browser never learns
        route.abort()

    page.route(MESSAGES, lose)
    page.fill(".composer textarea", "한 번만")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text="서버에 연결할 수 없습니다.")
    expect(alert).to_be_visible()
    page.unroute(MESSAGES)
    alert.get_by_role("button").click()
    page.locator(".message.reply .message-foot").wait_for()
    expect(page.locator(".message.user")).to_have_count(1)
    assert len(site.engine.requests) == 1


def test_500_is_said_kindly(page: Page) -> None:
    page.route(MESSAGES, refuse(500))
    page.fill(".composer textarea", "아무 말")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="서버에서 문제가 생겼습니다.")).to_be_visible()
    expect(page.locator(".composer textarea")).to_have_value("아무 말")


def test_an_unknown_conversation_offers_a_new_one(page: Page) -> None:
    page.goto("/chat/conv_nothing")
    expect(page.get_by_role("heading", name="대화를 열지 못했습니다")).to_be_visible()
    page.get_by_role("button", name="새 대화").last.click()
    expect(page.locator(".suggestions")).to_be_visible()


def test_a_server_that_is_away_at_the_start(new_page: Pages) -> None:
    page = new_page()
    page.route("**/api/session", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("서버에 연결할 수 없습니다.")
    page.unroute("**/api/session")
    page.get_by_role("button", name="다시 시도").click()
    expect(page.locator(".suggestions")).to_be_visible()


def test_a_server_that_restarts_in_the_middle_of_a_reply(page: Page, site: Site, home: Path) -> None:
    page.fill(".composer textarea", "천천히 말해 줘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    page.wait_for_timeout(1200)  # the server saves at least every second
    site.loop.call_soon_threadsafe(site.stop.set)
    site.thread.join(timeout=20)
    again = start_site(home, RULES, port=urlsplit(site.url).port or 0)
    try:
        expect(page.locator(".outcome")).to_contain_text("끊겼습니다", timeout=15_000)
        expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    finally:
        again.close()
