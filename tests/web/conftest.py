"""Debian's Chromium in front of the real server.

All tests here are synchronous: Playwright's synchronous interface holds an event loop of its own while it
runs.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from browser_site import RULES, Pages, Site, start_site
from playwright.sync_api import Browser, Page, expect, sync_playwright

from malmoi.engine.scripted import Rule

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def rules() -> Sequence[Rule]:
    """What the engine answers; a test file may say otherwise."""
    return RULES


@pytest.fixture
def site(home: Path, rules: Sequence[Rule]) -> Iterator[Site]:
    """A server of this test's own."""
    site = start_site(home, rules)
    yield site
    site.close()


# For one file only: while Playwright runs, so does its event loop, and no other file's coroutines could.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file."""
    if not Path(CHROMIUM).exists():
        missing = f"{CHROMIUM} is missing; install it with: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=10_000)  # as long as actions wait: five seconds are little under load
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser, site: Site) -> Iterator[Pages]:
    """Makes pages; at the end nothing may have gone wrong on any of them."""
    pages = Pages(browser, site)
    yield pages
    for context in pages.contexts:
        context.close()
    assert pages.faults == []


@pytest.fixture
def page(new_page: Pages) -> Page:
    """The chat in Korean on a wide window, ready for a first message."""
    page = new_page()
    page.goto("/")
    page.wait_for_selector(".composer textarea")
    return page


@pytest.fixture
def say(page: Page) -> Callable[[str], None]:
    """Send a message and wait until the reply is there."""

    def send(text: str) -> None:
        replies = page.locator(".message.reply").count()
        page.fill(".composer textarea", text)
        page.keyboard.press("Enter")
        page.locator(".message.reply .message-foot").nth(replies).wait_for()

    return send
