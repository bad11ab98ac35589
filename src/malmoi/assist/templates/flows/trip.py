"""Trip planning: asks for what is missing, makes a table day by day, and narrows it down.

The model fills in one day at a time under a JSON schema; the code makes the table, puts the times in order,
and leaves out a place that is there already, and the destination itself.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, recent, request
from malmoi.assist.templates.flows.wording import cell, squeezed
from malmoi.assist.templates.form import Form
from malmoi.assist.templates.template import Template
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import MalmoiError, StructuredOutputInvalid
from malmoi.core.types import Message

_MOST_DAYS = 7
_FEWEST = 2  # stops of a day that is a plan
_WISHES = 800  # characters of what was wished for that the model reads
_CONTEXT = 3000
_DAYS = re.compile(r"(\d+)\s*박\s*(\d+)\s*일|(\d+)\s*(?:일(?!\s*차)|days?\b)", re.IGNORECASE)
_WORD_DAYS = {"당일": 1, "이틀": 2, "사흘": 3, "나흘": 4, "닷새": 5, "엿새": 6, "weekend": 2, "주말": 2}
# What a place is named with, and is no part of its name.
_AROUND = re.compile(
    r"\b(?:for|a|the|to|in|trip|go|ahead|days?|nights?|plan|please|want|i|we|me)\b"
    r"|여행|일정|계획|동안|정도|가고 ?싶\w*|갈 ?\w*|가요|가자|짜 ?줘|부탁\w*|당일치기",
    re.IGNORECASE,
)
_PARTICLE = re.compile(r"(?<=[가-힣]{2})(?:으로|로|에서|에|을|를|은|는)$")
_PLACE_WORDS = 2


class Stop(BaseModel):
    """A row of the table."""

    model_config = ConfigDict(extra="ignore")

    time: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    place: str = Field(min_length=1, max_length=60)
    note: str = Field(max_length=120)


class DayPlan(BaseModel):
    """What the model makes of one day."""

    model_config = ConfigDict(extra="ignore")

    stops: list[Stop] = Field(min_length=3, max_length=5)


class Trip:
    """The flow. The template needs the fields `place` and `days`; others go to the model as they are."""

    def check(self, template: Template) -> None:
        """The fields that are needed."""
        missing = {"place", "days"} - {field.id for field in template.fields}
        if missing:
            raise ValueError(f"a trip asks for the field {min(missing)!r}")

    def opening(self, template: Template, form: Form) -> str:
        """The template's own, and what is still to be told."""
        texts = Texts("trip", form.language)
        place, days = form.values.get("place", ""), form.values.get("days", "")
        if not place:
            return f"{plain_opening(template, form)}\n\n{texts('ask_place')}"
        return f"{plain_opening(template, form)}\n\n{texts('ready', place=place, days=days or '?')}"

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """A question about what is missing, a table, or a plain answer."""
        texts = Texts("trip", occasion.language)
        place, days = place_of(occasion), days_of(occasion)
        if not place:
            yield Piece(texts("ask_place"))
            return
        if not days:
            yield Piece(texts("ask_days", place=place))
            return
        has_plan = any(texts("table.mark") in text for text in occasion.said("assistant"))
        if has_plan and occasion.question.rstrip().endswith(("?", "？")):
            prompt = request(occasion.system, *recent(occasion.branch, characters=_CONTEXT))
            async for text in writer.write(prompt, occasion.sampling):
                yield Piece(text)
            return
        async for text in self._plan(occasion, writer, place, days):
            yield Piece(text)

    async def _plan(self, occasion: Occasion, writer: Writer, place: str, days: int) -> AsyncIterator[str]:
        """The table, a day as soon as it is made."""
        texts = Texts("trip", occasion.language)
        planned = min(days, _MOST_DAYS)
        yield f"{texts('table.title', place=place, days=planned)}\n\n"
        yield f"{texts('table.mark')}\n|---|---|---|---|\n"
        seen: list[str] = []
        notes: list[str] = []
        for day in range(1, planned + 1):
            stops = await _day(occasion, writer, place, day, planned, seen)
            if len(stops) < _FEWEST:
                notes.append(texts("table.thin" if stops else "table.failed", day=day))
            for stop in stops:
                seen.append(stop.place)
                cells = [texts("table.day", day=day), stop.time, cell(stop.place), cell(stop.note)]
                yield f"| {' | '.join(cells)} |\n"
        if days > _MOST_DAYS:
            notes.append(texts("table.too_long", days=_MOST_DAYS))
        notes.append(texts("table.unproven"))
        yield "\n" + "\n".join(f"- {note}" for note in notes) + "\n"
        plans = sum(texts("table.mark") in text for text in occasion.said("assistant"))
        questions = texts.listed("narrow")
        yield f"\n{questions[plans % len(questions)]}"


async def _day(
    occasion: Occasion, writer: Writer, place: str, day: int, days: int, seen: list[str]
) -> list[Stop]:
    """The rows of a day; none: the model did not make any that fit."""
    form, texts = occasion.form, Texts("trip", occasion.language)
    told = "\n".join(text for text in occasion.said("user"))[-_WISHES:]
    asked = texts(
        "prompt.day",
        place=form.fenced(place),
        wishes=form.fenced(told),
        day=day,
        days=days,
        seen=texts("prompt.seen", places=", ".join(seen)) if seen else "",
    )
    try:
        plan = await writer.fill(request(occasion.system, Message("user", asked)), DayPlan, max_tokens=320)
    except StructuredOutputInvalid:
        return []
    except MalmoiError:
        if not seen and day == 1:
            raise  # nothing has been planned yet: the failure itself is the answer
        return []
    known = {squeezed(name) for name in (*seen, place)}  # the destination itself is no place in it
    kept: list[Stop] = []
    for stop in sorted(plan.stops, key=lambda stop: stop.time):
        name = squeezed(stop.place)
        if name and name not in known:
            known.add(name)
            kept.append(stop)
    return kept


def place_of(occasion: Occasion) -> str:
    """Where to: of the form, else the first message that is a place's name and little more; or nothing."""
    if occasion.form.values.get("place"):
        return occasion.form.values["place"]
    for text in occasion.said("user"):
        bare = _AROUND.sub(" ", _DAYS.sub(" ", text))
        for word in _WORD_DAYS:
            bare = bare.replace(word, " ")
        words = [_PARTICLE.sub("", word.strip(" .,!~?\"'")) for word in bare.split()]
        words = [word for word in words if word]
        if 0 < len(words) <= _PLACE_WORDS and all(any(char.isalpha() for char in word) for word in words):
            return " ".join(words)
    return ""


def days_of(occasion: Occasion) -> int:
    """How long: as it was said last, else of the form; 0: nothing was told."""
    for text in reversed(occasion.said("user")):
        if found := _DAYS.search(text):
            return min(int(found[2] or found[3]), 60) if len(found[2] or found[3]) < 3 else 60
        for word, days in _WORD_DAYS.items():
            if word in text.casefold():
                return days
    return int(occasion.form.values.get("days") or 0)


trip = Trip()
