"""Each filter's reasons, its defaults on ordinary text, settings by source, and filters of other packages."""

from typing import ClassVar

import pytest

from malmoi.core.errors import ConfigError, UnknownName
from malmoi.factory.corpus import rules
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.filters.repetition import ngram_shares
from malmoi.factory.corpus.filters.wordlists import WordList, read_list, split_words
from malmoi.factory.corpus.rules import Filter, FilterSettings, build_filters

PROSE = (
    "말모이는 우리말을 모은다는 뜻으로, 처음으로 만들려고 했던 국어사전의 이름이다.\n"
    "주시경과 그의 제자들이 원고를 쓰기 시작했으나 끝내 책이 되어 나오지는 못하였다.\n"
    "그 뒤에 조선어학회가 남은 원고를 이어받아 큰사전을 엮었고, 해방 뒤에야 펴냈다.\n"
    "오늘날 남아 있는 원고는 한 권뿐이지만, 낱말을 풀이한 솜씨는 지금 보아도 훌륭하다.\n"
    "사람들은 사투리와 옛말까지 편지로 적어 보냈으며, 그 정성이 사전의 밑거름이 되었다.\n"
)
ENGLISH = (
    "The first dictionary of the language was never printed, for its makers were driven apart.\n"
    "What remains of it is a single volume of notes, written in a careful and even hand.\n"
    "Later a society of scholars took up the work and sent letters to every province.\n"
    "People answered with words from their villages, and the drawers slowly filled.\n"
    "After the war the first volume appeared, and the others followed over ten years.\n"
)
CODE = (
    "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\n"
    "print(add(1, 2), sub(3, 4))\n"
)


def judge(name: str, text: str, *, language: str = "ko", source: str = "s", **settings: object) -> str | None:
    for rule in build_filters({name: settings}, {}):
        if rule.name == name:
            return rule.judge(Document("i", text, source, language, "MIT", "o#1"))
    raise AssertionError(name)


@pytest.mark.parametrize(("text", "language"), [(PROSE, "ko"), (ENGLISH, "en"), (CODE, "code")])
def test_ordinary_text_passes_all_filters(text: str, language: str) -> None:
    document = Document("i", text, "s", language, "MIT", "o#1")
    assert [rule.name for rule in build_filters({}, {}) if rule.judge(document)] == []


@pytest.mark.parametrize(
    ("name", "text", "language", "reason"),
    [
        ("length", "너무 짧은 글.", "ko", "too_short"),
        ("length", "a" + " " * 500 + "b", "en", "too_short"),
        ("mojibake", PROSE + "\ufffd" * 20, "ko", "replacement_characters"),
        ("mojibake", PROSE.encode().decode("latin-1"), "en", "mojibake"),
        ("mojibake", PROSE.encode().decode("cp1252", "ignore"), "en", "mojibake"),
        ("mojibake", PROSE.encode("cp949").decode("latin-1"), "en", "mojibake"),
        ("mojibake", PROSE.encode().decode("cp949", "ignore"), "ko", "mojibake"),
        ("symbols", "1234 - 5678", "und", "no_letters"),
        ("symbols", "★☆!? ◆◇ " * 10 + "가나다", "ko", "symbols"),
        ("symbols", "가나 123456 " * 10, "ko", "digits"),
        ("symbols", "ㅋㅋㅋㅋㅎㅎㅎㅎㅠㅠㅠㅠ " * 5, "ko", "jamo"),
        ("symbols", ENGLISH + "가", "ko", "little_hangul"),
        ("words", "띄 어 쓰 기 가 너 무 많 은 글 이 다", "ko", "short_words"),
        ("words", "띄어쓰기가하나도없는아주긴글입니다 " * 10, "ko", "long_words"),
        ("words", "x" * 30_000, "en", "giant_word"),
        ("lines", "".join(f"- 항목 {n}번\n" for n in range(20)), "ko", "bullets"),
        ("lines", "".join(f"{line[:20]}...\n" for line in PROSE.split("\n") * 2), "ko", "ellipses"),
        ("repetition", "같은 줄입니다.\n" * 10, "ko", "duplicate_lines"),
        ("repetition", PROSE + PROSE + PROSE, "ko", "duplicate_lines"),
        ("repetition", "지금 바로 확인하세요 " * 40, "ko", "duplicate_ngrams"),
        ("repetition", ENGLISH.replace("\n", " ") * 4, "en", "duplicate_ngrams"),
        ("repetition", "ㅋ" * 200, "ko", "duplicate_ngrams"),
        ("repetition", CODE + "    value = value + 1\n" * 100, "code", "duplicate_lines"),
        ("boilerplate", "로그인 회원가입\n본문 바로가기\n고객센터\n이전글\n다음글\n", "ko", "boilerplate"),
        ("advertising", "토토사이트 첫충 이벤트 꽁머니 지급 카지노 바카라 무료체험", "ko", "advertising"),
        ("hate", "병신 새끼야 꺼져 시발", "ko", "hate"),
    ],
)  # fmt: skip
def test_each_reason(name: str, text: str, language: str, reason: str) -> None:
    assert judge(name, text, language=language) == reason


def test_one_word_of_a_list_never_drops_a_text() -> None:
    assert judge("hate", "악당이 병신이라고 소리를 지르는 장면이 나온다") is None
    assert judge("advertising", "카지노 이야기를 다룬 영화 가운데 가장 뛰어나다") is None
    assert judge("boilerplate", PROSE + "이 글의 고객센터 이야기는 다음글에 이어진다.\n") is None


def test_eojeols_are_normalized_before_they_are_compared() -> None:
    words = WordList(["시발$", "개새끼", "abc"])
    assert words.count(*split_words("시발 시발점 개새끼들아! ABCDEF 개애새끼")) == 3
    with pytest.raises(ValueError, match="one letter"):
        WordList(["가"])


@pytest.mark.parametrize("name", ["advertising", "hate", "boilerplate"])
def test_the_lists_hold_no_entry_twice_and_no_common_word(name: str) -> None:
    entries = read_list(name)
    assert len(entries) == len(set(entries))
    if name != "boilerplate":
        common = "시발점 시바견 보슬비 니미츠 새끼손가락 특별한 등신대 한녀석 카메라 영화 대출받은 꺼져가는"
        listed = WordList([entry for entry in entries if entry not in ("급전",)])
        assert listed.count(*split_words(common)) == 0


def test_tutorials_with_code_and_rulers_are_not_repetition() -> None:
    ruler = "=" * 60
    code = "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
    text = "".join(f"{line}\n{ruler}\n{code}" for line in PROSE.strip().split("\n"))
    assert judge("repetition", text) is None
    assert judge("symbols", text) is None


def test_ngram_shares_agree_on_short_and_long_texts() -> None:
    assert ngram_shares("abcdefgh", 4) == (0.0, 0.0)
    short = "가나다라마바사아자차카타" * 10
    duplicate, top = ngram_shares(short, 12)
    long_duplicate, long_top = ngram_shares(short * 5, 12)
    assert duplicate == pytest.approx(1 - 12 / 109)
    assert long_duplicate == pytest.approx(1 - 12 / 589)
    assert top == pytest.approx(1.0)
    assert long_top == pytest.approx(1.0)
    assert ngram_shares(" " * 1000, 12)[1] == 0.0


def test_a_source_has_settings_of_its_own() -> None:
    chain = build_filters(
        {"length": {"max_characters": 1000}},
        {"reviews": {"length": {"min_characters": 3}, "repetition": {"enabled": False}}},
    )
    by_name = {rule.name: rule for rule in chain}
    review = Document("i", "재밌다!", "reviews", "ko", "CC0", "o#1")
    other = Document("i", "재밌다!", "news", "ko", "CC0", "o#1")
    assert by_name["length"].judge(review) is None
    assert by_name["length"].judge(other) == "too_short"
    long = Document("i", "가" * 2000, "reviews", "ko", "CC0", "o#1")
    assert by_name["length"].judge(long) == "too_long"  # general settings hold where the source is silent
    assert by_name["repetition"].judge(long) is None


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"filters\.length\.min_charaters"):
        build_filters({"length": {"min_charaters": 3}}, {})
    with pytest.raises(ConfigError, match=r"sources\.news\.filters\.hate\.max_share"):
        build_filters({}, {"news": {"hate": {"max_share": 2}}})
    with pytest.raises(UnknownName, match="repetition"):
        build_filters({"repetitoin": {}}, {})
    with pytest.raises(ConfigError, match=r"nowhere\.txt"):
        build_filters({"hate": {"file": "/nowhere.txt"}}, {})


class ShoutingSettings(FilterSettings):
    max_marks: int = 3


class ShoutingFilter(Filter[ShoutingSettings]):
    Settings: ClassVar[type[FilterSettings]] = ShoutingSettings

    def judge(self, document: Document) -> str | None:
        return "shouting" if document.text.count("!") > self.settings.max_marks else None


def test_filters_of_other_packages_run_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = rules.corpus_filters

    def with_shouting() -> object:
        registry = original()
        registry.add("shouting", ShoutingFilter)
        registry.add("wrong", int)
        return registry

    monkeypatch.setattr(rules, "corpus_filters", with_shouting)
    loud = Document("i", "와!!!!", "s", "ko", "MIT", "o#1")
    assert "shouting" not in [rule.name for rule in build_filters({}, {})]
    assert build_filters({"shouting": {}}, {})[-1].judge(loud) == "shouting"
    only_reviews = build_filters({}, {"reviews": {"shouting": {"max_marks": 1}}})[-1]
    assert only_reviews.judge(loud) is None
    with pytest.raises(ConfigError, match="wrong"):
        build_filters({"wrong": {}}, {})


@pytest.mark.parametrize(
    "text", ["", " ", "\n" * 1000, "\0" * 1000, "\ud800", "가" * 1_000_000, "- " * 500_000, "\n- " * 300_000]
)
def test_hostile_texts_are_judged_in_time(text: str) -> None:
    for language in ("ko", "en", "code"):
        for rule in build_filters({}, {}):
            rule.judge(Document("i", text, "s", language, "MIT", "o#1"))
