"""What was filled in before a conversation: checked, and put into the prompt as data between marks."""

import unicodedata
from collections.abc import Mapping
from secrets import token_hex
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.guard.fence import Fence, cut_orders, find_orders
from malmoi.assist.templates.template import FormField, Language, Template
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import InvalidInput
from malmoi.core.hangul import nfc

_ORDER = 0.6  # from this score on a line of a value counts as an order to the model


class Form(BaseModel):
    """The filled-in form of a conversation.

    Its marks stay the same for the whole conversation, so that the beginning of the prompt does, and with it
    what an engine remembers of it; nobody who wrote a value could know them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    language: Language = "ko"
    values: Mapping[str, str] = Field(default_factory=dict)
    """By the ids of the template's fields."""
    mark: Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")] = Field(default_factory=lambda: token_hex(5))
    """The number of the marks around what is data."""

    def fenced(self, text: str) -> str:
        """A text between the marks, without lines that give the model orders."""
        fence = Fence()
        fence.nonce = self.mark
        return fence.around(cut_orders(text, find_orders(text, _ORDER)))

    def instruction(self) -> str:
        """What the model is told about the marks."""
        return Texts("form", self.language)("instruction", mark=self.mark)


def fill_form(template: Template, language: Language, values: Mapping[str, str]) -> Form:
    """A checked form; fields that are absent have their defaults.

    Raises:
        InvalidInput: a value is missing, too long, unknown or none of its choices; `field` says which.
    """
    known = {field.id: field for field in template.fields}
    for name in values:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise InvalidInput(
                f"the template has no field {name!r}.", field=f"values.{name}", fix=f"Its fields: {listed}."
            )
    checked = {name: _checked(field, values.get(name, "")) for name, field in known.items()}
    return Form(language=language, values={name: value for name, value in checked.items() if value})


def blank_form(template: Template, language: Language, *, mark: str | None = None) -> Form:
    """The form of a conversation for which nothing was filled in: what has a default has it."""
    values = {field.id: field.default for field in template.fields if field.default}
    form = Form(language=language, values=values)
    return form if mark is None else form.model_copy(update={"mark": mark})


def system_prompt(template: Template, form: Form) -> str:
    """The system prompt with the values of the form as data; empty when there is nothing to say."""
    text = template.system_prompt.of(form.language).strip()
    lines = [
        f"{field.label.of(form.language)}: {_shown(field, form.values[field.id], form.language)}"
        for field in template.fields
        if field.in_prompt and form.values.get(field.id)
    ]
    if not lines:
        return text
    return "\n\n".join([text, form.instruction(), form.fenced("\n".join(lines))]).strip()


def shown_value(template: Template, form: Form, name: str) -> str:
    """A value as people read it: of a choice its label; empty when it was left out."""
    field = next((field for field in template.fields if field.id == name), None)
    value = form.values.get(name, "")
    return _shown(field, value, form.language) if field is not None and value else value


def _shown(field: FormField, value: str, language: Language) -> str:
    return next((choice.label.of(language) for choice in field.choices if choice.value == value), value)


def _checked(field: FormField, value: str) -> str:
    path = f"values.{field.id}"
    if len(value) > 4 * field.length:  # composing a text can make it shorter
        raise InvalidInput(f"the text has more than {field.length} characters.", field=path)
    text = _clean(value, lines=field.kind == "text") or field.default
    if field.required and not text:
        raise InvalidInput(f"{field.label.en} is missing.", field=path, fix="Fill it in.")
    if len(text) > field.length:
        raise InvalidInput(f"the text has more than {field.length} characters.", field=path)
    if field.kind == "choice" and text not in (values := [choice.value for choice in field.choices]):
        raise InvalidInput(f"{text!r} is none of the choices.", field=path, fix=f"Give {', '.join(values)}.")
    if field.kind == "number" and text:
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if not field.lowest <= number <= field.highest:
            raise InvalidInput(
                f"{text!r} is not a whole number from {field.lowest} to {field.highest}.", field=path
            )
    return text


def _clean(value: str, *, lines: bool) -> str:
    """Composed, without control characters; in one line unless it may have several."""
    kept = "".join(
        char if char in "\n\t" or unicodedata.category(char)[0] != "C" else " " for char in nfc(value)
    )
    if not lines:
        return " ".join(kept.split())
    return kept.strip()
