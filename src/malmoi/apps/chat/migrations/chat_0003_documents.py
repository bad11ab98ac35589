"""Which documents a conversation asks, and what the replies cite."""

import sqlalchemy as sa
from alembic import op

revision = "chat_0003"
down_revision = "chat_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chat_conversations", sa.Column("documents", sa.JSON()))
    op.add_column("chat_messages", sa.Column("grounds", sa.JSON()))


def downgrade() -> None:
    op.drop_column("chat_messages", "grounds")
    op.drop_column("chat_conversations", "documents")
