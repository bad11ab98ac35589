"""Answers on their way out: what is held, covered, replaced and put back; the same wherever they are cut."""

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from malmoi.assist.guard import AnswerGuard, Classifiers, Guard, Policy
from malmoi.assist.guard.answer import FILTERED
from malmoi.core.types import Chat, Message
from malmoi.engine.classify import LabelGroup, OperatingPoint


class Fearful:
    """A classifier that calls every text unsafe that holds 위험, and remembers what it was asked."""

    labels = ("safe", "unsafe")
    groups = (LabelGroup("safe", ("safe", "unsafe"), "safe"),)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def predict(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> NDArray[np.float32]:
        self.asked += texts
        rows = [[0.03, 0.97] if "위험" in text else [0.9, 0.1] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 2)


def guard_of(classifiers: Sequence[Any] = (), **policy: Any) -> Guard:
    return Guard(Policy.model_validate(policy), classifiers=Classifiers(None, opened=list(classifiers)))


async def answer_of(guard: Guard, text: str = "질문", **options: Any) -> AnswerGuard:
    return guard.answer(await guard.check(Chat((Message("user", text),))), **options)


async def sent(answer: AnswerGuard, pieces: Sequence[str]) -> str:
    return "".join([*[await answer.feed(piece) for piece in pieces], await answer.close()])


MASKING = {"groups": {"curse": {"lists": ["curse"], "output": "mask"}}, "pii": {"output": "mask"}}
REPLACING = {"groups": {"unsafe": {"labels": ["unsafe"], "output": "replace", "high": 0.9}}}
BLOCKING = {"groups": {"unsafe": {"labels": ["unsafe"], "output": "block", "high": 0.9}}}
TEXT = (
    "안녕하세요! 제 번호는 010-1234-5678이고 메일은 kim@naver.com 입니다. 이 시발 뭐야? "
    "시발점은 괜찮다.\n계좌는 국민은행 123456-78-123456 이고 3.14는 수입니다. 개1새끼라고 했다 끝"
)
COVERED = (
    "안녕하세요! 제 번호는 [전화번호]이고 메일은 [이메일]@naver.com 입니다. 이 ○○ 뭐야? "
    "시발점은 괜찮다.\n계좌는 국민은행 [계좌번호] 이고 3.14는 수입니다. ○○○○라고 했다 끝"
)


async def test_every_cut_gives_the_same_answer() -> None:
    guard = guard_of(**MASKING)
    assert await sent(await answer_of(guard), [TEXT]) == COVERED
    assert await sent(await answer_of(guard), list(TEXT)) == COVERED
    for at in range(len(TEXT)):
        assert await sent(await answer_of(guard), [TEXT[:at], TEXT[at:]]) == COVERED


async def test_long_sentences_are_judged_in_parts_that_do_not_depend_on_the_cuts() -> None:
    rng = random.Random(1)
    words = ["그리고", "개새끼", "010-1234-5678", "a" * 50, "시", "발", "말", "위험"]
    text = " ".join(rng.choice(words) for _ in range(300))
    policy = {**MASKING, "stream": {"hold_characters": 40}}
    whole = await sent(await answer_of(guard_of(**policy)), [text])
    assert "개새끼" not in whole
    for _ in range(10):
        cuts = sorted(rng.sample(range(len(text)), 60))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert await sent(await answer_of(guard_of(**policy)), pieces) == whole


@pytest.mark.parametrize("policy", [REPLACING, BLOCKING], ids=["replace", "block"])
async def test_nothing_unsafe_leaves_before_it_is_judged(policy: dict[str, Any]) -> None:
    answer = await answer_of(guard_of([Fearful()], **policy))
    out = ""
    for char in "이것은 안전한 문장이다. 이것은 위험한 문장이다. 그 뒤의 문장이다.":
        out += await answer.feed(char)
        assert "위" not in out.split("답하기")[0]
    out += await answer.close()
    assert answer.is_stopped
    if policy is BLOCKING:
        assert out == "이것은 안전한 문장이다. "
        assert answer.report.is_blocked
    else:
        assert out == f"이것은 안전한 문장이다. \n\n{answer.report.message}"
        assert answer.report.action == "replace"
    assert "답하기 어렵습니다" in answer.report.message


async def test_a_classifier_that_masks_covers_its_whole_sentence() -> None:
    policy = {"groups": {"unsafe": {"labels": ["unsafe"], "output": "mask", "high": 0.9}}}
    out = await sent(await answer_of(guard_of([Fearful()], **policy)), ["하나. 위험한 둘. 셋."])
    assert out == "하나. [가려진 문장] 셋."


async def test_a_flag_changes_nothing_and_is_noted() -> None:
    policy = {"groups": {"curse": {"lists": ["curse"], "output": "mask"}, "hate": {"lists": ["hate"]}}}
    answer = await answer_of(guard_of(**policy))
    assert await answer.whole("저 틀딱 좀 봐.") == "저 틀딱 좀 봐."
    assert [reason.group for reason in answer.report.reasons["output"]] == ["hate"]
    assert answer.report.action == "flag"


async def test_a_sentence_that_takes_long_leaves_as_far_as_it_is_judged() -> None:
    now = [0.0]
    guard = guard_of(**MASKING)
    checked = await guard.check("질문")
    answer = AnswerGuard(guard.judge, checked.vault, checked.report, language="ko", clock=lambda: now[0])
    assert await answer.feed("이 문장은 아직 ") == ""
    now[0] = 2.5
    assert await answer.feed("끝나지 ") == "이 문장은 아직 끝나지 "
    assert await answer.feed("않았") == ""


async def test_text_passes_at_once_where_nothing_is_done_about_it() -> None:
    answer = await answer_of(guard_of(groups={"curse": {"lists": ["curse"]}}))
    assert answer.is_idle
    assert await answer.feed("시발") == "시발"


async def test_hold_is_bounded() -> None:
    answer = await answer_of(guard_of(**{**MASKING, "stream": {"hold_characters": 60}}))
    out = fed = 0
    for _ in range(400):
        piece = "가나다라 "
        fed += len(piece)
        out += len(await answer.feed(piece))
        assert fed - out <= 60 + 32


async def test_people_get_their_own_data_back_and_nobody_elses() -> None:
    guard = guard_of(pii={"input": "mask", "output": "mask", "restore": True})
    chat = Chat(
        (
            Message("user", "제 번호는 010-1234-5678, 다시 010-1234-5678, 메일은 kim@naver.com"),
            Message("tool", "담당자: 010-9999-8888", tool_call_id="1"),
        )
    )
    checked = await guard.check(chat)
    assert isinstance(checked.prompt, Chat)
    first, second = checked.prompt.messages
    assert first.content == "제 번호는 [전화번호_1], 다시 [전화번호_1], 메일은 [이메일_1]@naver.com"
    assert second.content == "담당자: [전화번호_2]"
    reply = "[전화번호_1], 담당자 [전화번호_2], 메일 [이메일_1]@naver.com, [전화번호_3], 010-7777-6666."
    expected = "010-1234-5678, 담당자 [전화번호_2], 메일 kim@naver.com, [전화번호_3], [전화번호]."
    for at in range(len(reply)):
        assert await sent(guard.answer(checked), [reply[:at], reply[at:]]) == expected
    assert await sent(guard.answer(checked), list(reply)) == expected


async def test_a_placeholder_that_somebody_writes_stays_text() -> None:
    guard = guard_of(pii={"input": "mask", "restore": True})
    checked = await guard.check(Chat((Message("user", "[전화번호_1] 말고 010-1234-5678"),)))
    assert isinstance(checked.prompt, Chat)
    assert checked.prompt.messages[0].content == "[전화번호_1] 말고 [전화번호_2]"
    assert await sent(guard.answer(checked), ["[전화번호_1] [전화번호_2]"]) == "[전화번호_1] 010-1234-5678"


async def test_without_restore_the_placeholder_stays() -> None:
    guard = guard_of(pii={"input": "mask"})
    checked = await guard.check(Chat((Message("user", "010-1234-5678"),)))
    assert await sent(guard.answer(checked), ["네, [전화번호_1]"]) == "네, [전화번호_1]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "010-1234-5678"}', {"a": "[전화번호]"}),
        ('{"a": ["개새끼", {"b\\n": "x\\u0041"}]}', {"a": ["○○○", {"b\n": "xA"}]}),
        ('{"n": 12.5, "s": "a\\"b 900101-1234567"}', {"n": 12.5, "s": 'a"b [주민등록번호]'}),
    ],
    ids=["phone", "nested", "quotes"],
)
async def test_json_stays_json(text: str, expected: Any) -> None:
    out = await (await answer_of(guard_of(**MASKING))).whole_json(text)
    assert json.loads(out) == expected


async def test_json_that_cannot_be_covered_is_withheld() -> None:
    answer = await answer_of(guard_of(**MASKING))
    assert await answer.whole_json('{"card": 4111111111111111}') == ""
    assert answer.report.is_blocked


async def test_json_with_what_must_be_replaced_is_withheld() -> None:
    answer = await answer_of(guard_of([Fearful()], **REPLACING))
    assert await answer.whole_json('{"a": "위험한 말"}') == ""
    assert answer.report.is_blocked


async def test_data_put_back_into_json_is_written_as_json() -> None:
    guard = guard_of(pii={"input": "mask", "restore": True})
    checked = await guard.check(Chat((Message("user", "010-1234-5678"),)))
    out = await guard.answer(checked).whole_json('{"to": "[전화번호_1]", "u": "\\uc804"}')
    assert json.loads(out) == {"to": "010-1234-5678", "u": "전"}


async def test_personal_data_that_is_blocked_ends_the_answer_before_it() -> None:
    answer = await answer_of(guard_of(pii={"output_kinds": {"rrn": "block"}}))
    out = await sent(answer, list("번호는 010-1234-5678이고 주민번호는 900101-1234567입니다. 끝"))
    assert out == "번호는 010-1234-5678이고 주민번호는 "
    assert answer.report.is_blocked


async def test_the_filter_tells_the_risk_of_the_first_characters() -> None:
    policy = {
        "groups": {
            "curse": {"lists": ["curse"]},
            "hate": {"lists": ["hate"]},
            "unsafe": {"labels": ["unsafe"], "possible": 0.5, "high": 0.99},
            "sexual": {"labels": ["nobody_tells"]},
        }
    }
    answer = await answer_of(guard_of([Fearful()], **policy), wants_filter=True)
    text = "이 시발. 위험한 말. "
    assert await answer.whole(text + "가" * FILTERED + " 틀딱") == text + "가" * FILTERED + " 틀딱"
    levels = {entry.group: entry.level for entry in answer.report.filter}
    assert levels == {"curse": 0, "hate": 2, "unsafe": 1, "sexual": -1}


async def test_classifiers_are_asked_once_for_each_sentence() -> None:
    fearful = Fearful()
    guard = guard_of([fearful], **REPLACING)
    for _ in range(3):
        await sent(await answer_of(guard), ["하나입니다. 둘입니다."])
    assert fearful.asked == ["질문", "하나입니다. ", "둘입니다."]


class Measured(Fearful):
    """The same with an operating point."""

    groups = (
        LabelGroup(
            "safe",
            ("safe", "unsafe"),
            "safe",
            (OperatingPoint("precision_0.9", ("unsafe",), 0.98, 0.9, 0.5, 0.01),),
        ),
    )


@pytest.mark.parametrize(("point", "stopped"), [("", True), ("precision_0.9", False), ("other", True)])
async def test_an_operating_point_decides_what_is_high(point: str, stopped: bool) -> None:
    policy = {"groups": {"unsafe": {"labels": ["unsafe"], "output": "block", "high": 0.9, "point": point}}}
    answer = await answer_of(guard_of([Measured()], **policy))
    await answer.whole("위험한 말.")
    assert answer.is_stopped is stopped


async def test_labels_of_one_question_are_added_up() -> None:
    policy = {"groups": {"all": {"labels": ["safe", "unsafe"], "output": "block", "high": 0.99}}}
    answer = await answer_of(guard_of([Fearful()], **policy))
    assert await answer.whole("무슨 말.") == ""
    assert answer.report.reasons["output"][0].source == "classifier:safe+unsafe"
