"""Results as sentences and cards, by the templates of a manifest. Values are always plain text."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from malmoi.assist.skills.manifest import CardField, CardTemplate
from malmoi.assist.skills.operation import Card, CardAction
from malmoi.assist.skills.trim import look_up

_HOLE = re.compile(r"\{([A-Za-z0-9_.-]*)\}")
_LONGEST = 500  # characters of one value
T = TypeVar("T")


def fill(template: str, data: Any) -> str | None:
    """The template with the values of a result; None: one of them is missing.

    `{}` stands for the whole value. Numbers get commas between thousands: `{price}` of 35000 is "35,000".
    """
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        text = as_text(look_up(data, match[1]))
        missing = missing or not text
        return text

    filled = _HOLE.sub(value, template)
    return None if missing else filled


def as_text(value: Any) -> str:
    """A plain value as people write it; an empty text for one that cannot be said in a line."""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, str):
        return " ".join(value.split())[:_LONGEST]
    if isinstance(value, list):
        return ", ".join(filter(None, (as_text(one) for one in value[:10])))[:_LONGEST]
    return ""


def in_language(texts: Mapping[Any, T], language: str) -> T | None:
    """The text in a language, or else in the other one."""
    for code, text in texts.items():
        if code == language:
            return text
    return next(iter(texts.values()), None)


def sentence(texts: Mapping[Any, str], data: Any, language: str) -> str:
    """The sentence of a result; empty where there is no template or a value is missing."""
    template = in_language(texts, language)
    return (fill(template, data) or "") if template else ""


def cards_of(template: CardTemplate, data: Any, language: str) -> tuple[Card, ...]:
    """The cards of a result."""
    whole = look_up(data, template.each)
    elements = whole if isinstance(whole, list) else [whole]
    cards = (_card(template, one, language) for one in elements[: template.most] if one is not None)
    return tuple(card for card in cards if card is not None)


def _card(template: CardTemplate, data: Any, language: str) -> Card | None:
    title = sentence(template.title, data, language)
    if not title:
        return None
    fields = (
        (in_language(field.label, language) or "", _value(field, data, language)) for field in template.fields
    )
    actions: list[CardAction] = []
    for button in template.actions:
        arguments: dict[str, Any] = {}
        for name, value in button.arguments.items():
            arguments[name] = _argument(value, data)
        if None not in arguments.values():
            label = in_language(button.label, language) or button.operation
            actions.append(CardAction(label, button.operation, arguments))
    return Card(
        kind=template.kind,
        title=title,
        subtitle=sentence(template.subtitle, data, language),
        fields=tuple((label, text) for label, text in fields if text),
        actions=tuple(actions),
    )


def _value(field: CardField, data: Any, language: str) -> str | None:
    template = field.value if isinstance(field.value, str) else in_language(field.value, language) or ""
    text = fill(template, data)
    if not text or not field.words:
        return text
    return ", ".join(in_language(field.words.get(part, {}), language) or part for part in text.split(", "))


def _argument(value: Any, data: Any) -> Any:
    """An argument of a button: a template that is one hole gives the value itself, with its type."""
    if not isinstance(value, str):
        return value
    hole = _HOLE.fullmatch(value)
    return look_up(data, hole[1]) if hole else fill(value, data)
