"""Particles with two forms, and the final consonants that choose between them."""

import re

from malmoi.core.hangul.letters import TAILS, decompose, is_syllable, nfc
from malmoi.core.hangul.numbers import read_digits, read_number

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
