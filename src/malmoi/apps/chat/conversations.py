"""Conversations and folders of one account: lists, changes, the trash.

Every method takes the account's id, and every query asks for it: what belongs to another account does not
exist.
"""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.beginning import begin, opening_message
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.tables import Conversation, Folder, Message, Persona
from malmoi.apps.chat.types import ConversationPatch, FolderPatch, NewConversation, NewFolder
from malmoi.assist.templates import Template
from malmoi.core.errors import Conflict, InvalidInput, NotFound
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.skills.tables import SkillRunRow

TRASH_DAYS = 30
"""Days after which a conversation in the trash is deleted for good, at the server's next start."""
MAX_FOLDERS = 500


async def find_conversation(
    session: AsyncSession, account_id: str, conversation_id: str, *, lock: bool = False, trashed: bool = False
) -> Conversation:
    """A conversation of this account.

    Args:
        session: an open transaction.
        account_id: whose conversation.
        conversation_id: which.
        lock: keep others from changing it until the transaction ends.
        trashed: also one that is in the trash.

    Raises:
        NotFound: there is none.
    """
    query = select(Conversation).where(
        Conversation.id == conversation_id, Conversation.account_id == account_id
    )
    if not trashed:
        query = query.where(Conversation.deleted_at.is_(None))
    if lock:
        query = query.with_for_update()
    found = await session.scalar(query)
    if found is None:
        raise NotFound("there is no such conversation.", fix="It may have been deleted; look in the trash.")
    return found


class Conversations:
    """Conversations and folders.

    Args:
        db: the database.
        index: is told of titles.
        builtin_personas: the personas and templates that come with the app, by id.
    """

    def __init__(self, db: Database, index: SearchIndex, builtin_personas: Mapping[str, Template]) -> None:
        self._db = db
        self._index = index
        self._builtin_personas = builtin_personas

    async def page(
        self, account_id: str, *, folder_id: str | None, cursor: str | None, limit: int, trash: bool = False
    ) -> tuple[list[Conversation], str | None]:
        """Pinned ones first, then the newest; and the cursor of the next page.

        A cursor names the last row of a page, so rows that come in before it shift nothing. `folder_id`
        "none" asks for those that are in no folder.
        """
        query = select(Conversation).where(Conversation.account_id == account_id)
        query = query.where(
            Conversation.deleted_at.is_not(None) if trash else Conversation.deleted_at.is_(None)
        )
        if folder_id == "none":
            query = query.where(Conversation.folder_id.is_(None))
        elif folder_id is not None:
            query = query.where(Conversation.folder_id == folder_id)
        query = _after(query, cursor).order_by(
            Conversation.pinned.desc(), Conversation.updated_at.desc(), Conversation.id.desc()
        )
        async with self._db.reading() as session:
            rows = list(await session.scalars(query.limit(limit + 1)))
        return rows[:limit], _cursor(rows[limit - 1]) if len(rows) > limit else None

    async def create(self, account_id: str, new: NewConversation) -> Conversation:
        """Begin a conversation; one from a template begins with the template's opening.

        Raises:
            NotFound: there is no such folder or persona.
            InvalidInput: the form does not fit the template.
        """
        now = utc_now()
        start = begin(self._builtin_personas, new)
        conversation = Conversation(
            id=new_id("conv"),
            account_id=account_id,
            title=new.title or (start.title if start is not None else ""),
            folder_id=new.folder_id,
            model=new.model,
            persona_id=new.persona_id,
            sampling=new.sampling.to_json(),
            documents=new.documents.model_dump() if new.documents is not None else None,
            form=start.form.model_dump(mode="json") if start is not None else None,
            pinned=False,
            active_leaf_id=None,
            created_at=now,
            updated_at=now,
            deleted_at=None,
        )
        async with self._db.session() as session:
            await self._check_places(session, account_id, new.folder_id, new.persona_id)
            session.add(conversation)
            await session.flush()
            await self._index.put_title(session, conversation)
            if start is not None and start.opening:
                opening = opening_message(conversation, start.opening)
                session.add(opening)
                await session.flush()
                conversation.active_leaf_id = opening.id
                await self._index.put_message(session, opening)
        return conversation

    async def tree(self, account_id: str, conversation_id: str) -> tuple[Conversation, list[Message]]:
        """A conversation with the messages of all its branches, oldest first.

        Raises:
            NotFound: there is none.
        """
        async with self._db.reading() as session:
            conversation = await find_conversation(session, account_id, conversation_id)
            return conversation, await messages_of(session, account_id, conversation_id)

    async def change(self, account_id: str, conversation_id: str, patch: ConversationPatch) -> Conversation:
        """Change what is given. What is shown of a conversation does not change when it was last written in.

        Raises:
            NotFound: there is no such conversation, folder, persona or message.
        """
        changes = patch.changes
        if "sampling" in changes:
            changes["sampling"] = changes["sampling"].to_json()
        if changes.get("documents") is not None:
            changes["documents"] = changes["documents"].model_dump()
        async with self._db.session() as session:
            conversation = await find_conversation(session, account_id, conversation_id, lock=True)
            await self._check_places(session, account_id, changes.get("folder_id"), changes.get("persona_id"))
            if "active_leaf_id" in changes:
                await find_message(session, account_id, changes["active_leaf_id"], conversation_id)
            for name, value in changes.items():
                setattr(conversation, name, value)
            if "title" in changes:
                await self._index.put_title(session, conversation)
        return conversation

    async def trash(self, account_id: str, conversation_id: str) -> None:
        """Put a conversation into the trash.

        Raises:
            NotFound: there is none.
        """
        async with self._db.session() as session:
            (await find_conversation(session, account_id, conversation_id, lock=True)).deleted_at = utc_now()

    async def restore(self, account_id: str, conversation_id: str) -> Conversation:
        """Take a conversation out of the trash; one that is not in it stays as it is.

        Raises:
            NotFound: there is none.
        """
        async with self._db.session() as session:
            found = await find_conversation(session, account_id, conversation_id, lock=True, trashed=True)
            found.deleted_at = None
        return found

    async def empty_trash(self, account_id: str) -> None:
        """Delete what is in the trash for good."""
        await self._purge(Conversation.account_id == account_id, Conversation.deleted_at.is_not(None))

    async def purge_old(self) -> None:
        """Delete for good what has been in the trash for `TRASH_DAYS`, of all accounts."""
        await self._purge(Conversation.deleted_at < utc_now() - timedelta(days=TRASH_DAYS))

    async def folders(self, account_id: str) -> list[Folder]:
        """The folders, in their order."""
        async with self._db.reading() as session:
            query = select(Folder).where(Folder.account_id == account_id)
            return list(await session.scalars(query.order_by(Folder.position, Folder.id)))

    async def create_folder(self, account_id: str, new: NewFolder) -> Folder:
        """Add a folder, at the end unless it says where.

        Raises:
            Conflict: there are too many.
        """
        async with self._db.session() as session:
            count, last = (
                await session.execute(
                    select(func.count(), func.max(Folder.position)).where(Folder.account_id == account_id)
                )
            ).one()
            if count >= MAX_FOLDERS:
                raise Conflict(f"there are {count} folders already.", fix="Delete one first.")
            position = new.position if new.position is not None else (last + 1 if last is not None else 0)
            folder = Folder(
                id=new_id("fold"),
                account_id=account_id,
                name=new.name,
                position=position,
                created_at=utc_now(),
            )
            session.add(folder)
        return folder

    async def change_folder(self, account_id: str, folder_id: str, patch: FolderPatch) -> Folder:
        """Rename or move a folder.

        Raises:
            NotFound: there is none.
        """
        async with self._db.session() as session:
            folder = await _find_folder(session, account_id, folder_id)
            for name, value in patch.changes.items():
                setattr(folder, name, value)
        return folder

    async def delete_folder(self, account_id: str, folder_id: str) -> None:
        """Delete a folder; its conversations stay, in none.

        Raises:
            NotFound: there is none.
        """
        async with self._db.session() as session:
            await session.delete(await _find_folder(session, account_id, folder_id))

    async def _check_places(
        self, session: AsyncSession, account_id: str, folder_id: str | None, persona_id: str | None
    ) -> None:
        if folder_id is not None:
            await _find_folder(session, account_id, folder_id)
        if persona_id is not None and persona_id not in self._builtin_personas:
            query = select(Persona.id).where(Persona.id == persona_id, Persona.account_id == account_id)
            if await session.scalar(query) is None:
                raise NotFound("there is no such persona.")

    async def _purge(self, *conditions: Any) -> None:
        doomed = select(Conversation.id).where(*conditions)
        runs = select(Message.run_id).where(Message.conversation_id.in_(doomed), Message.run_id.is_not(None))
        async with self._db.session() as session:
            # What skills did for them goes with them; the audit of calls stays.
            await session.execute(delete(SkillRunRow).where(SkillRunRow.id.in_(runs)))
            await session.execute(delete(Conversation).where(*conditions))


async def messages_of(session: AsyncSession, account_id: str, conversation_id: str) -> list[Message]:
    """All messages of a conversation, oldest first."""
    query = select(Message).where(
        Message.conversation_id == conversation_id, Message.account_id == account_id
    )
    return list(await session.scalars(query.order_by(Message.id)))


async def find_message(
    session: AsyncSession,
    account_id: str,
    message_id: str,
    conversation_id: str | None = None,
    *,
    lock: bool = False,
) -> Message:
    """A message of this account, in a conversation that is not in the trash.

    Raises:
        NotFound: there is none, or not in this conversation.
    """
    query = (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Message.id == message_id,
            Message.account_id == account_id,
            Conversation.account_id == account_id,
            Conversation.deleted_at.is_(None),
        )
    )
    if conversation_id is not None:
        query = query.where(Message.conversation_id == conversation_id)
    if lock:
        query = query.with_for_update(of=Message)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("there is no such message in this conversation.")
    return found


async def save_title(
    session: AsyncSession, index: SearchIndex, conversation: Conversation, title: str
) -> None:
    """Set a conversation's title where it has none."""
    if not conversation.title and title:
        conversation.title = title
        await index.put_title(session, conversation)


async def mark_interrupted(
    session: AsyncSession, before: datetime | None, index: SearchIndex, *, written_here: Collection[str] = ()
) -> None:
    """Replies that nobody writes any more become `interrupted`, and can be found.

    Args:
        session: an open transaction.
        before: replies that were not saved since then; None: all.
        index: is told of them.
        written_here: ids of replies that this server is writing.
    """
    query = select(Message).where(Message.status == "streaming", Message.id.not_in(written_here))
    if before is not None:
        query = query.where(Message.saved_at < before)
    for reply in list(await session.scalars(query.with_for_update(skip_locked=True))):
        reply.status = "interrupted"
        reply.saved_at = utc_now()
        await index.put_message(session, reply)


async def _find_folder(session: AsyncSession, account_id: str, folder_id: str) -> Folder:
    folder = await session.scalar(
        select(Folder).where(Folder.id == folder_id, Folder.account_id == account_id)
    )
    if folder is None:
        raise NotFound("there is no such folder.")
    return folder


def _cursor(row: Conversation) -> str:
    place = json.dumps([row.pinned, row.updated_at.isoformat(), row.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _after(query: Select[Conversation], cursor: str | None) -> Select[Conversation]:
    """Only rows behind a cursor, in descending order of (pinned, updated_at, id)."""
    if not cursor:
        return query
    try:
        pinned, updated_at, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(updated_at)
        is_id = isinstance(row_id, str) and row_id.isascii() and row_id.isprintable()
        if not (isinstance(pinned, bool) and is_id and moment.tzinfo and 1 < moment.year < 9999):
            raise ValueError("not a place in the list")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise InvalidInput("cursor: this is not a cursor of this list.", field="cursor") from error
    behind = tuple_(Conversation.updated_at, Conversation.id) < tuple_(moment, row_id)
    if pinned:
        return query.where(Conversation.pinned.is_(False) | behind)
    return query.where(Conversation.pinned.is_(False), behind)
