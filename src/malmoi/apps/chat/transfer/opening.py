"""Files as they are brought: which program wrote them, and their conversations one by one."""

import json
from typing import Any

from pydantic import ValidationError

from malmoi.apps.chat.transfer.document import FORMAT, VERSION, FileConversation, FileHead
from malmoi.apps.chat.transfer.foreign import (
    looks_like_chatgpt,
    looks_like_open_webui,
    read_chatgpt,
    read_open_webui,
)
from malmoi.core.errors import InvalidInput


def open_file(body: bytes) -> tuple[list[Any], FileHead | None]:
    """The conversations of a file, and the head of one of ours.

    Raises:
        InvalidInput: the file is not one that can be read at all.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            "the file is not valid JSON.", fix="Choose a file that a chat has exported."
        ) from error
    if isinstance(data, dict) and data.get("format") == FORMAT:
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
        raise InvalidInput(f"the file is damaged: {reason(error)}") from error
    if head.version > VERSION:
        raise InvalidInput(
            f"the file has version {head.version}, but this program reads up to version {VERSION}.",
            fix="Update Malmoi.",
        )
    return head.conversations, head


def read_item(item: Any, own: bool) -> FileConversation:
    """One conversation of a file, of ours or of another program.

    Raises:
        ValueError: it is not one, or damaged.
    """
    if own:
        return FileConversation.model_validate(item)
    if looks_like_chatgpt(item):
        return read_chatgpt(item)
    if looks_like_open_webui(item):
        return read_open_webui(item)
    raise ValueError("it is not a conversation")


def used(head: FileHead) -> tuple[set[Any], set[Any]]:
    """The folders and personas that a file's conversations name."""
    items = [item for item in head.conversations if isinstance(item, dict)]
    folders = {item.get("folder") for item in items if isinstance(item.get("folder"), str)}
    personas = {item.get("persona") for item in items if isinstance(item.get("persona"), str)}
    return folders, personas


def reason(error: ValueError) -> str:
    """Why a file or a conversation cannot be read, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        return f"{where}: {first['msg']}"
    return str(error)
