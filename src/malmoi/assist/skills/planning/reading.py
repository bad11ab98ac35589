"""What a skill itself can read out of a sentence."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

_BLANKS = re.compile(r"\s{2,}")


@runtime_checkable
class QueryReader(Protocol):
    """A provider that knows how people say the arguments of its operations (formulas, days of the moon)."""

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that are sure; what could be meant in two ways is left out.

        Args:
            operation: that is planned.
            query: what the person says.
            now: the person's time.
        """
        ...


def read_arguments(provider: object, operation: str, query: str, now: datetime) -> dict[str, Any]:
    """What the provider of a skill reads; nothing, if it reads no sentences."""
    if not isinstance(provider, QueryReader):
        return {}
    return {
        name: value for name, value in provider.read_query(operation, query, now).items() if value is not None
    }


def sentence(query: str, *, most: int = 1000) -> str:
    """A query as patterns read it: its beginning, each run of blanks as one.

    Patterns let blanks stand in many places. The ways to deal a long run of them out to these places are too
    many to be tried, and while a pattern tries, nothing else is done.

    Args:
        query: what the person says.
        most: characters; in more, nobody says what a call needs.
    """
    return _BLANKS.sub(lambda blanks: "\n" if "\n" in blanks[0] else " ", query)[:most]
