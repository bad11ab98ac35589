"""Skills in the browser: switch them on, see what they do, say yes or no, and look at what was done."""

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attack_skill import KINDS, MANIFEST, MARKUP
from browser_site import Pages, Site, start_site, until
from fastapi import FastAPI
from playwright.sync_api import Locator, Page, expect

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e

TAXI = """\
name = "taxi"
domain = "car-rental"
version = "1"
description = "Calls taxis."
[people.ko]
name = "택시"
description = "택시를 부릅니다."
[people.en]
name = "Taxi"
description = "Calls taxis."
[source]
openapi = "openapi.json"
base_url = "https://taxi.example"
"""
OPENAPI = """{"openapi": "3.1.0", "info": {"title": "Taxi", "version": "1"},
 "paths": {"/taxis": {"get": {"operationId": "list_taxis", "summary": "Lists taxis.",
  "responses": {"200": {"description": "Taxis."}}}}}}"""
KOREAN = {
    "choose": "스킬 고르기",
    "on": "스킬: 렌터카 켜짐",
    "cars": "렌터카",
    "cars_on": "렌터카 끄기",
    "taxi": "택시",
    "math": "수학",
    "code": "코드 실행",
    "rule": "‘렌터카’와 같은 분야라",
    "enough": "한 번에 2개까지만 켤 수 있습니다.",
    "query": "12월 24일부터 26일까지 제주에서 경차 빌리고 싶어",
    "line": "렌터카: 차 찾기",
    "stages": ["고르기", "계획", "부르기", "결과", "답"],
    "city": "도시",
    "place": "제주",
    "response": "받은 응답",
    "book": "예약: 기아 모닝",
    "ask": "차 예약: 이대로 할까요?",
    "yes": "예, 차 예약",
    "no": "하지 않기",
    "booked": "예약을 마쳤습니다",
    "cancel": "예약 취소: 기아 모닝",
    "final": "하고 나면 되돌리지 못할 수 있습니다.",
    "really": "예, 예약 취소",
    "cancelled": "취소됨 · 기아 모닝",
    "denied": "하지 않았습니다",
    "box": "무엇이든 물어보세요",
    "no_skill": "맞는 스킬이 없어 그냥 답했습니다",
    "give": "계정 정보 넣기: 메일",
    "change": "계정 정보 바꾸기: 메일",
    "forget": "계정 정보 지우기",
    "password": "앱 비밀번호",
    "save": "저장",
    "operations": "할 수 있는 일",
    "changes": "바꾸기",
    "install": "스킬 설치",
    "check": "검사",
    "do_install": "설치",
    "remove": "스킬 지우기: 택시",
    "remove_it": "스킬 지우기",
    "open": "과정 보기",
    "trace": "스킬이 한 일",
    "status": ["하지 않음", "됨"],
}
ENGLISH = {
    "choose": "Choose skills",
    "on": "Skills on: Car rental",
    "cars": "Car rental",
    "cars_on": "Switch off Car rental",
    "taxi": "Taxi",
    "math": "Mathematics",
    "code": "Code",
    "rule": "Of the same field as “Car rental”",
    "enough": "Only 2 can be on at a time.",
    "query": "find me a cheap car in Jeju from {start} to {end}",
    "line": "Car rental: Find cars",
    "stages": ["Choose", "Plan", "Call", "Result", "Answer"],
    "city": "City",
    "place": "Jeju",
    "response": "Response",
    "book": "Book: 기아 모닝",
    "ask": "Book a car: go ahead?",
    "yes": "Yes: Book a car",
    "no": "Don’t",
    "booked": "Booked",
    "cancel": "Cancel: 기아 모닝",
    "final": "This may not be possible to undo.",
    "really": "Yes: Cancel a booking",
    "cancelled": "Cancelled · 기아 모닝",
    "denied": "Not done",
    "box": "Ask anything",
    "no_skill": "No skill fitted",
    "give": "Give details: Mail",
    "change": "Change details: Mail",
    "forget": "Forget them",
    "password": "App password",
    "save": "Save",
    "operations": "What it can do",
    "changes": "changes",
    "install": "Install a skill",
    "check": "Check",
    "do_install": "Install",
    "remove": "Remove the skill: Taxi",
    "remove_it": "Remove the skill",
    "open": "See the stages",
    "trace": "What the skill did",
    "status": ["denied", "done"],
}
WORDS: dict[str, dict[str, Any]] = {"ko-KR": KOREAN, "en-GB": ENGLISH}
RULES = (Rule(when=".", reply="반갑습니다. Hello."),)


def see_letters(app: FastAPI) -> None:
    """The router sees letters alone: no encoder is loaded."""

    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    app.state.services.skills.runner.router._embed = embed


def put_skill(home: Path, name: str, manifest: str, document: str = "") -> None:
    folder = home / "skills" / name
    folder.mkdir(parents=True)
    (folder / "skill.toml").write_text(manifest, encoding="utf-8")
    if document:
        (folder / "openapi.json").write_text(document, encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    put_skill(home, "taxi", TAXI, OPENAPI)
    put_skill(home, "attacks", MANIFEST)
    put_skill(home, "broken", "name = 1")
    return home


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    site = start_site(home, RULES, change=see_letters)
    yield site
    site.close()


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    """A busy machine needs longer than five seconds for a call."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/skills-{name}.png")


def open_chat(new_page: Pages, locale: str, on: Sequence[str] = (), **more: int) -> Page:
    """The chat with some skills on."""
    page = new_page(locale=locale, reduced_motion="reduce", **more)
    page.context.set_default_timeout(30_000)
    page.goto("/")
    page.wait_for_selector(".composer textarea")
    if on:
        page.locator(".skills-button").click()
        for name in on:
            page.get_by_role("switch", name=WORDS[locale][name], exact=True).check()
            page.locator(".skill-chips", has_text=WORDS[locale][name]).wait_for()
        page.keyboard.press("Escape")
    return page


def ask(page: Page, text: str) -> Locator:
    """Say something and wait until the reply has ended or waits; its days are some weeks from now."""
    start = datetime.now() + timedelta(days=30)
    text = text.format(start=start.date(), end=(start + timedelta(days=2)).date())
    replies = page.locator(".message.reply").count()
    page.fill(".composer textarea", text)
    page.keyboard.press("Enter")
    return reply(page, replies)


def reply(page: Page, number: int) -> Locator:
    found = page.locator(".message.reply").nth(number)
    found.locator(".message-foot").wait_for(timeout=30_000)
    return found


def audit(page: Page) -> list[tuple[str, str]]:
    rows = page.request.get("/api/skills/audit").json()["rows"]
    return [(row["operation"], row["status"]) for row in rows]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_car_is_found_booked_and_cancelled(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = open_chat(new_page, locale, ["cars"])
    expect(page.locator(".skills-button")).to_have_accessible_name(words["on"])
    first = ask(page, words["query"])
    trace = first.locator(".trace")
    expect(trace.locator("summary").first).to_have_text(words["line"])
    expect(first.locator(".skill-card").first.locator("h4")).to_have_text("기아 모닝")
    shoot(page, f"found-{locale}")
    trace.locator("summary").first.click()
    expect(trace.locator(".stage > h4")).to_have_text(words["stages"])
    plan = trace.locator(".stage").nth(1)
    expect(plan.locator("dt").first).to_have_text(words["city"])
    expect(plan.locator("dd").first).to_contain_text(words["place"])
    trace.get_by_text(words["response"]).click()
    expect(trace.locator(".response")).to_contain_text("jeju-hallabong-morning")
    shoot(page, f"trace-{locale}")
    live = trace.locator(".stages").inner_text()
    page.reload()
    trace.locator("summary").first.click()
    trace.get_by_text(words["response"]).click()
    expect(trace.locator(".response")).to_contain_text("jeju-hallabong-morning")
    assert trace.locator(".stages").inner_text() == live  # kept stages look as they did when they came

    # Book by the card's button; nothing happens before the yes, and a double click is one.
    page.get_by_role("button", name=words["book"]).first.click()
    question = page.get_by_role("alertdialog", name=words["ask"])
    expect(question).to_be_focused()
    expect(question).to_contain_text("jeju-hallabong-morning")
    assert [row for row in audit(page) if row[0] == "book_car"] == []
    shoot(page, f"question-{locale}")
    question.get_by_role("button", name=words["yes"]).dblclick()
    second = reply(page, 1)
    expect(second.locator(".skill-card h4")).to_contain_text("기아 모닝")
    expect(second.locator(".prose")).to_contain_text(words["booked"])
    expect(question).to_have_count(0)
    assert [row for row in audit(page) if row[0] == "book_car"] == [("book_car", "ok")]
    shoot(page, f"booked-{locale}")

    # Cancel it by keys alone: what cannot be taken back looks so.
    page.get_by_role("button", name=words["cancel"]).focus()
    page.keyboard.press("Enter")
    question = page.locator(".confirm.final")
    expect(question).to_be_focused()
    expect(question).to_contain_text(words["final"])
    expect(question.locator(".confirm-about")).to_contain_text("기아 모닝")
    shoot(page, f"cancel-{locale}")
    page.keyboard.press("Tab")
    expect(question.get_by_role("button", name=words["no"])).to_be_focused()
    page.keyboard.press("Tab")
    expect(question.get_by_role("button", name=words["really"])).to_be_focused()
    page.keyboard.press("Enter")
    third = reply(page, 2)
    expect(third.locator(".skill-card h4")).to_contain_text(words["cancelled"])
    expect(page.locator(".composer textarea")).to_be_focused()
    assert [row[0] for row in audit(page)] == ["cancel_booking", "book_car", "search_cars"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_no_changes_nothing_and_the_audit_tells(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = open_chat(new_page, locale, ["cars"], width=390, height=800)
    ask(page, words["query"])
    until(page, "document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"phone-{locale}")
    page.get_by_role("button", name=words["book"]).first.click()
    question = page.get_by_role("alertdialog", name=words["ask"])
    expect(question).to_be_focused()
    shoot(page, f"phone-question-{locale}")
    page.reload()  # a question waits through it
    question.get_by_role("button", name=words["no"]).click()
    expect(question).to_have_count(0)
    expect(page.locator(".message.reply").nth(1)).to_contain_text(words["denied"])
    assert audit(page) == [("book_car", "denied"), ("search_cars", "ok")]
    # A question that somebody goes on without answering is over as well.
    page.get_by_role("button", name=words["book"]).first.click()
    expect(question).to_have_count(1)
    ask(page, "안녕, 오늘 기분이 어때?" if locale == "ko-KR" else "hello, how are you today?")
    expect(question).to_have_count(0)
    expect(page.locator(".message.reply").last).to_contain_text("반갑습니다")
    expect(page.locator(".trace").last).to_contain_text(words["no_skill"])
    page.goto("/settings/activity")
    rows = page.locator(".activity-table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(words["status"][0])
    expect(rows.nth(2)).to_contain_text(words["status"][1])
    until(page, "document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"activity-{locale}")
    rows.nth(2).get_by_role("button", name=words["open"]).click()
    dialog = page.get_by_role("dialog", name=words["trace"])
    expect(dialog.locator(".stage > h4")).to_have_text(words["stages"])


def test_a_list_that_comes_late_stays_inside_the_window(new_page: Pages) -> None:
    page = new_page(locale="ko-KR", reduced_motion="reduce")
    held: list[Any] = []
    page.route("**/api/skills", lambda route: held.append(route))
    page.goto("/")
    page.get_by_role("button", name=KOREAN["choose"]).click()
    page.locator(".skills-panel").wait_for()
    assert held
    held.pop().continue_()
    page.locator(".skills-panel .skill-row").first.wait_for()
    inside = "() => document.querySelector('.skills-panel').getBoundingClientRect().bottom <= innerHeight"
    until(page, inside)


@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_rules_of_the_switches_are_said(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    new_page.expected.append("409")
    page = open_chat(new_page, locale)
    page.get_by_role("button", name=words["choose"]).click()
    panel = page.locator(".skills-panel")
    panel.get_by_role("switch", name=words["cars"], exact=True).check()
    taxi = panel.get_by_role("switch", name=words["taxi"], exact=True)
    expect(taxi).to_be_disabled()
    expect(taxi).to_have_accessible_description(re.compile(re.escape(words["rule"])))
    answer = page.evaluate(
        """async () => { const { csrf } = await (await fetch('/api/session')).json();
          const sent = { method: 'PUT', headers: { 'X-Malmoi-CSRF': csrf } };
          return (await fetch('/api/skills/taxi/switch', sent)).status; }"""
    )
    assert answer == 409
    panel.get_by_role("switch", name=words["math"], exact=True).check()
    expect(panel).to_contain_text(words["enough"])
    expect(panel.get_by_role("switch", name=words["code"], exact=True)).to_be_disabled()
    shoot(page, f"switches-{locale}")
    example = panel.locator(".skill-examples button").first
    said = example.inner_text()
    example.click()
    expect(panel).to_have_count(0)
    expect(page.locator(".composer textarea")).to_have_value(said)
    expect(page.locator(".composer textarea")).to_be_focused()
    page.get_by_role("button", name=words["cars_on"]).click()
    expect(page.locator(".skill-chips li")).to_have_text([words["math"]])
    page.reload()  # they belong to the account
    expect(page.locator(".skill-chips li")).to_have_text([words["math"]])


@pytest.mark.timeout(120)
def test_nothing_that_a_skill_says_runs_or_loads(new_page: Pages) -> None:
    page = open_chat(new_page, "ko-KR")
    page.locator(".skills-button").click()
    page.get_by_role("switch", name="공격", exact=True).check()
    expect(page.locator(".skill-row.on .quiet").first).to_have_text(MARKUP)
    page.keyboard.press("Escape")
    answer = ask(page, "공격을 보여줘")
    answer.locator(".more-cards").click()
    cards = answer.locator(".skill-card")
    expect(cards).to_have_count(len(KINDS))
    expect(cards.filter(has_text="booking").locator("h4")).to_have_text(f"{MARKUP} booking")
    expect(answer.locator(".card-picture")).to_have_attribute("src", re.compile("^blob:"))
    trace = answer.locator(".trace")
    trace.locator("summary").first.click()
    expect(trace.locator(".stage")).to_have_count(5)
    for summary in trace.locator(".stage summary").all():
        summary.click()
    cards.nth(1).locator(".card-actions button").last.click()
    question = page.get_by_role("alertdialog")
    expect(question).to_contain_text("![x](https://tracker.example/pixel.png)")
    expect(question).to_have_class(re.compile("final"))  # it sends
    question.get_by_role("button").first.click()
    expect(question).to_have_count(0)
    for part in (".skill-results", ".trace", ".confirm", ".skill-chips"):
        assert page.locator(part).locator("script, iframe, object, embed, form, style").count() == 0, part
        assert page.locator(f"{part} img:not(.card-picture)").count() == 0, part
        assert page.locator(f"{part} a").count() == 0, part
        for name in ("onerror", "onload", "onclick", "href", "srcset", "style"):
            assert page.locator(f"{part} [{name}]:not(.katex *, .katex)").count() == 0, (part, name)
    page.goto("/settings/skills")
    expect(page.get_by_text(MARKUP)).to_be_visible()
    page.goto("/settings/activity")
    expect(page.locator(".activity-table tbody tr")).to_have_count(2)
    assert page.locator(".settings img, .settings script").count() == 0
    assert page.evaluate("window.__pwned === undefined")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_the_settings_of_skills(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    new_page.expected.append("Failed to load resource")
    page = open_chat(new_page, locale)
    page.goto("/settings/skills")
    expect(page.locator(".broken")).to_contain_text("skill.toml:1")
    cars = page.locator(".skill-item", has=page.get_by_role("switch", name=words["cars"], exact=True))
    expect(cars.locator(".skill-needs")).to_have_count(0)  # the sandbox's token is made for everybody
    cars.get_by_text(words["operations"]).click()
    expect(cars.locator(".operations li", has_text="book_car")).to_contain_text(words["changes"])
    shoot(page, f"settings-{locale}")

    # Keys are given, never shown again, and forgotten.
    page.get_by_role("button", name=words["give"]).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label(words["password"])).to_have_attribute("type", "password")
    for field in ("address", "password", "imap_host", "smtp_host"):
        dialog.locator(f"[name={field}]").fill(f"{field}@a.example" if field == "address" else "mail.example")
    shoot(page, f"keys-{locale}")
    dialog.get_by_role("button", name=words["save"]).click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name=words["change"]).click()
    expect(dialog.get_by_label(words["password"])).to_have_value("")
    assert {box.input_value() for box in dialog.locator("input").all()} == {""}
    dialog.get_by_role("button", name=words["forget"]).click()
    expect(page.get_by_role("button", name=words["give"])).to_be_visible()

    # A skill is looked through, installed and removed.
    bus = (
        TAXI.replace("taxi", "bus")
        .replace("택시", "버스")
        .replace("Taxi", "Bus")
        .replace("car-rental", "bus")
    )
    page.get_by_role("button", name=words["install"]).click()
    dialog.locator("textarea[name=manifest]").fill(bus.replace('version = "1"', "version = 1"))
    dialog.locator("textarea[name=document]").fill(OPENAPI)
    dialog.get_by_role("button", name=words["check"], exact=True).click()
    expect(dialog.locator(".findings li.error").first).to_contain_text("skill.toml:3")
    shoot(page, f"findings-{locale}")
    dialog.locator("textarea[name=manifest]").fill(bus)
    expect(dialog.locator(".findings")).to_have_count(0)
    dialog.get_by_role("button", name=words["do_install"], exact=True).click()
    expect(dialog).to_have_count(0)
    remove = page.get_by_role(
        "button", name=re.sub("택시|Taxi", lambda one: {"택시": "버스"}.get(one[0], "Bus"), words["remove"])
    )
    remove.click()
    page.get_by_role("dialog").get_by_role("button", name=words["remove_it"], exact=True).click()
    expect(remove).to_have_count(0)
