"""A conversation as a Markdown document: the branch that is shown, in reading order."""

import re
from collections.abc import Sequence

from malmoi.apps.chat.tables import Conversation, Message
from malmoi.core.hangul import is_hangul

_NAMES = {True: ("나", "답", "생각"), False: ("Me", "Answer", "Reasoning")}


def to_markdown(conversation: Conversation, branch: Sequence[Message]) -> str:
    """The document; its headings are Korean when the first message is."""
    korean = bool(branch) and any(is_hangul(char) for char in branch[0].content)
    me, answer, reasoning = _NAMES[korean]
    title = " ".join(conversation.title.split()) or answer
    lines = [f"# {title}", "", f"*{conversation.created_at:%Y-%m-%d}*", ""]
    for message in branch:
        who = me if message.role == "user" else answer
        model = f" ({message.model})" if message.role == "assistant" and message.model else ""
        lines += [f"## {who}{model}", ""]
        if message.reasoning:
            quoted = "\n".join(f"> {line}".rstrip() for line in message.reasoning.splitlines())
            lines += [f"> **{reasoning}**", ">", quoted, ""]
        # A heading of the text must not look like one of ours.
        lines += [re.sub(r"^(#{1,4})(?=\s)", r"##\1", message.content.rstrip(), flags=re.MULTILINE), ""]
    return "\n".join(lines)
