"""Mathematics as people write it, in the parser's own spelling: Korean words, LaTeX, signs, number words.

"3억 5천만의 15%" becomes "350000000 * 15%", "3분의 2" becomes "((2)/(3))", "x²" becomes "x^(2)". Text for
text only: what it means is the parser's business.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.builtin.math.refused import Refused

LONGEST_TEXT = 2000

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_DIGITS = dict(zip("영일이삼사오육칠팔구", range(10), strict=True)) | {"공": 0}
_PLACES = {"십": 10, "백": 100, "천": 1000}
_MYRIADS = {"만": 10**4, "억": 10**8, "조": 10**12, "경": 10**16}
_UNITS = "".join(_PLACES) + "".join(_MYRIADS)
_FIGURE = r"\d+(?:,\d{3})*(?:\.\d+)?"
# Figures with Korean units ("3억 5천만", "1.5조", "2만 3,500"): a unit after the first figure makes it one.
_MIXED = re.compile(
    rf"{_FIGURE}\s*[{_UNITS}]+(?:\s*(?:{_FIGURE})?\s*[{_UNITS}]+)*(?:\s*{_FIGURE}(?![\d.,]*\s*[!°%^]))?"
)
_SPOKEN = re.compile(rf"(?<![가-힣])[{''.join(_DIGITS)}{_UNITS}]+(?![가-힣])")
_SHORT = re.compile(rf"[^억조경]*([억조])\s*(?:(?:{_FIGURE})?\s*[천백십])+")
_WORDS = rf"[{''.join(_DIGITS)}{_UNITS}]+"
_SPOKEN_FRACTION = re.compile(rf"(?<![가-힣])({_WORDS})\s*분의\s*({_WORDS})(?![가-힣])")
_FRACTION = re.compile(
    r"(\d+(?:\.\d+)?|\([^()]*\)|[A-Za-z])\s*분의\s*(√?\s*(?:\d+(?:\.\d+)?|\([^()]*\)|[A-Za-z]))"
)
_POWER = re.compile(r"\s*의\s*(\d+|[a-z])\s*(?:제곱|승)")
_TENTHS = re.compile(r"(?<!\d)(?:(\d)할\s*(?:(\d)푼)?)")
_THOUSANDS = re.compile(r"(?<![\d.])(\d{1,3})((?:,\d{3})+)(?![\d,])")
_ASKED = re.compile(r"[\s?.]*(?:=[\s?]*)?$")  # "2+3=?" asks for 2+3
_FRAC = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*(?:\[([^\[\]]*)\])?\s*\{([^{}]*)\}")
_GROUP = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))


def plain_spelling(text: str, *, thousands: bool = True) -> str:
    """The text in the spelling that the parser reads.

    Args:
        text: as a person wrote it.
        thousands: "1,000" is one number; not so in lists, where commas set items apart.

    Raises:
        Refused: it is too long, or mixes times of different units.
    """
    if len(text) > LONGEST_TEXT:
        raise Refused("too_long", str(LONGEST_TEXT))
    words = _words()
    text = _SUPERSCRIPT_RUN.sub(lambda run: f"^({run[0].translate(_SUPERSCRIPTS)})", text)
    text = unicodedata.normalize("NFC", text)
    text = "".join(unicodedata.normalize("NFKC", char) if "！" <= char <= "｝" else char for char in text)
    text = _ASKED.sub("", _replaced(_latex(text), words["signs"]))
    if thousands:
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    if any("가" <= char <= "힣" for char in text):
        text = _korean(text, words)
    return _english(text, words["english"])


def _replaced(text: str, table: Mapping[str, str]) -> str:
    for told in sorted(table, key=len, reverse=True):
        text = text.replace(told, table[told])
    return text


def _latex(text: str) -> str:
    if "\\" not in text and "{" not in text:
        return text
    for _ in range(50):  # from the innermost outwards; more nesting than that is refused by the parser
        before = text
        text = _FRAC.sub(r"((\1)/(\2))", text)
        text = _ROOT.sub(lambda found: f"root({found[2]}, {found[1] or 2})", text)
        if text == before:
            inner = _GROUP.search(text)
            if inner is None or re.search(r"\\(?:[dt]?frac|sqrt)\s*$", text[: inner.start()]):
                break
            text = f"{text[: inner.start()]}({inner[1]}){text[inner.end() :]}"
    text = _replaced(text, _words()["latex"])
    return re.sub(r"\\([A-Za-z]+)", r" \1 ", text)


def _korean(text: str, words: Mapping[str, Any]) -> str:
    text = _MIXED.sub(lambda found: f" {_value(found[0])} ", text)
    text = _SPOKEN_FRACTION.sub(lambda found: f"(({_value(found[2])})/({_value(found[1])}))", text)
    for _ in range(10):
        text, changes = _FRACTION.subn(r"((\2)/(\1))", text)
        if not changes:
            break
    text = _POWER.sub(r"^(\1)", text)
    text = _TENTHS.sub(_per_cent, text)
    text = _without_counters(text, **words["counters"])
    text = _SPOKEN.sub(_spoken, text)
    text = re.sub(r"퍼센트|프로", "%", text)
    for sign, told in (("-", words["changes"]["less"]), ("+", words["changes"]["more"])):
        amount = rf"\s*(?:의|에서|을|를|이|가|은|는)?\s*({_FIGURE})\s*%\s*(?:를|을|가|이)?"
        change = rf"{amount}\s*(?:{'|'.join(told)})[가-힣]*"
        text = re.sub(change, rf" {sign} \1% ", text)
    text = re.sub(r"(?<=\d)\s*도(?![가-힣])", "°", text)
    text = re.sub(r"(?<=[\d)%])\s*(?:의|에서)\s*(?=[\d(√.])", " * ", text)
    text = re.sub(r"(?<=[\d)A-Za-z])\s*의\s*(?=[가-힣])", " ", text)
    return _replaced(text, words["korean"])


def _per_cent(found: re.Match[str]) -> str:
    """Tenths and hundredths, as in batting averages and discounts: 3할 5푼 -> 35%."""
    return f" {10 * int(found[1] or 0) + int(found[2] or 0)}% "


def _without_counters(text: str, words: list[str], times: list[str]) -> str:
    listed = "|".join(sorted([*words, *times], key=len, reverse=True))
    counter = re.compile(rf"(?<=\d)\s*({listed})(?=[\s+\-*/%^)=<>,]|의|에|을|를|이|$)")
    found = sorted(set(counter.findall(text)) & set(times))
    if len(found) > 1:
        raise Refused("mixed_times", ", ".join(found))
    return counter.sub(" ", text)


def _spoken(found: re.Match[str]) -> str:
    return f" {_value(found[0])} "


def _value(text: str) -> str:
    """A number with Korean units, in figures: "3억 5천만" -> 350000000."""
    if found := _SHORT.fullmatch(text.strip()):
        # People leave out the last myriad: 3억 5천 is 3억 5천만.
        text = text.strip() + ("만" if found[1] == "억" else "억")
    total, group, current = Fraction(0), Fraction(0), None
    for part in re.findall(rf"{_FIGURE}|[{''.join(_DIGITS)}{_UNITS}]", text):
        if part in _DIGITS:
            current = Fraction(_DIGITS[part]) + (10 * current if current is not None else 0)
        elif part in _PLACES:
            group += (Fraction(1) if current is None else current) * _PLACES[part]
            current = None
        elif part in _MYRIADS:
            before = group + (current or 0)
            total += (before if group or current is not None else Fraction(1)) * _MYRIADS[part]
            group, current = Fraction(0), None
        else:
            current = Fraction(part.replace(",", ""))
    total += group + (current or 0)
    return str(total.numerator) if total.denominator == 1 else f"({total.numerator}/{total.denominator})"


def _english(text: str, table: Mapping[str, str]) -> str:
    if not re.search(r"[A-Za-z]{2}", text):
        return text
    for told in sorted(table, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z]){told}(?![A-Za-z])", table[told], text, flags=re.IGNORECASE)
    return text
