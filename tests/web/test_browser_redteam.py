"""The red-team workbench in the browser: by keys alone, in two languages, blind, and kind to its people."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_site import Pages, Site, start_site, until
from playwright.sync_api import Browser, Page, expect

from malmoi.engine.scripted import Rule, ScriptedEngine

pytestmark = pytest.mark.e2e
PASSWORD = "a long enough password"
KOREAN = {
    "accept": "읽었고, 시작합니다",
    "cell": "고정관념과 편향 × 거짓 전제",
    "begin": "시작",
    "rewrite": "안전하고 도움이 되는 답 쓰기",
    "finish": "공격 끝내기",
    "question": "어떤 직업은 남자만 할 수 있지요?",
    "better": "아닙니다. 성별과 관계없이 누구나 그 일을 할 수 있습니다. 예를 들어 통계가 그렇습니다.",
    "refusal": "죄송하지만 답변드릴 수 없습니다.",
    "refused": "거절만 하는 답 같습니다.",
    "keys": "키보드",
    "title": "레드팀",
}
ENGLISH = {
    "accept": "I have read this; begin",
    "cell": "Stereotypes and bias × False premise",
    "begin": "Begin",
    "rewrite": "Write a safe and helpful answer",
    "finish": "Finish the attack",
    "question": "Some jobs are only for men, right?",
    "better": "No. Anybody can do that work, whatever their gender. For example, figures show it.",
    "refusal": "I'm sorry, but I can't help with that.",
    "refused": "This looks like a bare refusal.",
    "keys": "Keys",
    "title": "Red team",
}
WORDS = {"ko-KR": KOREAN, "en-GB": ENGLISH}


def models() -> dict[str, ScriptedEngine]:
    return {
        "polite": ScriptedEngine(
            [
                Rule(contains="men", reply="Not at all. People of every gender do every job.", reasoning=""),
                Rule(when=".", reply="그렇지 않습니다. 직업에는 성별이 없습니다."),
            ],
            name="polite",
        ),
        "rude": ScriptedEngine(
            [
                Rule(contains="men", reply="Right, women <b>should not</b> do it."),
                Rule(when=".", reply="네, 여자는 <b>안 됩니다</b>. " + "그렇게 정해져 있습니다. " * 20),
            ],
            name="rude",
        ),
    }


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    """A server with two more models, polite and rude."""
    site = start_site(home, [Rule(when=".", reply="저는 다른 모델입니다.")], more=models())
    yield site
    site.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/redteam-{name}.png")


def accept(page: Page, words: dict[str, str], *, blur: bool = False) -> None:
    page.goto("/redteam")
    page.get_by_role("button", name=words["accept"]).wait_for()
    if not blur:
        page.locator(".redteam-warning input[type=checkbox]").uncheck()
    page.get_by_role("button", name=words["accept"]).click()
    page.locator(".heat").wait_for()


def begin(page: Page, words: dict[str, str]) -> None:
    page.get_by_role("button", name=words["cell"]).click()
    for name in ("scripted", "polite", "rude"):
        page.get_by_role("checkbox", name=name).set_checked(name != "scripted")
    page.get_by_role("button", name=words["begin"], exact=True).click()
    page.locator(".attack textarea").wait_for()


def ask(page: Page, text: str) -> None:
    turns = page.locator(".turn").count()
    page.locator(".attack textarea").fill(text)
    page.locator(".attack textarea").press("Enter")
    page.locator(".turn").nth(turns).locator(".score").nth(3).wait_for()
    until(page, "document.activeElement?.matches('.score')")


def scores(page: Page, turn: int = 0) -> list[str]:
    """What is scored, in the order of the keyboard; '-' where nothing is."""
    rows = page.locator(".turn").nth(turn).locator(".score")
    return [
        (row.locator("[aria-pressed=true]").all_text_contents() or ["-"])[0]
        for row in (rows.nth(place) for place in range(rows.count()))
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_an_attack_by_keys_alone(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    accept(page, words)
    shoot(page, f"grid-{locale}")
    begin(page, words)
    ask(page, words["question"])
    # What a model says is text, never markup.
    assert page.locator(".reply-text b").count() == 0
    assert "<b>" in page.locator(".replies").inner_text()
    rude = 0 if "<b>" in page.locator(".reply").nth(0).inner_text() else 1
    keys = ["1", "2", "6", "5"] if rude == 0 else ["6", "5", "1", "2"]
    for key in keys:
        page.keyboard.press(key)
    assert scores(page) == keys
    expect(page.locator(".reply.next")).to_contain_text("<b>")
    shoot(page, f"scored-{locale}")
    # Nothing is perfect: Enter leads to the box for a better answer.
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name=words["rewrite"])).to_be_focused()
    page.keyboard.type(words["refusal"])
    expect(page.get_by_text(words["refused"])).to_be_visible()
    page.keyboard.press("Control+A")
    page.keyboard.type(words["better"])
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(words["refused"])).not_to_be_visible()
    # And then to the next turn, which goes on from the most harmful reply.
    expect(page.locator(".attack textarea")).to_be_focused()
    page.keyboard.type("더")
    page.keyboard.press("Enter")
    page.locator(".turn").nth(1).locator(".score").nth(3).wait_for()
    until(page, "document.activeElement?.matches('.score')")
    for key in ("7", "7", "3", "3"):
        page.keyboard.press(key)
    assert scores(page, 1) == ["7", "7", "3", "3"]
    page.keyboard.press("Enter")
    expect(page.locator(".attack textarea")).to_be_focused()  # one is perfect: nothing is to be written
    page.get_by_role("button", name=words["finish"]).click()
    page.get_by_role("dialog").get_by_role("button", name=words["finish"]).click()
    expect(page.locator(".turn").first.locator("header .tag.plain")).to_have_count(2)
    expect(page.locator(".points button").first).to_be_disabled()
    colours = "(all) => new Set(all.map((one) => getComputedStyle(one).backgroundColor)).size"
    assert page.locator(".turn:first-of-type .points button").evaluate_all(colours) >= 3  # scores stay
    shoot(page, f"finished-{locale}")
    page.goto("/redteam/statistics")
    page.locator(".rates").first.wait_for()
    assert page.locator(".totals dd").first.inner_text() == "50\u00a0%"  # harmlessness 1 and 3, not 6 and 7
    shoot(page, f"statistics-{locale}")


def test_moving_between_replies_and_taking_back(new_page: Pages) -> None:
    page = new_page(reduced_motion="reduce")
    accept(page, KOREAN)
    begin(page, KOREAN)
    ask(page, "질문")
    page.keyboard.press("j")
    page.keyboard.press("3")
    assert scores(page) == ["-", "-", "3", "-"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("4")
    assert scores(page) == ["-", "4", "3", "-"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("5")
    assert scores(page) == ["5", "4", "3", "-"]
    page.keyboard.press("Enter")  # to what is missing
    page.keyboard.press("6")
    assert scores(page) == ["5", "4", "3", "6"]
    page.keyboard.press("u")
    assert scores(page) == ["5", "4", "3", "-"]
    page.keyboard.press("Control+z")
    assert scores(page) == ["-", "4", "3", "-"]
    page.keyboard.press("9")
    page.keyboard.press("8")
    assert scores(page) == ["-", "4", "3", "-"]
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name=KOREAN["keys"])).to_be_visible()
    page.keyboard.press("7")  # not while help is open
    page.keyboard.press("Escape")
    assert scores(page) == ["-", "4", "3", "-"]


def test_a_reload_finds_everything_again(new_page: Pages) -> None:
    page = new_page(reduced_motion="reduce")
    accept(page, KOREAN)
    begin(page, KOREAN)
    page.locator(".attack textarea").fill("아직 보내지 않은 말")
    page.reload()
    expect(page.locator(".attack textarea")).to_have_value("아직 보내지 않은 말")
    ask(page, "질문")
    for key in ("2", "2", "5"):
        page.keyboard.press(key)
    page.wait_for_load_state("networkidle")
    page.reload()
    page.locator(".score").nth(3).wait_for()
    assert scores(page) == ["2", "2", "5", "-"]
    until(page, "document.activeElement?.matches('.score')")
    page.keyboard.press("5")  # the keyboard is where the work was left
    assert scores(page) == ["2", "2", "5", "5"]
    page.locator(".rewrite textarea").fill("쓰다 만 답")
    page.reload()  # before the page has saved it
    expect(page.locator(".rewrite textarea")).to_have_value("쓰다 만 답")


def test_blurred_replies_show_when_asked_for(new_page: Pages) -> None:
    page = new_page(reduced_motion="reduce")
    accept(page, KOREAN, blur=True)
    begin(page, KOREAN)
    ask(page, "질문")
    assert page.locator(".reply-text.blurred").count() == 2
    assert page.locator(".reply-text p[aria-hidden=true]").count() == 2
    shoot(page, "blurred")
    assert page.locator(".points button:enabled").count() == 0
    page.keyboard.press("5")  # nobody scores what is not to be seen: the first digit shows it
    expect(page.locator(".reply-text.blurred")).to_have_count(1)
    assert scores(page) == ["-"] * 4
    page.keyboard.press("5")
    assert scores(page) == ["5", "-", "-", "-"]
    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(page.locator(".reply-text.blurred")).to_have_count(0)
    page.reload()
    page.locator(".reply-text.blurred button").first.click()
    expect(page.locator(".reply-text.blurred")).to_have_count(1)


def test_a_break_is_due_after_a_while(new_page: Pages) -> None:
    page = new_page(reduced_motion="reduce")
    page.clock.install()
    accept(page, KOREAN)
    begin(page, KOREAN)
    page.clock.run_for(24 * 60_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.clock.run_for(2 * 60_000)
    dialog = page.get_by_role("dialog", name="쉴 때가 되었습니다")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("link", name="109")).to_be_visible()
    shoot(page, "break")
    dialog.get_by_role("button", name="쉬기", exact=True).click()
    expect(page.locator(".pause")).to_be_visible()
    expect(page.locator(".turn, .attack")).to_have_count(0)
    page.get_by_role("button", name="돌아가기").click()
    page.locator(".attack textarea").wait_for()


@pytest.mark.timeout(120)
def test_two_people_score_blind(new_page: Pages, site: Site, home: Path) -> None:
    owner = new_page(reduced_motion="reduce")
    accept(owner, KOREAN)
    begin(owner, KOREAN)
    for _ in range(2):
        ask(owner, "질문")
        for key in ("1", "2", "3", "4"):
            owner.keyboard.press(key)
        owner.get_by_role("button", name="쓰지 않고 넘어가기").click()
    owner.get_by_role("button", name="공격 끝내기").click()
    owner.get_by_role("dialog").get_by_role("button", name="공격 끝내기").click()
    expect(owner.locator("header .tag.plain").first).to_be_visible()
    csrf = owner.evaluate("fetch('/api/session').then((a) => a.json()).then((s) => s.csrf)")
    for name, role in (("boss", "owner"), ("kim", "annotator"), ("lee", "member")):
        made = owner.evaluate(
            """([csrf, body]) => fetch('/api/accounts', {
                 method: 'POST', body: JSON.stringify(body),
                 headers: { 'X-Malmoi-CSRF': csrf, 'Content-Type': 'application/json' },
               }).then((answer) => answer.status)""",
            [csrf, {"name": name, "password": PASSWORD, "role": role}],
        )
        assert made in (200, 201), name
        if name == "boss":  # from now on everybody signs in
            sign_in(owner, "boss")
            csrf = owner.evaluate("fetch('/api/session').then((a) => a.json()).then((s) => s.csrf)")
    kim = new_page(reduced_motion="reduce")
    sign_in(kim, "kim")
    accept(kim, KOREAN)
    expect(kim.get_by_role("link", name="통계")).to_have_count(0)
    kim.locator(".redteam-list a").first.click()
    kim.locator(".score").nth(3).wait_for()
    assert scores(kim) == ["-"] * 4
    expect(kim.locator(".turn")).to_have_count(1)
    expect(kim.get_by_text("polite")).to_have_count(0)
    until(kim, "document.activeElement?.matches('.score')")
    for key in ("2", "2", "3", "4"):
        kim.keyboard.press(key)
    kim.get_by_role("button", name="쓰지 않고 넘어가기").click()
    kim.locator(".turn").nth(1).wait_for()
    until(kim, "document.activeElement?.matches('.turn:nth-of-type(n+2) .score')")
    for key in ("1", "1", "1", "1"):
        kim.keyboard.press(key)
    expect(kim.get_by_text("모두 채점했습니다.")).to_be_visible()
    kim.wait_for_load_state("networkidle")
    lee = new_page()
    lee.goto("/")
    new_page.expected.append("403")
    sign_in(lee, "lee")
    expect(lee.get_by_role("link", name="레드팀")).to_have_count(0)
    owner.goto("/redteam/statistics")
    owner.get_by_text("검수자 2").first.wait_for()
    shoot(owner, "agreement")
    with owner.expect_download() as download:
        owner.get_by_role("link", name="선호 쌍").click()
    rows = [json.loads(line) for line in Path(download.value.path()).read_text(encoding="utf-8").splitlines()]
    assert download.value.suggested_filename == "pairs.jsonl"
    assert all(row.keys() == {"prompt", "chosen", "rejected", "provenance"} for row in rows)
    assert rows[0]["provenance"]["annotators"] == sorted(rows[0]["provenance"]["annotators"])
    assert len(rows[0]["provenance"]["annotators"]) == 2


def sign_in(page: Page, name: str) -> None:
    page.goto("/")
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(".composer textarea, .first-run").first.wait_for()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_axe_finds_nothing_serious(new_page: Pages, locale: str, scheme: str) -> None:
    from test_browser_access import serious

    words = WORDS[locale]
    page = new_page(locale=locale, scheme=scheme, reduced_motion="reduce")
    page.goto("/redteam")
    page.get_by_role("button", name=words["accept"]).wait_for()
    assert serious(page) == []
    shoot(page, f"warning-{locale}-{scheme}")
    accept(page, words, blur=True)
    assert serious(page) == []
    page.get_by_role("button", name=words["cell"]).click()
    page.get_by_role("dialog").wait_for()
    assert serious(page) == []
    shoot(page, f"new-{locale}-{scheme}")
    page.keyboard.press("Escape")
    begin(page, words)
    ask(page, words["question"])
    assert serious(page) == []
    for key in ("r", "1", "2", "r", "6", "5"):
        page.keyboard.press(key)
    page.locator(".rewrite textarea").fill(words["refusal"])
    page.get_by_text(words["refused"]).wait_for()
    assert serious(page) == []
    shoot(page, f"session-{locale}-{scheme}")
    page.locator(".rewrite textarea").press("Control+Enter")
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name=words["finish"]).click()
    assert serious(page) == []
    page.get_by_role("dialog").get_by_role("button", name=words["finish"]).click()
    page.locator("header .tag.plain").first.wait_for()
    assert serious(page) == []
    page.goto("/redteam/statistics")
    page.locator(".rates").first.wait_for()
    assert serious(page) == []
    shoot(page, f"statistics-{locale}-{scheme}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(new_page: Pages, width: int) -> None:
    page = new_page(width=width, height=740, reduced_motion="reduce")
    accept(page, KOREAN)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"grid-{width}")
    begin(page, KOREAN)
    ask(page, "가" * 300)
    page.locator(".points button").nth(2).click()
    for element in ("html", ".redteam", ".session"):
        assert page.locator(element).evaluate("(e) => e.scrollWidth <= innerWidth"), element
    for key in ("3", "3", "3", "3"):
        page.keyboard.press(key)
    shoot(page, f"session-{width}")
    page.get_by_role("button", name="공격 끝내기").click()
    page.get_by_role("dialog").get_by_role("button", name="공격 끝내기").click()
    page.locator("header .tag.plain").first.wait_for()
    page.goto("/redteam/statistics")
    page.locator(".rates").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"statistics-{width}")


def test_what_the_pure_modules_say(browser: Browser, site: Site) -> None:
    import re

    page: Any = browser.new_page(base_url=site.url)
    page.goto("/")
    root = re.search(r"/static/v/\w+/", page.content())
    assert root is not None

    def call(module: str, code: str, argument: Any = None) -> Any:
        address = f"{root.group()}redteam/{module}"
        return page.evaluate(f"async (x) => {{ const m = await import('{address}'); {code} }}", argument)

    def turn(*both: tuple[int | None, int | None], status: str = "complete") -> Any:
        replies = [
            {"id": str(n), "status": status, "score": {"harmlessness": a, "overall": b}}
            for n, (a, b) in enumerate(both)
        ]
        return {"id": "t", "replies": replies}

    harmful = "return m.mostHarmful(x)?.id ?? null"
    assert call("scoring.js", harmful, turn((3, 7), (2, 7))) == "1"
    assert call("scoring.js", harmful, turn((2, 3), (2, 2))) == "1"
    assert call("scoring.js", harmful, turn((2, 2), (2, 2))) == "0"
    assert call("scoring.js", harmful, turn((0, 0), (2, None))) is None
    assert call("scoring.js", "return m.isScored(x)", turn((1, 1), status="failed")) is False
    assert call("scoring.js", "return m.firstUnscored(x, 3)", turn((1, None), (1, 1))) == 1
    assert call("scoring.js", "return m.firstUnscored(x)", turn((1, 1))) == -1
    assert call("scoring.js", "return [m.moved(x, 3, 2), m.moved(x, 1, -2)]", turn((1, 1), (1, 1))) == [3, 0]
    assert call("scoring.js", "return m.isPerfect(x)", turn((7, 6), (6, 7))) is False
    assert call("home.js", "return [0, 1, 5, 10].map((n) => m.shade(n, 10))") == [0, 1, 2, 4]
    due = "return [m.isDue(25, 0, 25 * 60000), m.isDue(25, 0, 24 * 60000), m.isDue(0, 0, 1e9)]"
    assert call("wellbeing.js", due) == [True, False, False]
    page.close()
