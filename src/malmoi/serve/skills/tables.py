"""The tables of skills. Credentials are sealed (`sealing.py`); arguments in the audit are covered."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, deferred, mapped_column

from malmoi.serve.db.base import Base

_ID = String(40)
_ACCOUNTS = "accounts.id"
_SKILL = String(40)


class SkillUpload(Base):
    """A skill that an admin has installed: its manifest, and the OpenAPI document beside it."""

    __tablename__ = "skill_uploads"

    name: Mapped[str] = mapped_column(_SKILL, primary_key=True)
    manifest: Mapped[str] = mapped_column(Text)
    document_name: Mapped[str] = mapped_column(String(255))
    document: Mapped[str | None] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="SET NULL"))
    created_at: Mapped[datetime]


class SkillSwitch(Base):
    """A skill that an account has switched on."""

    __tablename__ = "skill_switches"

    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), primary_key=True)
    skill: Mapped[str] = mapped_column(_SKILL, primary_key=True)
    created_at: Mapped[datetime]


class SkillCredentials(Base):
    """An account's keys for a skill, sealed as one."""

    __tablename__ = "skill_credentials"

    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), primary_key=True)
    skill: Mapped[str] = mapped_column(_SKILL, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime]


class SkillRunRow(Base):
    """One run: what was asked, and where it stands."""

    __tablename__ = "skill_runs"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"))
    conversation: Mapped[str] = mapped_column(String(64))
    """Whose later queries may refer to this one; empty: none."""
    query: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    """running, waiting or ended."""
    reason: Mapped[str] = mapped_column(String(16))
    """Why it has ended."""
    skill: Mapped[str] = mapped_column(_SKILL)
    operation: Mapped[str] = mapped_column(String(64))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Language, zone, turns and documents, as the run needs them to go on."""
    state: Mapped[dict[str, Any] | None] = deferred(mapped_column(JSON(none_as_null=True)))
    """Where it stands while it waits."""
    steps: Mapped[int]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "account_id", "conversation", "created_at"),)


class SkillStage(Base):
    """Something that happened in a run, in order."""

    __tablename__ = "skill_stages"

    run_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillRunRow.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime]


class SkillFile(Base):
    """A file that a call has made."""

    __tablename__ = "skill_files"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    run_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillRunRow.id, ondelete="CASCADE"), index=True)
    call_id: Mapped[str] = mapped_column(_ID)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    content: Mapped[bytes] = deferred(mapped_column(LargeBinary, nullable=False))
    created_at: Mapped[datetime]


class SkillApproval(Base):
    """A question whether a call may be made: bound to the account, the run, the call and its arguments."""

    __tablename__ = "skill_approvals"

    call_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    run_id: Mapped[str] = mapped_column(_ID, ForeignKey(SkillRunRow.id, ondelete="CASCADE"), index=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"))
    arguments_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    """waiting, given, used or denied."""
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]


class SkillAudit(Base):
    """A call that was made or refused. Rows are added and never changed; they outlive the account."""

    __tablename__ = "skill_audit"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    at: Mapped[datetime]
    account_id: Mapped[str] = mapped_column(_ID)
    key_id: Mapped[str | None] = mapped_column(String(8))
    run_id: Mapped[str] = mapped_column(_ID)
    call_id: Mapped[str] = mapped_column(_ID)
    skill: Mapped[str] = mapped_column(_SKILL)
    operation: Mapped[str] = mapped_column(String(64))
    effect: Mapped[str] = mapped_column(String(8))
    arguments_hash: Mapped[str] = mapped_column(String(64))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Covered: personal data and long texts are taken out."""
    status: Mapped[str] = mapped_column(String(32))
    """ok, refused, denied, or the code of an error."""
    milliseconds: Mapped[int]

    __table_args__ = (Index(None, "account_id", "at"), Index(None, "at"))
