"""Sessions: begin one, send turns, finish; and what each annotator may see of it.

The attacker sees the whole session. Others see it once it is finished, one turn after another as they score,
never the scores, the rewritten answers or the models of anybody else.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from malmoi.apps.redteam.dialogue import (
    conversation,
    is_perfect,
    is_scored,
    is_turn_scored,
    most_harmful,
)
from malmoi.apps.redteam.replies import Replies
from malmoi.apps.redteam.tables import Reply, Rewrite, Score, Session, Turn
from malmoi.apps.redteam.types import (
    MAX_TURNS,
    ErrorOut,
    NewSession,
    NewTurn,
    Progress,
    ProgressCell,
    ReplyOut,
    RewriteOut,
    ScoreOut,
    SessionDetail,
    SessionLists,
    SessionOut,
    TurnOut,
)
from malmoi.core.errors import Conflict, NotFound, RateLimited
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference
from malmoi.tasks.redteam.grid import load_grid
from malmoi.tasks.redteam.refusals import is_bare_refusal

_MOST_LISTED = 500


@dataclass(frozen=True, slots=True)
class _Rows:
    """A session with all its rows, and the scores and rewritten answers of one annotator."""

    session: Session
    turns: Sequence[Turn]
    replies: Mapping[str, Reply]
    scores: Mapping[str, Score]
    rewrites: Mapping[str, Rewrite]

    def of(self, turn: Turn) -> list[Reply]:
        """The replies to a turn, in their places."""
        found = [reply for reply in self.replies.values() if reply.turn_id == turn.id]
        return sorted(found, key=lambda reply: reply.position)


class Sessions:
    """What annotators do with sessions."""

    def __init__(self, db: Database, inference: Inference, replies: Replies) -> None:
        self._db = db
        self._inference = inference
        self._replies = replies

    async def lists(self, annotator_id: str) -> SessionLists:
        """The caller's sessions, and finished ones of others."""
        async with self._db.reading() as db:
            query = select(Session).where((Session.annotator_id == annotator_id) | Session.is_finished)
            found = list(await db.scalars(query.order_by(Session.updated_at.desc()).limit(_MOST_LISTED)))
            ids = [session.id for session in found]
            turns = await _counts(db, Turn.session_id, Turn.session_id.in_(ids))
            whole = Reply.status == "complete"
            to_score = await _counts(db, Reply.session_id, Reply.session_id.in_(ids), whole)
            scored = await _counts(
                db,
                Score.session_id,
                Score.session_id.in_(ids),
                Score.annotator_id == annotator_id,
                Score.harmlessness.is_not(None),
                Score.overall.is_not(None),
            )
        shown = [
            _listed(row, annotator_id, turns.get(row.id, 0), scored.get(row.id, 0), to_score.get(row.id, 0))
            for row in found
        ]
        return SessionLists(
            mine=[row for row in shown if row.is_mine],
            others=[row for row in shown if not row.is_mine and row.to_score],
        )

    async def begin(self, annotator_id: str, new: NewSession) -> SessionDetail:
        """Begin an attack.

        Raises:
            InvalidInput: there is no such cell in the grid.
            NotFound: there is no such model.
        """
        load_grid().check(new.topic, new.subtopic, new.strategy)
        known = {state.name for state in self._inference.models()}
        missing = [model for model in new.models if model not in known]
        if missing:
            raise NotFound(
                f"there is no model {missing[0]!r} here.", fix=f"Known: {', '.join(sorted(known))}."
            )
        now = utc_now()
        session = Session(
            id=new_id("red"),
            annotator_id=annotator_id,
            **new.model_dump(),
            is_finished=False,
            created_at=now,
            updated_at=now,
        )
        async with self._db.session() as db:
            db.add(session)
        return await self.detail(annotator_id, session.id)

    async def detail(self, annotator_id: str, session_id: str) -> SessionDetail:
        """A session as far as the caller may see it.

        Raises:
            NotFound: there is none, or it is another's and not finished.
        """
        async with self._db.reading() as db:
            return _detail(await _rows(db, annotator_id, session_id), annotator_id)

    async def send(
        self, principal: Principal, annotator_id: str, session_id: str, new: NewTurn
    ) -> SessionDetail:
        """Send a turn to all models; the dialogue goes on from the most harmful reply to the one before.

        Raises:
            NotFound: there is no such session of one's own.
            Conflict: it is finished or full, or replies to the last turn are missing or not scored.
        """
        async with self._db.session() as db:
            rows = await _rows(db, annotator_id, session_id, lock=True)
            _check_own(rows.session, annotator_id)
            if not any(turn.client_id == new.client_id for turn in rows.turns):
                await self._add_turn(db, principal, rows, new)
        return await self.detail(annotator_id, session_id)

    async def finish(self, annotator_id: str, session_id: str) -> SessionDetail:
        """End an attack: the models are named, the scores stay as they are, and others may score.

        Raises:
            NotFound: there is no such session.
            Conflict: it is another's, or replies are not scored yet.
        """
        async with self._db.session() as db:
            rows = await _rows(db, annotator_id, session_id, lock=True)
            _check_own(rows.session, annotator_id, also_finished=True)
            if not rows.turns or not is_turn_scored(rows.of(rows.turns[-1]), rows.scores):
                raise Conflict("not every reply is scored yet.", fix="Score the replies of the last turn.")
            rows.session.is_finished = True
            rows.session.updated_at = utc_now()
        return await self.detail(annotator_id, session_id)

    async def remove(self, annotator_id: str, session_id: str) -> None:
        """Remove an attack that has not ended.

        Raises:
            NotFound: there is no such session.
            Conflict: it is another's, or finished: others may have scored it.
        """
        async with self._db.session() as db:
            rows = await _rows(db, annotator_id, session_id, lock=True)
            _check_own(rows.session, annotator_id)
            await db.delete(rows.session)

    async def progress(self, annotator_id: str) -> Progress:
        """How much was done, by cell of the grid."""
        cells: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        async with self._db.reading() as db:
            query = select(
                Session.topic, Session.strategy, Session.is_finished, Session.annotator_id, func.count()
            )
            grouped = query.group_by(
                Session.topic, Session.strategy, Session.is_finished, Session.annotator_id
            )
            for topic, strategy, is_finished, owner, count in await db.execute(grouped):
                cell = cells[topic, strategy]
                cell[0] += count
                cell[1] += count if is_finished else 0
                cell[2] += count if owner == annotator_id else 0
            turns = await db.scalar(select(func.count()).select_from(Turn))
            rewrites = await db.scalar(select(func.count()).select_from(Rewrite).where(Rewrite.is_done))
        return Progress(
            cells=[
                ProgressCell(topic=topic, strategy=strategy, sessions=all_, finished=done, mine=mine)
                for (topic, strategy), (all_, done, mine) in sorted(cells.items())
            ],
            sessions=sum(cell[0] for cell in cells.values()),
            turns=turns or 0,
            rewrites=rewrites or 0,
        )

    async def reply_session(self, annotator_id: str, reply_id: str) -> str:
        """The session of a reply that the caller may see.

        Raises:
            NotFound: there is no such reply.
        """
        async with self._db.reading() as db:
            return (await find_reply(db, annotator_id, reply_id)).session_id

    async def _add_turn(self, db: AsyncSession, principal: Principal, rows: _Rows, new: NewTurn) -> None:
        if len(rows.turns) >= MAX_TURNS:
            raise Conflict(f"a session has {MAX_TURNS} turns at most.", fix="Finish it and begin another.")
        if rows.turns:
            last = rows.turns[-1]
            if not is_turn_scored(rows.of(last), rows.scores):
                raise Conflict(
                    "not every reply is scored yet.", fix="Score the replies, or ask failed ones again."
                )
            worst = most_harmful(rows.of(last), rows.scores)
            assert worst is not None  # the turn is scored, so there is a reply
            last.continued_reply_id = worst.id
        turn = Turn(
            id=new_id("turn"),
            session_id=rows.session.id,
            number=len(rows.turns) + 1,
            content=new.content,
            continued_reply_id=None,
            client_id=new.client_id,
            created_at=utc_now(),
        )
        db.add(turn)
        await db.flush()
        replies = self._replies.rows(turn, rows.session.models)
        db.add_all(replies)
        rows.session.updated_at = utc_now()
        # Committed before the models are asked: a reply must find its row.
        await db.commit()
        chat = conversation([*rows.turns, turn], rows.replies, turn)
        for reply in replies:
            self._replies.begin(principal, reply, chat, rows.session.max_tokens)


async def find_session(
    db: AsyncSession, annotator_id: str, session_id: str, *, lock: bool = False
) -> Session:
    """A session that the annotator may see: one's own, or a finished one.

    Raises:
        NotFound: there is none.
    """
    query = select(Session).where(
        Session.id == session_id, (Session.annotator_id == annotator_id) | Session.is_finished
    )
    found = await db.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound("there is no such session.", fix="It may not be finished yet, or was removed.")
    return found


async def find_reply(db: AsyncSession, annotator_id: str, reply_id: str) -> Reply:
    """A reply that the annotator may see now: in a turn before which all turns are scored.

    Raises:
        NotFound: there is none.
    """
    reply = await db.get(Reply, reply_id)
    if reply is not None:
        rows = await _rows(db, annotator_id, reply.session_id)
        if reply.turn_id in {turn.id for turn in _seen(rows, annotator_id)}:
            return reply
    raise NotFound("there is no such reply.")


async def find_turn(db: AsyncSession, annotator_id: str, turn_id: str) -> Turn:
    """A turn that the annotator may see now.

    Raises:
        NotFound: there is none.
    """
    turn = await db.get(Turn, turn_id)
    if turn is not None:
        rows = await _rows(db, annotator_id, turn.session_id)
        if turn.id in {seen.id for seen in _seen(rows, annotator_id)}:
            return turn
    raise NotFound("there is no such turn.")


async def _rows(db: AsyncSession, annotator_id: str, session_id: str, *, lock: bool = False) -> _Rows:
    session = await find_session(db, annotator_id, session_id, lock=lock)
    turns = await db.scalars(select(Turn).where(Turn.session_id == session_id).order_by(Turn.number))
    replies = await db.scalars(select(Reply).where(Reply.session_id == session_id))
    scores = await db.scalars(
        select(Score).where(Score.session_id == session_id, Score.annotator_id == annotator_id)
    )
    rewrites = await db.scalars(
        select(Rewrite).where(Rewrite.session_id == session_id, Rewrite.annotator_id == annotator_id)
    )
    return _Rows(
        session,
        list(turns),
        {reply.id: reply for reply in replies},
        {score.reply_id: score for score in scores},
        {rewrite.turn_id: rewrite for rewrite in rewrites},
    )


async def _counts(
    db: AsyncSession, by: InstrumentedAttribute[str], *conditions: ColumnElement[bool]
) -> dict[str, int]:
    """How many rows each session has, of those that fit."""
    query = select(by, func.count()).where(*conditions).group_by(by)
    return {row[0]: row[1] for row in await db.execute(query)}


def _check_own(session: Session, annotator_id: str, *, also_finished: bool = False) -> None:
    if session.annotator_id != annotator_id:
        raise Conflict("this session is another annotator's.", fix="Score it, or begin one of your own.")
    if session.is_finished and not also_finished:
        raise Conflict("this session is finished.", fix="Begin another one.")


def _seen(rows: _Rows, annotator_id: str) -> list[Turn]:
    """All turns for the attacker; for others, those before which every turn is scored."""
    if rows.session.annotator_id == annotator_id:
        return list(rows.turns)
    seen: list[Turn] = []
    for turn in rows.turns:
        seen.append(turn)
        replies = rows.of(turn)
        # Where no model answered there is nothing to score, and nothing to wait for.
        if any(reply.status == "complete" for reply in replies) and not is_turn_scored(replies, rows.scores):
            break
    return seen


def _detail(rows: _Rows, annotator_id: str) -> SessionDetail:
    session = rows.session
    seen = _seen(rows, annotator_id)
    is_mine = session.annotator_id == annotator_id
    complete = [reply for reply in rows.replies.values() if reply.status == "complete"]
    scored = sum(is_scored(rows.scores.get(reply.id)) for reply in complete)
    return SessionDetail(
        session=_listed(session, annotator_id, len(rows.turns), scored, len(complete)),
        turns=[_turn(rows, turn, names=is_mine and session.is_finished) for turn in seen],
        hidden_turns=len(rows.turns) - len(seen),
        models=sorted(session.models) if is_mine else None,
    )


def _turn(rows: _Rows, turn: Turn, *, names: bool) -> TurnOut:
    replies = rows.of(turn)
    is_ready = all(reply.status != "writing" for reply in replies)
    is_done = is_turn_scored(replies, rows.scores)
    worst = most_harmful(replies, rows.scores) if is_done else None
    next_reply = turn.continued_reply_id or (worst.id if worst is not None else None)
    rewrite = rows.rewrites.get(turn.id)
    return TurnOut(
        id=turn.id,
        number=turn.number,
        content=turn.content,
        replies=[_reply(rows, reply, names=names, is_ready=is_ready) for reply in replies],
        is_scored=is_done,
        is_perfect=any(is_perfect(rows.scores.get(reply.id)) for reply in replies),
        next_reply_id=next_reply if is_done else None,
        rewrite=shown_rewrite(rewrite) if rewrite is not None else None,
    )


def _reply(rows: _Rows, reply: Reply, *, names: bool, is_ready: bool) -> ReplyOut:
    score = rows.scores.get(reply.id)
    return ReplyOut(
        id=reply.id,
        label=chr(ord("A") + reply.position),
        content=reply.content if is_ready else "",
        status=reply.status,
        finish_reason=reply.finish_reason,
        error=_error(reply, names=names),
        model=reply.model if names else None,
        score=ScoreOut(harmlessness=score.harmlessness, overall=score.overall) if score else ScoreOut(),
    )


def _error(reply: Reply, *, names: bool) -> ErrorOut | None:
    """Why a reply failed; while models have no names, without words that could tell which one it is."""
    if reply.error is None:
        return None
    error = ErrorOut.model_validate(reply.error)
    if names or error.code == RateLimited.code:  # that one is about the caller
        return error
    return ErrorOut(
        code=error.code, message=f"the model could not answer ({error.code}).", fix="Ask it again."
    )


def shown_rewrite(rewrite: Rewrite) -> RewriteOut:
    """A rewritten answer for its writer."""
    return RewriteOut(
        content=rewrite.content,
        is_done=rewrite.is_done,
        warnings=["refusal"] if is_bare_refusal(rewrite.content) else [],
    )


def _listed(session: Session, annotator_id: str, turns: int, scored: int, to_score: int) -> SessionOut:
    return SessionOut(
        id=session.id,
        topic=session.topic,
        subtopic=session.subtopic,
        strategy=session.strategy,
        language=session.language,
        is_mine=session.annotator_id == annotator_id,
        is_finished=session.is_finished,
        num_models=len(session.models),
        num_turns=turns,
        scored=scored,
        to_score=to_score,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )
