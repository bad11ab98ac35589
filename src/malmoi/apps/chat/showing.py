"""What earlier replies showed on cards: "the second one" is understood by it, and so are its days."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from malmoi.assist.guard.fence import cut_orders, find_orders
from malmoi.assist.skills.planning import ShownCard
from malmoi.serve.skills.tables import SkillRunRow, SkillStage

if TYPE_CHECKING:
    from malmoi.apps.chat.tables import Message
    from malmoi.serve.db import Database

_RUNS = 3  # the last ones of a branch
_CARDS = 10  # of each
_LINE = 200  # characters
_ORDER = 0.6  # score from which on words read like an order to a model
_ID = re.compile(r"(?:^|_)(?:id|uid|uuid|number|no)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """A message of a branch as models are told of it."""

    role: str
    content: str


async def told_branch(db: Database, branch: Sequence[Message]) -> list[Told]:
    """A branch with the cards of its last runs, as lines of plain text.

    What a card says comes from outside: what reads like an order to a model is cut out of it.
    """
    runs = [one.run_id for one in branch if one.run_id is not None][-_RUNS:]
    lines: dict[str, list[str]] = {}
    if runs:
        async with db.reading() as session:
            found = await session.execute(
                select(SkillStage.run_id, SkillStage.data)
                .join(SkillRunRow, SkillRunRow.id == SkillStage.run_id)
                .where(
                    SkillStage.run_id.in_(runs),
                    SkillStage.kind == "card",
                    SkillRunRow.account_id == branch[0].account_id,
                )
                .order_by(SkillStage.run_id, SkillStage.number)
            )
            for run_id, data in found:
                told = lines.setdefault(run_id, [])
                line = _line(data["card"])
                if len(told) < _CARDS and line:
                    told.append(f"{len(told) + 1}. {line}")
    return [
        Told(one.role, "\n".join([one.content, *lines.get(one.run_id or "", ())]).strip()) for one in branch
    ]


async def shown_cards(db: Database, branch: Sequence[Message]) -> list[ShownCard]:
    """The cards of a branch's last runs, oldest first, with their buttons and what was searched for."""
    runs = [one.run_id for one in branch if one.run_id is not None][-_RUNS:]
    if not runs:
        return []
    async with db.reading() as session:
        found = await session.execute(
            select(SkillStage.run_id, SkillStage.kind, SkillStage.data)
            .join(SkillRunRow, SkillRunRow.id == SkillStage.run_id)
            .where(
                SkillStage.run_id.in_(runs),
                SkillStage.kind.in_(("called", "card")),
                SkillRunRow.account_id == branch[0].account_id,
            )
            .order_by(SkillStage.number)
        )
        stages = sorted(found.all(), key=lambda one: runs.index(one[0]))
    searched: dict[str, Mapping[str, Any]] = {}
    cards: list[ShownCard] = []
    for _, kind, data in stages:
        if kind == "called":
            searched[data["call_id"]] = data["arguments"] if data["effect"] == "read" else {}
        else:
            calls = [(one["operation"], one["arguments"]) for one in data["card"]["actions"]]
            cards.append(ShownCard(data["skill"], calls, searched.get(data["call_id"], {})))
    return cards


def _line(card: Mapping[str, Any]) -> str:
    """A card in one line: its title with its id, and what it says of it."""
    ids = {
        str(value)
        for action in card["actions"]
        for name, value in action["arguments"].items()
        if _ID.search(name) and isinstance(value, str | int)
    }
    title = f"{card['title']} ({ids.pop()})" if len(ids) == 1 else str(card["title"])
    parts = [title, card["subtitle"], *(f"{label} {value}" for label, value in card["fields"])]
    text = " ".join(", ".join(str(part) for part in parts if part).split())[:_LINE]
    return cut_orders(text, find_orders(text, _ORDER))
