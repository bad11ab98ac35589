"""Documents with a fixed structure: the code writes the headings, the model writes what stands under them.

    [flow]
    name = "document"
    [flow.options]
    sources = ["facts"]                # fields that are the material
    figures = "known"                  # numbers that the material does not have are covered
    [[flow.options.sections]]
    heading = { ko = "## 경력", en = "## Experience" }
    ask = { ko = "...", en = "..." }
    max_tokens = 160

`figures`: "free": not looked at; "known": others than those of the material are covered; "kept": also, those
that are missing are named under the document. After the first document a message asks for another version.
"""

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from malmoi.assist.guard.sentences import language_of
from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, request
from malmoi.assist.templates.flows.wording import cover_figures, figures
from malmoi.assist.templates.form import Form
from malmoi.assist.templates.template import Localised, Template
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import MalmoiError
from malmoi.core.types import Message
from malmoi.engine.base import Sampling

_READ = 6000  # characters of the material that the model reads
_NOTE = "document"  # in the notes of a message that is one
_END = "\n\n---\n> **"  # what is to be looked at comes behind it


class Section(BaseModel):
    """A part of the document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heading: Localised = Localised(ko="", en="")
    ask: Localised
    is_inline: bool = False
    """One line, behind its heading."""
    max_tokens: int = Field(default=200, ge=8, le=4000)


class Options(BaseModel):
    """What a template tells this flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...] = ()
    figures: Literal["free", "known", "kept"] = "known"
    sections: tuple[Section, ...] = Field(min_length=1)


class Documents:
    """The flow."""

    def check(self, template: Template) -> None:
        """The options must fit, and the sources be fields."""
        options = _options(template)
        unknown = set(options.sources) - {field.id for field in template.fields}
        if unknown:
            raise ValueError(f"sources: there is no field {min(unknown)!r}")

    def opening(self, template: Template, form: Form) -> str:
        """The template's own."""
        return plain_opening(template, form)

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The whole document, section by section, and what is to be looked at."""
        options, texts = _options(occasion.template), Texts("document", occasion.language)
        material = material_of(occasion, options)
        if not material.strip():
            yield Piece(texts("no_material"))
            return
        known = figures(material)
        before = next((turn for turn in reversed(occasion.branch) if (turn.notes or {}).get(_NOTE)), None)
        earlier = None if before is None else before.content.split(_END)[0]
        written: list[str] = []
        faults: list[str] = []
        yield Piece(notes={_NOTE: True})
        for section in options.sections:
            heading = section.heading.of(occasion.language)
            gap = "" if not written else "\n\n"
            yield Piece(f"{gap}{heading}{' ' if section.is_inline and heading else ''}")
            if heading and not section.is_inline:
                yield Piece("\n\n")
            try:
                text = await _write(section, occasion, writer, material, earlier)
            except MalmoiError:
                if not written:
                    raise
                text = ""
            if options.figures != "free":
                covered = cover_figures(text, known, texts("figure"))
                if covered != text:
                    faults.append(texts("covered"))
                text = covered
            if len(text.strip()) < 2 or language_of(text) != occasion.language:
                name = heading.strip("# *:：") or texts("the_text")
                faults.append(texts("empty", name=name))
                text = text.strip() or texts("blank")
            written.append(text)
            yield Piece(text)
        if options.figures == "kept":
            first = material_of(occasion, options, requests=False)
            missing = sorted(figures(first) - figures("\n".join(written)))
            if missing:
                faults.append(texts("missing", figures=", ".join(missing[:12])))
        if faults:
            lines = "\n".join(f"> - {fault}" for fault in dict.fromkeys(faults))
            yield Piece(f"{_END}{texts('look_at')}**\n{lines}")


def material_of(occasion: Occasion, options: Options, *, requests: bool = True) -> str:
    """The values of the source fields and what the person wrote, without `requests` only at first."""
    values = [occasion.form.values.get(name, "") for name in options.sources]
    written = occasion.said("user") if requests else occasion.said("user")[:1]
    return "\n".join([*(value for value in values if value), *written])


async def _write(
    section: Section, occasion: Occasion, writer: Writer, material: str, before: str | None
) -> str:
    """The words of one section."""
    form, texts = occasion.form, Texts("document", occasion.language)
    asked = texts(
        "prompt.section" if before is None else "prompt.again",
        material=form.fenced(material[-_READ:]),
        before=form.fenced((before or "")[:_READ]),
        request=form.fenced(occasion.question),
        ask=section.ask.of(occasion.language),
    )
    system = "\n".join(part for part in (occasion.system, form.instruction()) if part)
    sampling = Sampling(
        max_tokens=section.max_tokens,
        temperature=occasion.sampling.temperature,
        top_p=occasion.sampling.top_p,
        seed=occasion.sampling.seed,
    )
    parts = [part async for part in writer.write(request(system, Message("user", asked)), sampling)]
    text = "".join(parts).strip()
    # A model that repeats the marks of its material must not show them.
    text = text.replace(f"[[[{form.mark}", "").replace(f"{form.mark}]]]", "").strip()
    heading = section.heading.of(occasion.language).strip()
    if heading and text.startswith(heading):
        text = text[len(heading) :].strip()
    bare = heading.strip("# *:：")
    if section.is_inline:
        text = next((line.strip() for line in text.splitlines() if line.strip()), "")
        for prefix in (f"{bare}:", f"{bare}：", f"**{bare}:**"):
            text = text.removeprefix(prefix).strip()
    return text


def _options(template: Template) -> Options:
    given = template.flow.options if template.flow is not None else {}
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from error


document = Documents()
