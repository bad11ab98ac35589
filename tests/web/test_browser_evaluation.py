"""The pages of evaluations in a browser, opened from disk: nothing goes wrong, everything can be read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from eval_rows import HOSTILE, choice_items, eval_result, task_result, write_report
from malmoi.core.files import write_text
from malmoi.core.store import Store
from malmoi.evals.compare import compare_reports
from malmoi.evals.leaderboard import read_boards
from malmoi.evals.report import write_page
from malmoi.evals.report.tables import render_comparison, render_leaderboard
from malmoi.evals.results import write_items, write_result

pytestmark = pytest.mark.e2e


class Opened:
    """Opens pages from disk and remembers what went wrong on them."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.faults: list[str] = []

    def __call__(
        self, path: Path, *, locale: str = "ko-KR", width: int = 1280, scheme: str = "light"
    ) -> Page:
        context = self.browser.new_context(
            locale=locale,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda request: None if request.url == path.as_uri() else self.faults.append(request.url),
        )
        page.goto(path.as_uri())
        return page


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    pages = Opened(browser)
    yield pages
    for context in browser.contexts:
        context.close()
    assert pages.faults == []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 360 items with markup in all of them."""
    return write_page(write_report(tmp_path_factory.mktemp("report")))


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['html'][:200]}"
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]


def ready(page: Page) -> Page:
    page.wait_for_selector("html[data-ready]")
    return page


def test_items_can_be_browsed_by_mouse_and_by_keyboard(opened: Opened, report: Path) -> None:
    page = ready(opened(report))
    expect(page.locator(".count")).to_have_text("360개 문항")
    assert page.locator(".row").count() < 60  # windowed
    page.locator(".row").nth(1).click()
    detail = page.locator(".detail")
    expect(detail).to_contain_text("00001")
    expect(detail).to_contain_text("훈민정음은 세종이 만들었다")
    expect(detail).to_contain_text(HOSTILE)
    expect(detail.locator("li.gold")).to_have_count(1)
    page.locator(".list").focus()
    page.keyboard.press("ArrowDown")
    expect(detail).to_contain_text("00002")
    page.keyboard.press("End")
    expect(detail).to_contain_text("w00059")
    expect(page.locator(".row[aria-selected=true]")).to_contain_text("w00059")
    assert page.title() == "small · korean"  # no script of the data ran


def test_filters_and_search(opened: Opened, report: Path) -> None:
    page = ready(opened(report, locale="en-GB"))
    count = page.locator(".count")
    expect(count).to_have_text("360 items")
    page.select_option("select[name=verdict]", "wrong")
    wrong = count.text_content()
    assert wrong not in (None, "360 items")
    page.select_option("select[name=verdict]", "cut")
    expect(count).to_have_text("12 items")
    page.select_option("select[name=verdict]", "other_language")
    expect(count).to_have_text("9 items")
    page.select_option("select[name=verdict]", "all")
    page.select_option("select[name=task]", label="kobest/boolq")
    page.select_option("select[name=category]", label="역사")
    expect(count).to_have_text("100 items")
    page.select_option("select[name=category]", "")
    page.fill("input[name=search]", "지문 123:")
    expect(count).to_have_text("1 items")
    page.locator(".row").click()
    expect(page.locator(".detail")).to_contain_text("00123")
    page.fill("input[name=search]", '"OWNED"</SCRIPT>')
    expect(count).to_have_text("300 items")
    page.fill("input[name=search]", "어디에도 없는 말")
    expect(count).to_have_text("0 items")
    page.fill("input[name=search]", "")
    page.locator("a[data-task='gsm8k/test']").click()
    expect(count).to_have_text("60 items")


def test_remarks_come_from_the_figures_in_both_languages(opened: Opened, report: Path) -> None:
    page = ready(opened(report))
    remarks = page.locator(".remarks")
    expect(remarks).to_contain_text("답의 20 %가 도중에 잘려")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(remarks).to_contain_text("20 % of the answers were cut off")
    expect(remarks.locator(".ko").first).to_be_hidden()
    expect(page.locator(".count")).to_have_text("360 items")
    expect(page.get_by_role("heading", name="Summary")).to_be_visible()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("ko-KR", 1280), ("en-GB", 360)])
def test_axe_finds_nothing_serious_at_any_width(
    opened: Opened, report: Path, locale: str, width: int, scheme: str
) -> None:
    page = ready(opened(report, locale=locale, width=width, scheme=scheme))
    page.locator(".row").nth(1).click()
    page.locator(".detail li").first.wait_for()
    for summary in page.locator("summary").all():
        summary.click()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.timeout(120)
def test_twenty_thousand_items_open_and_are_searched_at_once(opened: Opened, tmp_path: Path) -> None:
    items = choice_items(20_000)
    write_result(tmp_path, eval_result([task_result(items, ("accuracy",))]))
    write_items(tmp_path / "items.jsonl", items)
    path = write_page(tmp_path)
    assert path.stat().st_size < 6e6
    page = ready(opened(path))
    took = page.evaluate("performance.now()")
    assert took < 10_000  # 0.6 s on an idle machine
    page.locator(".list").focus()
    page.keyboard.press("End")
    expect(page.locator(".detail")).to_contain_text("19999")
    page.fill("input[name=search]", "지문 17777:")
    expect(page.locator(".count")).to_have_text("1개 문항", timeout=20_000)


def test_comparison_and_leaderboard(opened: Opened, home: Path) -> None:
    folders = []
    for seed, (model, right) in enumerate((("weak", 0.5), ("strong", 0.8))):
        with Store(home / "store").new_artifact("report", model) as out:
            write_report(out, seed=seed, right=right, model=model)
        folders.append(Store(home / "store").artifacts("report")[-1].path)
    comparison = home / "compare.html"
    write_text(comparison, render_comparison(compare_reports(folders[0], folders[1])))
    page = opened(comparison)
    expect(page.locator("td.verdict strong").first).to_contain_text("strong 쪽이 나음")
    expect(page.locator("td.verdict").last).to_contain_text("우연의 범위 안")
    assert serious(page) == []
    board = home / "leaderboard.html"
    write_text(board, render_leaderboard(read_boards(Store(home / "store"))))
    page = opened(board, locale="en-GB", width=360, scheme="dark")
    expect(page.locator("tbody th").first).to_contain_text("strong")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
