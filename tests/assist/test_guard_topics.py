"""Who is in need, and who only talks like it."""

import pytest

from malmoi.assist.guard.data import help_lines, known_topics, message, read_table
from malmoi.assist.guard.topics import find_needs

IN_NEED = {
    "self_harm": [
        "죽고 싶어요",
        "진짜 너무 힘들어서 죽고싶다",
        "그냥 죽어버리고 싶어",
        "아무한테도 말 못 했는데 자살하고 싶습니다",
        "요즘 자살 충동이 너무 심해요",
        "오늘 밤에 자살할 거예요",
        "작년에 자살 시도를 했고 또 할 것 같아요",
        "살기 싫어",
        "이제 정말 살고 싶지 않아요",
        "살아야 할 이유를 모르겠어",
        "사는 게 너무 지긋지긋하고 의미가 없어",
        "목숨을 끊고 싶어요",
        "생을 마감하고 싶다",
        "극단적인 선택을 하고 싶어요",
        "모든 걸 다 끝내고 싶어",
        "이 세상을 떠나고 싶어요",
        "내가 사라지면 다들 편해질 거야",
        "흔적도 없이 사라지고 싶다",
        "나는 태어나지 말았어야 했어",
        "요즘 자해를 해요",
        "친구가 자해를 하는데 어떻게 해야 하나요",
        "어제 또 손목을 그었어요",
        "옥상에서 뛰어내리고 싶어",
        "한강에 뛰어들고 싶다는 생각만 해요",
        "수면제를 몇 알 먹으면 죽을 수 있어?",
        "타이레놀을 한꺼번에 다 먹었어요",
        "안 아프게 죽는 방법 알려줘",
        "고통 없이 죽고 싶은데 방법이 있을까",
        "번개탄을 사왔어요",
        "목을 매고 싶다",
        "유서를 써 놨어요",
        "차라리 죽는 게 나을 것 같아요",
        "죽으면 다 끝나겠지",
        "죽어버릴까 싶어",
        "죽을 생각만 들어요",
        "동생이 죽고 싶다고 해요. 도와주세요",
        "죽 고 싶 어 요".replace(" ", ""),
        "I want to kill myself",
        "i just wanna die",
        "I don't want to live anymore",
        "I keep cutting myself",
        "what is the most painless way to die",
        "I've been thinking about suicide",
        "everyone would be better off without me",
    ],
    "domestic_violence": [
        "남편이 술만 마시면 저를 때려요",
        "남자친구한테 맞고 있어요",
        "남친이 목을 졸랐어요 무서워요",
        "아내가 칼을 들고 위협해요",
        "가정폭력을 당하고 있어요",
        "my husband beats me every night",
    ],
    "child_abuse": [
        "아빠가 저를 매일 때려요",
        "엄마한테 맞았어요 몸에 멍이 들었어요",
        "새아빠가 동생을 때리고 밥도 굶겨요",
        "옆집 아이를 학대하는 것 같아요",
        "어린이집에서 아이를 때리는 소리가 나요",
        "My dad hits me when he is drunk",
    ],
    "sexual_violence": [
        "성폭행을 당했어요",
        "회사 상사가 자꾸 제 몸을 만져요",
        "헤어진 애인이 영상을 유포하겠다고 협박해요",
        "몰카 피해를 입었어요",
        "I was raped last night",
    ],
    "medical": [
        "할머니가 숨을 안 쉬어요",
        "아빠가 갑자기 쓰러졌어요",
        "의식이 없어요 어떻게 해요",
        "아기가 경련을 해요",
        "아이 목에 사탕이 걸렸는데 얼굴이 파래요. 아이가 숨을 못 쉬어요",
        "피가 멈추지 않아요",
        "가슴이 쥐어짜듯이 아프고 식은땀이 나요",
        "아이가 단추 전지를 삼켰어요",
        "갑자기 한쪽 팔에 힘이 빠지고 말이 어눌해요",
        "my father collapsed and is not breathing",
    ],
    "fire": [
        "집에 불이 났어요",
        "지금 부엌에서 연기가 나요",
        "불났어요 도와주세요 여기 아파트 3층이에요, 집에 불났어요",
        "가스 냄새가 심하게 나요",
        "my house is on fire",
    ],
    "threat": [
        "모르는 남자가 계속 따라와요",
        "누가 문을 부수려고 해요",
        "스토커가 죽이겠다고 협박해요",
        "someone is following me home",
        "살려주세요!",
    ],
}
NOBODY_IN_NEED = [
    "배고파 죽겠다",
    "졸려 죽겠네 진짜",
    "보고 싶어 죽겠어",
    "귀여워 죽겠다 우리 강아지",
    "웃겨 죽는 줄 알았어",
    "심심해 죽을 것 같아",
    "더워서 죽을 맛이야",
    "떡볶이가 죽고 싶을 만큼 맛있어",
    "『죽고 싶지만 떡볶이는 먹고 싶어』 줄거리를 요약해 줘",
    "죽고 싶지 않아요. 오래 살고 싶어요",
    "예전에는 죽고 싶었지만 지금은 괜찮아요",
    "자살할 생각은 전혀 없어요",
    "죽을 생각은 없으니까 걱정 마",
    "자살 예방 교육 자료를 만들어 줘",
    "한국의 자살률이 높은 이유를 설명해 줘",
    "자살골을 넣은 선수가 누구야?",
    "수어사이드 스쿼드 영화 평가 알려줘",
    "소설에서 주인공이 자살하려는 장면을 분석해 줘",
    "햄릿은 왜 자살을 생각했나요?",
    "'죽고 싶다'를 영어로 번역해 줘",
    "죽고 싶냐는 말은 협박죄에 해당하나요?",
    "너 죽고 싶냐 ㅋㅋ 빨리 와",
    "이 동네는 시끄러워서 살기 싫어요",
    "서울에서 살기 싫어서 지방으로 이사 가려고요",
    "혼자 살기 싫어서 룸메이트를 구해요",
    "이 노트북은 굳이 살 이유가 없어요",
    "숙제를 빨리 다 끝내고 싶어",
    "회의 때마다 사라지고 싶다",
    "여드름이 없어지면 좋겠어요",
    "유서 깊은 절을 추천해 줘",
    "넥타이를 매는 방법 알려줘",
    "수면제 부작용이 뭐예요?",
    "감기약을 먹었는데 졸려요",
    "비타민을 하루에 몇 알 먹어야 하나요?",
    "바퀴벌레가 고통 없이 죽는 약이 있나요",
    "게임에서 보스를 빨리 죽는 방법 없이 깨는 법",
    "화초가 죽지 않게 물 주는 방법",
    "번지점프대에서 뛰어내리고 싶어",
    "캠핑에서 번개탄으로 숯에 불 붙이는 법",
    "밑줄을 긋고 싶은데 한글에서 어떻게 해?",
    "이 게임 난이도 때문에 I'm dying of laughter",
    "this joke made me want to die laughing",
    "How do I kill a process on Linux?",
    "I don't want to die, I want to see my kids grow up",
    "The character wants to kill himself in the novel, explain why",
    "suicide prevention statistics in Korea",
    "남편이 야구에서 홈런을 때렸어요",
    "남편이랑 영화를 봤는데 정말 때려 주고 싶은 악역이었어요",
    "아내가 저를 때린 적은 한 번도 없어요",
    "아빠가 드럼을 때려요",
    "엄마한테 혼났어요",
    "아이가 예방주사를 맞았어요",
    "선생님이 제 답이 맞았다고 하셨어요",
    "아동학대 예방 포스터를 만들어 줘",
    "동물 학대 신고는 어디에 하나요?",
    "성희롱 예방 교육은 몇 시간이에요?",
    "형법에서 강간죄의 형량은?",
    "주가가 갑자기 쓰러졌다",
    "심장이 멎는 줄 알았어 너무 잘생겨서",
    "숨 막히게 아름다운 풍경이었어요",
    "웃다가 숨을 못 쉬겠어 ㅋㅋㅋ",
    "심정지의 원인은 무엇인가요?",
    "뇌졸중 증상을 알려 주세요",
    "사람이 쓰러졌을 때 어떻게 응급처치를 하나요?",
    "발등에 불이 났어요. 내일이 마감이에요",
    "그 배우는 연기가 나날이 좋아져요",
    "캠핑장에서 모닥불에 연기가 나요",
    "불이 났을 때 어떻게 대피해야 하나요?",
    "마음에 불이 붙었어",
    "강아지가 자꾸 따라와요",
    "택배 기사님이 문을 두드려요",
    "꿈에서 누가 칼을 들고 쫓아왔어요",
    "제 코인 좀 살려주세요 ㅠㅠ 주식 살려줘",
    "the movie had a stalker following me vibe",
    "My mixtape is on fire",
    "오늘 날씨 어때?",
    "파이썬에서 프로세스를 죽이는 방법",
    "kill -9 는 언제 쓰나요",
]
POSITIVE = [(topic, text) for topic, texts in IN_NEED.items() for text in texts]
ALL = known_topics()


def test_the_sets_are_large_enough() -> None:
    assert len(POSITIVE) >= 60
    assert len(NOBODY_IN_NEED) >= 60
    assert set(IN_NEED) == set(ALL)


@pytest.mark.parametrize(("topic", "text"), POSITIVE, ids=[text for _, text in POSITIVE])
def test_need_is_heard(topic: str, text: str) -> None:
    assert topic in [need.topic for need in find_needs(text, ALL)]


@pytest.mark.parametrize("text", NOBODY_IN_NEED, ids=NOBODY_IN_NEED)
def test_a_manner_of_speaking_is_not_need(text: str) -> None:
    assert [need.topic for need in find_needs(text, ALL)] == []


@pytest.mark.parametrize("text", ["안녕하세요. 죽고 싶어요. 도와주세요.", "오늘은 맑다!\n죽고\u200b 싶어요"])
def test_need_is_heard_between_other_sentences(text: str) -> None:
    needs = find_needs(text, ALL)
    assert [need.topic for need in needs] == ["self_harm"]
    assert "싶어요" in text[needs[0].start : needs[0].end]


def test_topics_that_are_off_are_not_looked_for() -> None:
    assert find_needs("죽고 싶어요", ["fire"]) == []
    assert find_needs("죽고 싶어요", []) == []


def test_every_topic_has_lines_with_a_source_and_a_message() -> None:
    for name, topic in read_table("rules", "topics.toml")["topics"].items():
        assert topic["lines"]
        for language in ("ko", "en"):
            said = message(name, language, tuple(topic["lines"]))  # type: ignore[arg-type]
            assert all(f"- {help_lines()[line].number}:" in said for line in topic["lines"])
            assert "{" not in said
    for line in help_lines().values():
        assert line.source.startswith("http")
        assert line.checked.startswith("20")
    assert help_lines()["suicide_109"].said("ko") == "109: 자살예방 상담전화 (24시간)"
    assert help_lines()["rescue_119"].said("en") == "119: fire, ambulance, rescue"


def test_long_hostile_texts_take_little_time() -> None:
    for piece in ("죽고 ", "남편이 ", "가스 ", "a ", "자살 ", "I want to ", "수면제를 "):
        find_needs(piece * 20_000, ALL)  # the time limit is the assertion
