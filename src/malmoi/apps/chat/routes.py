"""The chat's HTTP interface. A handler parses, calls one service, and renders."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from malmoi.apps.chat.replies import Begun
from malmoi.apps.chat.service import Chat
from malmoi.apps.chat.types import (
    ConversationOut,
    ConversationPage,
    ConversationPatch,
    ConversationTree,
    FolderOut,
    FolderPatch,
    Id,
    ImportReport,
    MessageOut,
    NewConversation,
    NewFolder,
    NewMessage,
    NewPersona,
    PersonaOut,
    PersonaPatch,
    Regenerate,
    SearchItem,
    TemplateOut,
)
from malmoi.serve.errors import envelope
from malmoi.serve.identity import Principal, require
from malmoi.serve.skills.types import ApproveBody, DenyBody
from malmoi.serve.sse import EventStream, event

Caller = Annotated[Principal, Depends(require("chat"))]
Person = Annotated[Principal, Depends(require("approvals"))]
Limit = Annotated[int, Query(ge=1, le=200)]
FolderQuery = Annotated[
    str | None,
    Query(max_length=40, pattern=r"^[A-Za-z0-9_.-]*$", description="A folder's id; `none`: in no folder."),
]


def chat_router(chat: Chat, *, send_timeout: float) -> APIRouter:
    """The routes under `/api/chat`.

    Args:
        chat: the services of the app.
        send_timeout: seconds that one write of a stream may take.
    """
    router = APIRouter(prefix="/api/chat", tags=["chat"])
    router.include_router(_conversation_routes(chat))
    router.include_router(_message_routes(chat, send_timeout))
    router.include_router(_folder_routes(chat))
    router.include_router(_persona_routes(chat))
    router.include_router(_template_routes(chat))
    router.include_router(_transfer_routes(chat))
    return router


def _conversation_routes(chat: Chat) -> APIRouter:
    router = APIRouter()

    @router.get("/conversations", summary="List conversations")
    async def list_conversations(
        caller: Caller, folder_id: FolderQuery = None, cursor: str | None = None, limit: Limit = 50
    ) -> ConversationPage:
        items, next_cursor = await chat.conversations.page(
            caller.account_id, folder_id=folder_id or None, cursor=cursor or None, limit=limit
        )
        return ConversationPage(items=[_conversation(item) for item in items], next_cursor=next_cursor)

    @router.post("/conversations", status_code=201, summary="Begin a conversation")
    async def create_conversation(caller: Caller, body: NewConversation) -> ConversationOut:
        await chat.library.check(caller, body.documents)
        return _conversation(await chat.conversations.create(caller.account_id, body))

    @router.get("/conversations/{conversation_id}", summary="A conversation with all its branches")
    async def read_conversation(caller: Caller, conversation_id: Id) -> ConversationTree:
        conversation, messages = await chat.conversations.tree(caller.account_id, conversation_id)
        return ConversationTree(
            conversation=_conversation(conversation), messages=[chat.shown(message) for message in messages]
        )

    @router.patch("/conversations/{conversation_id}", summary="Change a conversation")
    async def change_conversation(
        caller: Caller, conversation_id: Id, body: ConversationPatch
    ) -> ConversationOut:
        await chat.library.check(caller, body.documents)
        return _conversation(await chat.conversations.change(caller.account_id, conversation_id, body))

    @router.delete("/conversations/{conversation_id}", status_code=204, summary="Put it into the trash")
    async def trash_conversation(caller: Caller, conversation_id: Id) -> None:
        await chat.trash(caller.account_id, conversation_id)

    @router.post("/conversations/{conversation_id}/restore", summary="Take it out of the trash")
    async def restore_conversation(caller: Caller, conversation_id: Id) -> ConversationOut:
        return _conversation(await chat.conversations.restore(caller.account_id, conversation_id))

    @router.get("/trash", summary="List the trash")
    async def list_trash(caller: Caller, cursor: str | None = None, limit: Limit = 50) -> ConversationPage:
        items, next_cursor = await chat.conversations.page(
            caller.account_id, folder_id=None, cursor=cursor or None, limit=limit, trash=True
        )
        return ConversationPage(items=[_conversation(item) for item in items], next_cursor=next_cursor)

    @router.delete("/trash", status_code=204, summary="Delete what is in the trash for good")
    async def empty_trash(caller: Caller) -> None:
        await chat.conversations.empty_trash(caller.account_id)

    @router.get("/search", summary="Find messages and titles")
    async def search(
        caller: Caller,
        q: Annotated[str, Query(max_length=2000)],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> dict[str, list[SearchItem]]:
        return {"items": await chat.index.search(caller.account_id, q, limit=limit)}

    return router


def _message_routes(chat: Chat, send_timeout: float) -> APIRouter:
    router = APIRouter()
    streams: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}

    def stream(account_id: str, begun: Begun, *, with_message: bool) -> EventStream:
        events = _encoded(chat, account_id, begun, with_message=with_message)
        return EventStream(events, on_error=_error_event, send_timeout=send_timeout)

    @router.post(
        "/conversations/{conversation_id}/messages",
        response_class=Response,
        responses=streams,
        summary="Ask, and follow the reply",
    )
    async def send_message(caller: Caller, conversation_id: Id, body: NewMessage) -> Response:
        begun = await chat.replies.ask(caller, conversation_id, body)
        return stream(caller.account_id, begun, with_message=True)

    @router.post(
        "/messages/{message_id}/regenerate",
        response_class=Response,
        responses=streams,
        summary="Write another reply, and follow it",
    )
    async def regenerate(caller: Caller, message_id: Id, body: Regenerate | None = None) -> Response:
        begun = await chat.replies.regenerate(caller, message_id, body or Regenerate())
        return stream(caller.account_id, begun, with_message=True)

    @router.get(
        "/messages/{message_id}/events",
        response_class=Response,
        responses=streams,
        summary="Follow a reply that is being written",
    )
    async def follow(caller: Caller, message_id: Id) -> Response:
        begun = await chat.replies.attach(caller.account_id, message_id)
        return stream(caller.account_id, begun, with_message=False)

    @router.post("/messages/{message_id}/stop", summary="End a reply")
    async def stop(caller: Caller, message_id: Id) -> MessageOut:
        return chat.shown(await chat.replies.stop_reply(caller, message_id))

    @router.post(
        "/messages/{message_id}/approve",
        response_class=Response,
        responses=streams,
        summary="Say yes to the call that a reply waits for, and follow the reply",
    )
    async def approve(caller: Caller, _: Person, message_id: Id, body: ApproveBody) -> Response:
        begun = await chat.replies.approve(
            caller, message_id, call_id=body.call_id, arguments_hash=body.arguments_hash
        )
        return stream(caller.account_id, begun, with_message=True)

    @router.post("/messages/{message_id}/deny", summary="Say no to the call that a reply waits for")
    async def deny(caller: Caller, _: Person, message_id: Id, body: DenyBody) -> MessageOut:
        return chat.shown(await chat.replies.deny(caller, message_id, call_id=body.call_id))

    return router


def _folder_routes(chat: Chat) -> APIRouter:
    router = APIRouter(prefix="/folders")

    @router.get("", summary="List folders")
    async def list_folders(caller: Caller) -> dict[str, list[FolderOut]]:
        return {"items": [_folder(folder) for folder in await chat.conversations.folders(caller.account_id)]}

    @router.post("", status_code=201, summary="Add a folder")
    async def create_folder(caller: Caller, body: NewFolder) -> FolderOut:
        return _folder(await chat.conversations.create_folder(caller.account_id, body))

    @router.patch("/{folder_id}", summary="Rename or move a folder")
    async def change_folder(caller: Caller, folder_id: Id, body: FolderPatch) -> FolderOut:
        return _folder(await chat.conversations.change_folder(caller.account_id, folder_id, body))

    @router.delete("/{folder_id}", status_code=204, summary="Delete a folder; its conversations stay")
    async def delete_folder(caller: Caller, folder_id: Id) -> None:
        await chat.conversations.delete_folder(caller.account_id, folder_id)

    return router


def _persona_routes(chat: Chat) -> APIRouter:
    router = APIRouter(prefix="/personas")

    @router.get("", summary="List personas")
    async def list_personas(caller: Caller) -> dict[str, list[PersonaOut]]:
        return {"items": await chat.personas.all(caller.account_id)}

    @router.post("", status_code=201, summary="Add a persona")
    async def create_persona(caller: Caller, body: NewPersona) -> PersonaOut:
        return await chat.personas.create(caller.account_id, body)

    @router.patch("/{persona_id}", summary="Change a persona of one's own")
    async def change_persona(caller: Caller, persona_id: Id, body: PersonaPatch) -> PersonaOut:
        return await chat.personas.change(caller.account_id, persona_id, body)

    @router.delete("/{persona_id}", status_code=204, summary="Delete a persona of one's own")
    async def delete_persona(caller: Caller, persona_id: Id) -> None:
        await chat.personas.delete(caller.account_id, persona_id)

    return router


def _template_routes(chat: Chat) -> APIRouter:
    router = APIRouter()

    @router.get("/templates", summary="What a conversation can begin from")
    async def list_templates(caller: Caller) -> dict[str, list[TemplateOut]]:
        return {"items": await chat.templates.all()}

    return router


def _transfer_routes(chat: Chat) -> APIRouter:
    router = APIRouter()

    @router.get("/conversations/{conversation_id}/export", response_class=Response, summary="Save one")
    async def export_one(
        caller: Caller,
        conversation_id: Id,
        format: Annotated[str, Query(pattern="^(json|md)$")] = "json",
    ) -> Response:
        document = await chat.transfer.export_one(
            caller.account_id, conversation_id, as_markdown=format == "md"
        )
        return _download(document.content, document.media_type, document.file_name)

    @router.get("/export", response_class=Response, summary="Save all")
    async def export_all(caller: Caller) -> Response:
        document = await chat.transfer.export_all(caller.account_id)
        return _download(document.content, document.media_type, document.file_name)

    @router.post("/import", summary="Add conversations from a file")
    async def import_conversations(caller: Caller, request: Request) -> ImportReport:
        return await chat.transfer.import_all(caller, await request.body())

    return router


async def _encoded(
    chat: Chat, account_id: str, begun: Begun, *, with_message: bool
) -> AsyncGenerator[bytes, None]:
    """A reply as server-sent events."""
    if with_message:
        user = None if begun.user is None else chat.shown(begun.user).model_dump(mode="json")
        yield event({"user": user, "reply": chat.shown(begun.reply).model_dump(mode="json")}, name="message")
    async with aclosing(chat.replies.events(account_id, begun)) as items:
        async for item in items:
            match item.name:
                case "snapshot":
                    pieces = {"content": item.content, "reasoning": item.reasoning}
                    yield event({**pieces, "stages": item.data or []}, name="snapshot")
                case "title":
                    yield event({"title": item.content}, name="title")
                case "token":
                    pieces = {"text": item.content, "reasoning": item.reasoning}
                    yield event({name: piece for name, piece in pieces.items() if piece}, name="token")
                case "sources" | "citation" | "stage":
                    yield event(item.data, name=item.name)
                case "done":
                    yield await _last_event(chat, account_id, begun.reply.id)


async def _last_event(chat: Chat, account_id: str, message_id: str) -> bytes:
    message = await chat.replies.saved(account_id, message_id)
    if message is None:  # deleted, with its conversation
        return event({"message": None}, name="done")
    shown = chat.shown(message).model_dump(mode="json")
    if shown["error"] is not None:
        return event({"error": shown["error"], "message": shown}, name="error")
    return event({"message": shown}, name="done")


def _error_event(error: Exception) -> bytes:
    """A failure of the stream itself; the reply may well go on."""
    return event({**envelope(error, "own"), "message": None}, name="error")


def _conversation(row: object) -> ConversationOut:
    return ConversationOut.model_validate(row)


def _folder(row: Any) -> FolderOut:
    return FolderOut(id=row.id, name=row.name, position=row.position)


def _download(content: bytes, media_type: str, file_name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)
