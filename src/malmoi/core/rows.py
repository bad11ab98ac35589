"""Rows of a file of JSON lines, each held to a model."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from malmoi.core.errors import InvalidInput

Row = TypeVar("Row", bound=BaseModel)


def read_rows(text: str, model: type[Row], *, name: str) -> list[Row]:
    """The rows of `text`, in order; blank lines are left out.

    Args:
        text: of the whole file.
        model: of a row; if it has an `id`, no two rows may share one.
        name: of the file, for messages.

    Raises:
        InvalidInput: a line is no such row, or an id stands twice; the message names the line and the field.
    """
    found: list[Row] = []
    seen: set[str] = set()
    # Not `splitlines`: a JSON text may hold other signs that end lines, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = model.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            where = f"line {number}" + (f", {place}" if place else "")
            raise InvalidInput(f"{name}: {where}: {first['msg']}.") from error
        if (key := getattr(row, "id", None)) is not None:
            if key in seen:
                raise InvalidInput(f"{name}: line {number}: {key!r} is there already.")
            seen.add(key)
        found.append(row)
    return found
