"""Chat templates: a conversation in, a prompt out, and no text in it that could pass for a control token."""

from malmoi.engine.templates.base import STYLES, ChatTemplate, Rendered, Style
from malmoi.engine.templates.load import load_template, template_named, template_names
from malmoi.engine.templates.neutral import forging_tokens
from malmoi.engine.templates.styles import detect_style, style_facts

__all__ = [
    "STYLES",
    "ChatTemplate",
    "Rendered",
    "Style",
    "detect_style",
    "forging_tokens",
    "load_template",
    "style_facts",
    "template_named",
    "template_names",
]
