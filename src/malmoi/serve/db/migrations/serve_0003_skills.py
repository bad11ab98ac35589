"""Skills: uploads, switches, credentials, runs with their stages, approvals and the audit."""

import sqlalchemy as sa
from alembic import op

from malmoi.serve.db.base import UtcDateTime

revision = "serve_0003"
down_revision = "serve_0002"
branch_labels = None
depends_on = None

_ID = sa.String(40)


def _reference(column: str, target: str, ondelete: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, _ID, sa.ForeignKey(target, ondelete=ondelete), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "skill_uploads",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("document_name", sa.String(255), nullable=False),
        sa.Column("document", sa.Text()),
        _reference("account_id", "accounts.id", "SET NULL", nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_skill_uploads"),
    )
    op.create_table(
        "skill_switches",
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("skill", sa.String(40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "skill", name="pk_skill_switches"),
    )
    op.create_table(
        "skill_credentials",
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("skill", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "skill", name="pk_skill_credentials"),
    )
    op.create_table(
        "skill_runs",
        sa.Column("id", _ID, nullable=False),
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("skill", sa.String(40), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON()),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_runs"),
    )
    op.create_index(
        "ix_skill_runs_account_id_conversation_created_at",
        "skill_runs",
        ["account_id", "conversation", "created_at"],
    )
    op.create_table(
        "skill_stages",
        _reference("run_id", "skill_runs.id", "CASCADE"),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_skill_stages"),
    )
    op.create_table(
        "skill_files",
        sa.Column("id", _ID, nullable=False),
        _reference("run_id", "skill_runs.id", "CASCADE"),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_files"),
    )
    op.create_index("ix_skill_files_run_id", "skill_files", ["run_id"])
    op.create_table(
        "skill_approvals",
        sa.Column("call_id", _ID, nullable=False),
        _reference("run_id", "skill_runs.id", "CASCADE"),
        _reference("account_id", "accounts.id", "CASCADE"),
        sa.Column("arguments_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_skill_approvals"),
    )
    op.create_index("ix_skill_approvals_run_id", "skill_approvals", ["run_id"])
    op.create_table(
        "skill_audit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("key_id", sa.String(8)),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("skill", sa.String(40), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("effect", sa.String(8), nullable=False),
        sa.Column("arguments_hash", sa.String(64), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_skill_audit"),
    )
    op.create_index("ix_skill_audit_account_id_at", "skill_audit", ["account_id", "at"])
    op.create_index("ix_skill_audit_at", "skill_audit", ["at"])


def downgrade() -> None:
    for table in (
        "skill_audit",
        "skill_approvals",
        "skill_files",
        "skill_stages",
        "skill_runs",
        "skill_credentials",
        "skill_switches",
        "skill_uploads",
    ):
        op.drop_table(table)
