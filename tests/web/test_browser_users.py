"""The page of users in the browser: people and why, a map by keys and pointer, audiences, and deletion."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_site import Pages, Site, start_site, until
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from fake_text_model import fake_kinds
from malmoi.engine.scripted import Rule
from malmoi.users.index import open_collection
from users_gateway import fill

pytestmark = pytest.mark.e2e
KOREAN = {
    "title": "사용자",
    "recommended": "추천",
    "because": "이 일이 없으면 점수가 내려갑니다:",
    "forget": "사용자 지우기",
    "forgotten": "사용자를 지웠습니다.",
    "seed": "대상의 기준에 넣기",
    "audience": "대상 고르기",
    "find": "찾기",
    "csv": "CSV로 받기",
    "map": "사용자 지도",
    "table": "표로 보기",
    "zoom": "1.5배",
    "campaign": "캠페인 반응 확률",
    "none": "아직 저장된 사용자가 없습니다",
    "no_model": "이 서버에는 사용자 모델이 없습니다",
}
ENGLISH = {
    "title": "Users",
    "recommended": "Recommended",
    "because": "The score falls without:",
    "forget": "Delete this user",
    "forgotten": "The user was deleted.",
    "seed": "Add to the audience’s seeds",
    "audience": "Audience",
    "find": "Find",
    "csv": "Download as CSV",
    "map": "Map of users",
    "table": "As a table",
    "zoom": "1.5×",
    "campaign": "Chance of answering a campaign",
    "none": "No users are stored yet",
    "no_model": "This server serves no user model",
}
WORDS = {"ko-KR": KOREAN, "en-GB": ENGLISH}


def with_fake_kinds(app: FastAPI) -> None:
    app.state.services.users.service._registry = fake_kinds()


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    """A server with sixty people."""
    fill(home)
    rules = [Rule(when=".", reply="네.")]
    site = start_site(home, rules, user_models=("word-counts",), change=with_fake_kinds)
    yield site
    site.close()


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """A server without user models."""
    site = start_site(tmp_path / "empty", [Rule(when=".", reply="네.")])
    yield site
    site.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/users-{name}.png")


def open_person(page: Page, key: str) -> None:
    page.goto("/users")
    page.locator(".users-find input").fill(key)
    page.get_by_role("button", name=key, exact=True).first.click()
    page.locator(".users-items").wait_for()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_person_and_why_and_deletion(new_page: Pages, home: Path, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    page.goto("/")
    page.get_by_role("link", name=words["title"], exact=True).click()
    expect(page.locator(".users-list li")).to_have_count(50)
    page.get_by_role("button", name="더 보기" if locale == "ko-KR" else "Show more").click()
    expect(page.locator(".users-list li")).to_have_count(60)
    page.locator(".users-find input").fill("u00")
    expect(page.locator(".users-list li")).to_have_count(10)
    page.get_by_role("button", name="u002", exact=True).click()
    expect(page.locator(".users-history li").first).to_have_text("2번 글 읽음")
    expect(page.get_by_text(words["because"]).first).to_be_visible()
    shoot(page, f"person-{locale}")
    near = page.locator(".users-neighbours button").first.inner_text()
    page.locator(".users-neighbours button").first.click()
    expect(page.locator(".users-person h2")).to_have_text(near)
    page.get_by_role("button", name="u002", exact=True).first.click()
    expect(page.locator(".users-person h2")).to_have_text("u002")
    page.get_by_role("button", name=words["forget"]).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")  # nothing happens
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert open_collection(home, "people").active.facts("u002") is not None
    page.get_by_role("button", name=words["forget"]).click()
    page.get_by_role("dialog").get_by_role("button", name=words["forget"]).click()
    expect(page.get_by_text(words["forgotten"])).to_be_visible()
    expect(page.locator(".users-list li")).to_have_count(9)
    assert open_collection(home, "people").active.facts("u002") is None
    assert "u00" not in page.url  # nobody's name is in the address


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_the_map_by_keys_and_pointer(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    page.goto("/users/map")
    expect(page.locator(".users-plot circle")).to_have_count(60)
    plot = page.locator(".users-plot")
    box = "document.querySelector('.users-plot svg').getAttribute('viewBox')"
    whole = page.evaluate(box)
    plot.focus()
    page.keyboard.press("+")
    expect(page.get_by_text(words["zoom"])).to_be_visible()
    zoomed = page.evaluate(box)
    page.keyboard.press("ArrowRight")
    until(page, f"{box} !== {zoomed!r}")
    page.keyboard.press("0")
    until(page, f"{box} === {whole!r}")
    middle = plot.bounding_box()
    assert middle is not None
    page.mouse.move(middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2)
    page.mouse.wheel(0, -100)
    until(page, f"{box} !== {whole!r}")
    before = page.evaluate(box)
    page.mouse.down()
    page.mouse.move(middle["x"] + middle["width"] / 2 + 60, middle["y"] + middle["height"] / 2, steps=4)
    page.mouse.up()
    until(page, f"{box} !== {before!r}")
    plot.focus()
    page.keyboard.press("0")
    shoot(page, f"map-{locale}")
    page.locator(".users-plot circle").last.click(force=True)
    page.locator(".users-person h2").wait_for()
    page.get_by_text(words["table"]).first.click()
    rows = page.locator(".users-table tbody tr")
    expect(rows).to_have_count(60)
    rows.nth(7).get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".users-person h2")).to_have_text(rows.nth(7).get_by_role("button").inner_text())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_an_audience_as_a_file(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    open_person(page, "u010")
    page.get_by_role("button", name=words["seed"]).click()
    page.get_by_role("link", name=words["audience"]).click()
    seeds = page.locator(".users-audience textarea")
    expect(seeds).to_have_value("u010")
    seeds.fill("u010\nu015\nnobody\n")
    page.locator("input[type=number]").fill("7")
    page.get_by_label(words["campaign"]).select_option("shoe-sale")
    page.get_by_role("button", name=words["find"], exact=True).click()
    rows = page.locator(".users-table tbody tr")
    expect(rows).to_have_count(7)
    expect(page.get_by_text("nobody").last).to_be_visible()
    shoot(page, f"audience-{locale}")
    with page.expect_download() as download:
        page.get_by_role("button", name=words["csv"]).click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    found = list(csv.DictReader(text.splitlines()))
    assert [row["user"] for row in found] == [rows.nth(n).locator("th").inner_text() for n in range(7)]
    assert all(0 < float(row["probability"]) < 1 for row in found)


@pytest.mark.timeout(120)
def test_somebody_new_is_answered_while_typing(new_page: Pages) -> None:
    page = new_page(reduced_motion="reduce")
    page.goto("/users/new")
    box = page.locator(".users-new textarea")
    box.press_sequentially("파란 운동화 구매")
    expect(page.locator(".users-items strong").first).to_have_text("빨간 운동화 구매")
    box.press("Enter")
    box.press_sequentially("제주 여행 예약")
    expect(page.locator(".users-items li strong")).to_contain_text(["빨간 운동화 구매", "제주 호텔 예약"])
    shoot(page, "new-ko-KR")
    page.get_by_role("checkbox", name="shop").uncheck()
    expect(page.locator(".users-items strong").first).to_have_text("제주 호텔 예약")
    box.fill("")
    expect(page.locator(".users-items")).to_have_count(0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_axe_finds_nothing_serious_on_users(new_page: Pages, locale: str, scheme: str) -> None:
    from test_browser_access import serious

    words = WORDS[locale]
    page = new_page(locale=locale, scheme=scheme, reduced_motion="reduce")
    open_person(page, "u004")
    assert serious(page) == []
    page.get_by_role("button", name=words["forget"]).click()
    page.get_by_role("dialog").wait_for()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name=words["audience"]).click()
    page.locator(".users-audience textarea").fill("u004")
    page.get_by_role("button", name=words["find"], exact=True).click()
    page.locator(".users-table").wait_for()
    assert serious(page) == []
    page.goto("/users/map")
    page.get_by_text(words["table"]).first.click()
    page.locator(".users-table").wait_for()
    assert serious(page) == []
    shoot(page, f"map-table-{locale}-{scheme}")
    page.goto("/users/new")
    page.locator(".users-new textarea").fill("제주 여행 예약")
    page.locator(".users-items").wait_for()
    assert serious(page) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_users_fit_the_window(new_page: Pages, width: int) -> None:
    page = new_page(width=width, height=740, reduced_motion="reduce")
    open_person(page, "u005")
    for address in ("", "/users/map", "/users/audience", "/users/new"):
        if address:
            page.goto(address)
            page.locator(".users-plot, .users-audience, .users-new").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert page.locator(".users").evaluate("(e) => e.scrollWidth <= innerWidth"), address
        shoot(page, f"{width}{address.replace('/', '-')}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_a_server_without_users_says_so(new_page: Pages, empty_site: Site, locale: str) -> None:
    words = WORDS[locale]
    new_page.site = empty_site
    page = new_page(locale=locale)
    page.goto("/users")
    expect(page.get_by_text(words["none"])).to_be_visible()
    page.goto("/users/new")
    expect(page.get_by_text(words["no_model"])).to_be_visible()
