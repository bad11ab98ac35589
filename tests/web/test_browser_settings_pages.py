"""Keys, usage, accounts and the log-in page."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


def test_a_key_is_shown_once_works_and_can_be_revoked(page: Page, site) -> None:  # type: ignore[no-untyped-def]
    page.goto("/settings/keys")
    page.get_by_role("button", name="새 키").click()
    page.get_by_label("이름", exact=True).fill("내 스크립트")
    page.get_by_role("button", name="키 만들기").click()
    secret = page.locator(".secret code").inner_text()
    expect(page.locator(".dialog .prose")).to_contain_text(f"Bearer {secret}")
    expect(page.locator(".dialog .prose")).to_contain_text("from openai import OpenAI")

    def models() -> int:
        return httpx.get(f"{site.url}/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code

    assert models() == 200
    page.get_by_role("button", name="저장했습니다").click()
    expect(page.locator(".lines li")).to_contain_text("내 스크립트")
    assert secret not in page.content()
    page.get_by_role("button", name=re.compile("^폐기")).click()
    page.locator(".dialog").get_by_role("button", name="폐기").click()
    expect(page.locator(".lines li")).to_have_count(0)
    assert models() == 401


def test_usage_adds_up(page: Page, say: Callable[[str], None]) -> None:
    say("하나")
    say("둘")
    page.goto("/settings/usage")
    expect(page.locator(".totals dd").first).to_have_text("2")
    expect(page.locator(".plot svg")).to_be_visible()
    page.get_by_text("표로 보기").click()
    expect(page.locator(".figures-table tbody tr")).to_have_count(1)


def test_accounts_and_log_in(page: Page, new_page) -> None:  # type: ignore[no-untyped-def]
    new_page.expected += ["Failed to load resource"]
    page.goto("/settings/accounts")
    page.get_by_role("button", name="새 계정").click()
    page.get_by_label("이름", exact=True).fill("haneul")
    page.get_by_label("비밀번호").fill("correct horse battery")
    page.get_by_role("button", name="계정 만들기").click()
    # From the first account with a password on, everybody logs in.
    expect(page.get_by_role("heading", name="말모이에 로그인")).to_be_visible()
    page.get_by_label("이름", exact=True).fill("haneul")
    page.get_by_label("비밀번호").fill("wrong password here")
    page.get_by_role("button", name="로그인").click()
    expect(page.get_by_role("alert")).to_contain_text("맞지 않습니다")
    page.get_by_label("비밀번호").fill("correct horse battery")
    page.get_by_role("button", name="로그인").click()
    expect(page.locator(".sidebar")).to_be_visible()
    page.goto("/settings/general")
    page.get_by_role("button", name="로그아웃").click()
    expect(page.get_by_role("heading", name="말모이에 로그인")).to_be_visible()


def test_trash_gives_back_and_empties(page: Page, say: Callable[[str], None]) -> None:
    for text in ("버릴 대화", "되살릴 대화"):
        page.goto("/")
        say(text)
        page.locator(".row.here").hover()
        page.locator(".row.here .row-menu").click()
        page.get_by_role("menuitem", name="삭제").click()
        expect(page.locator(".row a")).to_have_count(0)
    page.goto("/settings/data")
    page.get_by_role("button", name="되살리기: 되살릴 대화").click()
    expect(page.locator(".row a")).to_have_text(["되살릴 대화"])
    page.get_by_role("button", name="휴지통 비우기").click()
    page.locator(".dialog").get_by_role("button", name="휴지통 비우기").click()
    expect(page.get_by_text("휴지통이 비어 있습니다.")).to_be_visible()
