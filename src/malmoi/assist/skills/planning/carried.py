"""What was searched for when something was shown: "book the second one" is for the same days."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from malmoi.assist.skills.operation import Operation
from malmoi.assist.skills.planning.extraction import Found
from malmoi.assist.skills.planning.timing import form_of

_ID = re.compile(r"(?:^|_)(?:id|uid|uuid|number|no)$", re.IGNORECASE)
_TIMES = ("date", "date-time", "time", "moment")


@dataclass(frozen=True, slots=True)
class ShownCard:
    """A card of an earlier reply.

    Attributes:
        skill: whose card it is.
        calls: operations and arguments of its buttons.
        searched: the arguments of the read that brought it; nothing where something was changed.
    """

    skill: str
    calls: Sequence[tuple[str, Mapping[str, Any]]]
    searched: Mapping[str, Any]


def carried(
    skill: str,
    operation: Operation,
    known: Mapping[str, Any],
    found: Found,
    cards: Sequence[ShownCard],
) -> dict[str, Any]:
    """Arguments that a query leaves out because the card it is about has them.

    Only where the query means a card: an id among `known` is one of the card's. What is required is taken
    from the card's button for the operation, or else from what was searched for. The rest is taken only where
    both say the same: a button such as "one day longer" wants what nobody has asked for.

    Args:
        skill: of the operation.
        operation: that is planned.
        known: arguments that are sure.
        found: the values in the query; one that names days or times gets none from a card.
        cards: that were shown, oldest first.
    """
    card = next((one for one in reversed(cards) if one.skill == skill and _is_about(one, known)), None)
    if card is None:
        return {}
    properties = operation.parameters.get("properties", {})
    required = operation.parameters.get("required", ())
    buttons = [arguments for name, arguments in card.calls if name == operation.name]
    taken: dict[str, Any] = {}
    for name in properties:
        offered = [one[name] for one in buttons if name in one]
        value = offered[0] if offered else card.searched.get(name)
        if value is None or any(one != value for one in offered):
            continue
        if name in required or (offered and card.searched.get(name) == value):
            taken[name] = value
    times = [name for name in properties if form_of(properties[name]) in _TIMES]
    if _names_times(found) or any(name in known and known[name] != taken.get(name) for name in times):
        taken = {name: value for name, value in taken.items() if name not in times}
    return {name: value for name, value in taken.items() if name not in known}


def _is_about(card: ShownCard, known: Mapping[str, Any]) -> bool:
    """Whether the ids of a call are the card's, as far as the card has them."""
    same = [
        str(known[name]) == str(value)
        for _, arguments in card.calls
        for name, value in arguments.items()
        if name in known and _ID.search(name)
    ]
    return bool(same) and all(same)


def _names_times(found: Found) -> bool:
    named = any(one.kind in ("date", "time", "days") for one in found.values)
    return bool(named or found.range or found.periods or found.minutes)
