"""Cut a query into the things it asks for."""

import re
from functools import lru_cache
from importlib.resources import files

_SHORTEST = 5  # characters of something that can be asked for
_MOST = 3


def clauses(query: str) -> list[str]:
    """The parts of a query, in order; only one where it does not fall into parts that could stand alone."""
    parts = [part.strip() for part in _joints().split(query.strip())]
    parts = [part for part in parts if part]
    if not 2 <= len(parts) <= _MOST or any(len(part) < _SHORTEST for part in parts):
        return [query]
    return parts


@lru_cache
def _joints() -> re.Pattern[str]:
    lines = files(__package__).joinpath("clauses.txt").read_text(encoding="utf-8").splitlines()
    return re.compile("|".join(line for line in lines if line and not line.startswith("#")), re.IGNORECASE)
