"""Export and import of an account's conversations."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.conversations import find_conversation, messages_of
from malmoi.apps.chat.search import SearchIndex
from malmoi.apps.chat.tables import Conversation, Folder, Message, Persona
from malmoi.apps.chat.transfer.document import (
    VERSION,
    FileConversation,
    FileFolder,
    FileForm,
    FileHead,
    FileMessage,
    FilePersona,
    document,
)
from malmoi.apps.chat.transfer.foreign import (
    looks_like_chatgpt,
    looks_like_open_webui,
    read_chatgpt,
    read_open_webui,
    title_of,
)
from malmoi.apps.chat.transfer.markdown import to_markdown
from malmoi.apps.chat.tree import in_order, newest_leaf, path_to
from malmoi.apps.chat.types import ImportReport, SamplingOptions, Skipped
from malmoi.assist.templates import Template, fill_form
from malmoi.core.errors import InvalidInput
from malmoi.serve.db import Database, new_id, utc_now


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
    """Writes files of conversations, and adds conversations from files."""

    def __init__(self, db: Database, index: SearchIndex, builtin_personas: Mapping[str, Template]) -> None:
        self._db = db
        self._index = index
        self._builtin_personas = builtin_personas

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

    async def import_all(self, account_id: str, body: bytes) -> ImportReport:
        """Add every conversation of a file; one that cannot be read is skipped and reported.

        Raises:
            InvalidInput: the file is not one that can be read at all.
        """
        items, head = await asyncio.to_thread(_open_file, body)
        places = await self._prepare_places(account_id, head)
        imported = 0
        skipped: list[Skipped] = []
        for index, item in enumerate(items):
            try:
                conversation = await asyncio.to_thread(_read_item, item, head is not None)
                async with self._db.session() as session:
                    await self._add(session, account_id, conversation, places)
                imported += 1
            except ValueError as error:
                skipped.append(Skipped(index=index, title=title_of(item), reason=_reason(error)))
        return ImportReport(imported=imported, skipped=skipped)

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
            _file_conversation(conversation, await messages_of(session, account_id, conversation.id))
            for conversation in conversations
        ]
        whole = document(
            [FileFolder(id=f.id, name=f.name, position=f.position) for f in folders if f.id in folder_ids],
            [_file_persona(persona) for persona in personas if persona.id in persona_ids],
            files,
            utc_now(),
        )
        return await asyncio.to_thread(_encode, whole)

    async def _prepare_places(self, account_id: str, head: FileHead | None) -> _Places:
        """Folders with the same name and personas with the same text are used; others are made."""
        if head is None:
            return _Places({}, {})
        used_folders, used_personas = _used(head)
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
                    session.add(_persona_row(account_id, by_text[key], persona))
                personas[persona.id] = by_text[key]
        return _Places(folders, personas)

    async def _add(
        self, session: AsyncSession, account_id: str, conversation: FileConversation, places: _Places
    ) -> None:
        messages = in_order(conversation.messages)
        ids = {message.id: new_id("msg") for message in sorted(messages, key=lambda m: m.created_at)}
        ids = _rising(ids, messages)
        row = Conversation(
            id=new_id("conv"),
            account_id=account_id,
            title=conversation.title,
            folder_id=places.folders.get(conversation.folder or ""),
            model=conversation.model,
            persona_id=places.personas.get(conversation.persona or ""),
            sampling=conversation.sampling.to_json(),
            form=self._form(conversation),
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
        rows = [_message_row(message, row, ids) for message in messages]
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


def _open_file(body: bytes) -> tuple[list[Any], FileHead | None]:
    """The conversations of a file, and the head of one of ours."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "the file is not valid JSON.", fix="Choose a file that a chat has exported."
        ) from error
    if isinstance(data, dict) and data.get("format") == "malmoi.chat":
        return _open_own(data)
    items = data if isinstance(data, list) else [data]
    if not items or not any(looks_like_chatgpt(item) or looks_like_open_webui(item) for item in items):
        raise InvalidInput(
            "the file is none of the known exports.",
            fix="Choose an export of this chat, ChatGPT's conversations.json, or an export of Open WebUI.",
        )
    return items, None


def _open_own(data: dict[str, Any]) -> tuple[list[Any], FileHead]:
    try:
        head = FileHead.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"the file is damaged: {_reason(error)}") from error
    if head.version > VERSION:
        raise InvalidInput(
            f"the file has version {head.version}, but this program reads up to version {VERSION}.",
            fix="Update Malmoi.",
        )
    return head.conversations, head


def _read_item(item: Any, own: bool) -> FileConversation:
    if own:
        return FileConversation.model_validate(item)
    if looks_like_chatgpt(item):
        return read_chatgpt(item)
    if looks_like_open_webui(item):
        return read_open_webui(item)
    raise ValueError("it is not a conversation")


def _used(head: FileHead) -> tuple[set[Any], set[Any]]:
    items = [item for item in head.conversations if isinstance(item, dict)]
    folders = {item.get("folder") for item in items if isinstance(item.get("folder"), str)}
    personas = {item.get("persona") for item in items if isinstance(item.get("persona"), str)}
    return folders, personas


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        return f"{where}: {first['msg']}"
    return str(error)


def _encode(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, indent=1).encode()


def _file_conversation(conversation: Conversation, messages: list[Message]) -> FileConversation:
    return FileConversation(
        title=conversation.title,
        folder=conversation.folder_id,
        persona=conversation.persona_id,
        model=conversation.model,
        sampling=SamplingOptions.model_validate(conversation.sampling),
        form=FileForm(**{key: conversation.form[key] for key in ("language", "values")})
        if conversation.form is not None
        else None,
        pinned=conversation.pinned,
        active_leaf=conversation.active_leaf_id,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        messages=[_file_message(message) for message in messages],
    )


def _file_message(message: Message) -> FileMessage:
    return FileMessage.model_validate(
        {
            "id": message.id,
            "parent_id": message.parent_id,
            "role": message.role,
            "content": message.content,
            "reasoning": message.reasoning,
            # A reply that is being written, or waits for a yes, is a cut-off one in the file.
            "status": "interrupted" if message.status in ("streaming", "waiting") else message.status,
            "finish_reason": message.finish_reason,
            "error": message.error,
            "model": message.model,
            "usage": message.usage,
            "created_at": message.created_at,
        }
    )


def _file_persona(persona: Persona) -> FilePersona:
    return FilePersona(
        id=persona.id,
        name=persona.name,
        description=persona.description,
        system_prompt=persona.system_prompt,
        model=persona.model,
        sampling=SamplingOptions.model_validate(persona.sampling),
    )


def _persona_row(account_id: str, persona_id: str, persona: FilePersona) -> Persona:
    now = utc_now()
    return Persona(
        id=persona_id,
        account_id=account_id,
        name=persona.name,
        description=persona.description,
        system_prompt=persona.system_prompt,
        model=persona.model,
        sampling=persona.sampling.to_json(),
        created_at=now,
        updated_at=now,
    )


def _message_row(message: FileMessage, conversation: Conversation, ids: Mapping[str, str]) -> Message:
    return Message(
        id=ids[message.id],
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        parent_id=ids[message.parent_id] if message.parent_id else None,
        role=message.role,
        content=message.content,
        reasoning=message.reasoning,
        status=message.status,
        finish_reason=message.finish_reason,
        error=message.error.model_dump() if message.error else None,
        model=message.model,
        usage=message.usage.model_dump() if message.usage else None,
        client_id=None,
        created_at=message.created_at,
        saved_at=utc_now(),
    )
