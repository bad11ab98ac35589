"""A conversation from its first word to search, as a person has it in the browser."""

import json
import re
from collections.abc import Callable

import pytest
from browser_site import until
from playwright.sync_api import Page, Route, expect

from malmoi.engine.scripted import ScriptedEngine

pytestmark = pytest.mark.e2e
Say = Callable[[str], None]


def last_user_texts(engine: ScriptedEngine) -> list[str]:
    return [
        [m.content for m in request.prompt.messages if m.role == "user"][-1]  # type: ignore[union-attr]
        for request in engine.requests
    ]


def test_streams_and_shows_figures(page: Page, site) -> None:  # type: ignore[no-untyped-def]
    page.fill(".composer textarea", "천천히 말해 줘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply.streaming .prose")).to_contain_text("하나 둘 셋")
    expect(page.locator("[role=log]")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".composer textarea")).to_have_value("")
    site.release()
    expect(page.locator(".figures")).to_contain_text("토큰")
    expect(page.locator("[role=log]")).to_have_attribute("aria-busy", "false")
    expect(page).to_have_url(re.compile(r"/chat/\w+"))
    expect(page.locator(".row.here a")).to_contain_text("천천히")


def test_stop_keeps_what_was_written_and_regenerate_adds_a_version(page: Page, site, say: Say) -> None:  # type: ignore[no-untyped-def]
    page.fill(".composer textarea", "천천히 말해 줘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    page.get_by_role("button", name="생성 멈추기").click()
    expect(page.locator(".outcome")).to_have_text("여기에서 멈췄습니다.")
    expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    site.release()
    page.get_by_role("button", name="다시 쓰기").click()
    expect(page.locator(".message.reply .versions span")).to_have_text("2/2")
    expect(page.locator(".message.reply .figures")).to_be_visible()
    page.get_by_role("button", name="이전 버전").click()
    expect(page.locator(".outcome")).to_have_text("여기에서 멈췄습니다.")
    page.reload()
    expect(page.locator(".message.reply .versions span")).to_have_text("1/2")


def test_edit_makes_a_branch(page: Page, site, say: Say) -> None:  # type: ignore[no-untyped-def]
    say("첫 물음")
    say("둘째 물음")
    page.locator(".message.user").first.hover()
    page.get_by_role("button", name="고쳐서 다시 보내기").first.click()
    page.locator(".edit-box textarea").fill("고친 물음")
    page.get_by_role("button", name="보내기").first.click()
    expect(page.locator(".message.user .bubble")).to_have_text(["고친 물음"])
    expect(page.locator(".message.user .versions span")).to_have_text("2/2")
    page.get_by_role("button", name="이전 버전").click()
    expect(page.locator(".message.user .bubble")).to_have_text(["첫 물음", "둘째 물음"])
    assert last_user_texts(site.engine) == ["첫 물음", "둘째 물음", "고친 물음"]
    assert len(site.engine.requests[-1].prompt.messages) == 1


def test_a_slow_change_never_brings_a_deleted_conversation_back(page: Page, say: Say) -> None:
    say("곧 지울 대화")

    def late(route: Route) -> None:
        if route.request.method == "PATCH":
            page.wait_for_timeout(400)
        route.continue_()

    page.route("**/api/chat/conversations/*", late)
    for item in ("고정", "삭제"):
        page.locator(".row.here").hover()
        page.locator(".row.here .row-menu").click()
        page.get_by_role("menuitem", name=item, exact=True).click()
    expect(page.get_by_text("휴지통으로 옮겼습니다")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".row a", has_text="곧 지울 대화")).to_have_count(0)


def test_rename_pin_folder_delete_and_undo(page: Page, say: Say) -> None:
    say("정리할 대화")

    def menu(item: str) -> None:
        page.locator(".row.here").hover()
        page.locator(".row.here .row-menu").click()
        page.get_by_role("menuitem", name=item).click()

    menu("이름 바꾸기")
    page.get_by_role("textbox", name="이름 바꾸기").fill("새 이름")
    page.keyboard.press("Enter")
    expect(page.locator(".row.here a")).to_have_text("새 이름")
    page.get_by_role("button", name="새 폴더").click()
    page.get_by_role("textbox", name="폴더 이름").fill("업무")
    page.keyboard.press("Enter")
    expect(page.locator(".folder-toggle")).to_contain_text("업무")
    menu("‘업무’")
    expect(page.locator(".folder .row.here a")).to_have_text("새 이름")
    menu("고정")
    expect(page.get_by_role("heading", name="고정됨")).to_be_visible()
    menu("고정 해제")
    menu("삭제")
    expect(page.locator(".row a", has_text="새 이름")).to_have_count(0)
    page.get_by_role("button", name="되돌리기").click()
    expect(page.locator(".row a", has_text="새 이름")).to_have_count(1)


def test_search_finds_a_two_syllable_word_and_goes_to_the_message(page: Page, say: Say) -> None:
    say("다른 이야기")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator(".empty")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("결제")
    expect(page.locator(".search-results mark").first).to_have_text("결제")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?m="))
    expect(page.locator(".message.found")).to_contain_text("결제")


def test_export_and_import(page: Page, say: Say, tmp_path) -> None:  # type: ignore[no-untyped-def]
    say("내보낼 대화")
    page.goto("/settings/data")
    with page.expect_download() as started:
        page.get_by_role("button", name="모든 대화 내보내기").click()
    saved = tmp_path / "all.json"
    started.value.save_as(saved)
    assert "내보낼 대화" in json.dumps(json.loads(saved.read_text(encoding="utf-8")), ensure_ascii=False)
    with page.expect_file_chooser() as chooser:
        page.locator("button", has_text="파일 고르기").click()
    chooser.value.set_files(saved)
    expect(page.locator(".report")).to_contain_text("1개를 가져왔습니다")
    expect(page.locator(".row a", has_text="내보낼 대화")).to_have_count(2)
    (tmp_path / "no.json").write_text("not json", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.json")
    expect(page.locator(".notice.error")).to_contain_text("JSON 파일이 아닙니다")


def test_one_conversation_as_markdown(page: Page, say: Say) -> None:
    say("내보낼 대화")
    page.locator(".row.here").hover()
    page.locator(".row.here .row-menu").click()
    with page.expect_download() as started:
        page.get_by_role("menuitem", name="Markdown으로 내보내기").click()
    assert started.value.suggested_filename.endswith(".md")


def test_reload_while_streaming_takes_the_reply_up_again(page: Page, site) -> None:  # type: ignore[no-untyped-def]
    page.fill(".composer textarea", "천천히 말해 줘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    page.reload()
    expect(page.locator(".message.reply.streaming .prose")).to_contain_text("하나 둘")
    site.release()
    expect(page.locator(".figures")).to_be_visible()
    text = page.locator(".message.reply .prose").inner_text()
    assert " ".join(text.split()) == ("하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 " * 20).strip()
    assert len(site.engine.requests) == 1


def test_leaving_a_growing_reply_and_coming_back(page: Page, site) -> None:  # type: ignore[no-untyped-def]
    page.fill(".composer textarea", "천천히 말해 줘")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply .prose")).to_contain_text("하나 둘")
    page.get_by_role("button", name="새 대화", exact=True).click()
    expect(page.locator(".empty")).to_be_visible()
    page.locator(".row a").first.click()
    expect(page.locator(".message.reply.streaming .prose")).to_contain_text("하나 둘")
    site.release()
    expect(page.locator(".figures")).to_be_visible()


def test_shows_reasoning_tables_math_and_coloured_code(page: Page, say: Say) -> None:
    say("‘시작이 반이다’를 설명해 줘")
    expect(page.locator(".reasoning summary")).to_have_text("생각한 과정")
    expect(page.locator(".reasoning .prose")).not_to_be_visible()
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning .prose")).to_contain_text("속담의 뜻")
    expect(page.locator(".table-frame th")).to_have_count(3)
    expect(page.locator("td.align-center").first).to_be_visible()
    expect(page.locator(".katex").first).to_be_visible()
    expect(page.locator(".hljs-keyword").first).to_have_text("def")
    expect(page.locator(".prose strong")).to_have_text("“Well begun is half done.”")
    link = page.locator(".prose a")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(link).to_have_attribute("target", "_blank")


def test_copies_the_message_and_the_code(new_page, site) -> None:  # type: ignore[no-untyped-def]
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/")
    page.fill(".composer textarea", "‘시작이 반이다’")
    page.keyboard.press("Enter")
    page.locator(".message.reply .message-foot").wait_for()
    page.get_by_role("button", name="코드 복사").click()
    expect(page.get_by_role("button", name="복사됨")).to_be_visible()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("def remaining")
    page.locator(".message.reply").get_by_role("button", name="복사", exact=True).click()
    until(page, "navigator.clipboard.readText().then((text) => text.startsWith('## '))")


def test_a_failed_reply_says_so_and_can_be_tried_again(page: Page, new_page) -> None:  # type: ignore[no-untyped-def]
    page.fill(".composer textarea", "실패하는 말")
    page.keyboard.press("Enter")
    expect(page.locator(".message.reply .banner.error")).to_be_visible()
    page.locator(".message.reply .banner.error button").click()
    expect(page.locator(".message.reply .versions span")).to_have_text("2/2")


def test_what_was_typed_stays_with_its_conversation(page: Page, say: Say) -> None:
    say("첫 대화")
    page.fill(".composer textarea", "아직 보내지 않은 말")
    page.get_by_role("button", name="새 대화", exact=True).click()
    expect(page.locator(".composer textarea")).to_have_value("")
    page.fill(".composer textarea", "새 대화의 말")
    page.locator(".row a").first.click()
    expect(page.locator(".composer textarea")).to_have_value("아직 보내지 않은 말")
    page.reload()
    expect(page.locator(".composer textarea")).to_have_value("아직 보내지 않은 말")
    page.goto("/chat")
    expect(page.locator(".composer textarea")).to_have_value("새 대화의 말")


def test_sampling_and_persona_reach_the_engine(page: Page, site, say: Say) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("button", name="답변 조절").click()
    page.get_by_label("온도", exact=True).fill("0.2")
    expect(page.locator(".dialog.side output").first).to_have_text("0.2")
    page.keyboard.press("Escape")
    page.locator(".picker.persona").click()
    page.get_by_role("menuitem", name="새 페르소나").click()
    page.get_by_label("이름", exact=True).fill("뱃사공")
    page.get_by_label("지시문").fill("너는 뱃사공이다.")
    page.get_by_role("button", name="저장").click()
    expect(page.locator(".picker.persona")).to_contain_text("뱃사공")
    say("강을 건너자")
    request = site.engine.requests[-1]
    assert request.sampling.temperature == 0.2
    assert any(m.role == "system" and "뱃사공" in m.content for m in request.prompt.messages)


def test_a_search_that_has_not_answered_shows_no_results(page: Page, say: Say) -> None:
    say("안녕하세요")
    held: list[Route] = []
    page.route("**/api/chat/search?**", lambda route: held.append(route))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option")).to_have_count(1)
    with page.expect_request("**/api/chat/search?**"):
        page.get_by_role("combobox").fill("녕하")
    expect(page.get_by_role("option")).to_have_count(0)
    held[0].continue_()
    expect(page.locator(".search-results mark").first).to_have_text("녕하")
