"""Arguments of mathematics that a sentence gives in so many words, read without a model.

Only what can be meant in one way is given: a sentence with two formulas where one is wanted gives none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from malmoi.assist.skills.builtin.math.formulas import (
    asked_words,
    defined,
    formulas,
    is_relation,
    is_setting,
    matrices,
    points,
    with_signs,
)
from malmoi.assist.skills.builtin.math.quantities import conversion
from malmoi.assist.skills.planning.reading import sentence

_LONGEST = 2000
_NUMBER = (
    r"[-−]?\d{1,30}(?:\.\d{1,30})?(?:/\d{1,30})?|[-−]?\s?(?:무한대|무한|infinity|∞|oo|pi|파이|π)(?:/\d+)?"
    r"|양의 무한대|음의 무한대|마이너스 무한대"
)
_FIGURE = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_LISTED = re.compile(
    r"-?\d+(?:\.\d+)?[^\d,.;]{0,4}(?:\s*[,;、/]\s*|\s+|\s*(?:그리고|하고|and)\s+)(?:and\s+)?(?=-?\d)"
)
_SPELLED = {"파이": "pi", "π": "pi", "∞": "oo", "무한대": "oo", "무한": "oo", "infinity": "oo", "−": "-"}
_MONEY = re.compile(
    r"\d[\d,]*(?:\.\d+)?\s*(?:[억만천백]\s*\d*)*(?:[억만천백])?\s*(?:원|달러|won|dollars?)?|[$₩]\s?\d[\d,]*(?:\.\d+)?"
)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:%|퍼센트|프로|퍼(?=세일|할인|\s)|percent)")


def read_query(operation: str, query: str) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: of the mathematics skill.
        query: what the person says.
    """
    reader = _READERS.get(operation)
    if reader is None:
        return {}
    told = reader(sentence(query, most=_LONGEST))  # a list of numbers may be long
    return {name: value for name, value in told.items() if value}


def _of(query: str) -> dict[str, Any]:
    """The one expression that something is done with."""
    found = list(dict.fromkeys(defined(one) for one in formulas(query) if not is_setting(one)))
    plain = [one for one in found if not is_relation(one)]
    return {"expression": plain[0]} if len(plain) == 1 else {}


def _first(patterns: Iterable[str], query: str) -> re.Match[str] | None:
    for pattern in patterns:
        match = re.search(pattern.replace("{n}", _NUMBER), query, re.IGNORECASE)
        if match is not None:
            return match
    return None


def _spelled(text: str) -> str:
    told = text.strip().replace("음의 ", "-").replace("양의 ", "").replace("마이너스 ", "-")
    for word, sign in _SPELLED.items():
        told = told.replace(word, sign)
    return told.replace(" ", "")


def _place(query: str) -> str:
    match = _where(query)
    return _spelled(match[1]) if match is not None else ""


def _where(query: str) -> re.Match[str] | None:
    return _first(asked_words()["places"]["of"], query)


def _without(query: str, match: re.Match[str] | None) -> str:
    """The sentence without some of its words, of which no formula may go on."""
    return query if match is None else f"{query[: match.start()]} ; {query[match.end() :]}"


def _variable(query: str) -> str:
    match = _first(asked_words()["places"]["variable"], query)
    return match[1] if match is not None else ""


def _order(query: str) -> int:
    words = asked_words()["order"]
    match = _first(words["of"], query)
    if match is not None:
        return int(match[1]) if 0 < int(match[1]) <= 10 else 0
    return next(
        (count for pattern, count in words["words"].items() if re.search(pattern, query, re.IGNORECASE)), 0
    )


def _calculate(query: str) -> dict[str, Any]:
    words = asked_words()["sums"]
    shares = list(_PERCENT.finditer(query))
    rest = _PERCENT.sub(" ", query)
    amounts = [
        match[0].strip()
        for match in _MONEY.finditer(rest)
        if re.search(r"[원만억천달$₩]|won|doll|\d{3}", match[0])
    ]
    if len(shares) == 1 and len(amounts) == 1:
        amount, share = _bare(amounts[0]), shares[0][1]
        if re.search(words["less"], query, re.IGNORECASE):
            return {"expression": f"{amount} - {share}%"}
        if re.search(words["more"], query, re.IGNORECASE):
            return {"expression": f"{amount} + {share}%"}
        return {"expression": f"{amount} * {share}%"}
    if not shares and len(amounts) == 1 and re.search(words["shared"], query, re.IGNORECASE):
        people = re.findall(rf"(\d+)\s*(?:{words['people']})", rest.replace(amounts[0], " "), re.IGNORECASE)
        if len(people) == 1:
            return {"expression": f"{_bare(amounts[0])} / {people[0]}"}
    found = [one for one in formulas(query) if not is_relation(one) and re.search(r"\d", one)]
    figures = _FIGURE.findall(query)
    if (
        len(found) == 1
        and len(_FIGURE.findall(found[0])) == len(figures)
        and not re.search(r"[x-z]", found[0])
    ):
        in_degrees = re.search(r"(?:sin|cos|tan)\s*\d+\s*(?:도|°|deg)", query, re.IGNORECASE)
        return {"expression": found[0] + ("°" if in_degrees and "°" not in found[0] else "")}
    return {}


def _bare(amount: str) -> str:
    return re.sub(r"\s*(?:원|달러|won|dollars?)$", "", amount).lstrip("$₩ ").strip()


def _solve(query: str) -> dict[str, Any]:
    found = [one for one in formulas(query) if is_relation(one) and re.search(r"[A-Za-z]", one)]
    found = [one for one in found if not is_setting(one)] or found
    return {"equations": list(dict.fromkeys(found))} if found else {}


def _derivative(query: str) -> dict[str, Any]:
    told = _of(query)
    given = [one for one in formulas(query) if is_setting(one)]
    at = given[0].split("=")[1].strip() if len(given) == 1 else ""
    match = re.search(rf"\b(?:at|when)\s+(?:[a-z]\s*=\s*)?({_NUMBER})", query, re.IGNORECASE)
    return {**told, "at": at or (_spelled(match[1]) if match else ""), "order": _order(query), **_by(query)}


def _by(query: str) -> dict[str, Any]:
    match = _first(asked_words()["places"]["variable"][1:], query)
    return {"variable": match[1]} if match is not None else {}


def _integral(query: str) -> dict[str, Any]:
    match = _first(asked_words()["bounds"]["of"], query)
    told = _of(re.sub(r"\bd[a-z]\b", " ", _without(query, match)))
    if match is not None:
        told |= {"lower": _spelled(match[1]), "upper": _spelled(match[2])}
    return told | _by(query)


def _limit(query: str) -> dict[str, Any]:
    sides = asked_words()["side"]
    side = [name for name, pattern in sides.items() if re.search(pattern, query, re.IGNORECASE)]
    told = _of(re.sub(r"\blim\b", " ", _without(query, _where(query))))
    return {
        **told,
        "point": _place(query),
        "variable": _variable(query),
        "side": side[0] if len(side) == 1 else "",
    }


def _series(query: str) -> dict[str, Any]:
    return {**_of(_without(query, _where(query))), "point": _place(query), "order": _order(query)}


def _distance(query: str) -> dict[str, Any]:
    spelled = with_signs(query)
    found: list[tuple[int, str]] = points(spelled)
    found += [
        (max(spelled.find(one.split("=")[0].strip()), 0), one) for one in formulas(query) if is_relation(one)
    ]
    origin = re.search(asked_words()["origin"]["of"], query, re.IGNORECASE)
    if origin is not None and found:
        size = max(text.count(",") for _, text in found)
        found.append((origin.start(), "(0, 0, 0)" if size == 2 or "z" in found[0][1] else "(0, 0)"))
    if len(found) != 2:
        return {}
    found.sort()
    return {"first": found[0][1], "second": found[1][1]}


def _matrix(query: str) -> dict[str, Any]:
    found = matrices(query)
    return {"matrix": found[0], "other": found[1] if len(found) == 2 else ""} if 0 < len(found) <= 2 else {}


def _statistics(query: str) -> dict[str, Any]:
    """The longest list of numbers of the sentence; two at least."""
    best: list[float | int] = []
    for run in re.finditer(rf"(?:{_LISTED.pattern})+-?\d+(?:\.\d+)?", query):
        numbers = [_number(one) for one in re.findall(r"-?\d+(?:\.\d+)?", run[0])]
        if all(map(isfinite, numbers)):  # one of 400 figures is more than a number can be
            best = max(best, numbers, key=len)
    return {"numbers": best} if len(best) > 1 else {}


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _whole(query: str) -> dict[str, Any]:
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", query)
    return {"numbers": [int(one) for one in re.findall(r"(?<![\d.])\d{1,15}(?![\d.]\d)", plain)][:20]}


def _measure(query: str) -> dict[str, Any]:
    words = asked_words()
    shape, find = (
        next((name for name, pattern in words[kind].items() if re.search(pattern, query, re.IGNORECASE)), "")
        for kind in ("shapes", "finds")
    )
    return {"shape": shape, "find": find, "sizes": _sizes(_figures_of(query))}


def _sizes(query: str) -> dict[str, str]:
    """The sizes, if each number of the sentence is one."""
    words, sizes = asked_words(), dict[str, str]()
    unit = r"(?:cm|mm|km|m|in|ft|feet|inch(?:es)?|met(?:er|re)s?|centimet(?:er|re)s?)"
    for name, pattern in words["sizes"].items():
        told = rf"(?<!반)(?:{pattern})" if name == "diameter" else rf"(?:{pattern})"
        behind = rf"{told}[은는이가를을의]?\s*(?:길이(?:가|는)?)?\s*(?:(?:of|is|:|=)\s*)?(\d+(?:\.\d+)?)"
        before = rf"(\d+(?:\.\d+)?)\s?-?{unit}?\s*-?\s*(?:in\s+)?{told}"
        match = re.search(behind, query, re.IGNORECASE)
        if match is None and re.search(r"[A-Za-z]{3}", query):
            match = re.search(before, query, re.IGNORECASE)
        if match is not None:
            sizes[name] = match[1]
    upright = sizes.pop("upright", "")
    if upright:
        sizes["depth" if "height" in sizes else "height"] = upright
    figures = [
        one.replace(",", "") for one in _FIGURE.findall(re.sub(r"(?<=\d)(?=[A-Za-z가-힣])", " ", query))
    ]
    if not sizes:
        names: list[str] = next(
            (told for pattern, told in words["listed"].items() if re.search(pattern, query)), []
        )
        sizes = dict(zip(names, figures, strict=True)) if len(names) == len(figures) else {}
    return sizes if len(figures) == len(sizes) else {}


def _figures_of(query: str) -> str:
    """The sentence with native Korean numbers before a measure in figures: "스물여덟 센티" -> "28 센티"."""
    words = asked_words()["natives"]
    tens = "|".join(words["tens"])
    ones = "|".join(sorted(words["ones"], key=len, reverse=True))

    def told(match: re.Match[str]) -> str:
        return f"{words['tens'].get(match[1] or '', 0) + words['ones'].get(match[2] or '', 0)} {match[3]}"

    pattern = rf"(?<![가-힣])({tens})?({ones})?\s*(센티|미터|밀리|킬로|cm|m\b|자|치|평|근|되|말|돈)"
    return re.sub(pattern, lambda match: told(match) if match[1] or match[2] else match[0], query)


_READERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "calculate": _calculate,
    "solve": _solve,
    "rewrite": _of,
    "derivative": _derivative,
    "integral": _integral,
    "limit": _limit,
    "series": _series,
    "distance": _distance,
    "matrix": _matrix,
    "statistics": _statistics,
    "whole_numbers": _whole,
    "measure": _measure,
    "convert_units": conversion,
}
