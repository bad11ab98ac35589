"""Tables for terminals, where a Korean letter is two columns wide."""

from collections.abc import Collection, Iterator, Sequence
from unicodedata import east_asian_width

from malmoi.cli.live import printable


def table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Lines of a table; the first row is its head.

    Args:
        rows: cells; what could steer the terminal is taken out.
        right: columns that are set to the right.
    """
    clean = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(_width(row[column]) for row in clean) for column in range(len(clean[0]))]
    for row in clean:
        cells = []
        for column, cell in enumerate(row):
            space = " " * (widths[column] - _width(cell))
            cells.append(space + cell if column in right else cell + space)
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
