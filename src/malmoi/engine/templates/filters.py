"""The filters and tests that a chat template may use, each paid for from the budget.

Most are Jinja's own; those whose result can outgrow their input, and `tojson`, are ours.
"""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from jinja2 import Environment
from jinja2.filters import FILTERS
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.tests import TESTS

from malmoi.engine.templates.limits import Budget, LimitReached, weight
from malmoi.engine.templates.neutral import CUT, JOINT

JINJA_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select"),
    *("selectattr", "sort", "title", "trim", "unique", "upper", "wordcount"),
)
FROM_JINJA = (Context, Environment, EvalContext)  # passed in by Jinja itself
MAX_INDENT = 16
MAX_DEPTH = 64  # of a value that becomes JSON

_ESCAPED_MARK = re.compile(rf"(?<!\\)((?:\\\\)*)\\u({ord(CUT):04x}|{ord(JOINT):04x})")


def build_filters(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Name -> filter."""

    def paid(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)  # keeps the marks by which Jinja knows that a filter wants its context
        def run(*args: Any, **kwargs: Any) -> Any:
            room = budget.chars_left
            values = [value for value in (*args, *kwargs.values()) if not isinstance(value, FROM_JINJA)]
            budget.step(sum(weight(value, room) for value in values))
            result = function(*args, **kwargs)
            if isinstance(result, Iterator):
                result = list(result)
            budget.step(weight(result, budget.chars_left))
            return result

        return run

    def join(value: Any, d: str = "", attribute: Any = None) -> str:
        if attribute is not None:
            value = [_item(element, attribute) for element in value]
        texts = [element if isinstance(element, str) else str(element) for element in value]
        budget.step(len(texts) * len(d))
        return d.join(texts)

    def replace(value: object, old: str, new: str, count: int | None = None) -> str:
        text = value if isinstance(value, str) else str(value)
        budget.step(text.count(old) * len(new))
        if old and not new and count is None:
            return delete_text(text, old)
        return text.replace(old, new, -1 if count is None else count)

    def indent(value: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        prefix = width if isinstance(width, str) else " " * _small(width, MAX_INDENT * 4)
        text = str(value)
        budget.step((text.count("\n") + 1) * len(prefix))
        lines = text.split("\n")
        return "\n".join(
            prefix + line if (number or first) and (line or blank) else line
            for number, line in enumerate(lines)
        )

    def tojson(
        value: object,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        if indent is not None:
            budget.step(weight(value, budget.chars_left) * _small(indent, MAX_INDENT))
        if separators is not None:
            budget.step(weight(value, budget.chars_left) * (len(separators[0]) + len(separators[1])))
        _check_depth(value)
        text = json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )
        if ensure_ascii:  # the marks of the neutraliser must stay marks
            text = _ESCAPED_MARK.sub(lambda found: found[1] + chr(int(found[2], 16)), text)
        return text

    def round_number(value: float, precision: int = 0) -> float:
        return round(float(value), _small(precision, 15))

    jinjas: Mapping[str, Any] = FILTERS
    filters: dict[str, Callable[..., Any]] = {name: paid(jinjas[name]) for name in JINJA_FILTERS}
    ours: dict[str, Callable[..., Any]] = {
        "join": join,
        "replace": replace,
        "indent": indent,
        "tojson": tojson,
        "round": round_number,
        "string": lambda value: value if isinstance(value, str) else str(value),
        "safe": lambda value: value,  # a prompt is not HTML
        "escape": lambda value: html.escape(str(value)),
        "e": lambda value: html.escape(str(value)),
    }
    filters.update({name: paid(function) for name, function in ours.items()})
    return filters


def build_tests(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Name -> test (`is defined`, `is string` ...): Jinja's own, each paid for."""

    def paid(function: Callable[..., Any], compares: bool) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any) -> Any:
            room = budget.chars_left
            values = [value for value in args if compares and not isinstance(value, FROM_JINJA)]
            budget.step(sum(weight(value, room, any_object=True) for value in values))
            return function(*args)

        return run

    jinjas: Mapping[str, Any] = TESTS
    looks = {"defined", "undefined", "none", "boolean", "string", "mapping", "iterable", "sequence", "number"}
    return {name: paid(function, name not in looks) for name, function in jinjas.items()}


def delete_text(text: str, old: str) -> str:
    """`text` without `old`, with a joint wherever two parts met: there a marker could grow together."""
    parts = text.split(old)
    if len(parts) == 1:
        return text
    pieces = [parts[0]]
    for part in parts[1:]:
        # Beside a blank nothing grows together, and a joint would hide the blank from a later `trim`.
        meets = pieces[-1][-1:].strip() and part[:1].strip()
        pieces.append(JOINT + part if meets else part)
    return "".join(pieces)


def _item(element: Any, attribute: Any) -> Any:
    if isinstance(element, Mapping) or (isinstance(element, list | tuple) and isinstance(attribute, int)):
        return element[attribute]
    raise LimitReached("it joins attributes of something that is no mapping")


def _small(number: int, most: int) -> int:
    if not isinstance(number, int) or not 0 <= number <= most:
        raise LimitReached(f"it formats with the width {number!r}")
    return number


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                deeper.extend(item.values())
            elif isinstance(item, list | tuple):
                deeper.extend(item)
        if not deeper:
            return
        level = deeper
    raise LimitReached("it writes a value that is nested too deeply")
