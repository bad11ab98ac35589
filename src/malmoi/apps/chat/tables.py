"""The tables of the chat app. Every row belongs to an account, and every query says which."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from malmoi.serve.db import Base
from malmoi.serve.db import tables as _server_tables  # "accounts", to which the keys below refer

_ID = String(40)
_ACCOUNTS = _server_tables.Account.id
# SQLite counts only INTEGER keys up by itself.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")


class Folder(Base):
    """A named place for conversations; folders have an order and no levels."""

    __tablename__ = "chat_folders"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    created_at: Mapped[datetime]


class Persona(Base):
    """A persona that a person has made; the built-in ones are files."""

    __tablename__ = "chat_personas"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    system_prompt: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(255))
    sampling: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Conversation(Base):
    """A tree of messages, and how to answer in it. One in the trash has `deleted_at`."""

    __tablename__ = "chat_conversations"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    """Empty until a person or the first message gives one."""
    folder_id: Mapped[str | None] = mapped_column(_ID, ForeignKey(Folder.id, ondelete="SET NULL"), index=True)
    model: Mapped[str | None] = mapped_column(String(255))
    persona_id: Mapped[str | None] = mapped_column(_ID)
    """A built-in persona or one of `chat_personas`; a persona that is gone counts as none."""
    sampling: Mapped[dict[str, Any]] = mapped_column(JSON)
    form: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """What was filled in when it was begun from a template (`malmoi.assist.templates.Form`)."""
    documents: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """In which documents replies are looked up (`types.DocumentChoice`); none: in none."""
    pinned: Mapped[bool]
    active_leaf_id: Mapped[str | None] = mapped_column(_ID)
    """The last message of the branch that is shown."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "account_id", "deleted_at", "pinned", "updated_at"),)


class Message(Base):
    """One turn. Its siblings (same parent) are other versions of it: an edited question, another answer."""

    __tablename__ = "chat_messages"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), index=True)
    conversation_id: Mapped[str] = mapped_column(
        _ID, ForeignKey(Conversation.id, ondelete="CASCADE"), index=True
    )
    # No cascade: messages go with their conversation, all at once. SQLite would follow a branch step by step,
    # and gives up after a thousand.
    parent_id: Mapped[str | None] = mapped_column(_ID, ForeignKey("chat_messages.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    reasoning: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    finish_reason: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    model: Mapped[str | None] = mapped_column(String(255))
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    notes: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """What a template's flow keeps with a reply, such as the key of a question; never sent to anybody."""
    grounds: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """The sources and citations of a reply from documents (`types.Grounds`)."""
    run_id: Mapped[str | None] = mapped_column(_ID, index=True, default=None)
    """The run of skills that it came from (`skill_runs`); no key: a run may be gone before its message."""
    client_id: Mapped[str | None] = mapped_column(String(64))
    """Chosen by the client for a message it sends, so that sending twice is the same as once."""
    created_at: Mapped[datetime]
    saved_at: Mapped[datetime]
    """When the row was last written; a reply that is being written is saved every few seconds."""

    __table_args__ = (
        UniqueConstraint("conversation_id", "client_id"),
        Index(None, "status", "saved_at"),
    )


class SearchPart(Base):
    """A piece of a message, or a title, in the search index.

    Its terms lie in `chat_search_terms`: an FTS5 table whose rowid is `id` on SQLite, a table with a
    `tsvector` on PostgreSQL (see `search/`).
    """

    __tablename__ = "chat_search_parts"

    id: Mapped[int] = mapped_column(_COUNTER, primary_key=True, autoincrement=True)
    account_id: Mapped[str] = mapped_column(_ID, ForeignKey(_ACCOUNTS, ondelete="CASCADE"), index=True)
    conversation_id: Mapped[str] = mapped_column(
        _ID, ForeignKey(Conversation.id, ondelete="CASCADE"), index=True
    )
    message_id: Mapped[str | None] = mapped_column(
        _ID, ForeignKey(Message.id, ondelete="CASCADE"), index=True
    )
    """None: the conversation's title."""
    start: Mapped[int]
    """Where the piece begins in the text, and after how many characters it ends."""
    length: Mapped[int]
    analysed: Mapped[bool] = mapped_column(index=True)
    """Whether its morphemes are in the index; its bigrams always are."""
