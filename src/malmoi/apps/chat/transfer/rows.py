"""Between the rows of the tables and the parts of a file."""

from collections.abc import Mapping

from malmoi.apps.chat.tables import Conversation, Message, Persona
from malmoi.apps.chat.transfer.document import FileConversation, FileForm, FileMessage, FilePersona
from malmoi.apps.chat.types import DocumentChoice, Grounds, SamplingOptions
from malmoi.serve.db import utc_now


def file_conversation(conversation: Conversation, messages: list[Message]) -> FileConversation:
    """A conversation for a file."""
    return FileConversation(
        title=conversation.title,
        folder=conversation.folder_id,
        persona=conversation.persona_id,
        model=conversation.model,
        sampling=SamplingOptions.model_validate(conversation.sampling),
        documents=None
        if conversation.documents is None
        else DocumentChoice.model_validate(conversation.documents),
        form=FileForm(**{key: conversation.form[key] for key in ("language", "values")})
        if conversation.form is not None
        else None,
        pinned=conversation.pinned,
        active_leaf=conversation.active_leaf_id,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        messages=[file_message(message) for message in messages],
    )


def file_message(message: Message) -> FileMessage:
    """A message for a file."""
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
            "grounds": message.grounds,
            "created_at": message.created_at,
        }
    )


def file_persona(persona: Persona) -> FilePersona:
    """A persona for a file."""
    return FilePersona(
        id=persona.id,
        name=persona.name,
        description=persona.description,
        system_prompt=persona.system_prompt,
        model=persona.model,
        sampling=SamplingOptions.model_validate(persona.sampling),
    )


def persona_row(account_id: str, persona_id: str, persona: FilePersona) -> Persona:
    """A persona of a file, as the account's own."""
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


def message_row(
    message: FileMessage, conversation: Conversation, ids: Mapping[str, str], grounds: Grounds | None
) -> Message:
    """A message of a file, with its new id and those of its grounds that hold here."""
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
        grounds=grounds.model_dump() if grounds else None,
        client_id=None,
        created_at=message.created_at,
        saved_at=utc_now(),
    )
