"""What a first visit costs: at most 200 KB of compressed JavaScript, kept by the browser for ever."""

import pytest
from playwright.sync_api import Page, Response, expect

pytestmark = pytest.mark.e2e
BUDGET = 200_000


def test_first_load_is_light_and_a_second_one_needs_the_shell_only(new_page) -> None:  # type: ignore[no-untyped-def]
    page: Page = new_page()
    seen: list[Response] = []
    page.on("response", lambda response: seen.append(response))
    page.goto("/")
    page.wait_for_selector(".suggestions")
    page.wait_for_load_state("networkidle")
    scripts = {
        r.url: int(r.headers["content-length"])
        for r in seen
        if "javascript" in r.headers.get("content-type", "")
    }
    assert all(r.headers.get("content-encoding") == "gzip" for r in seen if r.url in scripts)
    assert not any("katex" in url or "highlightjs" in url for url in scripts)
    assert 0 < sum(scripts.values()) <= BUDGET, scripts
    print(f"JavaScript on first load: {sum(scripts.values())} bytes in {len(scripts)} files")
    files = [r for r in seen if "/static/" in r.url]
    assert all("immutable" in r.headers["cache-control"] for r in files)
    seen.clear()
    page.goto("/chat")
    expect(page.locator(".suggestions")).to_be_visible()
    assert [
        r.url
        for r in seen
        if "/static/" in r.url
        and not r.from_service_worker
        and r.request.timing["responseStart"] > 0
        and r.request.sizes()["responseBodySize"] > 0
    ] == []
