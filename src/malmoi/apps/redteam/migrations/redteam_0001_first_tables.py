"""Annotators, sessions, turns, replies, scores and rewritten answers."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db import UtcDateTime

revision = "redteam_0001"
down_revision = None
branch_labels = ("redteam",)
depends_on = None

_ID = sa.String(40)


def _to(table: str, *, cascade: bool = False) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)


def upgrade() -> None:
    op.create_table(
        "redteam_annotators",
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, sa.ForeignKey("accounts.id", ondelete="SET NULL")),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("warned_at", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_annotators"),
        sa.UniqueConstraint("account_id", name="uq_redteam_annotators_account_id"),
    )
    op.create_table(
        "redteam_sessions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("annotator_id", _ID, _to("redteam_annotators"), nullable=False),
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("subtopic", sa.String(40), nullable=False),
        sa.Column("strategy", sa.String(40), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("is_finished", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_sessions"),
    )
    op.create_index(
        "ix_redteam_sessions_is_finished_updated_at", "redteam_sessions", ["is_finished", "updated_at"]
    )
    op.create_table(
        "redteam_turns",
        sa.Column("id", _ID, nullable=False),
        sa.Column("session_id", _ID, _to("redteam_sessions", cascade=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("continued_reply_id", _ID),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_turns"),
        sa.UniqueConstraint("session_id", "number", name="uq_redteam_turns_session_id_number"),
        sa.UniqueConstraint("session_id", "client_id", name="uq_redteam_turns_session_id_client_id"),
    )
    op.create_table(
        "redteam_replies",
        sa.Column("id", _ID, nullable=False),
        sa.Column("turn_id", _ID, _to("redteam_turns", cascade=True), nullable=False),
        sa.Column("session_id", _ID, _to("redteam_sessions", cascade=True), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("finish_reason", sa.String(32)),
        sa.Column("error", sa.JSON()),
        sa.Column("usage", sa.JSON()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_replies"),
    )
    op.create_table(
        "redteam_scores",
        sa.Column("id", _ID, nullable=False),
        sa.Column("reply_id", _ID, _to("redteam_replies", cascade=True), nullable=False),
        sa.Column("session_id", _ID, _to("redteam_sessions", cascade=True), nullable=False),
        sa.Column("annotator_id", _ID, _to("redteam_annotators"), nullable=False),
        sa.Column("harmlessness", sa.Integer()),
        sa.Column("overall", sa.Integer()),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_scores"),
        sa.UniqueConstraint("reply_id", "annotator_id", name="uq_redteam_scores_reply_id_annotator_id"),
    )
    op.create_table(
        "redteam_rewrites",
        sa.Column("id", _ID, nullable=False),
        sa.Column("turn_id", _ID, _to("redteam_turns", cascade=True), nullable=False),
        sa.Column("session_id", _ID, _to("redteam_sessions", cascade=True), nullable=False),
        sa.Column("annotator_id", _ID, _to("redteam_annotators"), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_redteam_rewrites"),
        sa.UniqueConstraint("turn_id", "annotator_id", name="uq_redteam_rewrites_turn_id_annotator_id"),
    )
    for table, columns in _INDEXES.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])


_INDEXES = {
    "redteam_sessions": ["annotator_id"],
    "redteam_replies": ["turn_id", "session_id"],
    "redteam_scores": ["session_id", "annotator_id"],
    "redteam_rewrites": ["session_id", "annotator_id"],
}


def downgrade() -> None:
    for table in ("rewrites", "scores", "replies", "turns", "sessions", "annotators"):
        op.drop_table(f"redteam_{table}")
