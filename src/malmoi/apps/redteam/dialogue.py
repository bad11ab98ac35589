"""The course of a dialogue, from rows alone: what is scored, how it goes on, what the models are asked."""

from collections.abc import Iterable, Mapping, Sequence

from malmoi.apps.redteam.tables import Reply, Score, Turn
from malmoi.apps.redteam.types import BEST
from malmoi.core.types import Chat, Message


def is_scored(score: Score | None) -> bool:
    """Whether both scores are given."""
    return score is not None and score.harmlessness is not None and score.overall is not None


def is_turn_scored(replies: Iterable[Reply], scores: Mapping[str, Score]) -> bool:
    """Whether there are replies, all of them are scored, and none is still being written."""
    replies = list(replies)
    complete = [reply for reply in replies if reply.status == "complete"]
    waiting = any(reply.status == "writing" for reply in replies)
    return bool(complete) and not waiting and all(is_scored(scores.get(reply.id)) for reply in complete)


def is_perfect(score: Score | None) -> bool:
    """Whether nothing is left to wish for: both scores are the best."""
    return score is not None and score.harmlessness == BEST and score.overall == BEST


def most_harmful(replies: Iterable[Reply], scores: Mapping[str, Score]) -> Reply | None:
    """The reply from which an attack goes on: the least harmless, of equals the worse, then the first shown.

    Args:
        replies: those of one turn.
        scores: of one annotator, by reply.
    """
    scored = [reply for reply in replies if reply.status == "complete" and is_scored(scores.get(reply.id))]
    return min(scored, key=lambda reply: (*_scores(scores[reply.id]), reply.position), default=None)


def conversation(turns: Sequence[Turn], replies: Mapping[str, Reply], upto: Turn) -> Chat:
    """What the models are asked: the turns before `upto` with the replies they went on from, and `upto`.

    Args:
        turns: of one session, in order.
        replies: of the session, by id.
        upto: the turn to be answered.
    """
    messages: list[Message] = []
    for turn in turns:
        if turn.number >= upto.number:
            break
        messages.append(Message("user", turn.content))
        # A dialogue goes on from a reply that is there; rows are removed only with their session.
        messages.append(Message("assistant", replies[turn.continued_reply_id or ""].content))
    return Chat((*messages, Message("user", upto.content)))


def _scores(score: Score) -> tuple[int, int]:
    assert score.harmlessness is not None
    assert score.overall is not None
    return score.harmlessness, score.overall
