"""What a model writes is shown and never run, and the page talks to nobody but its own server."""

import pytest
from attacks import ATTACKS
from playwright.sync_api import Page, expect

from malmoi.engine.scripted import Rule

pytestmark = pytest.mark.e2e


@pytest.fixture
def rules() -> tuple[Rule, ...]:
    # Every attack stands at the place of its number, whole and cut into single tokens.
    return tuple(
        Rule(when=rf"^attack {number}$", reply=text, reasoning=text if number % 2 else "")
        for number, text in enumerate(ATTACKS)
    )


def test_no_attack_runs(page: Page, new_page) -> None:  # type: ignore[no-untyped-def]
    for number in range(len(ATTACKS)):
        page.fill(".composer textarea", f"attack {number}")
        page.keyboard.press("Enter")
        page.locator(".message.reply .message-foot").nth(number).wait_for()
    for summary in page.locator(".reasoning summary").all():
        summary.click()
    page.wait_for_timeout(300)
    assert page.evaluate("window.__pwned === undefined")
    assert (
        page.locator(".prose")
        .locator("script, iframe, object, embed, form, input, style, svg:not(.icon)")
        .count()
        == 0
    )
    for name in ("onerror", "onclick", "onload", "onmouseover", "onfocus", "style", "id", "name", "srcset"):
        assert page.locator(f".prose .block [{name}]:not(.katex *, .katex)").count() == 0, name
    for link in page.locator(".prose a[href]").all():
        assert (link.get_attribute("href") or "").startswith(("http://", "https://", "mailto:"))
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in (link.get_attribute("rel") or "")
    for image in page.locator(".prose img").all():
        assert (image.get_attribute("src") or "").startswith("data:image/")
    page.reload()
    page.locator(".message.reply .message-foot").nth(len(ATTACKS) - 1).wait_for()
    assert page.evaluate("window.__pwned === undefined")


def test_the_same_words_from_a_person_and_in_a_title_are_only_words(page: Page) -> None:
    attack = "<img src=x onerror=window.__pwned=1><script>window.__pwned=1</script>"
    page.fill(".composer textarea", attack)
    page.keyboard.press("Enter")
    page.locator(".message.reply .message-foot").wait_for()
    expect(page.locator(".bubble")).to_have_text(attack)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("onerror")
    expect(page.locator(".search-results li").first).to_be_visible()
    assert page.evaluate("window.__pwned === undefined")


def test_the_policy_comes_with_the_page_and_holds(page: Page, new_page) -> None:  # type: ignore[no-untyped-def]
    new_page.expected += ["Content Security Policy", "Trusted", "TrustedHTML"]
    answer = page.request.get("/")
    assert "script-src 'self' 'sha256-" in answer.headers["content-security-policy"]
    blocked = page.evaluate(
        """async () => {
          const found = [];
          document.addEventListener('securitypolicyviolation',
            (event) => found.push(event.effectiveDirective));
          const script = document.createElement('script');
          script.append('window.__pwned = 1');
          document.body.append(script);
          const sheet = document.createElement('style');
          document.body.append(sheet);
          sheet.append('body { display: none }');
          await new Promise((resolve) => setTimeout(resolve, 100));
          return found;
        }"""
    )
    assert "style-src-elem" in blocked
    assert {"script-src-elem", "require-trusted-types-for"} & set(blocked)
    assert page.evaluate("window.__pwned === undefined")


def test_pictures_of_other_servers_are_links(page: Page) -> None:
    page.fill(".composer textarea", "attack 0")
    page.keyboard.press("Enter")
    link = page.locator(".prose a.remote-image")
    expect(link).to_have_attribute("href", "https://tracker.example/pixel.png")
    assert page.locator(".prose img").count() == 0
