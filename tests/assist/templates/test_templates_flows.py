"""The other flows: what the code promises holds whatever the model says."""

import pytest
from flow_talk import MARK, Talk, as_json, talk

from malmoi.assist.templates import Form, Occasion
from malmoi.assist.templates.checks import has_number, has_table, is_question, last_line
from malmoi.assist.templates.flows.counselling import is_allowed
from malmoi.assist.templates.flows.dialect import exchange_words, find_words
from malmoi.assist.templates.flows.flow import Turn, recent
from malmoi.assist.templates.flows.trip import days_of, place_of
from malmoi.core.errors import MalmoiError
from malmoi.engine.scripted import Rule, ScriptedEngine


def saying(*replies: str) -> ScriptedEngine:
    engine = ScriptedEngine([Rule(when=".", reply=replies[-1])])
    for reply in replies[:-1]:
        engine.enqueue(reply)
    return engine


# -- a talk that needs care


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("요즘은 그냥 죽고 싶어요.", ["109", "1577-0199", "1388", "119"]),
        ("I want to kill myself.", ["109", "119"]),
        ("남편이 술만 마시면 저를 때려요.", ["1366", "112"]),
        ("아빠가 저를 때리고 밥을 안 줘요.", ["1388", "112"]),
        ("상사에게 성추행을 당했어요.", ["1366", "112"]),
        ("누가 집에 칼을 들고 들어왔어요.", ["112"]),
    ],
    ids=["self-harm", "self-harm-en", "partner", "child", "sexual", "threat"],
)
async def test_needs_get_help_lines_and_no_model(said: str, numbers: list[str]) -> None:
    one = talk("listener", saying("별일 아니니 참으세요."))
    answered = await one.say(said)
    assert one.engine.requests == []
    assert all(has_number(answered, number) for number in numbers), answered


async def test_help_lines_stay_under_later_answers() -> None:
    one = talk("listener", saying("말해 주어 고마워요."))
    await one.say("죽고 싶어요.")
    assert has_number(await one.say("그래도 오늘은 좀 낫네요."), "109")
    calm = talk("listener", saying("말해 주어 고마워요."))
    assert not has_number(await calm.say("오늘은 날이 좋네요."), "109")


async def test_what_must_not_be_said_is_left_out() -> None:
    bad = (
        "많이 힘드셨겠어요. 당신은 우울증으로 보입니다. 수면제를 두 알 드세요. "
        "상담은 010-1234-5678로 전화하세요. 그건 당신 잘못이에요. 오늘 하루 고생 많으셨어요."
    )
    one = talk("listener", saying(bad))
    said = await one.say("잠이 안 와요.")
    assert "많이 힘드셨겠어요." in said
    assert "오늘 하루 고생 많으셨어요." in said
    for word in ("우울증", "수면제", "010", "잘못이에요"):
        assert word not in said
    assert "진단하거나 약에 대해 조언할 수 없어요" in said


async def test_an_answer_of_which_nothing_may_stay_still_listens() -> None:
    one = talk("listener", saying("ADHD인 것 같네요. 약을 하루 20mg씩 복용하세요."))
    said = await one.say("집중이 안 돼요.")
    assert said.startswith("말씀해 주셔서 고맙습니다.")
    assert "20" not in said


async def test_an_answer_ends_with_an_open_question_once() -> None:
    one = talk("listener", saying("속상하셨겠어요."))
    assert is_question(last_line(await one.say("오늘 혼났어요.")))
    asking = talk("listener", saying("속상하셨겠어요. 무슨 일이 있었나요?"))
    assert (await asking.say("오늘 혼났어요.")).count("?") == 1


async def test_a_model_that_goes_on_and_on_is_stopped() -> None:
    engine = saying("그러셨군요. " * 200)
    said = await talk("listener", engine).say("오늘 혼났어요.")
    assert said.count("그러셨군요.") == 5
    assert engine.num_cancelled == 1
    assert engine.active == 0


async def test_a_model_that_fails_is_not_hidden() -> None:
    one = talk("listener", ScriptedEngine([Rule(when=".", fail_after=0)]))
    with pytest.raises(MalmoiError):
        await one.say("오늘 혼났어요.")


@pytest.mark.parametrize(
    "sentence",
    [
        "우울증 초기 증상으로 보이네요.",
        "You may have clinical depression.",
        "You should take 5 mg of melatonin.",
        "항우울제를 끊으셔도 됩니다.",
        "국번 없이 129번으로 전화하세요.",
        "Call 02-123-4567 now.",
        "It is your own fault.",
        "그냥 참으세요.",
    ],
)
def test_sentences_that_are_not_allowed(sentence: str) -> None:
    assert not is_allowed(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "많이 속상하셨겠어요.",
        "그건 당신 잘못이 아니에요.",
        "109번으로 전화하시면 누군가 들어 줄 거예요.",
        "정신건강 위기상담전화 1577-0199도 있어요.",
        "It is not your fault.",
        "약속을 지키지 못해 속상하셨군요.",
        "3일 동안 잠을 못 주무셨군요.",
        "Would you like to tell me more?",
    ],
)
def test_sentences_that_are_allowed(sentence: str) -> None:
    assert is_allowed(sentence)


# -- dialects


async def test_a_known_word_needs_no_model() -> None:
    one = talk("dialect", region="gyeongsang")
    assert await one.say("정구지?") == "**정구지** → **부추**\n\n보기: 정구지 한 단 사 온나."
    back = talk("dialect", region="jeolla", direction="dialect")
    assert (await back.say("부추")).startswith("**부추** → **솔**")
    assert one.engine.requests == back.engine.requests == []


async def test_the_words_of_a_text_reach_the_model_and_the_table() -> None:
    one = talk("dialect", saying("부추전 먹어 봐라."), region="gyeongsang")
    said = await one.say("정구지 찌짐 무 봐라")
    assert said.startswith("낱말만 바꾸면: 부추 부침개 먹어 봐라\n\n부추전 먹어 봐라.")
    assert "| 정구지 | 부추 | 정구지 한 단 사 온나. |" in said
    assert "정구지 = 부추" in one.prompts()[0]
    assert "싸게" not in one.prompts()[0]


async def test_a_sentence_that_loses_the_words_is_not_shown() -> None:
    one = talk("dialect", saying("정구지 잠시 먹어 봐라."), region="gyeongsang")
    said = await one.say("정구지 찌짐 무 봐라")
    assert "잠시" not in said
    assert "낱말을 지키지 않아" in said
    assert "| 찌짐 | 부침개, 전 |" in said


def test_words_are_exchanged_wherever_they_stand() -> None:
    text = "마, 정구지랑  정구지 찌짐 마이 무 봐라"
    assert exchange_words(text, "gyeongsang", to_standard=True) == "그냥, 부추랑 부추 부침개 마이 먹어 봐라"
    assert exchange_words("감자는 나무 옆", "gangwon", to_standard=False) == "감재는 낭구 옆"


async def test_a_text_without_known_words_says_so() -> None:
    one = talk("dialect", saying("안녕"), region="jeju")
    assert "모델이 아는 대로" in await one.say("반가운 손님")


@pytest.mark.parametrize(
    ("text", "region", "to_standard", "words"),
    [
        ("삼춘, 혼저 옵서예", "jeju", True, ["혼저 옵서예", "삼춘"]),
        ("마 됐다", "gyeongsang", True, ["마"]),
        ("마루에 앉아", "gyeongsang", True, []),  # a word of one letter is no part of another
        ("감자를 쪄 먹자", "gangwon", False, ["감재"]),
    ],
    ids=["longest", "single", "part", "back"],
)
def test_words_are_found(text: str, region: str, to_standard: bool, words: list[str]) -> None:
    assert [word.dialect for word in find_words(text, region, to_standard=to_standard)] == words


# -- trips


def day(*stops: tuple[str, str]) -> str:
    return as_json(stops=[{"time": time, "place": place, "note": "좋은 | 곳"} for time, place in stops])


FIRST = day(("13:00", "한옥마을"), ("09:00", "경기전"), ("18:00", "남부시장"))
SECOND = day(("10:00", "덕진공원"), ("12:00", "경기전"), ("15:00", "객사길"))


async def test_a_trip_is_a_table_in_order_without_repeats() -> None:
    one = talk("trip", saying(FIRST, SECOND), place="전주", days="2")
    said = await one.say("짜 줘")
    rows = [line.split(" | ")[:3] for line in said.splitlines() if "일차 |" in line]
    assert rows == [
        ["| 1일차", "09:00", "경기전"],
        ["| 1일차", "13:00", "한옥마을"],
        ["| 1일차", "18:00", "남부시장"],
        ["| 2일차", "10:00", "덕진공원"],
        ["| 2일차", "15:00", "객사길"],
    ]
    assert "좋은 \\| 곳" in said
    assert has_table(said)
    assert is_question(last_line(said))
    assert "확인되지 않았습니다" in said
    again = await Talk(one.template, one.form, saying(SECOND), one.branch).say("더 느긋하게")
    assert last_line(again) != last_line(said)  # another question to narrow it
    assert "더 느긋하게" in "\n".join(turn.content for turn in one.branch)


async def test_what_is_missing_is_asked_for() -> None:
    one = talk("trip", saying(FIRST), days="")
    one.form = one.form.model_copy(update={"values": {}})
    assert "어디로" in await one.say("3일")
    assert "전주" in await one.say("전주")  # three days were said before
    assert one.calls == 3


@pytest.mark.parametrize(
    "bad",
    ["일정입니다", as_json(stops=[]), as_json(stops=[{"time": "25:99", "place": "x", "note": ""}] * 3)],
    ids=["text", "none", "times"],
)
async def test_a_day_that_was_not_made_is_said_to_be_empty(bad: str) -> None:
    one = talk("trip", saying(bad), place="전주", days="1")
    said = await one.say("짜 줘")
    assert "1일차는 모델이 형식에 맞는 일정을 내지 못해" in said
    assert "25:99" not in said


async def test_a_day_that_repeats_the_destination_is_said_to_be_thin() -> None:
    one = talk(
        "trip", saying(day(("09:00", "전주"), ("12:00", "전주"), ("15:00", "경기전"))), place="전주", days="1"
    )
    said = await one.say("짜 줘")
    assert "1일차는 쓸 만한 장소가 하나뿐입니다" in said
    assert "| 09:00 |" not in said


@pytest.mark.parametrize(
    ("said", "place", "days"),
    [
        ("전주", "전주", 0),
        ("전주 2박 3일", "전주", 3),
        ("제주도로 3일 여행 가고 싶어", "제주도", 3),
        ("부산, 이틀 동안", "부산", 2),
        ("A trip to Jeonju for 2 days", "Jeonju", 2),
        ("여행 계획 짜 줘", "", 0),
        ("Go ahead", "", 0),
        ("부모님과 함께 조용히 쉴 수 있는 바닷가", "", 0),
        ("3일", "", 3),
    ],
)
def test_where_and_how_long_are_read_from_what_is_said(said: str, place: str, days: int) -> None:
    one = talk("trip")
    occasion = Occasion(one.template, Form(), (Turn("user", said),))
    assert (place_of(occasion), days_of(occasion)) == (place, days)


async def test_a_question_about_the_plan_is_answered_by_the_model() -> None:
    one = talk("trip", saying(FIRST, "네, 걸어서 갈 수 있습니다."), place="전주", days="1")
    await one.say("짜 줘")
    assert await one.say("한옥마을은 걸어갈 수 있어?") == "네, 걸어서 갈 수 있습니다."


# -- documents


async def test_a_resume_has_its_headings_and_no_figures_of_its_own() -> None:
    engine = saying("물류 3년 차, 매출 500% 성장.", "## 경력\n- 한빛상사 (2021~2024)", "- [학력]", "- 엑셀")
    one = talk("resume", engine, job="물류", years="3")
    said = await one.say("2021년부터 2024년까지 한빛상사 물류팀. 엑셀 씀.")
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        "## 요약",
        "## 경력",
        "## 학력",
        "## 기술",
    ]
    assert "500" not in said
    assert "자료에 없는 숫자" in said
    assert "2021~2024" in said


async def test_a_subject_is_one_line_and_a_body_follows() -> None:
    engine = saying(
        "제목: 회의를 옮겨도 될까요\n본문입니다", "안녕하세요, 김 부장님. 회의를 10시로 옮기고 싶습니다."
    )
    one = talk("email", engine, tone="firm", recipient="김 부장님")
    said = await one.say("회의를 10시로 옮기자고 해 줘")
    assert said.startswith("**제목:** 회의를 옮겨도 될까요\n\n안녕하세요")
    assert "단호하게" in one.prompts()[0]


async def test_lost_figures_are_named() -> None:
    one = talk("polish", saying("이번 달 매출이 12% 늘었음."))
    said = await one.say("매출 1,250만원, 12% 늘었슴, 불만 7건")
    assert "빠졌습니다: 1250, 7" in said


async def test_another_version_knows_the_first_and_its_request() -> None:
    one = talk("polish", saying("매출이 12% 늘었음.", "매출 12% 증가."))
    await one.say("매출이 12% 늘었슴")
    said = await one.say("2문장으로 더 짧게")
    assert said == "매출 12% 증가."
    assert "매출이 12% 늘었음." in one.prompts()[1]
    assert "2문장으로 더 짧게" in one.prompts()[1]


async def test_a_model_that_repeats_the_marks_does_not_show_them() -> None:
    one = talk("polish", saying(f"[[[{MARK}\n매출이 늘었음.\n{MARK}]]]"))
    assert MARK not in await one.say("매출이 늘었슴")


async def test_a_model_that_writes_another_language_is_told_of() -> None:
    one = talk("polish", saying("Sales went up."))
    assert "제대로 쓰지 못했습니다" in await one.say("매출이 늘었슴")


def test_the_newest_turns_are_kept_with_a_person_first() -> None:
    branch = [Turn("assistant", "열기"), Turn("user", "가" * 50), Turn("assistant", "나"), Turn("user", "다")]
    assert [one.content for one in recent(branch, characters=20)] == ["다"]
    assert [one.role for one in recent(branch, characters=500)] == ["user", "assistant", "user"]
