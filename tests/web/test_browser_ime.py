"""Enter and the Hangul input method: the three ways in which chats get it wrong, by the browser's own IME."""

from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page, expect

pytestmark = pytest.mark.e2e
SENT = "안녕하세요"


@pytest.fixture
def ime(page: Page) -> CDPSession:
    page.locator(".composer textarea").click()
    return page.context.new_cdp_session(page)


def compose(ime: CDPSession, text: str) -> None:
    ime.send(
        "Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
    )


def commit(ime: CDPSession, text: str) -> None:
    ime.send("Input.insertText", {"text": text})


def enter(ime: CDPSession, *, processed: bool) -> None:
    """Enter as it is reported during composition (229, "Process"), or plainly."""
    key = (
        {"key": "Process", "windowsVirtualKeyCode": 229}
        if processed
        else {"key": "Enter", "windowsVirtualKeyCode": 13}
    )
    ime.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "code": "Enter", **key})
    ime.send("Input.dispatchKeyEvent", {"type": "keyUp", "code": "Enter", **key})


@pytest.fixture
def sent(page: Page, site) -> Callable[[], list[str]]:  # type: ignore[no-untyped-def]
    def texts() -> list[str]:
        page.locator(".message.reply .message-foot").first.wait_for()
        page.wait_for_timeout(300)  # time in which a wrong second message would come
        return [request.prompt.messages[-1].content for request in site.engine.requests]

    return texts


def test_is_sent_once_with_the_last_syllable_and_nothing_stays(page: Page, ime: CDPSession, sent) -> None:  # type: ignore[no-untyped-def]
    commit(ime, "안녕하세")
    compose(ime, "요")
    enter(ime, processed=True)
    commit(ime, "요")
    assert sent() == [SENT]
    expect(page.locator(".composer textarea")).to_have_value("")


def test_one_enter_is_enough_even_if_the_browser_reports_it_twice(page: Page, ime: CDPSession, sent) -> None:  # type: ignore[no-untyped-def]
    commit(ime, "안녕하세")
    compose(ime, "요")
    enter(ime, processed=True)
    commit(ime, "요")
    enter(ime, processed=False)
    assert sent() == [SENT]


def test_enter_that_claims_not_to_compose_does_not_cut_the_last_syllable(
    page: Page, ime: CDPSession, sent
) -> None:  # type: ignore[no-untyped-def]
    commit(ime, "안녕하세")
    compose(ime, "요")
    page.locator(".composer textarea").dispatch_event(
        "keydown",
        {"key": "Enter", "code": "Enter", "isComposing": False, "bubbles": True, "cancelable": True},
    )
    commit(ime, "요")
    assert sent() == [SENT]


def test_a_composition_that_never_ends_is_ended_and_sent(page: Page, ime: CDPSession, sent) -> None:  # type: ignore[no-untyped-def]
    commit(ime, "안녕하세")
    compose(ime, "요")
    enter(ime, processed=True)
    assert sent() == [SENT]
    expect(page.locator(".composer textarea")).to_have_value("")


def test_a_syllable_put_back_after_sending_is_dropped(page: Page, ime: CDPSession, sent) -> None:  # type: ignore[no-untyped-def]
    page.evaluate(
        """() => {
          const box = document.querySelector('.composer textarea');
          new MutationObserver(() => {}).observe(box, { attributes: true });
          box.value = '안녕하세요';
          box.dispatchEvent(new Event('input', { bubbles: true }));
          box.dispatchEvent(new KeyboardEvent('keydown',
            { key: 'Enter', code: 'Enter', bubbles: true, cancelable: true }));
          box.value = '요';
          box.dispatchEvent(new Event('input', { bubbles: true }));
        }"""
    )
    assert sent() == [SENT]
    expect(page.locator(".composer textarea")).to_have_value("")


def test_enter_of_another_input_method_chooses_a_candidate(page: Page, ime: CDPSession, site) -> None:  # type: ignore[no-untyped-def]
    compose(ime, "にほん")
    enter(ime, processed=True)
    commit(ime, "日本")
    page.wait_for_timeout(400)
    assert site.engine.requests == []
    expect(page.locator(".composer textarea")).to_have_value("日本")
    enter(ime, processed=False)
    page.locator(".message.reply .message-foot").wait_for()


def test_shift_enter_is_a_new_line(page: Page) -> None:
    page.locator(".composer textarea").click()
    page.keyboard.type("a")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("b")
    expect(page.locator(".composer textarea")).to_have_value("a\nb")
