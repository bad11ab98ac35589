"""Whether an argument is right: by what it means, not by how it is written."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.builtin.math.refused import Refused

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00)?")
_HANGUL = re.compile(r"[가-힣\s]+")
_NOT_WORD = re.compile(r"[^\w가-힣]+")
_LONGEST = 200  # characters of an expression that is worth reading
_POINTS = (0.37, 1.83, 2.59)  # where two expressions are compared
_NEAR = 1e-9


def is_right(given: Any, wanted: Any, *, is_math: bool = False) -> bool:
    """Whether a value is the one that is wanted.

    Numbers are compared by value; days and times as such; texts without case, blanks, signs and particles.
    Lists have the same members (texts in any order), objects at least the wanted ones.

    Args:
        given: that was planned.
        wanted: that is right.
        is_math: texts may be expressions, equations or quantities; they are right if their values are.
    """
    if isinstance(wanted, bool) or isinstance(given, bool):
        return given is wanted
    if isinstance(wanted, int | float):
        return _number(given) == float(wanted)
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(
            name in given and is_right(given[name], value, is_math=is_math) for name, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return _same_members(given, wanted, is_math=is_math)
    if not isinstance(given, str | int | float):
        return False
    return _same_text(str(given), str(wanted), is_math=is_math)


def _same_members(given: Any, wanted: Sequence[Any], *, is_math: bool) -> bool:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(wanted):
        return False
    if all(is_right(one, other, is_math=is_math) for one, other in zip(given, wanted, strict=True)):
        return True
    left = list(given)
    for one in wanted:
        at = next((n for n, other in enumerate(left) if is_right(other, one, is_math=is_math)), None)
        if at is None:
            return False
        del left[at]
    return True


def _number(value: Any) -> float | None:
    try:
        return float(str(value).replace(",", ""))
    except ValueError:
        return None


def _same_text(given: str, wanted: str, *, is_math: bool) -> bool:
    if _TIME.fullmatch(wanted):
        return _moment(given) == _moment(wanted)
    clock, right = _CLOCK.fullmatch(given.strip()), _CLOCK.fullmatch(wanted)
    if clock and right:
        return (int(clock[1]), clock[2]) == (int(right[1]), right[2])
    # Signs are dropped where texts are compared loosely, and are all that matters in an expression.
    if not is_math or _HANGUL.fullmatch(wanted):
        return loosely(given) == loosely(wanted) or (is_math and same_quantity(given, wanted))
    return _bare(given) == _bare(wanted) or same_value(given, wanted) or same_quantity(given, wanted)


def _moment(text: str) -> datetime | None:
    """A day or a time, in the person's own zone; a day is its midnight."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache
def _particles() -> re.Pattern[str]:
    lines = files(__package__).joinpath("particles.txt").read_text(encoding="utf-8").splitlines()
    return re.compile(rf"(?<=[가-힣]{{2}})(?:{'|'.join(one for one in lines if one.strip())})$")


def loosely(text: str) -> str:
    """A text without case, blanks, signs, and particles behind Korean words of two syllables and more."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = [word for word in _NOT_WORD.split(plain) if word]
    return "".join(_particles().sub("", word) for word in words)


def same_value(given: str, wanted: str) -> bool:
    """Whether two expressions, or equations, or lists of them in brackets, have the same values."""
    first, second = _values(given), _values(wanted)
    if first is None or second is None or len(first) != len(second) or not first:
        return False
    return all(_equal(one, other) for one, other in zip(first, second, strict=True))


def _values(text: str) -> list[Any] | None:
    from malmoi.assist.skills.builtin.math.parsing import read
    from malmoi.assist.skills.builtin.math.reading import plain_spelling

    plain = text.strip()
    if len(plain) > _LONGEST:
        return None
    is_list = plain.startswith(("[", "(")) and "," in plain
    if is_list:  # a point or a matrix: rows one after another
        plain = re.sub(r"[\])]\s*,\s*[\[(]", ";", plain).strip("[]() ").replace(";", ",")
    try:
        return list(read(plain_spelling(plain, thousands=not is_list)).values)
    except (Refused, ValueError, ArithmeticError, TypeError):
        return None


def _equal(one: Any, other: Any) -> bool:
    """Equal at a few points; equations whose sides' differences are in one ratio at all of them."""
    from malmoi.assist.skills.builtin.math.parsing import Relation

    ratios_do = isinstance(other, Relation)
    if isinstance(one, Relation) and isinstance(other, Relation):
        if one.sign != other.sign:
            return False
        one, other = one.left - one.right, other.left - other.right
    elif isinstance(one, Relation) or isinstance(other, Relation):
        return False
    names = sorted(map(str, other.free_symbols))
    if sorted(map(str, one.free_symbols)) != names:
        return False
    ratios: list[complex] = []
    for point in _POINTS if names else _POINTS[:1]:
        places = {name: point ** (1 + 0.37 * number) + 0.71 * number for number, name in enumerate(names)}
        try:
            first, second = (
                complex(side.subs({name: places[str(name)] for name in side.free_symbols}).evalf())
                for side in (one, other)
            )
        except (TypeError, ValueError, ArithmeticError):
            return bool(one == other)
        if not (math.isfinite(abs(first)) and math.isfinite(abs(second))):
            return bool(one == other)
        if not ratios_do and abs(first - second) > _NEAR * max(1.0, abs(second)):
            return False
        if abs(second) > _NEAR:
            ratios.append(first / second)
    if not ratios_do:
        return True
    return bool(ratios) and abs(ratios[0]) > _NEAR and all(abs(r - ratios[0]) < 1e-6 for r in ratios)


def same_quantity(given: str, wanted: str) -> bool:
    """Whether two quantities, or two names of units, are the same ("34평" and "34 pyeong")."""
    from malmoi.assist.skills.builtin.math.units import convert

    if len(given) > _LONGEST or len(wanted) > _LONGEST:
        return False
    has_figure = [any(sign.isdigit() for sign in text) for text in (given, wanted)]
    if has_figure[0] != has_figure[1]:
        return False
    first, second = (text if has_figure[0] else f"1 {text}" for text in (given, wanted))
    unit = re.sub(r"^[\d\s.,/+-]+", "", second).strip()
    if not unit:
        return False
    try:
        one, other = convert(first, unit), convert(second, unit)
    except (Refused, ValueError, ArithmeticError):
        return False
    return bool(one.data["value"] == other.data["value"])
