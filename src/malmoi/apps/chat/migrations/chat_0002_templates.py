"""What was filled in when a conversation was begun from a template, and what a flow keeps with a message."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0002"
down_revision = "chat_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chat_conversations", sa.Column("form", sa.JSON()))
    op.add_column("chat_messages", sa.Column("notes", sa.JSON()))


def downgrade() -> None:
    op.drop_column("chat_messages", "notes")
    op.drop_column("chat_conversations", "form")
