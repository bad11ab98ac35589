"""Templates: files that say who answers, how it opens, what is filled in, and how it is tested."""

from malmoi.assist.templates.answering import answer, opening
from malmoi.assist.templates.flows.flow import Flow, Occasion, Piece, Turn, Writer
from malmoi.assist.templates.form import Form, blank_form, fill_form, system_prompt
from malmoi.assist.templates.loading import (
    find_template,
    load_builtin,
    load_template,
    missing_skills,
    packaged_skills,
)
from malmoi.assist.templates.template import Language, Localised, Template

__all__ = [
    "Flow",
    "Form",
    "Language",
    "Localised",
    "Occasion",
    "Piece",
    "Template",
    "Turn",
    "Writer",
    "answer",
    "blank_form",
    "fill_form",
    "find_template",
    "load_builtin",
    "load_template",
    "missing_skills",
    "opening",
    "packaged_skills",
    "system_prompt",
]
