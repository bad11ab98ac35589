"""Scores and rewritten answers of one annotator; nobody else sees them."""

from sqlalchemy import select

from malmoi.apps.redteam.sessions import find_reply, find_session, find_turn, shown_rewrite
from malmoi.apps.redteam.tables import Rewrite, Score
from malmoi.apps.redteam.types import RewriteIn, RewriteOut, ScoreIn, ScoreOut
from malmoi.core.errors import Conflict
from malmoi.serve.db import Database, new_id, utc_now


class Scoring:
    """Keeps what annotators judge and write."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def score(self, annotator_id: str, reply_id: str, new: ScoreIn) -> ScoreOut:
        """Set both scores of a reply; None takes one back.

        Raises:
            NotFound: there is no such reply, or it is not to be seen yet.
            Conflict: it is not whole, or the attacker has seen which model wrote it.
        """
        async with self._db.session() as db:
            reply = await find_reply(db, annotator_id, reply_id)
            session = await find_session(db, annotator_id, reply.session_id, lock=True)
            if reply.status != "complete":
                raise Conflict("this reply is not whole.", fix="Wait for it, or ask the model again.")
            if session.is_finished and session.annotator_id == annotator_id:
                raise Conflict("this session is finished; its models are known to you.")
            query = select(Score).where(Score.reply_id == reply_id, Score.annotator_id == annotator_id)
            score = await db.scalar(query)
            if score is None:
                score = Score(
                    id=new_id("score"),
                    reply_id=reply_id,
                    session_id=reply.session_id,
                    annotator_id=annotator_id,
                    updated_at=utc_now(),
                )
                db.add(score)
            score.harmlessness, score.overall = new.harmlessness, new.overall
            score.updated_at = utc_now()
        return ScoreOut(harmlessness=score.harmlessness, overall=score.overall)

    async def rewrite(self, annotator_id: str, turn_id: str, new: RewriteIn) -> RewriteOut:
        """Keep a safe and helpful answer to a turn, or its draft.

        Raises:
            NotFound: there is no such turn, or it is not to be seen yet.
        """
        async with self._db.session() as db:
            turn = await find_turn(db, annotator_id, turn_id)
            await find_session(db, annotator_id, turn.session_id, lock=True)
            query = select(Rewrite).where(Rewrite.turn_id == turn_id, Rewrite.annotator_id == annotator_id)
            rewrite = await db.scalar(query)
            if rewrite is None:
                rewrite = Rewrite(
                    id=new_id("rew"),
                    turn_id=turn_id,
                    session_id=turn.session_id,
                    annotator_id=annotator_id,
                    updated_at=utc_now(),
                )
                db.add(rewrite)
            rewrite.content, rewrite.is_done = new.content, new.is_done
            rewrite.updated_at = utc_now()
        return shown_rewrite(rewrite)
