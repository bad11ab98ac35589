"""Before the first model is here. The server's states are played by the browser's own network layer."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.e2e
GIGA = 1_000_000_000


def model(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"Model {name}",
        "description": "A model.",
        "license": "Apache-2.0",
        "languages": ["ko", "en"],
        "base": False,
        "size_bytes": GIGA,
        "context_length": 4096,
        "capabilities": ["chat", "generate"],
        "state": "available",
        "default": False,
        "error": None,
        "download": None,
    } | changes


class Models:
    """What /api/models says, and what was asked of it."""

    def __init__(self) -> None:
        self.items = [model("standard", default=True), model("small", base=True, size_bytes=GIGA // 4)]
        self.calls: list[str] = []

    def change(self, **changes: Any) -> None:
        self.items[0] |= changes

    def answer(self, route: Route) -> None:
        method, path = route.request.method, route.request.url.rsplit("/api/models", 1)[1]
        if method != "GET":
            self.calls.append(f"{method} {path}")
            if method == "POST":
                self.change(state="downloading", download=progress(0))
            else:
                self.change(state="available", download=None)
        body = self.items[0] if path else {"items": self.items}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))


def progress(done: int, **changes: Any) -> dict[str, Any]:
    return {
        "stage": "download",
        "done_bytes": done,
        "total_bytes": GIGA,
        "bytes_per_second": 10_000_000,
        "message": "",
        "error": None,
    } | changes


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def first(new_page: Any, models: Models) -> Page:
    page: Page = new_page()
    page.route("**/api/models**", models.answer)
    page.goto("/")
    page.wait_for_selector(".first-run")
    return page


def test_offers_both_models_with_size_and_licence(first: Page) -> None:
    cards = first.locator(".card")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("추천")
    expect(cards.first).to_contain_text("1 GB")
    expect(cards.first).to_contain_text("Apache-2.0")
    expect(cards.nth(1)).to_contain_text("250 MB")
    expect(cards.nth(1)).to_contain_text("베이스 모델")


def test_download_shows_bytes_speed_and_time_left_then_the_chat(first: Page, models: Models) -> None:
    first.get_by_role("button", name="내려받기 (1 GB)").click()
    expect(first.get_by_role("heading", level=1)).to_have_text("모델을 받고 있습니다")
    models.change(download=progress(250_000_000))
    card = first.locator(".card").first
    expect(card).to_contain_text("25%")
    expect(card).to_contain_text("250 MB / 1 GB · 10 MB/s")
    expect(card).to_contain_text("1분 남음")
    assert card.locator("progress").evaluate("(bar) => bar.value") == 0.25
    models.change(download=progress(GIGA, stage="verify", bytes_per_second=0))
    expect(card).to_contain_text("파일을 확인하는 중")
    models.change(state="loading", download=None)
    expect(first.locator(".banner")).to_contain_text("불러오는 중")
    expect(first.locator(".suggestions")).to_be_visible()
    models.change(state="ready")
    expect(first.locator(".banner")).to_have_count(0)
    assert models.calls == ["POST /standard/download"]


def test_a_failed_download_says_what_to_do_and_goes_on_where_it_stopped(first: Page, models: Models) -> None:
    first.get_by_role("button", name="내려받기 (1 GB)").click()
    error = {"code": "disk_full", "message": "디스크에 자리가 없습니다.", "fix": "1 GB를 비우세요."}
    models.change(state="failed", download=progress(400_000_000, stage="failed", error=error))
    banner = first.locator(".card .banner.error")
    expect(banner).to_contain_text("디스크에 자리가 없습니다.")
    expect(banner).to_contain_text("1 GB를 비우세요.")
    expect(banner).to_contain_text("이미 받은 400 MB")
    first.get_by_role("button", name="이어서 받기").click()
    expect(first.locator("progress")).to_be_visible()
    assert models.calls == ["POST /standard/download"] * 2


def test_a_download_can_be_cancelled(first: Page, models: Models) -> None:
    first.get_by_role("button", name="내려받기 (1 GB)").click()
    first.get_by_role("button", name="받기 취소").click()
    expect(first.get_by_role("button", name="내려받기 (1 GB)")).to_be_visible()
    assert models.calls[-1] == "DELETE /standard/download"


def test_a_download_that_failed_is_explained_in_the_readers_language(first: Page, models: Models) -> None:
    error = {"code": "download_failed", "message": "part1 could not be downloaded", "fix": "Check pip."}
    first.get_by_role("button", name="내려받기 (1 GB)").click()
    models.change(state="failed", download=progress(0, stage="failed", error=error))
    banner = first.locator(".card .banner.error")
    expect(banner.locator("strong")).to_have_text("모델을 내려받지 못했습니다.")
    expect(banner).to_contain_text("네트워크 연결을 확인하고 다시 시도하세요.")
    expect(banner.locator("small")).to_have_text("part1 could not be downloaded Check pip.")
    expect(first.locator(".card").first).to_contain_text("한국어와 영어로 답하고")
