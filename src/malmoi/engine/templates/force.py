"""Begin the model's turn with a tool call when the request demands one.

A model that has already written `<tool_call>` goes on with the call; this needs no grammar and works in every
engine.
"""

import json

from malmoi.core.types import ToolChoice
from malmoi.engine.templates.base import Style


def forced_prefix(style: Style, choice: ToolChoice, prefix: str) -> str:
    """What to add to the prompt for `tool_choice` "required" or a named function; else nothing.

    Empty also while the prompt ends in an opened thought (`prefix`): the model shall think first.
    """
    if choice.mode not in ("required", "function") or _thinks(prefix):
        return ""
    name = choice.name if choice.mode == "function" else None
    quoted = json.dumps(name, ensure_ascii=False) if name else ""
    match style:
        case "qwen" | "chatml":
            return f'<tool_call>\n{{"name": {quoted}, "arguments":' if name else '<tool_call>\n{"name": "'
        case "hyperclovax-think":
            return f"<tool_call>{name}\n" if name else "<tool_call>"
        case "hyperclovax-seed":
            if prefix:  # the header of the block is already closed: too late to make it a call
                return ""
            opened = " -> tool/function_call\n"
            return f'{opened}[{{"name": {quoted}, "arguments":' if name else f'{opened}[{{"name": "'
        case "gemma" | "hyperclovax-2024" | "plain":
            return f'```json\n{{"name": {quoted}, "arguments":' if name else '```json\n{"name": "'


def _thinks(prefix: str) -> bool:
    return "/think\n" in prefix or ("<think>" in prefix and "</think>" not in prefix)
