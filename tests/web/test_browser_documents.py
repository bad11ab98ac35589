"""The page of documents in the browser: put files in, search, read at the very words, delete."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_site import Pages, Site, start_site
from playwright.sync_api import Page, expect

from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e
KOREAN = {
    "title": "문서",
    "new": "새 모음",
    "name": "이름",
    "save": "저장",
    "choose": "파일 고르기",
    "search": "이 모음에서 찾기",
    "menu": "모음 메뉴",
    "share": "나누기",
    "drop": "모음 지우기",
    "delete": "삭제",
    "remove": "휴가.md 지우기",
    "back": "모음으로",
    "none": "아직 문서가 없습니다",
    "bad": "걸린 파일.pdf",
    "retry": "걸린 파일.pdf 다시 읽기",
    "nothing": "찾은 것이 없습니다. 다른 말로 찾아보세요.",
}
ENGLISH = {
    "title": "Documents",
    "new": "New collection",
    "name": "Name",
    "save": "Save",
    "choose": "Choose files",
    "search": "Search this collection",
    "menu": "Collection menu",
    "share": "Share",
    "drop": "Delete the collection",
    "delete": "Delete",
    "remove": "Delete 휴가.md",
    "back": "To the collection",
    "none": "There are no documents yet",
    "bad": "걸린 파일.pdf",
    "retry": "Read 걸린 파일.pdf again",
    "nothing": "Nothing was found. Try other words.",
}
WORDS = {"ko-KR": KOREAN, "en-GB": ENGLISH}
LEAVE = """# 휴가 규정 🌴

## 신청

연차 휴가는 사흘 전까지 신청합니다. 급한 일이 있으면 당일에 알립니다.

## 일수

| 근속 | 일수 |
|---|---|
| 1년 | 15일 |
| 3년 | 16일 |
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = start_site(tmp_path / "home", [Rule(when=".", reply="네.")])
    yield site
    site.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture where MALMOI_SCREENSHOTS names a folder."""
    if folder := os.environ.get("MALMOI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/documents-{name}.png")


def make_collection(page: Page, words: dict[str, str], name: str) -> None:
    page.get_by_role("button", name=words["new"]).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(words["name"]).fill(name)
    dialog.get_by_role("button", name=words["save"]).click()
    expect(page.locator(".documents-head h2")).to_have_text(name)


def put(page: Page, *files: tuple[str, str, bytes]) -> None:
    payload = [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    page.locator("input[type=file]").first.set_input_files(payload)  # type: ignore[arg-type]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["ko-KR", "en-GB"])
def test_files_are_put_in_found_read_and_deleted(new_page: Pages, locale: str) -> None:
    words = WORDS[locale]
    page = new_page(locale=locale, reduced_motion="reduce")
    page.goto("/")
    page.get_by_role("link", name=words["title"], exact=True).click()
    expect(page.get_by_text(words["none"])).to_be_visible()
    make_collection(page, words, "인사")
    put(
        page,
        ("휴가.md", "text/markdown", LEAVE.encode()),
        ("걸린 파일.pdf", "application/pdf", b"%PDF-1.7 no"),
    )
    link = page.locator(".documents-row a", has_text="휴가 규정")
    link.wait_for(timeout=30_000)
    expect(page.locator(".documents-row", has_text=words["bad"]).locator(".documents-failed")).to_be_visible(
        timeout=30_000
    )
    expect(page.get_by_role("button", name=words["retry"])).to_be_visible()
    expect(page.locator(".documents-progress")).to_have_count(0, timeout=30_000)
    expect(page.locator(".documents-side .quiet")).to_have_text("2")
    shoot(page, f"list-{locale}")
    search = page.get_by_placeholder(words["search"])
    search.fill("연차 휴가는 언제까지 신청하나요?")
    hit = page.locator(".documents-hits li").first
    expect(hit.locator("mark").first).to_be_visible()
    expect(hit).to_contain_text("사흘 전까지")
    shoot(page, f"search-{locale}")
    hit.locator("a").click()
    expect(page.locator(".viewer h1")).to_contain_text("휴가 규정")
    # Behind a character of two units the marks are still exact.
    exact = page.locator(".viewer-text mark").get_by_text("연차 휴가는", exact=False)
    expect(exact).to_have_text("연차 휴가는 사흘 전까지 신청합니다. 급한 일이 있으면 당일에 알립니다.")
    expect(page.locator(".viewer-table td").first).to_have_text("근속")
    shoot(page, f"viewer-{locale}")
    with page.expect_download() as download:
        page.locator(".viewer a[download]").click()
    assert Path(download.value.path()).read_bytes() == LEAVE.encode()
    page.get_by_role("link", name=words["back"]).click()
    page.get_by_role("button", name=words["remove"]).click()
    page.get_by_role("dialog").get_by_role("button", name=words["delete"]).click()
    expect(link).to_have_count(0)
    page.get_by_role("button", name=words["menu"]).click()
    page.get_by_role("menuitem", name=words["drop"]).click()
    page.get_by_role("dialog").get_by_role("button", name=words["delete"]).click()
    expect(page.get_by_text(words["none"])).to_be_visible()


@pytest.mark.timeout(120)
def test_a_file_with_a_script_is_text(new_page: Pages) -> None:
    page = new_page(locale="ko-KR", reduced_motion="reduce")
    page.goto("/documents")
    make_collection(page, KOREAN, "<img src=x onerror=alert(1)>")
    image = "<img src='https://example.com/x.png' onerror='window.bad = 2'>"
    bad = f"<p>앞 글입니다</p><script>window.bad = 1</script>{image}"
    put(
        page,
        ("<b>이름.html", "text/html", bad.encode()),
        ("b.txt", "text/plain", b"<script>window.bad = 3</script>"),
    )
    page.locator(".documents-row a").nth(1).wait_for(timeout=30_000)
    expect(page.locator(".documents-progress")).to_have_count(0, timeout=30_000)
    page.locator(".documents-row", has_text="b.txt").locator("a").click()
    expect(page.locator(".viewer-text")).to_contain_text("<script>window.bad = 3</script>")
    assert page.evaluate("window.bad === undefined")


@pytest.mark.timeout(120)
def test_dropped_folders_come_with_all_that_lies_in_them(new_page: Pages) -> None:
    page = new_page(locale="ko-KR", reduced_motion="reduce")
    page.goto("/documents")
    make_collection(page, KOREAN, "폴더")
    page.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(['첫 글입니다.'], '하나.txt', { type: 'text/plain' }));
          transfer.items.add(new File(['둘째 글입니다.'], '둘.txt', { type: 'text/plain' }));
          const target = document.querySelector('.documents-collection');
          for (const kind of ['dragover', 'drop']) {
            const given = { dataTransfer: transfer, bubbles: true, cancelable: true };
            target.dispatchEvent(new DragEvent(kind, given));
          }
        }"""
    )
    expect(page.locator(".documents-row")).to_have_count(2, timeout=30_000)
    expect(page.locator(".documents-progress")).to_have_count(0, timeout=30_000)
