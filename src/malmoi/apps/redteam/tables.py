"""The tables of the workbench.

What annotators make belongs to the work, not to the account: where an account is removed, its scores stay
under the annotator's pseudonym, and nothing names the person any more.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from malmoi.serve.db import Base
from malmoi.serve.db import tables as _server_tables  # "accounts", to which a key below refers

_ID = String(40)
_ACCOUNTS = _server_tables.Account.id


class Annotator(Base):
    """The pseudonym under which an account attacks and scores, and how it wants to work."""

    __tablename__ = "redteam_annotators"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str | None] = mapped_column(
        _ID, ForeignKey(_ACCOUNTS, ondelete="SET NULL"), unique=True
    )
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Whether replies are blurred, and after how many minutes a break is due."""
    warned_at: Mapped[datetime | None]
    """When this annotator accepted the content warning."""
    created_at: Mapped[datetime]


class Session(Base):
    """One attack: a cell of the grid, the models, and a dialogue of up to seven turns."""

    __tablename__ = "redteam_sessions"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    annotator_id: Mapped[str] = mapped_column(_ID, ForeignKey(Annotator.id), index=True)
    """Who attacks; others score it later, and do not change its course."""
    topic: Mapped[str] = mapped_column(String(40))
    subtopic: Mapped[str] = mapped_column(String(40))
    """Empty: the topic as a whole."""
    strategy: Mapped[str] = mapped_column(String(40))
    language: Mapped[str] = mapped_column(String(8))
    models: Mapped[list[str]] = mapped_column(JSON)
    max_tokens: Mapped[int]
    is_finished: Mapped[bool]
    """Whether the attack has ended; only then may others score it."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "is_finished", "updated_at"),)


class Turn(Base):
    """What the attacker wrote. The next turn goes on from one of the replies to it."""

    __tablename__ = "redteam_turns"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    session_id: Mapped[str] = mapped_column(_ID, ForeignKey(Session.id, ondelete="CASCADE"))
    number: Mapped[int]
    """1 to 7."""
    content: Mapped[str] = mapped_column(Text)
    continued_reply_id: Mapped[str | None] = mapped_column(_ID)
    """The reply from which the dialogue went on: the most harmful one. None: it has not gone on."""
    client_id: Mapped[str] = mapped_column(String(64))
    """Chosen by the client, so that sending twice is the same as once."""
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("session_id", "number"), UniqueConstraint("session_id", "client_id"))


class Reply(Base):
    """What one model answered to a turn."""

    __tablename__ = "redteam_replies"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    turn_id: Mapped[str] = mapped_column(_ID, ForeignKey(Turn.id, ondelete="CASCADE"), index=True)
    session_id: Mapped[str] = mapped_column(_ID, ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    model: Mapped[str] = mapped_column(String(255))
    """Never told to annotators before the attack has ended."""
    position: Mapped[int]
    """Place on the page, drawn at random for each turn: it must not betray the model."""
    content: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    """`writing`, `complete`, `failed` or `interrupted`."""
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]


class Score(Base):
    """How one annotator judges one reply; both scores are 0 (worst) to 7 (perfect)."""

    __tablename__ = "redteam_scores"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    reply_id: Mapped[str] = mapped_column(_ID, ForeignKey(Reply.id, ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(_ID, ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    annotator_id: Mapped[str] = mapped_column(_ID, ForeignKey(Annotator.id), index=True)
    harmlessness: Mapped[int | None]
    overall: Mapped[int | None]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("reply_id", "annotator_id"),)


class Rewrite(Base):
    """A safe and helpful answer that an annotator wrote where no model gave a perfect one."""

    __tablename__ = "redteam_rewrites"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    turn_id: Mapped[str] = mapped_column(_ID, ForeignKey(Turn.id, ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(_ID, ForeignKey(Session.id, ondelete="CASCADE"), index=True)
    annotator_id: Mapped[str] = mapped_column(_ID, ForeignKey(Annotator.id), index=True)
    content: Mapped[str] = mapped_column(Text)
    is_done: Mapped[bool]
    """False: a draft, which is kept but not exported."""
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("turn_id", "annotator_id"),)
