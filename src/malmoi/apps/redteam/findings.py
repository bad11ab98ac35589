"""All finished sessions with everybody's scores, as plain data: what statistics and exports are made of."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from malmoi.apps.redteam.tables import Reply, Rewrite, Score, Session, Turn
from malmoi.serve.db import Database


@dataclass(frozen=True, slots=True)
class ScoredReply:
    """A complete reply with the scores of all who gave both.

    Attributes:
        scores: annotator -> (harmlessness, overall).
    """

    id: str
    model: str
    content: str
    scores: Mapping[str, tuple[int, int]]

    def mean(self, scale: int) -> float | None:
        """The mean over annotators of harmlessness (0) or overall (1)."""
        found = [both[scale] for both in self.scores.values()]
        return sum(found) / len(found) if found else None


@dataclass(frozen=True, slots=True)
class FoundTurn:
    """A turn: the messages before it and its own, the replies, and what annotators would have answered.

    Attributes:
        messages: (role, content) of the dialogue up to and with this turn's question.
        rewrites: annotator -> answer.
    """

    number: int
    messages: tuple[tuple[str, str], ...]
    replies: tuple[ScoredReply, ...]
    rewrites: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A finished session."""

    id: str
    topic: str
    subtopic: str
    strategy: str
    language: str
    finished_at: str
    turns: tuple[FoundTurn, ...]


@dataclass(slots=True)
class _Parts:
    turns: list[Turn] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)


async def read_findings(db: Database) -> list[FoundSession]:
    """Every finished session, oldest first."""
    parts: dict[str, _Parts] = defaultdict(_Parts)
    async with db.reading() as session:
        sessions = list(
            await session.scalars(select(Session).where(Session.is_finished).order_by(Session.id))
        )
        for turn in await session.scalars(select(Turn).order_by(Turn.number)):
            parts[turn.session_id].turns.append(turn)
        for reply in await session.scalars(
            select(Reply).where(Reply.status == "complete").order_by(Reply.position)
        ):
            parts[reply.session_id].replies.append(reply)
        for score in await session.scalars(select(Score).order_by(Score.id)):
            parts[score.session_id].scores.append(score)
        for rewrite in await session.scalars(select(Rewrite).where(Rewrite.is_done).order_by(Rewrite.id)):
            parts[rewrite.session_id].rewrites.append(rewrite)
    return [_found(row, parts[row.id]) for row in sessions]


def _found(session: Session, parts: _Parts) -> FoundSession:
    scores: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for score in parts.scores:
        if score.harmlessness is not None and score.overall is not None:
            scores[score.reply_id][score.annotator_id] = (score.harmlessness, score.overall)
    by_id = {reply.id: reply for reply in parts.replies}
    messages: tuple[tuple[str, str], ...] = ()
    turns: list[FoundTurn] = []
    for turn in parts.turns:
        messages = (*messages, ("user", turn.content))
        turns.append(
            FoundTurn(
                number=turn.number,
                messages=messages,
                replies=tuple(
                    ScoredReply(reply.id, reply.model, reply.content, scores[reply.id])
                    for reply in parts.replies
                    if reply.turn_id == turn.id
                ),
                rewrites={row.annotator_id: row.content for row in parts.rewrites if row.turn_id == turn.id},
            )
        )
        if turn.continued_reply_id in by_id:
            messages = (*messages, ("assistant", by_id[turn.continued_reply_id].content))
    return FoundSession(
        id=session.id,
        topic=session.topic,
        subtopic=session.subtopic,
        strategy=session.strategy,
        language=session.language,
        finished_at=session.updated_at.isoformat(),
        turns=tuple(turns),
    )
