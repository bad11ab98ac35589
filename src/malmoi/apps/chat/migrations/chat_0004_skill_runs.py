"""The run of skills that a reply came from."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0004"
down_revision = "chat_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chat_messages", sa.Column("run_id", sa.String(40)))
    op.create_index(op.f("ix_chat_messages_run_id"), "chat_messages", ["run_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_chat_messages_run_id"), table_name="chat_messages")
    op.drop_column("chat_messages", "run_id")
