"""Syllables and their letters.

A Hangul syllable of Unicode is one code point: `0xAC00 + (lead * 21 + vowel) * 28 + tail`, with 19 leads, 21
vowels and 28 tails, the first of which is none (The Unicode Standard, section 3.12). Letters are written here
as compatibility jamo ("ㄱ", U+3131 ...), the ones that people type.
"""

import unicodedata
from typing import NamedTuple

LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
TAILS: tuple[str, ...] = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_FIRST = 0xAC00
_LAST = 0xD7A3


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
