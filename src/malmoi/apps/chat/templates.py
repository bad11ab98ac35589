"""The list of templates, as the interface shows it."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from malmoi.apps.chat.types import ChoiceOut, FieldOut, Localised, SkillName, TemplateOut
from malmoi.assist.templates import Template, missing_skills
from malmoi.assist.templates.template import Localised as Said


class Templates:
    """What a conversation can begin from.

    Args:
        builtin: the personas and templates that come with the app, by id.
        skills: the names of the skills that are installed now.
    """

    def __init__(
        self, builtin: Mapping[str, Template], skills: Callable[[], Awaitable[Collection[str]]]
    ) -> None:
        self._builtin = builtin
        self._skills = skills

    async def all(self) -> list[TemplateOut]:
        """All of them, in their order. A skill that is not installed is named as missing."""
        installed = frozenset(await self._skills())
        return [_show(key, template, installed) for key, template in self._builtin.items()]


def _show(template_id: str, template: Template, installed: frozenset[str]) -> TemplateOut:
    missing = missing_skills(template, installed)
    return TemplateOut(
        id=template_id,
        kind="template" if template.opening is not None else template.kind,
        name=_said(template.name),
        description=_said(template.description),
        starters=[_said(starter) for starter in template.starters],
        fields=[
            FieldOut(
                id=field.id,
                label=_said(field.label),
                hint=_said(field.hint) if field.hint is not None else None,
                kind=field.kind,
                choices=[
                    ChoiceOut(value=choice.value, label=_said(choice.label)) for choice in field.choices
                ],
                default=field.default,
                required=field.required,
                length=field.length,
                lowest=field.lowest,
                highest=field.highest,
            )
            for field in template.fields
        ],
        skills=[SkillName(name=name, installed=name not in missing) for name in template.skills],
        flow=template.flow.name if template.flow is not None else None,
    )


def _said(text: Said) -> Localised:
    return Localised(ko=text.ko, en=text.en)
