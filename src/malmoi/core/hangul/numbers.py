"""Numbers in words: Sino-Korean, native Korean, and which of them a counter takes."""

import re

from malmoi.core.hangul.letters import nfc

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


def _read_group(group: int) -> str:
    # 0 < group < 10,000; the one before 십, 백 and 천 is not spoken.
    spoken = ""
    for place in (3, 2, 1, 0):
        digit = group // 10**place % 10
        if digit:
            spoken += ("" if digit == 1 and place else _DIGITS[digit]) + _PLACES[place]
    return spoken
