"""How a conversation from a template begins: its form, its title, and what the assistant says first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from malmoi.apps.chat.prompts import Turn
from malmoi.apps.chat.tables import Conversation, Message
from malmoi.apps.chat.types import NewConversation
from malmoi.assist.guard.sentences import language_of
from malmoi.assist.templates import Form, Template, fill_form, opening
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import InvalidInput
from malmoi.serve.db import new_id, utc_now

OPENING = "opening"
"""The finish reason of a message that a template said, and no model wrote."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a conversation from a template begins with."""

    form: Form
    title: str
    opening: str


def begin(templates: Mapping[str, Template], new: NewConversation) -> Beginning | None:
    """The beginning that is asked for; None: an ordinary one.

    Raises:
        InvalidInput: a form without a template, or one that does not fit it.
    """
    if new.form is None:
        return None
    template = templates.get(new.persona_id or "")
    if template is None:
        raise InvalidInput(
            "a form belongs to a template.", field="form", fix="Give the template's id as persona_id."
        )
    try:
        form = fill_form(template, new.form.language, new.form.values)
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"form.{error.field}", fix=error.fix) from error
    return Beginning(form, template.name.of(form.language), opening(template, form))


def opening_message(conversation: Conversation, text: str) -> Message:
    """The assistant's first message."""
    now = utc_now()
    return Message(
        id=new_id("msg"),
        account_id=conversation.account_id,
        conversation_id=conversation.id,
        parent_id=None,
        role="assistant",
        content=text,
        reasoning="",
        status="complete",
        finish_reason=OPENING,
        error=None,
        model=None,
        usage=None,
        client_id=None,
        created_at=now,
        saved_at=now,
    )


def with_opening(system: str, branch: Sequence[Turn]) -> str:
    """The system prompt with what the assistant said first: models expect that a person begins."""
    if not branch or branch[0].role != "assistant" or not branch[0].content:
        return system
    said = branch[0].content
    return f"{system}\n\n{Texts('form', language_of(said))('opened')}{said}".strip()
