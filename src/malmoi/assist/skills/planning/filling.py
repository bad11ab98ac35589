"""Arguments that need no model: values of the query that can only belong to one argument."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from malmoi.assist.skills.operation import Operation
from malmoi.assist.skills.planning.extraction import Found
from malmoi.assist.skills.planning.value import Value
from malmoi.assist.skills.planning.words import load_words

_START = re.compile(r"start|from|begin|check_?in|pick_?up|since|depart", re.IGNORECASE)
_END = re.compile(r"end|until|till|check_?out|return|drop|^to$|_to$|by$", re.IGNORECASE)
_DOCUMENT = re.compile(r"^(document|document_id|file|file_id)$", re.IGNORECASE)
_PRICES = frozenset({"price", "cost", "fee", "rate", "per", "amount"})
_PARTICLES = re.compile(r"[가-힣]")


def fill(
    operation: Operation,
    query: str,
    found: Found,
    now: datetime,
    documents: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: whose arguments they are.
        query: what the person says.
        found: the values in it.
        now: for the zone of times.
        documents: `(id, title)` of what is at hand.
    """
    properties = operation.parameters.get("properties", {})
    arguments: dict[str, Any] = dict(_enums(properties, query))
    arguments |= _dates(properties, found, now, operation.parameters.get("required", ()))
    for kind, form in (("email", "email"), ("url", "uri")):
        names = [name for name, one in properties.items() if _form(one) == form]
        values = found.of(kind)  # type: ignore[arg-type]
        if len(names) == 1 and len(values) == 1:
            arguments[names[0]] = values[0].value
    arguments |= _numbers(properties, found, arguments)
    for name in properties:
        if _DOCUMENT.match(name):
            chosen = _document(query, documents)
            if chosen is not None:
                arguments[name] = chosen
    return arguments


def _enums(properties: Mapping[str, Any], query: str) -> Iterator[tuple[str, Any]]:
    """Values of a list that the query names; one that two arguments could have is left to the model."""
    named: dict[str, list[Any]] = {}
    for name, schema in properties.items():
        values = schema.get("enum") if isinstance(schema, Mapping) else None
        if not isinstance(values, list):
            continue
        words = schema.get("x-malmoi-words", {})
        hits = [
            value
            for value in values
            if isinstance(value, str)
            and any(_names(query, word) for word in [value, *_strings(words.get(value, []))])
        ]
        # "소형 SUV" names "SUV" as well: the longer one is meant.
        hits = [one for one in hits if not any(one != other and one in other for other in hits)]
        if len(hits) == 1:
            named[name] = hits
    for name, hits in named.items():
        if sum(hits == other for other in named.values()) == 1:
            yield name, hits[0]


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _names(query: str, word: str) -> bool:
    """Whether a query has a word; Korean words may have particles behind, English ones stand alone."""
    if not word.strip():
        return False
    if _PARTICLES.search(word):
        return re.search(rf"(?<![가-힣]){re.escape(word)}", query) is not None
    plain = word.replace("_", " ")
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(plain)}(?![A-Za-z0-9])", query, re.IGNORECASE) is not None


def _dates(
    properties: Mapping[str, Any], found: Found, now: datetime, required: Sequence[str]
) -> dict[str, Any]:
    days, clocks = found.of("date"), found.of("time")
    arguments: dict[str, Any] = {}
    by_form: dict[str, list[str]] = {}
    for name, schema in properties.items():
        by_form.setdefault(_form(schema), []).append(name)
    for form in ("date", "date-time"):
        names = by_form.get(form, [])
        starts = [name for name in names if _START.search(name)]
        ends = [name for name in names if _END.search(name) and name not in starts]
        if len(names) == 1 and len(days) == 1 and found.range is None and not ends:
            made = _moment(form, str(days[0].value), clocks, now)
            if made is not None:
                arguments[names[0]] = made
        elif len(starts) == 1 and len(ends) == 1 and form == "date" and found.range is not None:
            arguments[starts[0]], arguments[ends[0]] = found.range
        elif form == "date" and len(days) == 1:
            needed = [name for name in names if name in required]
            if len(needed) == 1 and not ends:  # "until Christmas": the day it is about, not where it starts
                arguments[needed[0]] = days[0].value
            elif len(starts) == 1 and len(names) == 1 + len(ends) <= 2:
                arguments[starts[0]] = days[0].value
    moments = [name for name in by_form.get("moment", []) if _START.search(name)]
    if len(moments) == 1 and len(days) == 1 and len(clocks) == 1:
        arguments[moments[0]] = f"{days[0].value}T{clocks[0].value}"
    names = by_form.get("time", [])
    if len(names) == 1 and len(clocks) == 1:
        arguments[names[0]] = clocks[0].value
    return arguments


def _moment(form: str, day: str, clocks: Sequence[Value], now: datetime) -> str | None:
    if form == "date":
        return day
    if len(clocks) != 1:
        return None
    told = datetime.fromisoformat(f"{day}T{clocks[0].value}:00")
    return told.replace(tzinfo=now.tzinfo).isoformat()


def _numbers(properties: Mapping[str, Any], found: Found, taken: Mapping[str, Any]) -> dict[str, Any]:
    """A number goes to the one argument that counts what it counts."""
    units = load_words().of("units")
    arguments: dict[str, Any] = {}
    for value in [*found.of("number"), *found.of("days")]:
        unit = value.unit
        if not unit:
            continue
        number = value.value
        if unit == "nights" and value.kind == "days":
            number = int(value.value) - 1
        names = [
            name
            for name, schema in properties.items()
            if name not in taken and _is_number(schema) and _counts(name, schema, unit, units[unit])
        ]
        same = [one for one in found.values if one.unit == unit]
        if (
            len(names) == 1
            and len(same) == 1
            and (isinstance(number, int) or _kind(properties[names[0]]) == "number")
        ):
            arguments[names[0]] = number
    return arguments


def _counts(name: str, schema: Mapping[str, Any], unit: str, words: Sequence[str]) -> bool:
    told = str(schema.get("x-malmoi-unit", ""))
    if told:
        return told == unit
    parts = set(re.split(r"[_\W]+", name.lower()))
    if parts & _PRICES and unit not in ("won", "dollars"):
        return False  # "price_per_day" counts no days
    plural = [word for word in words if word.isascii() and word.endswith("s")]
    return unit in parts or any(word in parts for word in plural)


def _document(query: str, documents: Sequence[tuple[str, str]]) -> str | None:
    named = [
        document for document, title in documents if len(title) > 1 and title.casefold() in query.casefold()
    ]
    if len(named) == 1:
        return named[0]
    return documents[0][0] if len(documents) == 1 else None


def _form(schema: Any) -> str:
    """What a text is: its format, or what `x-malmoi-form` says where no format holds.

    "moment" is a day and a time without a zone; "none" is nothing that can be told from the words alone.
    """
    if not isinstance(schema, Mapping):
        return ""
    return str(schema.get("x-malmoi-form") or schema.get("format", ""))


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "")
    return str(kind or "")


def _is_number(schema: Any) -> bool:
    return _kind(schema) in ("integer", "number")
