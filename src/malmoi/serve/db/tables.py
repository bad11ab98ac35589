"""The server's own tables: accounts, sessions, keys, limits, usage. Apps declare theirs beside their code.

Secrets are never here: passwords as argon2 hashes, session tokens and keys (256 random bits each) as SHA-256.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from malmoi.serve.db.base import Base

_ID = String(40)


class Account(Base):
    """A person. Without a password there is no log-in; only the owner of an open server has none."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    """As the person writes it (NFC)."""
    name_key: Mapped[str] = mapped_column(String(128), unique=True)
    """The name as it is compared: no two accounts differ in case alone."""
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    disabled: Mapped[bool] = mapped_column(default=False)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime]


class BrowserSession(Base):
    """A log-in from one browser; the cookie holds the token, this row its SHA-256."""

    __tablename__ = "browser_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class LoginAttempt(Base):
    """A log-in that failed, or is being tried; counted by name and by address."""

    __tablename__ = "login_attempts"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    subject: Mapped[str] = mapped_column(String(160))
    """`name:...` or `address:...`."""
    at: Mapped[datetime]

    __table_args__ = (Index(None, "subject", "at"),)


class ApiKey(Base):
    """A key for programs, `mm_<id>_<secret>`; a revoked one stays, so that usage keeps its name."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)


class LimitState(Base):
    """What a key or account has used lately (see `serve/limits.py`)."""

    __tablename__ = "limit_states"

    subject: Mapped[str] = mapped_column(_ID, primary_key=True)
    state: Mapped[dict[str, Any]] = mapped_column(JSON)


class ReservedUsage(Base):
    """What a limited request under way may use at most; gone when it is settled."""

    __tablename__ = "reserved_usage"

    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    server: Mapped[str] = mapped_column(String(128), index=True)
    """The server that runs the request: it charges what it finds of its own when it starts again."""
    at: Mapped[datetime]
    account_id: Mapped[str] = mapped_column(_ID)
    key_id: Mapped[str | None] = mapped_column(String(8))
    model: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(16))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    max_tokens: Mapped[int] = mapped_column(BigInteger)


class UsageEvent(Base):
    """What one request used. Rows are added and never changed; they outlive the account and the key."""

    __tablename__ = "usage_events"

    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime]
    day: Mapped[str] = mapped_column(String(10))
    """The UTC date of `at`, such as 2026-01-31."""
    account_id: Mapped[str] = mapped_column(_ID)
    key_id: Mapped[str | None] = mapped_column(String(8))
    model: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(16))
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    finish_reason: Mapped[str] = mapped_column(String(32))
    milliseconds: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16))
    """`measured`, or `estimated` for a request whose server died."""

    __table_args__ = (Index(None, "account_id", "day"), Index(None, "day"))
