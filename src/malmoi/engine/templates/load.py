"""Get a chat template: the model's own, or one of ours by name."""

from collections.abc import Collection
from typing import get_args

from malmoi.core.errors import UnknownName
from malmoi.engine.templates.adapt import read_file
from malmoi.engine.templates.base import ChatTemplate, Style
from malmoi.engine.templates.styles import detect_style
from malmoi.engine.templates.template import JinjaTemplate

NAMED: dict[str, Style] = {
    "chatml": "chatml",
    "gemma": "gemma",
    "hyperclovax-2024": "hyperclovax-2024",
    "hyperclovax-seed": "hyperclovax-seed",
    "hyperclovax-think": "hyperclovax-think",
}


def load_template(
    jinja_source: str,
    *,
    special_tokens: Collection[str],
    bos_token: str = "",
    eos_token: str = "",
    name: str = "model",
    style: Style | None = None,
) -> ChatTemplate:
    """A model's own template.

    Args:
        jinja_source: the template, from `tokenizer.chat_template` of a GGUF file or `chat_template.jinja`.
        special_tokens: `forging_tokens` of the model's vocabulary.
        bos_token: text of the start token; empty if the model has none.
        eos_token: text of the end token; empty if the model has none.
        name: of the model, for messages to people.
        style: how the model answers; none: recognised from the template.

    Raises:
        ModelFileInvalid: it is no valid template, or hostile.
    """
    return JinjaTemplate(
        jinja_source,
        name=name,
        style=style or detect_style(jinja_source, special_tokens),
        special_tokens=special_tokens,
        bos_token=bos_token,
        eos_token=eos_token,
    )


def template_named(
    name: str, *, special_tokens: Collection[str] = (), bos_token: str = "", eos_token: str = ""
) -> ChatTemplate:
    """One of the built-in templates (`template_names`), for a model that brings none or a wrong one.

    Raises:
        UnknownName: there is no such template.
    """
    if name not in NAMED:
        raise UnknownName("chat template", name, NAMED)
    return JinjaTemplate(
        read_file(f"{name}.jinja"),
        name=name,
        style=NAMED[name],
        special_tokens=special_tokens,
        bos_token=bos_token,
        eos_token=eos_token,
    )


def template_names() -> tuple[str, ...]:
    """The names of the built-in templates."""
    assert set(NAMED.values()) <= set(get_args(Style))
    return tuple(NAMED)
