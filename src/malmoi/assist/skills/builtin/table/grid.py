"""A table with named columns, and what people do with one: choose, filter, sort, group, add up."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from malmoi.assist.skills.builtin.refusals import SkillRefused

_NUMBER = re.compile(
    r"^(?P<sign>[-+−△▲(]?)\s*[₩$€¥]?\s*(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<part>\.\d+)?\s*(?P<unit>%|[^\d\s.,)]{0,6})\)?$"
)
_NEGATIVE = "-−△▲("


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns and rows; every row has as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grid_of(cells: Sequence[Sequence[str]], unnamed: str = "열", *, named: bool = True) -> Grid:
    """A table whose first row names its columns where it looks like names, else with numbered columns.

    Args:
        cells: rows of cells, of any lengths.
        unnamed: what columns without a name are called, with their number.
        named: False: the first row is a row like the others.
    """
    rows = [[" ".join(str(cell).split()) for cell in row] for row in cells]
    rows = [row for row in rows if any(row)]
    if not rows:
        return Grid((), ())
    width = max(len(row) for row in rows)
    full = [tuple(row) + ("",) * (width - len(row)) for row in rows]
    head = full[0]
    has_names = named and len(full) > 1 and sum(bool(cell) for cell in head) * 2 >= width
    has_names = has_names and not any(number(cell) is not None and not _is_year(cell) for cell in head)
    names: list[str] = []
    for place, cell in enumerate(head if has_names else ("",) * width, 1):
        name = cell or f"{unnamed} {place}"
        names.append(name if name not in names else f"{name} ({place})")
    return Grid(tuple(names), tuple(full[1:] if has_names else full))


def _is_year(cell: str) -> bool:
    return re.fullmatch(r"(?:19|20)\d\d년?|\d{1,2}(?:월|분기|반기|주차|회차|학년|학기)", cell) is not None


def number(cell: str) -> float | None:
    """The number in a cell: "1,234원", "△3.5%", "(1,000)"; None where there is none."""
    found = _NUMBER.match(cell.strip())
    if found is None:
        return None
    value = float(found["digits"].replace(",", "") + (found["part"] or ""))
    return -value if found["sign"] and found["sign"] in _NEGATIVE else value


def column(grid: Grid, name: str) -> int:
    """The place of a column, by its name or most of it.

    Raises:
        SkillRefused: there is none of this name, or more than one.
    """
    asked = _folded(name)
    exact = [place for place, known in enumerate(grid.columns) if _folded(known) == asked]
    near = exact or [place for place, known in enumerate(grid.columns) if asked and asked in _folded(known)]
    if len(near) != 1:
        raise SkillRefused("no_column", name=name, known=", ".join(grid.columns))
    return near[0]


def select(grid: Grid, names: Sequence[str]) -> Grid:
    """Some columns, in this order."""
    places = [column(grid, name) for name in names]
    rows = tuple(tuple(row[place] for place in places) for row in grid.rows)
    return Grid(tuple(grid.columns[place] for place in places), rows)


def where(grid: Grid, conditions: Sequence[Mapping[str, Any]]) -> Grid:
    """The rows for which every condition holds: `{"column": .., "is": "contains", "value": ..}`."""
    checks = [
        (column(grid, one["column"]), _COMPARISONS[one.get("is", "=")], str(one["value"]))
        for one in conditions
    ]
    kept = [row for row in grid.rows if all(check(row[place], value) for place, check, value in checks)]
    return Grid(grid.columns, tuple(kept))


def _equal(cell: str, value: str) -> bool:
    one, other = number(cell), number(value)
    return one == other if one is not None and other is not None else _folded(cell) == _folded(value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[str, str], bool]:
    def check(cell: str, value: str) -> bool:
        one, other = number(cell), number(value)
        if one is not None and other is not None:
            return compare(one, other)
        # Numbers are not compared with words; dates such as 2026-11-22 are in order as they are written.
        return one is None and other is None and bool(cell) and compare(cell, value)

    return check


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": _equal,
    "!=": lambda cell, value: not _equal(cell, value),
    ">": _ordered(lambda one, other: one > other),
    ">=": _ordered(lambda one, other: one >= other),
    "<": _ordered(lambda one, other: one < other),
    "<=": _ordered(lambda one, other: one <= other),
    "contains": lambda cell, value: _folded(value) in _folded(cell),
}


def sort(grid: Grid, name: str, *, descending: bool = False) -> Grid:
    """Rows in the order of a column: numbers by size, words by code points, empty cells last."""
    place = column(grid, name)

    def key(row: tuple[str, ...]) -> tuple[int, float, str]:
        value = number(row[place])
        return (0, value, "") if value is not None else (1, 0.0, row[place])

    filled = sorted((row for row in grid.rows if row[place]), key=key, reverse=descending)
    return Grid(grid.columns, (*filled, *(row for row in grid.rows if not row[place])))


def group(grid: Grid, name: str, added: Sequence[str], counted: str) -> Grid:
    """A row for each value of a column, with how many rows it has and the sums of other columns.

    Args:
        grid: the table.
        name: the column to group by.
        added: columns to add up; a cell that is no number adds nothing.
        counted: what the column of counts is called.
    """
    place = column(grid, name)
    places = [column(grid, one) for one in added]
    sums: dict[str, list[float]] = {}
    for row in grid.rows:
        kept = sums.setdefault(row[place], [0.0] * (len(places) + 1))
        kept[0] += 1
        for index, other in enumerate(places, 1):
            kept[index] += number(row[other]) or 0.0
    columns = (grid.columns[place], counted, *(grid.columns[other] for other in places))
    rows = tuple((value, *(figures(one) for one in kept)) for value, kept in sums.items())
    return Grid(columns, rows)


def total(grid: Grid, added: Sequence[str], label: str) -> Grid:
    """The table with a last row that adds up columns."""
    places = {column(grid, name) for name in added}
    last = []
    for place in range(len(grid.columns)):
        values = [number(row[place]) or 0.0 for row in grid.rows]
        last.append(figures(sum(values)) if place in places else "")
    if last and not last[0]:
        last[0] = label
    return Grid(grid.columns, (*grid.rows, tuple(last)))


def figures(value: float) -> str:
    """A number as people write it in a table: 1234567.5 -> 1,234,567.5."""
    rounded = round(value, 6)
    return f"{int(rounded):,}" if rounded == int(rounded) else f"{rounded:,}"


def _folded(text: str) -> str:
    return "".join(text.lower().split())
