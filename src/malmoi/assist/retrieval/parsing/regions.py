"""Regions of a sheet: tables that stand apart by empty rows or empty columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Cells: TypeAlias = Mapping[int, Mapping[int, str]]  # by row, by column, both from 1; only what holds words

_SPARSEST = 8  # cells of a rectangle for each that holds something
_SMALL = 10_000  # cells of a rectangle that is never too sparse


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of cells; the last row and column belong to it."""

    top: int
    left: int
    bottom: int
    right: int
    cells: Cells

    def rows(self) -> Iterator[list[str]]:
        """Row by row. Where hardly any cell holds something, the empty ones are left out."""
        area = (self.bottom - self.top + 1) * (self.right - self.left + 1)
        held = sum(map(len, self.cells.values()))
        is_sparse = area > _SMALL and area > _SPARSEST * held
        for number in sorted(self.cells):
            row = self.cells[number]
            if is_sparse:
                yield [row[column] for column in sorted(row)]
            else:
                yield [row.get(column, "") for column in range(self.left, self.right + 1)]


def regions(cells: Cells) -> list[Region]:
    """The regions of a sheet, from the top, then from the left. Time grows with the cells that are there."""
    found: list[Region] = []
    for band in _bands(cells):
        for group in _groups(band):
            # Beside a long table, short ones may stand below each other.
            found += [_region(part) for part in _bands(group)]
    return sorted(found, key=lambda region: (region.top, region.left))


def column_name(number: int) -> str:
    """1 is A, 27 is AA."""
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name


def _bands(cells: Cells) -> Iterator[Cells]:
    """Rows that follow each other."""
    band: dict[int, Mapping[int, str]] = {}
    previous = 0
    for number in sorted(cells):
        if band and number != previous + 1:
            yield band
            band = {}
        band[number] = cells[number]
        previous = number
    if band:
        yield band


def _groups(band: Cells) -> list[Cells]:
    """Columns that follow each other."""
    groups: list[dict[int, dict[int, str]]] = []
    group_of: dict[int, int] = {}
    previous = -1
    for column in sorted({column for row in band.values() for column in row}):
        if column != previous + 1:
            groups.append({})
        group_of[column] = len(groups) - 1
        previous = column
    for number, row in band.items():
        for column, text in row.items():
            groups[group_of[column]].setdefault(number, {})[column] = text
    return list(groups)


def _region(cells: Cells) -> Region:
    columns = {column for row in cells.values() for column in row}
    return Region(min(cells), min(columns), max(cells), max(columns), cells)
