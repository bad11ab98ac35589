"""Arguments that need no model: values of the query that can only belong to one argument."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from malmoi.assist.skills.operation import Operation
from malmoi.assist.skills.planning.extraction import Found
from malmoi.assist.skills.planning.reading import sentence
from malmoi.assist.skills.planning.shown import meant, named_ids, ordinal
from malmoi.assist.skills.planning.timing import Times, form_of
from malmoi.assist.skills.planning.words import load_words

_DOCUMENT = re.compile(r"^(document|document_id|file|file_id)$", re.IGNORECASE)
_ID = re.compile(r"_(?:id|uid|uuid|number|no)$", re.IGNORECASE)
_PRICES = frozenset({"price", "cost", "fee", "rate", "per", "amount"})
_PARTICLES = re.compile(r"[가-힣]")
_FROM = frozenset({"start", "from", "origin", "source"})
_TO = frozenset({"goal", "to", "destination", "target", "end"})
_BEFORE_QUOTES = 14  # characters between a quotation and the word that says what it is


def fill(
    operation: Operation,
    query: str,
    found: Found,
    now: datetime,
    documents: Sequence[tuple[str, str]] = (),
    turns: Sequence[str] = (),
) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: whose arguments they are.
        query: what the person says.
        found: the values in it.
        now: for the zone of times.
        documents: `(id, title)` of what is at hand.
        turns: what was shown before, oldest first.
    """
    properties = operation.parameters.get("properties", {})
    required = operation.parameters.get("required", ())
    arguments: dict[str, Any] = dict(_enums(properties, query)) | dict(_flags(properties, query))
    identity, shown = _id(properties, required, query, turns)
    arguments |= identity
    arguments |= Times(properties, required, query, found, now, shown).filled()
    if arguments.get("all_day") is True and "start" in properties and len(found.of("date")) == 1:
        arguments.setdefault("start", found.of("date")[0].value)
    for kind, form in (("email", "email"), ("url", "uri")):
        names = [name for name, one in properties.items() if form_of(one) == form]
        values = found.of(kind)  # type: ignore[arg-type]
        if len(names) == 1 and len(values) == 1:
            arguments[names[0]] = values[0].value
    arguments |= _addresses(properties, required, found)
    arguments |= _numbers(properties, found, arguments, query)
    arguments |= _ways(properties, required, query)
    arguments |= _quotations(properties, required, query, found, arguments)
    for name in properties:
        if _DOCUMENT.match(name):
            chosen = _document(query, documents)
            if chosen is not None:
                arguments[name] = chosen
    return arguments


def may_be_said(name: str, schema: Any, query: str, found: Found, *, is_required: bool) -> bool:
    """Whether a query may hold a value for an argument that code has not filled; only then a model looks.

    Args:
        name: of the argument.
        schema: of the argument.
        query: what the person says, with what was said before where that matters.
        found: the values in it.
        is_required: what must be known is always looked for.
    """
    if is_required or not isinstance(schema, Mapping):
        return True
    if not _is_near(schema, query):
        return False
    words = schema.get("x-malmoi-words")
    kind = _kind(schema)
    if kind == "boolean":
        return not isinstance(words, Mapping)
    if _is_number(schema):
        return bool(found.of("number") or found.of("days") or found.minutes)
    if form_of(schema) in ("date", "date-time", "moment", "none"):
        return bool(found.of("date") or found.periods or found.of("days"))
    if form_of(schema) == "time":
        return bool(found.of("time"))
    return not ("enum" in schema and isinstance(words, Mapping))


def _is_near(schema: Mapping[str, Any], query: str) -> bool:
    """Whether a word is said by which an argument is known; True where it has none."""
    words = schema.get("x-malmoi-near")
    return not isinstance(words, list) or any(
        re.search(word, query, re.IGNORECASE) for word in _strings(words)
    )


def _enums(properties: Mapping[str, Any], query: str) -> Iterator[tuple[str, Any]]:
    """Values of a list that the query names; one that two arguments could have is left to the model."""
    named: dict[str, list[Any]] = {}
    for name, schema in properties.items():
        values = schema.get("enum") if isinstance(schema, Mapping) else None
        if not isinstance(values, list):
            continue
        words = schema.get("x-malmoi-words", {})
        said = {
            value: [word for word in [value, *_strings(words.get(value, []))] if _names(query, word)]
            for value in values
            if isinstance(value, str)
        }
        hits = [value for value, own in said.items() if own]
        if len(hits) > 1:  # "any vans": what is meant where nothing is said counts last
            hits = [value for value in hits if value != schema.get("default")]
        # "소형 SUV" names "SUV" as well, "다음 소수" names "소수": the longer one is meant.
        hits = [
            one
            for one in hits
            if not any(
                one != other
                and (one in other or all(any(a != b and a in b for b in said[other]) for a in said[one]))
                for other in hits
            )
        ]
        if len(hits) == 1:
            named[name] = hits
    for name, hits in named.items():
        if sum(hits == other for other in named.values()) == 1:
            yield name, hits[0]


def _flags(properties: Mapping[str, Any], query: str) -> Iterator[tuple[str, bool]]:
    """Yes or no, where a word for it is said."""
    for name, schema in properties.items():
        words = schema.get("x-malmoi-words") if isinstance(schema, Mapping) else None
        if _kind(schema) != "boolean" or not isinstance(words, Mapping):
            continue
        told = [
            value == "true"
            for value in ("true", "false")
            if any(_names(query, word) for word in _strings(words.get(value)))
        ]
        if told:
            yield name, told[0] if len(told) == 1 else False


def _id(
    properties: Mapping[str, Any], required: Sequence[str], query: str, turns: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """The one id that is needed, and what was shown with it."""
    names = [name for name, one in properties.items() if _ID.search(name) and _kind(one) == "string"]
    needed = [name for name in names if name in required] or names
    if len(needed) != 1:
        return {}, ""
    thing = meant(query, turns)
    own = named_ids(query)
    if len(own) == 1 and not (thing is not None and own[0].isdigit() and ordinal(query) is not None):
        around = next((turn for turn in reversed(turns) if own[0] in turn), "")
        return {needed[0]: own[0]}, around
    if len(own) == 2 and len(names) == 2 and own[0].count("-") != own[1].count("-"):
        # Things of a catalogue have names of parts; what is the caller's own has a number.
        plain, parted = sorted(own, key=lambda one: one.count("-"))
        other = next(name for name in names if name != needed[0])
        return {needed[0]: plain, other: parted}, ""
    if own and not own[0].isdigit():
        return {}, ""
    if thing is None:
        return {}, ""
    around = next((turn for turn in reversed(turns) if thing.id in turn), "")
    return {needed[0]: thing.id}, _about(thing.text, around)


def _about(text: str, around: str) -> str:
    """What was shown of one thing: its own words, with the day that a whole list is of."""
    head = around.split("\n")[0]
    return text if re.search(r"\d\s*[월/]|\d{4}-|[A-Z][a-z]+ \d", text) else f"{head}\n{text}"


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _names(query: str, word: str) -> bool:
    """Whether a query has a word; Korean words may have particles behind, English ones stand alone."""
    if not word.strip():
        return False
    if _PARTICLES.search(word):
        spaced = r"\s?".join(re.escape(part) for part in word.split())
        # A particle may stand before it where blanks are left out: "2027은소수야".
        return re.search(rf"(?:(?<![가-힣])|(?<=\d[은는이가을를의])){spaced}", query) is not None
    plain = word.replace("_", " ")
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(plain)}(?![A-Za-z0-9])", query, re.IGNORECASE) is not None


def _addresses(properties: Mapping[str, Any], required: Sequence[str], found: Found) -> dict[str, Any]:
    """A list of e-mail addresses, all of them to the one argument that must have some."""
    values = [str(one.value) for one in found.of("email")]
    names = [
        name
        for name, one in properties.items()
        if _kind(one) == "array"
        and isinstance(one.get("items"), Mapping)
        and form_of(one["items"]) == "email"
    ]
    needed = [name for name in names if name in required] or names
    return {needed[0]: values} if len(needed) == 1 and len(values) == 1 else {}


def _numbers(
    properties: Mapping[str, Any], found: Found, taken: Mapping[str, Any], query: str
) -> dict[str, Any]:
    """A number goes to the one argument that counts what it counts."""
    units = load_words().of("units")
    arguments: dict[str, Any] = {}
    lengths = list(dict.fromkeys(int(one.value) for one in found.minutes))
    for value in [*found.of("number"), *found.of("days")]:
        unit, number = value.unit, value.value
        if not unit:
            continue
        own = [unit]
        if value.kind == "days":
            own = ["nights", "days"] if unit == "nights" else ["days"]
        for one in own:
            names = [
                name
                for name, schema in properties.items()
                if name not in taken and _is_number(schema) and _counts(name, schema, one, units[one])
            ]
            same = [other for other in found.values if other.unit == unit]
            counted = int(number) - 1 if value.kind == "days" and one == "nights" else number
            if (
                len(names) == 1
                and len({other.value for other in same}) == 1
                and (isinstance(counted, int) or _kind(properties[names[0]]) == "number")
            ):
                arguments[names[0]] = counted
    for name, schema in properties.items():
        if name in taken or not _is_number(schema):
            continue
        if len(lengths) == 1 and _counts(name, schema, "minutes", units["minutes"]):
            arguments[name] = lengths[0]
        elif schema.get("x-malmoi-unit") == "place":
            place = ordinal(query)
            if place is not None and place >= 0 and _is_near(schema, query):
                arguments[name] = place + 1
    return arguments


def _counts(name: str, schema: Mapping[str, Any], unit: str, words: Sequence[str]) -> bool:
    told = str(schema.get("x-malmoi-unit", ""))
    if told:
        return told == unit
    parts = set(re.split(r"[_\W]+", name.lower()))
    if parts & _PRICES and unit not in ("won", "dollars"):
        return False  # "price_per_day" counts no days
    if name == "limit":
        return unit == "pieces"
    plural = [word for word in words if word.isascii() and word.endswith("s")]
    return unit in parts or any(word in parts for word in plural)


def _ways(properties: Mapping[str, Any], required: Sequence[str], query: str) -> dict[str, Any]:
    """From where to where, between what and what; and names beside words that say whose they are."""
    arguments: dict[str, Any] = {}
    query = sentence(query)
    names = [one for one in required if _kind(properties.get(one)) == "string" and one in _FROM | _TO]
    if len(names) == 2 and names[0] in _FROM and names[1] in _TO and not form_of(properties[names[0]]):
        for pattern in load_words().of("ways"):
            if match := re.search(pattern, query, re.IGNORECASE):
                arguments |= {names[0]: match[1].strip(), names[1]: match[2].strip()}
                break
    for name, patterns in load_words().of("named").items():
        if name in properties and not form_of(properties[name]) and _kind(properties[name]) == "string":
            found = [match[1].strip() for one in patterns for match in re.finditer(one, query)]
            if len(dict.fromkeys(found)) == 1:
                arguments[name] = found[0]
    return arguments


def _quotations(
    properties: Mapping[str, Any],
    required: Sequence[str],
    query: str,
    found: Found,
    taken: Mapping[str, Any],
) -> dict[str, Any]:
    """What is in quotes, by the word before it; one alone is the one text that is needed."""
    values = found.of("quoted")
    texts = [
        name
        for name, one in properties.items()
        if name not in taken
        and _kind(one) == "string"
        and not form_of(one)
        and "enum" not in one
        and not _ID.search(name)
        and not _DOCUMENT.match(name)
    ]
    arguments: dict[str, Any] = {}
    for value in values:
        before = query[max(0, value.start - _BEFORE_QUOTES) : value.start - 1]
        near = [
            (max(place), name)
            for name in texts
            if (
                place := [
                    match.start()
                    for word in _strings(properties[name].get("x-malmoi-near"))
                    for match in re.finditer(word, before, re.IGNORECASE)
                ]
            )
        ]
        if near:
            arguments[max(near)[1]] = value.value
    needed = [name for name in texts if name in required]
    if len(values) == 1 and len(needed) == 1 and not arguments:
        return {needed[0]: values[0].value}
    return arguments


def _document(query: str, documents: Sequence[tuple[str, str]]) -> str | None:
    named = [
        document for document, title in documents if len(title) > 1 and title.casefold() in query.casefold()
    ]
    if len(named) == 1:
        return named[0]
    return documents[0][0] if len(documents) == 1 else None


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "")
    return str(kind or "")


def _is_number(schema: Any) -> bool:
    return _kind(schema) in ("integer", "number")
