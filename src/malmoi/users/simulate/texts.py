"""Real texts for the items of a simulated company: what its users do is drawn, what they read is not.

    {"interest": "10001", "text": "..."}
    {"interest": "10002", "text": "...", "service": "webtoon"}

One JSON object a line. The first name of an interest stands for the company's first interest, and so on; the
items of an interest take its texts in the order of the file. Without `service`, a text is for every service
of the company, once in all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from malmoi.core.errors import InvalidInput
from malmoi.users.logs import Items
from malmoi.users.simulate.world import World


@dataclass(frozen=True)
class ItemText:
    """A line of the file.

    Attributes:
        interest: any name.
        text: of an item.
        service: of the company; None: any.
    """

    interest: str
    text: str
    service: str | None = None


def read_texts(path: Path) -> list[ItemText]:
    """The lines of a file.

    Raises:
        InvalidInput: a line is not as above; the message names it.
    """
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_parse(line, f"{path.name}, line {number}"))
    return rows


def with_texts(world: World, rows: Sequence[ItemText]) -> World:
    """The same world whose items have these texts; nothing else changes.

    Raises:
        InvalidInput: there are too few interests, or too few texts of one.
    """
    interests = list(dict.fromkeys(row.interest for row in rows))
    wanted = world.settings.interests
    if len(interests) < wanted:
        raise InvalidInput(
            f"the texts have {len(interests)} interests, not {wanted}.",
            fix=f"Give more, or set interests={len(interests)}.",
        )
    places = {name: number for number, name in enumerate(interests)}
    waiting: dict[tuple[int, str | None], list[str]] = {}
    for row in reversed(rows):
        waiting.setdefault((places[row.interest], row.service), []).append(row.text)
    texts = []
    for interest, service in zip(world.interest.tolist(), world.service.tolist(), strict=True):
        name = world.settings.services[service]
        own = waiting.get((interest, name)) or waiting.get((interest, None))
        if not own:
            need = int(((world.interest == interest) & (world.service == service)).sum())
            raise InvalidInput(
                f"too few texts of the interest {interests[interest]!r} for {need} items of {name}.",
                fix="Give more texts, or ask for fewer items.",
            )
        texts.append(own.pop())
    items = world.items
    return replace(world, items=Items(items.ids, tuple(texts), items.services, items.service))


def _parse(line: str, place: str) -> ItemText:
    try:
        row = json.loads(line)
        text, interest, service = row["text"], row["interest"], row.get("service")
    except (ValueError, TypeError, KeyError, AttributeError):
        text, interest, service = None, None, None
    if not isinstance(text, str) or not text.strip() or interest is None:
        raise InvalidInput(
            f"{place} is no text of an item.", fix='Write {"interest": "...", "text": "..."} on every line.'
        )
    return ItemText(str(interest), text, None if service is None else str(service))
