"""Traits of users from a CSV file: a column with the user, another with the label.

N users of the logs, P of them with a label.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, NotFound

LEAST = 10
"""Users of each label, so that training, choice and test can all have some."""


@dataclass(frozen=True)
class Labels:
    """A trait of some users.

    Attributes:
        name: of the trait, the CSV's column.
        rows: of the users in the logs, ascending, (P,) int64.
        classes: names of the labels, ascending.
        label: of each user the number of the class, (P,) int64.
        unknown: users of the file whom the logs have not.
        rare: labels that are left out, with how many users have them.
    """

    name: str
    rows: NDArray[np.int64]
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    unknown: int = 0
    rare: Mapping[str, int] | None = None


def read_labels(path: Path, users: Sequence[str], *, column: str | None = None) -> Labels:
    """Read a trait.

    Args:
        path: a CSV file (UTF-8) whose first line names its columns, "user" among them.
        users: of the logs.
        column: the trait; None: the only other column.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a column is missing, a line has another number of values, or a user comes twice; the
            message names the line. Or fewer than two labels have enough users.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no file {path}.", fix="Give a CSV file with the columns user,label."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as UTF-8 text: {error}.") from error
    lines = csv.reader(text.splitlines())
    head = [name.strip() for name in next(lines, [])]
    name = _column(path, head, column)
    number = {user: row for row, user in enumerate(users)}
    found: dict[int, str] = {}
    unknown = 0
    for values in lines:
        if not values:
            continue
        if len(values) != len(head):
            raise InvalidInput(
                f"{path}, line {lines.line_num}: {len(values)} values for {len(head)} columns.",
                fix="Put values with commas in quotes.",
            )
        user, label = values[head.index("user")].strip(), values[head.index(name)].strip()
        row = number.get(user)
        if row is None:
            unknown += 1
        elif row in found:
            raise InvalidInput(f"{path}, line {lines.line_num}: the user {user!r} comes twice.")
        elif label:  # no label: not known of this user
            found[row] = label
    return build_labels(name, found, unknown=unknown)


def build_labels(name: str, found: Mapping[int, str], *, unknown: int = 0) -> Labels:
    """Labels by row of the logs; classes with fewer than `LEAST` users are left out.

    Raises:
        InvalidInput: fewer than two classes are left.
    """
    counts: dict[str, int] = {}
    for label in found.values():
        counts[label] = counts.get(label, 0) + 1
    rare = {label: count for label, count in sorted(counts.items()) if count < LEAST}
    classes = tuple(sorted(label for label, count in counts.items() if count >= LEAST))
    if len(classes) < 2:
        told = ", ".join(f"{label}: {count}" for label, count in sorted(counts.items())[:10]) or "none at all"
        raise InvalidInput(
            f"the trait {name!r} has {len(classes)} labels with {LEAST} users or more ({told}); "
            f"{unknown} users of the file are not in the logs.",
            fix="Check that the users are called as in the logs, and give more of them.",
        )
    of_class = {label: place for place, label in enumerate(classes)}
    rows = sorted(row for row, label in found.items() if label in of_class)
    chosen = np.array([of_class[found[row]] for row in rows], dtype=np.int64)
    return Labels(name, np.array(rows, dtype=np.int64), classes, chosen, unknown, rare)


def _column(path: Path, head: Sequence[str], column: str | None) -> str:
    if "user" not in head:
        raise InvalidInput(
            f"{path}, line 1: there is no column user among {', '.join(head) or 'nothing'}.",
            fix="Name the column of users: user.",
        )
    others = [name for name in head if name != "user"]
    if column is None and len(others) == 1:
        return others[0]
    if column not in others:
        which = "several columns may be the trait" if column is None else f"there is no column {column!r}"
        raise InvalidInput(f"{path}, line 1: {which}.", fix=f"Choose one by --column: {', '.join(others)}.")
    return column
