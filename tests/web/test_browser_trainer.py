"""The page of the skill trainer: correct a run, see it used at once, freeze, measure, export."""

import json
import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
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
SKILLS = {"ko": {"cars": "렌터카", "math": "수학", "weather": "날씨"}}
SKILLS["en"] = {"cars": "Car rental", "math": "Mathematics", "weather": "Weather"}
QUERY = "제주 꼬까옷 입을까"  # no example of any skill is like it


def see_letters(app: FastAPI) -> None:
    """Routing sees letters alone: no encoder is loaded."""

    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    skills = app.state.services.skills
    skills.runner.router._embed = embed
    skills.trainer.measures._embed = embed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = start_site(tmp_path / "home", [Rule(when=".", reply="네, 그렇습니다.")], change=see_letters)
    yield site
    site.close()


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """A run is several requests and a model's answer: on a busy machine five seconds are short."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


class Trainer:
    """The page with words of its language."""

    def __init__(self, page: Page, locale: str) -> None:
        self.page = page
        page.set_default_timeout(30_000)
        self.language = locale[:2]
        text = (CATALOGUES / f"{self.language}.json").read_text(encoding="utf-8")
        self.words: dict[str, str] = json.loads(text)

    def say(self, key: str, **values: Any) -> str:
        """The words of a key of the trainer's."""
        return self.words.get(f"trainer.{key}", self.words.get(key, key)).format(**values)

    def button(self, key: str, **values: Any) -> Any:
        return self.page.get_by_role("button", name=self.say(key, **values), exact=True)

    def tab(self, key: str) -> None:
        self.page.locator(".trainer-tabs").get_by_role("link", name=self.say(key)).click()

    def make_set(self, *skills: str) -> None:
        self.page.goto("/")
        self.page.get_by_role("link", name=self.say("title"), exact=True).click()
        expect(self.page.get_by_role("heading", name=self.say("none"))).to_be_visible()
        self.button("new_set").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label(self.say("set_name")).fill("여행 상담")
        for name in skills:
            dialog.get_by_role("checkbox", name=SKILLS[self.language][name]).first.check()
        dialog.get_by_label(self.say("tone")).fill("존댓말")
        dialog.get_by_role("button", name=self.say("action.save")).click()
        expect(self.page.locator(".trainer-picker")).to_contain_text("여행 상담")

    def ask(self, query: str) -> None:
        self.page.fill("#bench-query", query)
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".bench-row:not([aria-busy]) .bench-said")).to_have_text(query)

    def state(self, key: str) -> None:
        expect(self.page.locator(".bench-state")).to_have_text(self.say(key))

    def shoot(self, name: str) -> None:
        """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
        if folder := os.environ.get("MALMOI_SCREENSHOTS"):
            self.page.screenshot(path=f"{folder}/trainer-{name}-{self.language}.png")


def line(query: str, part: str, name: str = "", arguments: Any = None, answer: str = "네.") -> str:
    """A row as it is exported."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": query}]
    if name:
        function = {"name": name, "arguments": arguments or {}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})
    messages.append({"role": "assistant", "content": answer})
    return json.dumps({"messages": messages, "part": part, "zone": "Asia/Seoul"}, ensure_ascii=False)


TODAY = "weather__current_weather"
TESTS = "\n".join(
    [
        *(
            line(f"{city} 꼬까옷 입을까", "test", TODAY, {"city": name})
            for city, name in [("부산", "busan"), ("서울", "seoul"), ("전주", "jeonju")]
        ),
        line("부산 오늘 날씨 어때", "test", TODAY, {"city": "busan"}),
        line("오늘 기분이 참 좋다", "test"),
    ]
)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_correction_is_used_at_once_and_its_gain_is_measured(new_page: Pages, locale: str) -> None:
    new_page.expected.append("400")  # what the server refuses is shown at its field
    page = new_page(locale=locale, reduced_motion="reduce", accept_downloads=True)
    trainer = Trainer(page, locale)
    trainer.make_set("weather", "math")

    # A query that no skill takes is corrected: the operation, and the argument that the server asks for.
    trainer.ask(QUERY)
    way = page.locator("#way")
    expect(way).not_to_have_value("weather/current_weather")
    trainer.shoot("run")
    way.select_option("weather/current_weather")
    trainer.state("state_wrong")
    city = page.locator("#argument-city")
    expect(city).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#argument-city-problem")).to_have_text(trainer.say("needed"))
    city.select_option("busan")
    trainer.state("state_draft")
    city.select_option("jeju")
    trainer.button("action.undo").click()
    expect(city).to_have_value("busan")
    city.select_option("jeju")
    trainer.state("state_draft")
    trainer.button("call").click()
    expect(page.locator("#result")).to_have_value(re.compile("제주|[Jj]eju"))
    trainer.shoot("corrected")
    page.locator(".bench-save").get_by_role("button", name=trainer.say("action.save"), exact=True).click()
    trainer.state("state_train")

    # The same query again does as it was corrected.
    trainer.button("again").click()
    expect(page.locator(".bench-again .good")).to_have_text(trainer.say("again_good"))
    expect(page.locator(".again-table .right")).to_have_count(2)
    expect(page.locator(".again-table")).to_contain_text("city: jeju")
    trainer.shoot("again")

    # Test rows come in as a file; a wrong line is named.
    trainer.tab("tab_rows")
    expect(page.locator(".rows-list li")).to_have_count(1)
    chooser = page.locator(".rows-tools input[type=file]")
    broken: Any = {"name": "rows.jsonl", "mimeType": "application/jsonl", "buffer": b'{"messages": 1}'}
    chooser.set_input_files([broken])
    expect(page.locator(".rows-tools .field-error")).to_contain_text("line 1")
    whole: Any = {"name": "rows.jsonl", "mimeType": "application/jsonl", "buffer": TESTS.encode()}
    chooser.set_input_files([whole])
    expect(page.locator(".rows-list li")).to_have_count(6)
    trainer.shoot("rows")
    page.get_by_role("searchbox").fill("부산")
    expect(page.locator(".rows-list li")).to_have_count(2)
    page.get_by_role("searchbox").fill("")

    # A version is frozen and measured, and the gain is told.
    trainer.tab("tab_versions")
    trainer.button("freeze").click()
    expect(page.locator(".versions-list li")).to_have_count(1)
    trainer.button("measure").click()
    gain = page.locator(".trainer-gain")
    expect(gain).to_have_count(1, timeout=60_000)
    expect(gain.locator(".gain-words strong")).to_have_text(re.compile("→ 100 %$"))
    expect(gain.locator(".gain-by")).to_contain_text("+")
    expect(page.locator(".trainer-moved.gained li").first).to_contain_text("꼬까옷")
    expect(page.locator(".trainer-moved.lost")).to_have_count(0)
    trainer.shoot("measured")

    # It goes out as conversations.
    trainer.tab("tab_rows")
    trainer.button("export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=f"JSONL · {trainer.say('export_train')}").click()
    told = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert told["messages"][1] == {"role": "user", "content": QUERY}
    called = told["messages"][2]["tool_calls"][0]["function"]
    assert called == {"name": TODAY, "arguments": {"city": "jeju"}}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_call_that_changes_something_waits_for_a_yes(new_page: Pages, locale: str) -> None:
    new_page.expected.append("400")
    page = new_page(locale=locale, reduced_motion="reduce")
    trainer = Trainer(page, locale)
    trainer.make_set("cars", "math")
    trainer.ask("늘 타던 걸로 잡아 줘")
    page.locator("#way").select_option("cars/book_car")
    trainer.state("state_wrong")
    # All of them at once, as JSON; then what is not JSON at all stays where it was written.
    trainer.button("as_json").click()
    whole = page.get_by_label(trainer.say("arguments_json"))
    whole.fill('{"car_id": "jeju-hallabong-morning", "start_date": ')
    whole.press("Tab")
    expect(page.locator(".bench-arguments .field-error")).to_contain_text(trainer.say("json_wrong"))
    begin, end = (str(date.today() + timedelta(days=days)) for days in (20, 22))
    whole.fill(json.dumps({"car_id": "jeju-hallabong-morning", "start_date": begin, "end_date": end}))
    whole.press("Tab")
    trainer.state("state_draft")
    result = page.locator("#result")
    expect(result).to_have_value("")
    trainer.button("call_write").click()
    question = page.get_by_role("group", name=trainer.say("confirm_title"))
    expect(question).to_contain_text("jeju-hallabong-morning")
    trainer.shoot("confirm")
    question.get_by_role("button", name=trainer.say("confirm_no")).click()
    expect(question).to_have_count(0)
    expect(result).to_have_value("")
    # Nothing was called; the answer can be written by hand.
    result.fill('{"error": "full"}')
    result.press("Tab")
    trainer.state("state_draft")
    audit = page.evaluate("fetch('/api/skills/audit').then((answer) => answer.json())")
    assert [one["status"] for one in audit["rows"]] == ["denied"]
    trainer.button("call_write").click()
    question.get_by_role("button", name=trainer.say("confirm_yes")).click()
    expect(page.locator("#said")).not_to_have_value("")
    expect(result).to_have_value(re.compile("booking_id"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("locale", LOCALES)
def test_asking_back_many_queries_and_deleted_sets(new_page: Pages, locale: str) -> None:
    new_page.expected.append("400")
    page = new_page(locale=locale, reduced_motion="reduce", width=390, height=844)
    trainer = Trainer(page, locale)
    page.goto("/trainer")
    trainer.button("new_set").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(trainer.say("set_name")).fill("날씨")
    dialog.get_by_role("button", name=trainer.say("action.save")).click()
    expect(dialog.get_by_role("alert")).to_have_text(trainer.say("needs_skill"))
    dialog.get_by_role("checkbox", name=SKILLS[trainer.language]["weather"]).first.check()
    dialog.get_by_role("button", name=trainer.say("action.save")).click()
    trainer.ask("오늘 날씨 어때?")
    if page.locator("#way").input_value() == "/":
        page.locator("#way").select_option("weather/current_weather")
    asks = page.get_by_role("checkbox", name=trainer.say("asks"))
    asks.check()
    page.locator("#question").fill("어느 도시요?")
    page.locator("#question").press("Tab")
    trainer.state("state_draft")
    expect(page.locator("#result")).to_have_count(0)
    page.locator("#argument-city").select_option("jeju")
    expect(page.locator(".bench-body .field-error")).to_have_text(trainer.say("nothing_missing"))
    trainer.button("action.undo").click()
    trainer.state("state_draft")
    page.locator(".bench-save").get_by_role("button", name=trainer.say("action.save"), exact=True).click()
    trainer.state("state_train")
    trainer.shoot("asked")
    # The page says the same after it is opened anew.
    page.reload()
    expect(page.locator("#question")).to_have_value("어느 도시요?")

    trainer.button("many").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(trainer.say("many_label")).fill("제주 날씨\n\n부산 날씨\n제주 날씨")
    dialog.get_by_role("button", name=trainer.say("many_run", n=2)).click()
    dialog.get_by_role("button", name=trainer.say("to_drafts")).click(timeout=30_000)
    expect(page.locator(".rows-list li")).to_have_count(2)
    trainer.shoot("drafts")
    # A deleted row comes back.
    page.locator(".rows-list li").first.get_by_role("button").click()
    expect(page.locator(".rows-list li")).to_have_count(1)
    page.get_by_role("button", name=trainer.say("action.undo"), exact=True).click()
    expect(page.locator(".rows-list li")).to_have_count(2)
    # The set's examples go to the person's own chats, and the set goes for good.
    switch = page.get_by_role("switch")
    switch.check()
    expect(page.locator(".notice")).to_contain_text(trainer.say("applied"))
    trainer.button("set_menu").click()
    page.get_by_role("menuitem", name=trainer.say("delete_set")).click()
    page.get_by_role("dialog").get_by_role("button", name=trainer.say("action.delete"), exact=True).click()
    expect(page.get_by_role("heading", name=trainer.say("none"))).to_be_visible()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_query_for_two_things_is_corrected_step_by_step(new_page: Pages, locale: str) -> None:
    new_page.expected.append("400")  # a step is not whole before its operation is chosen
    page = new_page(locale=locale, reduced_motion="reduce", accept_downloads=True)
    trainer = Trainer(page, locale)
    trainer.make_set("weather", "math")
    query = "지금 제주에 비 와? 그리고 루트 50 값이 뭐임"
    trainer.ask(query)
    expect(page.locator(".bench-step")).to_have_count(2)
    expect(page.locator("#clause-1")).to_have_value("지금 제주에 비 와?")
    expect(page.locator("#clause-2")).to_have_value("루트 50 값이 뭐임")
    expect(page.locator("#way-0")).to_have_value("weather/current_weather")
    expect(page.locator("#way")).to_have_value("math/calculate")
    expect(page.locator("#result-0")).to_have_value(re.compile("[Jj]eju|제주"))

    # Each step is corrected where it stands, and its own call is made again.
    page.locator("#argument-0-city").select_option("busan")
    trainer.state("state_draft")
    page.locator(".bench-stage").nth(2).get_by_role("button", name=trainer.say("call")).click()
    expect(page.locator("#result-0")).to_have_value(re.compile("[Bb]usan|부산"))
    trainer.state("state_draft")
    trainer.button("drop_step", n=2).click()
    expect(page.locator(".bench-step")).to_have_count(0)
    expect(page.locator("#way")).to_have_value("weather/current_weather")
    trainer.button("action.undo").click()
    expect(page.locator(".bench-step")).to_have_count(2)
    trainer.button("add_step").click()
    trainer.state("state_wrong")
    page.locator("#way-1").select_option("weather/current_weather")
    expect(page.locator("#argument-1-city")).to_have_attribute("aria-invalid", "true")
    trainer.button("drop_step", n=2).click()
    expect(page.locator(".bench-step")).to_have_count(2)
    trainer.state("state_draft")
    trainer.shoot("steps")
    page.locator(".bench-save").get_by_role("button", name=trainer.say("action.save"), exact=True).click()
    trainer.state("state_train")

    # Asked again, the run is shown both: it calls as it was corrected, one after the other.
    trainer.button("again").click()
    expect(page.locator(".bench-again .good")).to_have_text(trainer.say("again_good"))
    expect(page.locator(".again-table .right")).to_have_count(2)
    expect(page.locator(".again-table")).to_contain_text("city: busan")
    trainer.shoot("steps-again")
    page.reload()
    expect(page.locator("#argument-0-city")).to_have_value("busan")
    trainer.tab("tab_rows")
    expect(page.locator(".rows-way")).to_contain_text("→")
    trainer.button("export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=f"JSONL · {trainer.say('export_train')}").click()
    told = json.loads(download.value.path().read_text(encoding="utf-8"))
    names = [one["tool_calls"][0]["function"]["name"] for one in told["messages"] if "tool_calls" in one]
    assert names == [TODAY, "math__calculate"]


@pytest.mark.timeout(240)
def test_an_unknown_set_and_keyboard_alone(new_page: Pages) -> None:
    new_page.expected.append("404")
    page = new_page(reduced_motion="reduce")
    trainer = Trainer(page, "ko-KR")
    trainer.make_set("weather")
    set_path = page.url
    page.goto("/trainer/sset_nothing")
    expect(page.get_by_text(trainer.say("gone"))).to_be_visible()
    page.goto(f"{set_path}/bench?row=srow_nothing")
    expect(page.locator(".notice.error")).to_be_visible()
    page.locator("#bench-query").focus()
    page.keyboard.type("제주 오늘 날씨 어때")
    page.keyboard.press("Enter")
    expect(page.locator(".bench-save")).to_be_visible()
    expect(page.locator("#bench-query")).to_be_focused()
    page.locator(".bench-save").get_by_role("button", name=trainer.say("action.save"), exact=True).focus()
    page.keyboard.press("Enter")
    trainer.state("state_train")
    # What is open stays open while one looks elsewhere.
    trainer.tab("tab_versions")
    trainer.tab("tab_bench")
    expect(page.locator(".bench-said")).to_have_text("제주 오늘 날씨 어때")
    trainer.button("choose_set").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitemradio", name="여행 상담")).to_be_focused()
    page.keyboard.press("Escape")
    expect(trainer.button("choose_set")).to_be_focused()
