"""Export and import of an account's conversations."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.conversations import find_conversation, messages_of
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.tables import Conversation, Folder, Persona
from malmoi.apps.chat.transfer.document import (
    FileConversation,
    FileFolder,
    FileHead,
    FileMessage,
    document,
)
from malmoi.apps.chat.transfer.foreign import title_of
from malmoi.apps.chat.transfer.markdown import to_markdown
from malmoi.apps.chat.transfer.opening import open_file, read_item, reason, used
from malmoi.apps.chat.transfer.references import Known, referred
from malmoi.apps.chat.transfer.rows import (
    file_conversation,
    file_persona,
    message_row,
    persona_row,
)
from malmoi.apps.chat.tree import in_order, newest_leaf, path_to
from malmoi.apps.chat.types import ImportReport, Skipped
from malmoi.assist.templates import Template, fill_form
from malmoi.core.errors import InvalidInput
from malmoi.serve.db import Database, new_id, utc_now

if TYPE_CHECKING:
    from malmoi.serve.documents import Documents
    from malmoi.serve.identity import Principal


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be saved; its name is plain ASCII."""

    content: bytes
    media_type: str
    file_name: str


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the file's folders and personas are in the account."""

    folders: Mapping[str, str]
    personas: Mapping[str, str]


class Transfer:
    """Writes files of conversations, and adds conversations from files.

    Args:
        db: the database.
        index: of the search, which learns what is added.
        builtin_personas: those that every account has.
        documents: those of the server, which answers refer to; None: there are none here.
    """

    def __init__(
        self,
        db: Database,
        index: SearchIndex,
        builtin_personas: Mapping[str, Template],
        documents: "Documents | None" = None,
    ) -> None:
        self._db = db
        self._index = index
        self._builtin_personas = builtin_personas
        self._documents = documents

    async def export_one(self, account_id: str, conversation_id: str, *, as_markdown: bool) -> Document:
        """One conversation: all of it as JSON, or the branch that is shown as Markdown.

        Raises:
            NotFound: there is none.
        """
        async with self._db.reading() as session:
            conversation = await find_conversation(session, account_id, conversation_id)
            messages = await messages_of(session, account_id, conversation_id)
            stamp = f"{conversation.created_at:%Y-%m-%d}"
            if as_markdown:
                text = to_markdown(conversation, path_to(messages, conversation.active_leaf_id))
                return Document(text.encode(), "text/markdown; charset=utf-8", f"chat-{stamp}.md")
            content = await self._json(session, account_id, [conversation])
        return Document(content, "application/json", f"chat-{stamp}.json")

    async def export_all(self, account_id: str) -> Document:
        """All conversations that are not in the trash, with folders and personas, as JSON."""
        async with self._db.reading() as session:
            query = select(Conversation).where(
                Conversation.account_id == account_id, Conversation.deleted_at.is_(None)
            )
            conversations = list(await session.scalars(query.order_by(Conversation.id)))
            content = await self._json(session, account_id, conversations)
        return Document(content, "application/json", f"chats-{utc_now():%Y-%m-%d}.json")

    async def import_all(self, principal: "Principal", body: bytes) -> ImportReport:
        """Add every conversation of a file; one that cannot be read is skipped and reported.

        What refers to documents that the principal may not read here is left out.

        Raises:
            InvalidInput: the file is not one that can be read at all.
        """
        items, head = await asyncio.to_thread(open_file, body)
        places = await self._prepare_places(principal.account_id, head)
        imported = 0
        skipped: list[Skipped] = []
        for index, item in enumerate(items):
            try:
                conversation = await asyncio.to_thread(read_item, item, head is not None)
                known = await self._known(principal, conversation)
                async with self._db.session() as session:
                    await self._add(session, principal.account_id, conversation, places, known)
                imported += 1
            except ValueError as error:
                skipped.append(Skipped(index=index, title=title_of(item), reason=reason(error)))
        return ImportReport(imported=imported, skipped=skipped)

    async def _known(self, principal: "Principal", conversation: FileConversation) -> Known:
        """What a conversation refers to, as far as it is here and the principal may read it."""
        collections, documents = referred(conversation)
        if self._documents is None or not (collections or documents):
            return Known()
        readable = {one.id for one in await self._documents.collections.all(principal)}
        found = await self._documents.library.readable(principal, documents)
        return Known(frozenset(collections & readable), frozenset(found))

    async def _json(self, session: AsyncSession, account_id: str, conversations: list[Conversation]) -> bytes:
        folder_ids = {conversation.folder_id for conversation in conversations}
        persona_ids = {conversation.persona_id for conversation in conversations}
        folders = await session.scalars(
            select(Folder).where(Folder.account_id == account_id).order_by(Folder.position, Folder.id)
        )
        personas = await session.scalars(
            select(Persona).where(Persona.account_id == account_id).order_by(Persona.id)
        )
        files = [
            file_conversation(conversation, await messages_of(session, account_id, conversation.id))
            for conversation in conversations
        ]
        whole = document(
            [FileFolder(id=f.id, name=f.name, position=f.position) for f in folders if f.id in folder_ids],
            [file_persona(persona) for persona in personas if persona.id in persona_ids],
            files,
            utc_now(),
        )
        return await asyncio.to_thread(_encode, whole)

    async def _prepare_places(self, account_id: str, head: FileHead | None) -> _Places:
        """Folders with the same name and personas with the same text are used; others are made."""
        if head is None:
            return _Places({}, {})
        used_folders, used_personas = used(head)
        async with self._db.session() as session:
            own_folders = list(await session.scalars(select(Folder).where(Folder.account_id == account_id)))
            by_name = {folder.name: folder.id for folder in own_folders}
            folders: dict[str, str] = {}
            for folder in head.folders:
                if folder.id not in used_folders:
                    continue
                if folder.name not in by_name:
                    by_name[folder.name] = new_id("fold")
                    session.add(
                        Folder(
                            id=by_name[folder.name],
                            account_id=account_id,
                            name=folder.name,
                            position=folder.position,
                            created_at=utc_now(),
                        )
                    )
                folders[folder.id] = by_name[folder.name]
            own_personas = list(
                await session.scalars(select(Persona).where(Persona.account_id == account_id))
            )
            by_text = {(persona.name, persona.system_prompt): persona.id for persona in own_personas}
            personas = {persona_id: persona_id for persona_id in self._builtin_personas}
            for persona in head.personas:
                if persona.id not in used_personas:
                    continue
                key = (persona.name, persona.system_prompt)
                if key not in by_text:
                    by_text[key] = new_id("pers")
                    session.add(persona_row(account_id, by_text[key], persona))
                personas[persona.id] = by_text[key]
        return _Places(folders, personas)

    async def _add(
        self,
        session: AsyncSession,
        account_id: str,
        conversation: FileConversation,
        places: _Places,
        known: Known,
    ) -> None:
        messages = in_order(conversation.messages)
        ids = {message.id: new_id("msg") for message in sorted(messages, key=lambda m: m.created_at)}
        ids = _rising(ids, messages)
        choice = known.choice(conversation.documents)
        row = Conversation(
            id=new_id("conv"),
            account_id=account_id,
            title=conversation.title,
            folder_id=places.folders.get(conversation.folder or ""),
            model=conversation.model,
            persona_id=places.personas.get(conversation.persona or ""),
            sampling=conversation.sampling.to_json(),
            form=self._form(conversation),
            documents=choice.model_dump() if choice is not None else None,
            pinned=conversation.pinned,
            active_leaf_id=None,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            deleted_at=None,
        )
        if messages:
            leaf = ids.get(conversation.active_leaf or "")
            row.active_leaf_id = leaf or newest_leaf(_Linked.all(messages, ids), ids[messages[0].id])
        session.add(row)
        await session.flush()
        await self._index.put_title(session, row)
        rows = [
            message_row(message, row, ids, known.grounds(message.grounds, message.content))
            for message in messages
        ]
        # Rows are written in the order in which they are added: parents first.
        session.add_all(rows)
        await session.flush()
        await self._index.put_new_messages(session, rows)

    def _form(self, conversation: FileConversation) -> dict[str, Any] | None:
        """What was filled in, with marks that the file does not know; a form that does not fit is dropped."""
        template = self._builtin_personas.get(conversation.persona or "")
        if template is None or conversation.form is None:
            return None
        try:
            form = fill_form(template, conversation.form.language, conversation.form.values)
        except InvalidInput:
            return None
        return form.model_dump(mode="json")


@dataclass(frozen=True, slots=True)
class _Linked:
    id: str
    parent_id: str | None

    @classmethod
    def all(cls, messages: list[FileMessage], ids: Mapping[str, str]) -> list["_Linked"]:
        return [cls(ids[m.id], ids[m.parent_id] if m.parent_id else None) for m in messages]


def _rising(ids: Mapping[str, str], messages: list[FileMessage]) -> dict[str, str]:
    """Ids that sort parents before children even where the file's times do not."""
    moved = dict(ids)
    for message in messages:
        if message.parent_id and moved[message.parent_id] >= moved[message.id]:
            moved[message.id] = new_id("msg")
    return moved


def _encode(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1).encode()
