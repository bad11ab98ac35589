"""Rates of test rows, and what demonstrations gain on the same rows."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from malmoi.core.intervals import wilson
from malmoi.serve.skills.trainer.types import Figure, Gain, Rate, RowValue

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def figure(pairs: Sequence[tuple[bool, bool]]) -> Figure:
    """One figure from (without, with) of each row."""
    before, after = sum(one for one, _ in pairs), sum(two for _, two in pairs)
    gained = sum(two and not one for one, two in pairs)
    lost = sum(one and not two for one, two in pairs)
    value, low, high = paired(both=after - gained, gained=gained, lost=lost, total=len(pairs))
    return Figure(
        without=rate(before, len(pairs)),
        with_demonstrations=rate(after, len(pairs)),
        gain=Gain(value=value, low=low, high=high, gained=gained, lost=lost),
    )


def rate(count: int, total: int) -> Rate:
    """A share with Wilson's interval."""
    low, high = wilson(count, total)
    return Rate(count=count, total=total, value=count / total if total else None, low=low, high=high)


def paired(*, both: int, gained: int, lost: int, total: int) -> tuple[float | None, float, float]:
    """A difference of two shares of the same rows with its 95 % interval.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", method 10 without its correction of continuity: it has a width even where no row changed.
    """
    if not total:
        return None, -1.0, 1.0
    neither = total - both - gained - lost
    with_it, without = (both + gained) / total, (both + lost) / total
    low_1, high_1 = wilson(both + gained, total)
    low_2, high_2 = wilson(both + lost, total)
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    phi = (both * neither - gained * lost) / math.sqrt(margins) if margins else 0.0

    def spread(one: float, two: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * phi * one * two + two * two))

    difference = (gained - lost) / total
    low = difference - spread(with_it - low_1, high_2 - without)
    high = difference + spread(without - low_2, high_1 - with_it)
    return difference, max(-1.0, low), min(1.0, high)


def same_arguments(one: Mapping[str, Any], two: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Whether two calls ask for the same: spaces, letter case and given defaults make no difference."""
    properties = parameters.get("properties", {})
    defaults = {
        name: schema["default"]
        for name, schema in properties.items()
        if isinstance(schema, Mapping) and "default" in schema
    }
    return bool(_plain({**defaults, **_given(one)}) == _plain({**defaults, **_given(two)}))


def words(text: str) -> str:
    """A query without what makes no difference."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold().rstrip(".?!~ ")


def said(row: RowValue) -> set[str]:
    """The words of a row, and of its steps that have their own, in the form in which they are compared."""
    return {words(row.query), *(words(one.clause) for one in row.stages.calls() if one.clause.strip())}


def has_numbers_of(answer: str, right: str) -> bool:
    """Whether every number of the right answer is in an answer."""
    there = set(_numbers(answer))
    return all(one in there for one in _numbers(right))


def _numbers(text: str) -> list[str]:
    return [one.replace(",", "") for one in _NUMBER.findall(text)]


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split()).casefold()
    return ("truth", value) if isinstance(value, bool) else value
