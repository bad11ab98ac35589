"""Korean text: syllables and their letters, particles, numbers, and terms to search by. Pure functions.

A Hangul syllable of Unicode is one code point: `0xAC00 + (lead * 21 + vowel) * 28 + tail`, with 19 leads, 21
vowels and 28 tails, the first of which is none (The Unicode Standard, section 3.12). Letters are written here
as compatibility jamo ("ㄱ", U+3131 ...), the ones that people type.
"""

import re
import unicodedata
from typing import NamedTuple

LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
TAILS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_FIRST = 0xAC00
_LAST = 0xD7A3

# Each particle: the form after a final consonant, and the form after a vowel.
_PARTICLES = (
    ("은", "는"),
    ("이", "가"),
    ("을", "를"),
    ("과", "와"),
    ("아", "야"),
    ("으로", "로"),
    ("으로서", "로서"),
    ("으로써", "로써"),
    ("이나", "나"),
    ("이랑", "랑"),
    ("이란", "란"),
    ("이라", "라"),
    ("이며", "며"),
    ("이든", "든"),
    ("이에요", "예요"),
)
_FORMS = {
    spelling: pair
    for pair in _PARTICLES
    for spelling in (
        *pair,
        f"{pair[0]}/{pair[1]}",
        f"{pair[1]}/{pair[0]}",
        f"{pair[0]}({pair[1]})",
        f"{pair[1]}({pair[0]})",
    )
} | {"(으)로": ("으로", "로"), "(이)나": ("이나", "나"), "(이)랑": ("이랑", "랑"), "(이)란": ("이란", "란")}

_DIGITS = ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네"}
_NATIVE_COUNTERS = frozenset(
    (
        "개",
        "명",
        "사람",
        "마리",
        "살",
        "시간",
        "번",
        "번째",
        "권",
        "장",
        "대",
        "병",
        "잔",
        "그루",
        "송이",
        "켤레",
    )
).union(("벌", "채", "곳", "군데", "가지", "달", "척", "자루", "그릇", "조각", "판", "통", "배"))
_MONTHS = {6: "유", 10: "시"}

# The final consonants of signs that are read aloud, and of the names of Latin letters (the others have none).
_SIGN_FINALS = {
    "%": "",
    "℃": "",
    "℉": "",
    "°": "",
    "+": "",
    "&": "",
    "㎞": "",
    "㎝": "",
    "㎏": "ㅁ",
    "#": "ㅂ",
}
_LETTER_FINALS = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "r": "ㄹ"}
# Endings of English words as they are usually written in Hangul; only their final consonant matters.
_SILENT_E = re.compile(r"[aeiouy].*[lmn]e$|[^aeiou]le$")
_STOPPED = re.compile(r"(^|[^aeiou])([aeiou]|oo)(pp?|t|k|b)$|[aeiou]ck$")

_CJK = (
    "\u1100-\u11ff\u3040-\u30ff\u3105-\u318e\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_CJK_RUN = re.compile(f"(?:(?=\\w)[{_CJK}])+")
_WORD = re.compile(f"(?:(?=\\w)[{_CJK}])+|[^\\W_{_CJK}]+")


def nfc(text: str) -> str:
    """Compose `text` (Unicode NFC): what a Mac's file dialog gives as letters becomes syllables again."""
    return unicodedata.normalize("NFC", text)


class Jamo(NamedTuple):
    """The letters of one syllable; `tail` may be empty."""

    lead: str
    vowel: str
    tail: str = ""


def is_syllable(char: str) -> bool:
    """Whether `char` is one composed Hangul syllable, 가 to 힣."""
    return len(char) == 1 and _FIRST <= ord(char) <= _LAST


def is_hangul(text: str) -> bool:
    """Whether `text` is not empty and has Hangul only: syllables or letters, of any block."""
    return bool(text) and all(
        _FIRST <= ord(char) <= 0xD7FF
        or 0x1100 <= ord(char) <= 0x11FF
        or 0x3131 <= ord(char) <= 0x318E
        or 0xA960 <= ord(char) <= 0xA97F
        for char in text
    )


def decompose(syllable: str) -> Jamo:
    """The letters of a syllable: 말 -> (ㅁ, ㅏ, ㄹ).

    Raises:
        ValueError: `syllable` is not one composed Hangul syllable.
    """
    if not is_syllable(syllable):
        raise ValueError(f"{syllable!r} is not a Hangul syllable")
    index = ord(syllable) - _FIRST
    return Jamo(LEADS[index // 588], VOWELS[index % 588 // 28], TAILS[index % 28])


def compose(lead: str, vowel: str, tail: str = "") -> str:
    """The syllable of these letters; the inverse of `decompose`.

    Raises:
        ValueError: a letter cannot stand in its place.
    """
    try:
        indices = (LEADS.index(lead or " "), VOWELS.index(vowel or " "), TAILS.index(tail))
    except ValueError:
        raise ValueError(f"{lead!r}, {vowel!r}, {tail!r} do not make a Hangul syllable") from None
    if len(lead) != 1 or len(vowel) != 1:
        raise ValueError(f"{lead!r}, {vowel!r}, {tail!r} do not make a Hangul syllable")
    return chr(_FIRST + (indices[0] * 21 + indices[1]) * 28 + indices[2])


def choseong(text: str) -> str:
    """The first letters of the syllables, all else as it is: 말모이 2 -> ㅁㅁㅇ 2."""
    return "".join(decompose(char).lead if is_syllable(char) else char for char in text)


def final_consonant(text: str) -> str:
    """The consonant in which `text` ends when it is read aloud in Korean; empty after a vowel.

    Digits are read as numbers (10 십, 3 삼), signs by name (% 퍼센트). Latin letters are read by name when
    they are capitals or stand alone (PDF 피디에프, URL 유알엘), else as the English word is usually spelled
    in Hangul (Google 구글, app 앱); that is a rule of thumb, since English spelling does not tell. Closing
    quotes, brackets and other marks are skipped. Text that has no known sound counts as ending in a vowel.
    """
    end = len(text)
    while end and not text[end - 1].isalnum() and text[end - 1] not in _SIGN_FINALS:
        end -= 1
    spoken = nfc(text[:end])
    if not spoken:
        return ""
    last = spoken[-1]
    if is_syllable(last):
        return decompose(last).tail
    if last in TAILS:
        return last
    if last in _SIGN_FINALS:
        return _SIGN_FINALS[last]
    if last.isascii() and last.isdigit():
        return _final_of_digits(spoken)
    if last.isascii() and last.isalpha():
        return _final_of_latin(spoken)
    return ""


def has_batchim(text: str) -> bool:
    """Whether `text` ends in a final consonant when it is read aloud in Korean (see `final_consonant`)."""
    return bool(final_consonant(text))


def particle(text: str, kind: str) -> str:
    """The form of a particle that follows `text`.

    Args:
        text: the word before it.
        kind: either form or both: 은, 는, 은/는, 은(는), (으)로 ...

    Raises:
        ValueError: `kind` is not a particle with two forms.
    """
    forms = _FORMS.get(nfc(kind))
    if forms is None:
        known = ", ".join("/".join(pair) for pair in _PARTICLES)
        raise ValueError(f"{kind!r} is not a particle with two forms; there are {known}")
    final = final_consonant(text)
    if final == "ㄹ" and forms[0].startswith("으로"):  # 서울로, 1로
        return forms[1]
    return forms[0] if final else forms[1]


def with_particle(text: str, kind: str) -> str:
    """`text` and the particle that fits it: ("말모이", "은/는") -> 말모이는."""
    return text + particle(text, kind)


def read_number(number: int, *, spaced: bool = True) -> str:
    """A whole number in Sino-Korean: 12345 -> 만 이천삼백사십오.

    Args:
        number: from -(10^20 - 1) to 10^20 - 1; a negative one begins with 마이너스.
        spaced: a space after 만, 억, 조 and 경 (Korean orthography, article 44).

    Raises:
        ValueError: the number is larger than that.
    """
    if abs(number) >= 10**20:
        raise ValueError(f"{number} has more than twenty digits")
    if number < 0:
        return "마이너스 " + read_number(-number, spaced=spaced)
    if number == 0:
        return _DIGITS[0]
    groups: list[str] = []
    rest, place = number, 0
    while rest:
        rest, group = divmod(rest, 10_000)
        if group:
            # Ten thousand is 만 at the head of a number, but 일만 within one.
            spoken = "" if group == 1 and place == 1 and not rest else _read_group(group)
            groups.append(spoken + _MYRIADS[place])
        place += 1
    return (" " if spaced else "").join(reversed(groups))


def parse_number(text: str) -> int:
    """The whole number that Sino-Korean words say; the inverse of `read_number`, with or without spaces.

    Raises:
        ValueError: `text` is not such a number.
    """
    words = nfc(text).replace(" ", "")
    sign = -1 if words.startswith("마이너스") else 1
    words = words.removeprefix("마이너스")
    if words in (_DIGITS[0], "공"):
        return 0
    total, group, digit = 0, 0, 0
    for char in words:
        if char in _DIGITS[1:]:
            digit = _DIGITS.index(char)
        elif char in _PLACES[1:]:
            group += max(digit, 1) * 10 ** _PLACES.index(char)
            digit = 0
        elif char in _MYRIADS[1:]:
            total += max(group + digit, 1) * 10 ** (4 * _MYRIADS.index(char))
            group = digit = 0
        else:
            raise ValueError(f"{text!r} is not a Korean number: {char!r}")
    value = total + group + digit
    # One number has one reading: this refuses places out of order, doubled digits and the like.
    if not words or read_number(value, spaced=False) not in (words, re.sub("^일만", "만", words)):
        raise ValueError(f"{text!r} is not a Korean number")
    return sign * value


def read_digits(text: str) -> str:
    """The digits one by one, as in telephone numbers, all else as it is: 010-12 -> 공일공-일이."""
    return "".join(
        "공" if char == "0" else _DIGITS[int(char)] if char.isascii() and char.isdigit() else char
        for char in text
    )


def read_native(number: int, *, before_counter: bool = False) -> str:
    """A number from 1 to 99 in native Korean: 21 -> 스물하나, before a counter 스물한.

    Raises:
        ValueError: native Korean has no word for it.
    """
    if not 1 <= number <= 99:
        raise ValueError(f"{number} has no native Korean reading; there is one for 1 to 99")
    tens, ones = _NATIVE_TENS[number // 10], _NATIVE_ONES[number % 10]
    if before_counter:
        if number == 20:
            return "스무"
        ones = _NATIVE_BEFORE_COUNTER.get(ones, ones)
    return tens + ones


def read_count(number: int, counter: str) -> str:
    """A number with the word it counts, in the reading that is usual for it.

    Native for things, people, age and hours of the day up to 99 (세 개, 스물한 살, 열두 시), the last
    two digits native above (백한 명); Sino-Korean for all else (삼 년, 오 분, 십삼 시). June is 유월, October
    시월.
    """
    if counter == "월" and number in _MONTHS:
        return _MONTHS[number] + counter
    native = counter in _NATIVE_COUNTERS or (counter == "시" and number <= 12)
    if not native or number <= 0:
        return f"{read_number(number)} {counter}"
    hundreds, rest = divmod(number, 100)
    spoken = read_number(hundreds * 100) if hundreds else ""
    return f"{spoken}{read_native(rest, before_counter=True) if rest else ''} {counter}"


def fold(text: str) -> str:
    """`text` for comparison: compatibility forms unified (NFKC), lower case, no accents on Latin letters.

    Hangul stays composed. The length may change.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():
        return folded
    bare = "".join(char for char in unicodedata.normalize("NFKD", folded) if not 0x300 <= ord(char) <= 0x36F)
    return unicodedata.normalize("NFC", bare)


def words(text: str) -> list[str]:
    """The words of `text`, folded: runs of letters and digits, cut where scripts meet (API를 -> api, 를)."""
    return [match.group() for match in _WORD.finditer(fold(text))]


def is_cjk(word: str) -> bool:
    """Whether `bigrams` stand for this word of `words`: Hangul, Han or Kana."""
    return bool(_CJK_RUN.fullmatch(word))


def bigrams(text: str, *, last: bool = False) -> list[str]:
    """Terms to find any part of a word by: overlapping pairs of each CJK run, other words whole.

    결제하기 v2 -> 결제 제하 하기 v2. A run of one character is that character. A phrase of neighbouring pairs
    is then an exact substring of a run: "결제하" is found as "결제 제하", two syllables anywhere in a word.

    Args:
        text: any text; it is folded first.
        last: add each run's last character by itself, so that a one-syllable query, asked as the prefix of a
            pair, finds it there too. For what is indexed, not for queries.
    """
    terms: list[str] = []
    for word in words(text):
        if not is_cjk(word):
            terms.append(word)
            continue
        terms.extend(word[i : i + 2] for i in range(len(word) - 1))
        if last or len(word) == 1:
            terms.append(word[-1])
    return terms


def _read_group(group: int) -> str:
    # 0 < group < 10,000; the one before 십, 백 and 천 is not spoken.
    spoken = ""
    for place in (3, 2, 1, 0):
        digit = group // 10**place % 10
        if digit:
            spoken += ("" if digit == 1 and place else _DIGITS[digit]) + _PLACES[place]
    return spoken


def _final_of_digits(text: str) -> str:
    match = re.search(r"(\d+)(?:[.,](\d+))*$", text, re.ASCII)
    assert match is not None  # the caller has seen a digit at the end
    digits = match.group().replace(",", "")
    if "." in digits:  # decimals are read one by one
        return decompose(read_digits(digits[-1])).tail
    stripped = digits.lstrip("0")
    if not stripped or len(stripped) != len(digits) or len(stripped) > 20:
        return decompose(read_digits(digits[-1])).tail
    return decompose(read_number(int(stripped))[-1]).tail


def _final_of_latin(text: str) -> str:
    match = re.search(r"[A-Za-z]+$", text)
    assert match is not None  # the caller has seen a letter at the end
    word = match.group()
    if len(word) == 1 or word.isupper():
        return _LETTER_FINALS.get(word[-1].lower(), "")
    lower = word.lower()
    if _SILENT_E.search(lower):
        lower = lower[:-1]
    if lower.endswith("ng"):
        return "ㅇ"
    if lower[-1] in "lmn":
        return {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ"}[lower[-1]]
    if _STOPPED.search(lower):
        return {"p": "ㅂ", "b": "ㅂ", "t": "ㅅ", "k": "ㄱ"}[lower[-1]]
    return ""
