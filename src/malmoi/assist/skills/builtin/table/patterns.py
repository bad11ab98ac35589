"""Tables in plain text, by fixed patterns: piped and tabbed rows, records of "name: value", lists of items.

No model is asked: what has none of these shapes gives no table, and the skill says so.
"""

import re
from collections.abc import Sequence

_PIPED = re.compile(r"^\s*\|.*\|\s*$")
_RULE = re.compile(r"^\s*\|[\s:|\-]+\|\s*$")
_PAIR = re.compile(
    r"^\s*(?:[-*•·▶○●]\s*)?([^:：|\t]{1,30}?)\s*[:：]\s+(\S.*)$|^\s*(?:[-*•·]\s*)?([^:：|\t]{1,30}?)[:：](\S.*)$"
)
_ITEM = re.compile(r"^\s*(?:[-*•·▶○●]|\(?\d{1,3}[.)]|[가-하][.)]|[①-⑳])\s*(\S.*)$")
_TIME = re.compile(r"\d{1,2}:\d{2}")
_SEPARATORS = re.compile(r"\s+[-–—]\s+|\s*,\s*(?!\d{3}(?!\d))|\s+/\s+|\s{3,}")
_LEAST_ROWS = 2


def tables_in(text: str) -> list[tuple[list[list[str]], bool]]:
    """The tables that are found in a text: rows of cells, and whether the first row may hold names."""
    lines = text.splitlines()
    found = [*_piped(lines), *_tabbed(lines)]
    if found:
        return [(rows, True) for rows in found]
    records = _records(lines)
    if records:
        return [(records, True)]
    items = _items(lines)
    return [(items, False)] if items else []


def _runs(lines: Sequence[str], matches: Sequence[bool]) -> list[list[str]]:
    runs: list[list[str]] = []
    before = False
    for line, is_part in zip(lines, matches, strict=True):
        if is_part and not before:
            runs.append([])
        if is_part:
            runs[-1].append(line)
        before = is_part
    return [run for run in runs if len(run) >= _LEAST_ROWS]


def _piped(lines: Sequence[str]) -> list[list[list[str]]]:
    runs = _runs(lines, [_PIPED.match(line) is not None for line in lines])
    return [
        [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in run
            if not _RULE.match(line)
        ]
        for run in runs
    ]


def _tabbed(lines: Sequence[str]) -> list[list[list[str]]]:
    runs = _runs(lines, ["\t" in line.strip() for line in lines])
    return [[line.split("\t") for line in run] for run in runs]


def _records(lines: Sequence[str]) -> list[list[str]]:
    """Records of "name: value" lines; one begins where a name comes again."""
    records: list[dict[str, str]] = []
    for line in lines:
        found = _PAIR.match(line)
        if found is None or _TIME.match(line.strip()) or "//" in line[:40]:
            continue
        name, value = (found[1], found[2]) if found[1] else (found[3], found[4])
        name = name.strip()
        if not records or name in records[-1]:
            records.append({})
        records[-1][name] = value.strip()
    names = list(dict.fromkeys(name for record in records for name in record))
    if sum(len(record) for record in records) < _LEAST_ROWS:
        return []
    return [names, *([record.get(name, "") for name in names] for record in records)]


def _items(lines: Sequence[str]) -> list[list[str]]:
    """Lines of a list, each cut into as many parts as most of them have."""
    items = [found[1].strip() for line in lines if (found := _ITEM.match(line))]
    if len(items) < _LEAST_ROWS:
        return []
    rows = [[part.strip() for part in _SEPARATORS.split(item) if part.strip()] for item in items]
    widths = [len(row) for row in rows]
    width = max(set(widths), key=widths.count)
    return [[*row[: width - 1], ", ".join(row[width - 1 :])] for row in rows]
