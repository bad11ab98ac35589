"""The tables of the skill trainer: sets, their rows, frozen versions, what is applied, and measurements."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, deferred, mapped_column

from malmoi.serve.db.base import Base

_ID = String(40)
_ACCOUNTS = "accounts.id"


class SkillSet(Base):
    """A group of skills with what people have shown for them."""

    __tablename__ = "skill_sets"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    name_key: Mapped[str] = mapped_column(String(128))
    """The form in which names are compared."""
    description: Mapped[str] = mapped_column(Text)
    tone: Mapped[str] = mapped_column(String(500))
    format: Mapped[str] = mapped_column(String(500))
    skills: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("account_id", "name_key"),)


class SkillSetRow(Base):
    """A query, and what should come of it at every stage."""

    __tablename__ = "skill_set_rows"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    set_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillSet.id, ondelete="CASCADE"), index=True)
    run_id: Mapped[str | None] = mapped_column(_ID)
    """The run whose stages were the draft. It may be gone by now."""
    query: Mapped[str] = mapped_column(Text)
    turns: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    language: Mapped[str] = mapped_column(String(8))
    zone: Mapped[str] = mapped_column(String(64))
    said_at: Mapped[datetime]
    """When the query was said: "tomorrow" is counted from here."""
    part: Mapped[str] = mapped_column(String(8))
    """train or test."""
    status: Mapped[str] = mapped_column(String(8))
    """draft or saved."""
    stages: Mapped[dict[str, Any]] = mapped_column(JSON)
    original: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the run did, before anybody corrected it."""
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """Earlier values, oldest first."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SkillSetVersion(Base):
    """A frozen copy of a set and its saved rows."""

    __tablename__ = "skill_set_versions"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    set_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillSet.id, ondelete="CASCADE"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    train: Mapped[int]
    test: Mapped[int]
    content: Mapped[dict[str, Any]] = deferred(mapped_column(JSON, nullable=False))
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("set_id", "number"),)


class SkillSetApplied(Base):
    """Whose rows an account's runs are shown."""

    __tablename__ = "skill_set_applied"

    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), primary_key=True)
    set_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillSet.id, ondelete="CASCADE"), index=True)
    number: Mapped[int | None]
    """The version; none: the saved rows as they are now."""
    applied_at: Mapped[datetime]


class SkillSetMeasure(Base):
    """A measurement of a version on its test rows."""

    __tablename__ = "skill_set_measures"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    version_id: Mapped[str] = mapped_column(
        _ID, ForeignKey(SkillSetVersion.id, ondelete="CASCADE"), index=True
    )
    status: Mapped[str] = mapped_column(String(16))
    """running, done, failed or stopped."""
    model: Mapped[str | None] = mapped_column(String(255))
    """Empty: the server's default; none: without a model."""
    done: Mapped[int]
    total: Mapped[int]
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
