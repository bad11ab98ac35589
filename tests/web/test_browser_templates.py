"""Templates in the browser: choose one, fill in its form, go on; in two languages, by keys, on a phone."""

import json
import os
from collections.abc import Sequence

import pytest
from browser_site import Pages, Site, until
from playwright.sync_api import Page, Route, expect

from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e

SCORES = {"structure": 4, "relevance": 4, "concreteness": 5, "clarity": 3, "quote": "4"}
KOREAN = {
    "gallery": "템플릿으로 시작하기",
    "interview": "모의 면접",
    "area": "분야",
    "sales": "영업·고객 응대",
    "job": "지원하는 일",
    "begin": "시작하기",
    "first": "질문 1/3.",
    "second": "질문 2/3.",
    "stop": "그만",
    "report": "면접 결과",
    "mean": "평균",
    "listener": "마음 들어 주기",
    "starter": "그냥 들어 주세요.",
    "again": "다시 쓰기",
    "trip": "여행 계획",
    "missing": "설치되지 않음",
    "cancel": "취소",
    "days": "며칠",
    "answer": "2023년에 차 4대를 팔았고 고객 30명의 불만을 직접 듣고 고쳐 재구매가 두 배로 늘었습니다. " * 4,
}
ENGLISH = {
    "gallery": "Begin from a template",
    "interview": "Mock interview",
    "area": "Field of work",
    "sales": "Sales and customer care",
    "job": "Job",
    "begin": "Begin",
    "first": "Question 1 of 3.",
    "second": "Question 2 of 3.",
    "stop": "stop",
    "report": "Interview report",
    "mean": "Mean",
    "listener": "Listener",
    "starter": "Please just listen.",
    "again": "Write again",
    "trip": "Trip planning",
    "missing": "not installed",
    "cancel": "Cancel",
    "days": "Days",
    "answer": "In 2023 I sold 4 cars a week and answered 30 complaints myself, so that returns doubled. " * 4,
}
WORDS = {"ko-KR": KOREAN, "en-GB": ENGLISH}


@pytest.fixture
def rules() -> Sequence[Rule]:
    return (
        Rule(when="JSON", reply=json.dumps(SCORES)),
        Rule(when="고쳐 쓰라", reply="저는 차 4대를 팔았고 고객의 불만을 듣고 고쳤습니다."),
        Rule(when="Rewrite", reply="I sold 4 cars a week and answered complaints myself."),
        Rule(when="[가-힣]", reply="말씀해 주셔서 고맙습니다."),
        Rule(when=".", reply="Thank you for telling me."),
    )


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/templates-{name}.png")


def open_home(new_page: Pages, locale: str, **more: int) -> Page:
    page = new_page(locale=locale, reduced_motion="reduce", **more)
    page.goto("/")
    page.get_by_role("heading", name=WORDS[locale]["gallery"]).wait_for()
    return page


def without_skills(route: Route) -> None:
    items = route.fetch().json()["items"]
    missing = [{"name": "travel", "installed": False}]
    route.fulfill(json={"items": [{**item, "skills": item["skills"] and missing} for item in items]})


def say(page: Page, text: str) -> None:
    replies = page.locator(".message.reply").count()
    page.fill(".composer textarea", text)
    page.keyboard.press("Enter")
    page.locator(".message.reply .message-foot").nth(replies).wait_for()


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_an_interview_from_the_gallery_to_the_report(new_page: Pages, site: Site, locale: str) -> None:
    words = WORDS[locale]
    page = open_home(new_page, locale)
    shoot(page, f"gallery-{locale}")
    page.locator(".template-cards button", has_text=words["interview"]).click()
    dialog = page.get_by_role("dialog", name=words["interview"])
    dialog.get_by_label(words["area"]).select_option(label=words["sales"])
    dialog.get_by_label(words["job"], exact=True).fill("<b>bold</b>")
    shoot(page, f"form-{locale}")
    dialog.get_by_role("button", name=words["begin"]).click()
    opening = page.locator(".message.reply").first
    expect(opening).to_contain_text(words["first"])
    expect(opening.locator(".author")).to_contain_text(words["interview"])
    expect(opening.get_by_role("button", name=words["again"])).to_have_count(0)
    assert site.engine.requests == []
    expect(page.locator(".row.active, .row[aria-current], .row").first).to_contain_text(words["interview"])
    say(page, words["answer"])
    expect(page.locator(".message.reply").last).to_contain_text(words["second"])
    assert site.engine.requests == []
    say(page, words["stop"])
    report = page.locator(".message.reply").last
    expect(report.get_by_role("heading", name=words["report"])).to_be_visible()
    expect(report.locator("table th").last).to_have_text(words["mean"])
    expect(report.locator("table tbody tr").first.locator("td").last).to_contain_text("4.0")
    shoot(page, f"report-{locale}")
    page.reload()
    expect(page.locator(".message.reply").first).to_contain_text(words["first"])


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_template_without_a_form_begins_at_once_with_ways_to_begin(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = open_home(new_page, locale, width=390, height=800)
    until(page, "document.documentElement.scrollWidth <= innerWidth")
    page.locator(".template-cards button", has_text=words["listener"]).click()
    expect(page.locator(".message.reply").first).to_contain_text("109")
    shoot(page, f"starters-{locale}")
    page.get_by_role("button", name=words["starter"]).click()
    expect(page.locator(".message.user")).to_contain_text(words["starter"])
    page.locator(".message.reply .message-foot").nth(1).wait_for()
    expect(page.locator(".starters")).to_have_count(0)
    expect(page.locator(".message.reply").last).to_contain_text("?")


def test_a_form_by_keys_names_missing_skills_and_gives_the_focus_back(new_page: Pages) -> None:
    page = open_home(new_page, "ko-KR")
    page.route("**/api/chat/templates", without_skills)
    page.reload()
    card = page.locator(".template-cards button", has_text="여행 계획")
    card.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="여행 계획")
    expect(dialog).to_contain_text("travel (설치되지 않음)")
    until(page, "document.activeElement?.name === 'place'")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    until(page, "document.activeElement?.closest('.template-cards') !== null")


def test_what_the_server_refuses_stays_in_the_form(new_page: Pages) -> None:
    page = open_home(new_page, "ko-KR")
    new_page.expected.append("422")
    new_page.expected.append("400")
    page.locator(".template-cards button", has_text="여행 계획").click()
    dialog = page.get_by_role("dialog", name="여행 계획")
    dialog.get_by_label("며칠").evaluate("box => { box.removeAttribute('max'); box.value = '99'; }")
    dialog.get_by_role("button", name="시작하기").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(dialog.get_by_label("며칠")).to_have_value("99")
