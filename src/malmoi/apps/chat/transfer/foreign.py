"""Exports of other chat programs, read into our own format. Failures are ValueErrors that say why.

ChatGPT: `conversations.json`, a list of conversations whose `mapping` is a tree of nodes, many of them
without text (the root, tool calls, hidden messages). Open WebUI: a list of chats whose
`chat.history.messages` is a tree. Nodes without a user's or assistant's text are left out, and their
children go to the next ancestor that stays.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from malmoi.apps.chat.transfer.document import FileConversation, FileMessage
from malmoi.core.hangul import nfc

MAX_NODES = 50_000
_TITLE = 200


def looks_like_chatgpt(item: Any) -> bool:
    """Whether an item of a list is one of ChatGPT's conversations."""
    return isinstance(item, dict) and isinstance(item.get("mapping"), dict)


def looks_like_open_webui(item: Any) -> bool:
    """Whether an item of a list is one of Open WebUI's chats."""
    return isinstance(item, dict) and isinstance(item.get("chat"), dict)


def title_of(item: Any) -> str:
    """The title of a conversation of any format, for a report; empty when it has none."""
    title = item.get("title") if isinstance(item, dict) else None
    if title is None and looks_like_open_webui(item):
        title = item["chat"].get("title")
    return _title(title).encode("utf-8", "replace").decode()


def read_chatgpt(item: Mapping[str, Any]) -> FileConversation:
    """A conversation of ChatGPT's export."""
    began = _moment(item.get("create_time"), None)
    messages = _tree(item["mapping"], "parent", lambda node: _chatgpt_message(node, began))
    current = item.get("current_node")
    kept = {message.id for message in messages}
    return FileConversation(
        title=_title(item.get("title")),
        active_leaf=current if current in kept else None,
        created_at=began,
        updated_at=_moment(item.get("update_time"), began),
        messages=messages,
    )


def read_open_webui(item: Mapping[str, Any]) -> FileConversation:
    """A chat of Open WebUI's export."""
    chat = item["chat"]
    history = chat.get("history")
    nodes = history.get("messages") if isinstance(history, dict) else None
    if not isinstance(nodes, dict):
        raise ValueError("chat.history.messages is missing")
    began = _moment(item.get("created_at") or chat.get("timestamp"), None)
    messages = _tree(nodes, "parentId", lambda node: _open_webui_message(node, began))
    current = history.get("currentId")
    kept = {message.id for message in messages}
    return FileConversation(
        title=_title(item.get("title") or chat.get("title")),
        pinned=item.get("pinned") is True,
        active_leaf=current if current in kept else None,
        created_at=began,
        updated_at=_moment(item.get("updated_at"), began),
        messages=messages,
    )


def _tree(
    nodes: Mapping[str, Any], parent_key: str, read: Callable[[Mapping[str, Any]], FileMessage | None]
) -> list[FileMessage]:
    if len(nodes) > MAX_NODES:
        raise ValueError(f"it has more than {MAX_NODES} messages")
    found: dict[str, FileMessage] = {}
    for node_id, node in nodes.items():
        if not isinstance(node, dict):
            raise ValueError(f"the message {node_id!r} is not an object")
        message = read(node)
        if message is not None:
            found[node_id] = message.model_copy(update={"id": node_id})
    if not found:
        raise ValueError("it has no messages with text")
    known: dict[str, str | None] = {}
    return [
        message.model_copy(update={"parent_id": _kept_ancestor(nodes, parent_key, node_id, found, known)})
        for node_id, message in found.items()
    ]


def _kept_ancestor(
    nodes: Mapping[str, Any],
    parent_key: str,
    node_id: str,
    found: Mapping[str, FileMessage],
    known: dict[str, str | None],
) -> str | None:
    """The nearest ancestor that stays; `known` remembers it, so that each node is passed once."""
    parent = nodes[node_id].get(parent_key)
    passed: dict[str, None] = {}
    while isinstance(parent, str) and parent not in found and parent in nodes:
        if parent in passed:
            raise ValueError("messages follow each other in a circle")
        if parent in known:
            parent = known[parent]
            break
        passed[parent] = None
        parent = nodes[parent].get(parent_key)
    kept = parent if isinstance(parent, str) and parent in found else None
    known.update(dict.fromkeys(passed, kept))
    return kept


def _chatgpt_message(node: Mapping[str, Any], began: datetime) -> FileMessage | None:
    message = node.get("message")
    if not isinstance(message, dict):
        return None
    author = message.get("author")
    role = author.get("role") if isinstance(author, dict) else None
    metadata = message.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    # Calls of tools and hidden instructions are not part of what people read.
    hidden = metadata.get("is_visually_hidden_from_conversation") is True
    to_tool = message.get("recipient") not in (None, "all")
    if role not in ("user", "assistant") or hidden or to_tool:
        return None
    text = _chatgpt_text(message.get("content"))
    if not text.strip():
        return None
    return _message(role, text, metadata.get("model_slug"), _moment(message.get("create_time"), began))


def _chatgpt_text(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    kind = content.get("content_type")
    if kind == "code" and isinstance(content.get("text"), str):
        return f"```\n{content['text']}\n```"
    if kind not in ("text", "multimodal_text"):
        return ""
    pieces = []
    for part in content.get("parts") or []:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, dict):
            if isinstance(part.get("text"), str):
                pieces.append(part["text"])
            elif "image" in str(part.get("content_type")):
                pieces.append("[image]")
    return "\n".join(piece for piece in pieces if piece)


def _open_webui_message(node: Mapping[str, Any], began: datetime) -> FileMessage | None:
    role, content = node.get("role"), node.get("content")
    if role not in ("user", "assistant") or not isinstance(content, str) or not content.strip():
        return None
    return _message(role, content, node.get("model"), _moment(node.get("timestamp"), began))


def _message(
    role: Literal["user", "assistant"], content: str, model: Any, created_at: datetime
) -> FileMessage:
    told = model if isinstance(model, str) and role == "assistant" else None
    return FileMessage(id="-", role=role, content=content, model=told, created_at=created_at)


def _title(title: Any) -> str:
    return nfc(" ".join(title.split()).replace("\x00", ""))[:_TITLE] if isinstance(title, str) else ""


def _moment(seconds: Any, otherwise: datetime | None) -> datetime:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e14:
        # Some versions write milliseconds or nanoseconds.
        while seconds > 1e11:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    return otherwise or datetime.now(UTC)
