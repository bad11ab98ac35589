r"""Numbers within text.

Thousands commas, signs (also the true minus), currencies, units, percent signs, decimals, powers (1e5),
fractions and mixed numbers (1 1/2), `\frac{1}{2}` and `\boxed{}`, Korean places after digits (3만 5천, 1억
2,000만), and a number in Korean words at the end of a text (모두 열두 개입니다).
"""

import re
from fractions import Fraction
from functools import cache

from malmoi.core.hangul import nfc, read_native
from malmoi.core.hangul import parse_number as parse_sino

_LONGEST = 10_000  # characters, from the end; an answer stands there
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]])[-+]\s?)?(?:[$₩€£](?P<sign2>-)?)?"
    r"(?:(?P<whole>\d{1,9})\s)?(?P<above>\d{1,30})\s?/\s?(?P<below>\d{1,30})(?![\d/])"
    r"|(?P<sign3>(?<![\w)\]])[-+]\s?)?(?:[$₩€£](?P<sign4>-)?)?"
    r"(?P<body>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d{1,400}(?:\.\d+)?|(?<!\d)\.\d+)"
    r"(?:[eE](?P<power>[+-]?\d{1,2})(?!\w))?"
    r"(?P<small>[십백천](?![가-힣])|[십백천](?=[만억조원명개]))?(?P<big>[만억조](?!큼))?"
)
_PLACES = {"십": 10, "백": 100, "천": 1000, "만": 10**4, "억": 10**8, "조": 10**12}
_ENDING = re.compile(
    r"(?:입니다|이었습니다|였습니다|습니다|이에요|예요|이다|다|이네요|네요|이죠|죠|요|이|가|은|는|을|를)?[.!?。\s]*$"
)
_COUNTER = re.compile(
    r"(?:개|명|사람|마리|살|시간|번|권|장|대|병|잔|송이|켤레|곳|가지|달|그루|자루|그릇|조각|판|통|배|원|달러|년|월|일|시|분|초"
    r"|미터|센티미터|킬로미터|그램|킬로그램|리터|퍼센트|점|쪽|층|도)?$"
)
_SENTENCE = re.compile(r"(?<=[.!?。])\s+|\n+")


def last_number(text: str) -> Fraction | None:
    """The last number of a text; where it has no digit, a number in Korean words at its end."""
    text = _plain(text[-_LONGEST:])
    numbers = _numbers(text)
    return numbers[-1] if numbers else _in_words(text)


def parse_number(text: str) -> Fraction | None:
    """The first number of a text, or None."""
    text = _plain(text[:_LONGEST])
    numbers = _numbers(text)
    return numbers[0] if numbers else _in_words(text)


def _plain(text: str) -> str:
    r"""Composed, without LaTeX; what is in the last `\boxed{}` stands for the whole."""
    text = nfc(text).replace("−", "-").replace("{,}", ",").replace("\\!", "").replace("\\$", "$")
    boxed = _BOXED.findall(text)
    text = boxed[-1] if boxed else text
    return _FRACTION.sub(r"\1/\2", text)


def _numbers(text: str) -> list[Fraction]:
    found: list[Fraction] = []
    smallest, end = 0, -1  # the place of the number before, and where it ended
    for match in _NUMBER.finditer(text):
        value, place = _value(match)
        goes_on = end >= 0 and text[end : match.start()] in ("", " ") and smallest > 1
        if goes_on and value > 0 and value < smallest:
            found[-1] += value if found[-1] > 0 else -value
        else:
            found.append(value)
        smallest, end = place, match.end()
    return found


def _value(match: re.Match[str]) -> tuple[Fraction, int]:
    """The number, and the value of its last Korean place (1: it has none)."""
    parts = match.groupdict()
    negative = any("-" in (parts[name] or "") for name in ("sign", "sign2", "sign3", "sign4"))
    place = 1
    if parts["body"] is None:
        below = int(parts["below"])
        above = int(parts["above"])
        value = Fraction(above, below) if below else Fraction(above)
        value += int(parts["whole"] or 0)
    else:
        value = Fraction(parts["body"].replace(",", "")) * Fraction(10) ** int(parts["power"] or 0)
        place = _PLACES.get(parts["small"] or "", 1) * _PLACES.get(parts["big"] or "", 1)
        value *= place
        place = _PLACES.get(parts["big"] or parts["small"] or "", 1)
    return (-value if negative else value), place


def _in_words(text: str) -> Fraction | None:
    """The number that the last sentence ends with, in Korean words."""
    sentences = [part for part in _SENTENCE.split(text.strip()) if part.strip()]
    if not sentences:
        return None
    last = sentences[-1].replace("*", "")
    for tail in dict.fromkeys((last.rstrip(".!?。 "), _ENDING.sub("", last))):
        for phrase in dict.fromkeys((tail, _COUNTER.sub("", tail))):
            words = phrase.split()[-4:]
            for start in range(len(words)):
                number = _word_number("".join(words[start:]).lstrip(":="))
                if number is not None:
                    return Fraction(number)
    return None


def _word_number(word: str) -> int | None:
    if word in _native():
        return _native()[word]
    try:
        return parse_sino(word)
    except ValueError:
        return None


@cache
def _native() -> dict[str, int]:
    """Native words, as they stand alone and before a counter."""
    alone = {read_native(number): number for number in range(1, 100)}
    return alone | {read_native(number, before_counter=True): number for number in range(1, 100)}
