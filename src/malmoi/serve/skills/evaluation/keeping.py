"""Outcomes in a file, as they come: a long evaluation that is broken off goes on where it was."""

import json
from pathlib import Path

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_text
from malmoi.serve.skills.evaluation.run import Outcome


class Kept:
    """Outcomes of one evaluation, a JSON object a line.

    Args:
        path: of the file; None: nothing is kept.
        way: how the evaluation is done. What another one has found is not taken for its own.

    Raises:
        InvalidInput: the file is of another evaluation, or holds something else.
    """

    def __init__(self, path: Path | None, way: str) -> None:
        self._path = path
        self._way = way
        self._found: dict[tuple[str, str], Outcome] = {}
        if path is None or not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        *lines, rest = text.split("\n")
        for number, line in enumerate(lines or ([rest] if rest else []), start=1):
            try:
                told = json.loads(line)
                way_told = told.pop("way")
                outcome = Outcome.from_json(told)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidInput(
                    f"{path}:{number}: this is no outcome.", fix="Name another file."
                ) from error
            if way_told != way:
                raise InvalidInput(
                    f"{path}:{number}: this is of another evaluation ({way_told}).", fix="Name another file."
                )
            self._found[outcome.setting, outcome.id] = outcome
        if lines and rest:  # broken off in the middle of a line
            write_text(path, text.removesuffix(rest))

    def of(self, setting: str) -> dict[str, Outcome]:
        """What is known of one setting, by the id of the query."""
        return {name: outcome for (own, name), outcome in self._found.items() if own == setting}

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down, unless it is there."""
        key = (outcome.setting, outcome.id)
        if self._path is None or key in self._found:
            return
        self._found[key] = outcome
        line = json.dumps({"way": self._way, **outcome.to_json()}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
