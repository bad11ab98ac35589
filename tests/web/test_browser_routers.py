"""The page of routers: examples are written, queries tried and taught, versions measured and called."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_site import Pages, Site, start_site
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e
CATALOGUES = Path(__file__).parents[2] / "src" / "malmoi" / "web" / "locale"
LOCALES = ["ko-KR", "en-GB"]
WEATHER = ["내일 서울 날씨 알려줘", "오늘 비 와?", "주말 날씨 예보", "부산 날씨 어때"]
CARS = ["제주에서 렌터카 빌려줘", "렌터카 가격 알려줘", "경차 렌터카 예약", "렌터카 반납 시간"]
VOTES = ["이번 선거에서 누구 뽑을까", "대통령 선거 후보 평가해줘", "국회의원 선거 누가 이길까"]


def see_letters(app: FastAPI) -> None:
    """Texts are alike by their letters alone: no encoder is loaded."""

    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    app.state.services.routers._embed = embed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = start_site(tmp_path / "home", [Rule(when=".", reply="네.")], change=see_letters)
    yield site
    site.close()


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Learning is work: on a busy machine five seconds are short."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


class Routers:
    """The page with words of its language."""

    def __init__(self, page: Page, locale: str) -> None:
        self.page = page
        page.set_default_timeout(30_000)
        self.language = locale[:2]
        text = (CATALOGUES / f"{self.language}.json").read_text(encoding="utf-8")
        self.words: dict[str, str] = json.loads(text)

    def say(self, key: str, **values: Any) -> str:
        return self.words.get(f"routers.{key}", self.words.get(key, key)).format(**values)

    def button(self, key: str, **values: Any) -> Any:
        return self.page.get_by_role("button", name=self.say(key, **values), exact=True)

    def tab(self, key: str) -> None:
        self.page.locator(".trainer-tabs").get_by_role("link", name=self.say(key)).click()

    def write(self, part: str, name: str, lines: list[str]) -> None:
        """Fill in the last card of a part."""
        card = self.page.get_by_role("region", name=self.say(part), exact=True).locator(".topic").last
        card.locator(".topic-name").fill(name)
        card.locator("textarea").fill("\n".join(lines))

    def state(self, key: str, **values: Any) -> None:
        expect(self.page.locator(".bench-state")).to_have_text(self.say(key, **values))

    def ask(self, query: str) -> Any:
        """Try a query; what is said of it."""
        self.page.fill("#router-query", query)
        self.page.keyboard.press("Enter")
        said = self.page.locator(".router-tried").first
        expect(said.locator(".bench-said")).to_have_text(query)
        return said

    def shoot(self, name: str) -> None:
        """Keep pictures, wide and narrow, where MALMOI_SCREENSHOTS names a folder."""
        folder = os.environ.get("MALMOI_SCREENSHOTS")
        for width in (390, 1280) if folder else ():
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.wait_for_timeout(400)  # the side slides away
            self.page.screenshot(path=f"{folder}/routers-{name}-{self.language}-{width}.png")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_router_is_made_taught_measured_and_called(new_page: Pages, locale: str) -> None:
    page = new_page(locale=locale, reduced_motion="reduce", accept_downloads=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    routers = Routers(page, locale)
    page.goto("/")
    page.get_by_role("link", name=routers.say("title"), exact=True).click()
    expect(page.get_by_role("heading", name=routers.say("none"))).to_be_visible()
    routers.shoot("none")
    routers.button("new").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(routers.say("name")).fill("안내")
    dialog.get_by_role("button", name=routers.say("action.save")).click()
    expect(page.locator(".trainer-picker")).to_contain_text("안내")

    # Too few examples are said at their card, and nothing is lost by it.
    routers.state("state_empty")
    routers.write("domains", "날씨", WEATHER[:1])
    routers.state("state_changed")
    routers.button("action.save").click()
    routers.state("state_wrong")
    expect(page.locator(".topic .field-error")).to_have_text(routers.say("needs_examples"))
    routers.write("domains", "날씨", WEATHER)
    routers.button("add_domain").click()
    expect(page.locator(".topic-name").nth(1)).to_be_focused()
    routers.write("domains", "렌터카", CARS)
    routers.button("add_blocked").click()
    routers.write("blocked", "선거", VOTES)
    routers.button("action.save").click()
    routers.state("state_saved", n=11)
    routers.shoot("examples")

    # A card that is removed can come back.
    routers.button("drop", name="선거").click()
    expect(page.locator(".topic")).to_have_count(2)
    page.locator(".notices").get_by_role("button", name=routers.say("action.undo")).click()
    expect(page.locator(".topic")).to_have_count(3)
    routers.state("state_saved", n=11)

    # Queries are tried, with scores; a wrong one is taught on the spot.
    routers.tab("tab_try")
    said = routers.ask("모레 부산 날씨 알려줘")
    expect(said.locator(".router-says .tag")).to_have_text("날씨")
    expect(said.locator(".router-scores li.found .score-near")).to_contain_text("부산 날씨 어때")
    said = routers.ask("시장 선거 후보 누구 뽑을까")
    expect(said.locator(".router-says .tag.bad")).to_have_text("선거")
    said = routers.ask("나 이제 죽고 싶어")
    expect(said.locator(".router-says .tag.bad")).to_have_text(routers.say("safety_self_harm"))
    said = routers.ask("꼬까옷 입을까")
    expect(said.locator(".router-says dd").first).to_have_text(routers.say("none_domain"))
    said.locator(".router-teach select").select_option(label="날씨")
    expect(page.locator(".router-taught")).to_have_text(routers.say("taught", name="날씨"))
    expect(page.locator(".router-tried")).to_have_count(5)
    newest = page.locator(".router-tried").first
    expect(newest.locator(".router-scores li").first.locator(".score-near")).to_contain_text("꼬까옷 입을까")
    routers.shoot("try")

    # A version is measured, and the call that is copied works as it stands.
    routers.tab("tab_versions")
    routers.button("freeze").click()
    expect(page.locator(".versions-list li")).to_have_count(1)
    part = page.get_by_role("region", name=routers.say("domains"), exact=True)
    expect(part.locator(".share").first).to_contain_text(re.compile(r"9.*\d|\d.*9"))
    part.locator("summary").first.click()
    expect(part.locator(".share")).to_have_count(4)
    routers.shoot("version")
    routers.button("message.copy").click()
    expect(routers.button("message.copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    address = re.match(r"curl (\S+) ", copied)
    assert address is not None
    assert address.group(1).startswith(f"{new_page.site.url}/v1/routers/rtr_")
    assert address.group(1).endswith("/versions/1/route")
    body = re.search(r"-d '(.*)'$", copied)
    assert body is not None
    answer = page.context.request.post(
        address.group(1), data=body.group(1), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 200, answer.text()
    assert answer.json()["result"]["domain"]["result"] == "날씨"

    # It is written to a file, deleted after a question, and comes back from the file.
    routers.button("menu").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=f"{routers.say('export')} · JSONL").click()
    file = download.value
    assert file.suggested_filename == "안내.jsonl"
    text = Path(file.path()).read_text(encoding="utf-8")
    assert '{"domain": "날씨", "text": "꼬까옷 입을까"}' in text
    page.wait_for_timeout(300)  # a click right after a menu has closed is the one that closed it
    routers.button("menu").click()
    page.get_by_role("menuitem", name=routers.say("delete")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(routers.say("delete_ask", name="안내", n=1))
    dialog.get_by_role("button", name=routers.say("action.delete")).click()
    expect(page.get_by_role("heading", name=routers.say("none"))).to_be_visible()
    whole: Any = {"name": "router.jsonl", "mimeType": "application/jsonl", "buffer": text.encode()}
    chooser = page.locator("input[type=file]")
    chooser.set_input_files([whole])
    expect(page.locator(".trainer-picker")).to_contain_text("안내")
    expect(page.locator(".topic")).to_have_count(3)
    new_page.expected.append("400")
    broken: Any = {"name": "x.jsonl", "mimeType": "application/jsonl", "buffer": b'{"text": 1}'}
    chooser.set_input_files([broken])
    expect(page.locator(".notice.error")).to_contain_text("x.jsonl: line 1")


CONTENT = {"domains": [{"name": "날씨", "examples": WEATHER}, {"name": "렌터카", "examples": CARS}]}


@pytest.mark.timeout(120)
def test_a_version_can_be_edited_again_and_hostile_names_are_words(new_page: Pages) -> None:
    page = new_page()
    routers = Routers(page, "ko-KR")
    page.goto("/")
    name = "<img src=x onerror=alert(1)>"
    token = page.evaluate("fetch('/api/session').then((answer) => answer.json())")["csrf"]

    def call(method: str, address: str, body: Any = None) -> Any:
        answer = page.context.request.fetch(
            f"/api/routers{address}", method=method, data=body, headers={"X-Malmoi-CSRF": token}
        )
        assert answer.ok, answer.text()
        return answer.json()

    content = {"domains": [{**one, "name": f"{name} {one['name']}"} for one in CONTENT["domains"]]}
    made = call("POST", "", {"name": name, "description": name, "content": content})
    call("POST", f"/{made['id']}/versions")
    call("PATCH", f"/{made['id']}", {"content": {"others": ["다른 말"]}})
    page.goto(f"/routers/{made['id']}/versions")
    expect(page.locator(".trainer-picker")).to_have_text(name)
    page.get_by_role("button", name=routers.say("version_menu", n=1)).click()
    page.get_by_role("menuitem", name=routers.say("bring")).click()
    expect(page.locator(".topic")).to_have_count(2)
    routers.state("state_changed")
    page.locator(".notices").get_by_role("button", name=routers.say("action.undo")).click()
    expect(page.locator(".topic")).to_have_count(1)  # an empty one, to begin with
    routers.tab("tab_versions")
    page.get_by_role("button", name=routers.say("version_menu", n=1)).click()
    page.get_by_role("menuitem", name=routers.say("bring")).click()
    expect(page.locator(".topic")).to_have_count(2)
    routers.button("action.save").click()
    routers.state("state_saved", n=8)
    routers.button("freeze").click()  # which is the version that there is
    expect(page.locator(".notices")).to_contain_text(routers.say("frozen_already", n=1))
    expect(page.locator(".versions-list li")).to_have_count(1)
    routers.tab("tab_try")
    expect(routers.ask("모레 부산 날씨 알려줘").locator(".router-says .tag")).to_have_text(f"{name} 날씨")
