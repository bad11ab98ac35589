import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.core import hangul

SYLLABLES = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)


@given(SYLLABLES)
def test_letters_of_a_syllable_make_it_again(syllable: str) -> None:
    assert hangul.compose(*hangul.decompose(syllable)) == syllable


@given(st.sampled_from(hangul.LEADS), st.sampled_from(hangul.VOWELS), st.sampled_from(hangul.TAILS))
def test_letters_agree_with_unicode(lead: str, vowel: str, tail: str) -> None:
    syllable = hangul.compose(lead, vowel, tail)
    letters = unicodedata.normalize("NFD", syllable)
    assert len(letters) == (3 if tail else 2)
    assert [ord(letters[0]) - 0x1100, ord(letters[1]) - 0x1161] == [
        hangul.LEADS.index(lead),
        hangul.VOWELS.index(vowel),
    ]
    assert hangul.nfc(letters) == syllable


@pytest.mark.parametrize(
    "letters", [("", "ㅏ", ""), ("ㅏ", "ㅏ", ""), ("ㄱ", "ㄱ", ""), ("ㄱ", "ㅏ", "ㄸ"), ("ㄱㄴ", "ㅏ", "")]
)
def test_letters_that_make_no_syllable_are_refused(letters: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="do not make"):
        hangul.compose(*letters)


@pytest.mark.parametrize("text", ["", "ㄱ", "a", "가나", "\ud7a4"])
def test_only_one_composed_syllable_is_decomposed(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Hangul syllable"):
        hangul.decompose(text)


def test_hangul_is_told_from_other_scripts() -> None:
    assert hangul.is_hangul("말모이ㅋㅋ")
    assert hangul.is_hangul(unicodedata.normalize("NFD", "말"))
    assert not hangul.is_hangul("말 모이")
    assert not hangul.is_hangul("漢字")
    assert not hangul.is_hangul("")


def test_first_letters() -> None:
    assert hangul.choseong("말모이 2.0 빵") == "ㅁㅁㅇ 2.0 ㅃ"


@pytest.mark.parametrize(
    ("word", "kind", "expected"),
    [
        ("말모이", "은/는", "는"),
        ("사전", "은/는", "은"),
        ("책", "이/가", "이"),
        ("종이", "가", "가"),
        ("물", "을/를", "을"),
        ("나무", "을(를)", "를"),
        ("빵", "과/와", "과"),
        ("우유", "과", "와"),
        ("집", "(으)로", "으로"),
        ("서울", "(으)로", "로"),
        ("부산", "로", "으로"),
        ("바다", "으로/로", "로"),
        ("쌀", "으로서", "로서"),
        ("지은", "아/야", "아"),
        ("커피", "(이)나", "나"),
        # digits, read as numbers
        ("3", "은/는", "은"),
        ("2", "은/는", "는"),
        ("10", "이/가", "이"),
        ("100", "을/를", "을"),
        ("10000", "을/를", "을"),
        ("1,000", "과/와", "과"),
        ("1.5", "이/가", "가"),
        ("1", "(으)로", "로"),
        ("7", "(으)로", "로"),
        ("8", "(으)로", "로"),
        ("6", "(으)로", "으로"),
        ("010", "은/는", "은"),
        ("2024년", "은/는", "은"),
        # Latin letters, by name and as words
        ("PDF", "은/는", "는"),
        ("URL", "을/를", "을"),
        ("URL", "(으)로", "로"),
        ("A", "이/가", "가"),
        ("LLM", "이/가", "이"),
        ("Google", "은/는", "은"),
        ("Python", "을/를", "을"),
        ("app", "을/를", "을"),
        ("chat", "은/는", "은"),
        ("Slack", "과/와", "과"),
        ("note", "을/를", "를"),
        ("Chrome", "이/가", "이"),
        ("coffee", "은/는", "는"),
        ("training", "은/는", "은"),
        # marks are skipped, signs are read
        ("'말모이'", "은/는", "는"),
        ("사전(辭典)", "은/는", "는"),
        ("50%", "은/는", "는"),
        ("", "은/는", "는"),
        (unicodedata.normalize("NFD", "사전"), "은/는", "은"),
    ],
)
def test_particles_follow_the_sound(word: str, kind: str, expected: str) -> None:
    assert hangul.particle(word, kind) == expected
    assert hangul.with_particle(word, kind) == word + expected


def test_an_unknown_particle_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'에서'.*은/는"):
        hangul.particle("집", "에서")


@given(st.text())
def test_any_text_has_a_particle(text: str) -> None:
    assert hangul.particle(text, "은/는") in ("은", "는")


@pytest.mark.parametrize(
    ("number", "spoken"),
    [
        (0, "영"),
        (7, "칠"),
        (10, "십"),
        (11, "십일"),
        (110, "백십"),
        (1004, "천사"),
        (10_000, "만"),
        (12_345, "만 이천삼백사십오"),
        (100_000_000, "일억"),
        (100_010_000, "일억 일만"),
        (1_234_567_898, "십이억 삼천사백오십육만 칠천팔백구십팔"),
        (10**12, "일조"),
        (10**16, "일경"),
        (-15, "마이너스 십오"),
    ],
)
def test_numbers_are_read_in_sino_korean(number: int, spoken: str) -> None:
    assert hangul.read_number(number) == spoken
    assert hangul.parse_number(spoken) == number


@given(st.integers(min_value=-(10**20) + 1, max_value=10**20 - 1), st.booleans())
def test_reading_and_parsing_are_inverse(number: int, spaced: bool) -> None:
    assert hangul.parse_number(hangul.read_number(number, spaced=spaced)) == number


@pytest.mark.parametrize("text", ["", "하나", "십백", "일이", "만억", "이십이십", "마이너스"])
def test_words_that_are_no_number_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Korean number"):
        hangul.parse_number(text)


def test_numbers_beyond_the_words_are_refused() -> None:
    with pytest.raises(ValueError, match="twenty digits"):
        hangul.read_number(10**20)
    with pytest.raises(ValueError, match="1 to 99"):
        hangul.read_native(100)


@pytest.mark.parametrize(
    ("number", "counter", "spoken"),
    [
        (1, "개", "한 개"),
        (3, "명", "세 명"),
        (20, "살", "스무 살"),
        (21, "살", "스물한 살"),
        (99, "마리", "아흔아홉 마리"),
        (100, "개", "백 개"),
        (101, "명", "백한 명"),
        (12, "시", "열두 시"),
        (13, "시", "십삼 시"),
        (5, "분", "오 분"),
        (3, "년", "삼 년"),
        (6, "월", "유월"),
        (10, "월", "시월"),
        (11, "월", "십일 월"),
        (0, "개", "영 개"),
    ],
)
def test_counting_words_choose_their_numbers(number: int, counter: str, spoken: str) -> None:
    assert hangul.read_count(number, counter) == spoken


def test_native_numbers_are_distinct() -> None:
    assert len({hangul.read_native(n) for n in range(1, 100)}) == 99
    assert hangul.read_native(21) == "스물하나"


def test_digits_are_read_one_by_one() -> None:
    assert hangul.read_digits("010-1234") == "공일공-일이삼사"


def test_terms_of_korean_are_pairs_and_of_other_words_the_words() -> None:
    assert hangul.bigrams("결제하기 API를 v2로, 집") == [
        "결제",
        "제하",
        "하기",
        "api",
        "를",
        "v2",
        "로",
        "집",
    ]
    assert hangul.bigrams("새집", last=True) == ["새집", "집"]
    assert hangul.bigrams("") == hangul.bigrams('"*():^ -_') == []
    assert hangul.bigrams("東京タワー") == ["東京", "京タ", "タワ", "ワー"]


def test_terms_are_the_same_for_every_spelling_of_a_text() -> None:
    assert hangul.bigrams(unicodedata.normalize("NFD", "결제")) == ["결제"]
    assert hangul.words("Café ＡＢＣ１ STRASSE Straße") == ["cafe", "abc1", "strasse", "strasse"]


@given(st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=2))
def test_pairs_of_a_run_rebuild_it(run: str) -> None:
    pairs = hangul.bigrams(run)
    assert pairs[0] + "".join(pair[1] for pair in pairs[1:]) == run


@given(st.text(max_size=200))
def test_terms_have_letters_and_digits_only(text: str) -> None:
    for term in hangul.bigrams(text, last=True):
        assert term
        assert all(char.isalnum() for char in term)
