"""Trip planning: asks for what is missing, makes a table day by day, and narrows it down.

Where a skill of the template knows the destination, the places are its own: the model chooses among them,
held to their names by the schema, and their hours come from the skill. Else the places are the model's, and
said to be unconfirmed. The model fills in one day at a time; the code makes the table, puts the times in
order, and leaves out a place that is there already, one that is closed, and the destination itself.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, create_model

from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, recent, request
from malmoi.assist.templates.flows.places import Known, Place, choose, find_places
from malmoi.assist.templates.flows.wishes import Wish, first_day, wishes_of, without_dates
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
_READ_SECONDS = 20.0  # for all that a skill is asked before the first day
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
        ground = await _ground(occasion, place, planned)
        seen: list[str] = []
        notes: list[str] = []
        for day in range(1, planned + 1):
            if ground is None:
                rows = [
                    (stop, cell(stop.note))
                    for stop in await _day(occasion, writer, place, day, planned, seen)
                ]
                is_short = False
            else:
                places = ground.of_day(day, seen)
                is_short = len(places) < _FEWEST
                rows = await _known_day(occasion, writer, ground, places, (place, day, planned), seen)
            if is_short:
                notes.append(texts("table.used_up", day=day))
            elif len(rows) < _FEWEST:
                notes.append(texts("table.thin" if rows else "table.failed", day=day))
            for stop, note in rows:
                seen.append(stop.place)
                name = texts("table.confirmed_place", place=stop.place) if ground is not None else stop.place
                yield f"| {texts('table.day', day=day)} | {stop.time} | {cell(name)} | {note} |\n"
        if days > _MOST_DAYS:
            notes.append(texts("table.too_long", days=_MOST_DAYS))
        if ground is None:
            notes.append(texts("table.unproven"))
        else:
            notes.append(texts("table.confirmed", skill=ground.skill))
            if ground.begins is not None:
                notes.append(texts("table.dated", date=ground.begins.isoformat()))
        yield "\n" + "\n".join(f"- {note}" for note in notes) + "\n"
        plans = sum(texts("table.mark") in text for text in occasion.said("assistant"))
        questions = texts.listed("narrow")
        yield f"\n{questions[plans % len(questions)]}"


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the days are planned from.

    Attributes:
        skill: that knows the places.
        known: what it knows.
        wishes: oldest first.
        begins: the first day, where it was said.
    """

    skill: str
    known: Known
    wishes: Sequence[Wish]
    begins: date | None

    def of_day(self, day: int, seen: Collection[str]) -> list[Place]:
        """Among which places a day is planned."""
        date_of = self.begins + timedelta(days=day - 1) if self.begins is not None else None
        weekday = date_of.weekday() if date_of is not None else None
        used = {squeezed(name) for name in seen}
        return choose(self.known.places, self.wishes, day=day, weekday=weekday, used=used)


async def _ground(occasion: Occasion, place: str, days: int) -> _Ground | None:
    """The places of the first skill of the template that knows the destination; None: there is none."""
    if occasion.reads is None:
        return None
    told = [occasion.form.values.get("wishes", ""), *occasion.said("user")]
    for skill in occasion.template.skills:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                known = await find_places(occasion.reads, skill, place)
        except (MalmoiError, TimeoutError):
            continue  # a plan that is said to be unconfirmed is better than none
        if known is not None:
            begins = first_day(told, datetime.now().astimezone())
            return _Ground(skill, known, wishes_of(told, known.words, days=days), begins)
    return None


async def _known_day(
    occasion: Occasion,
    writer: Writer,
    ground: _Ground,
    places: Sequence[Place],
    which: tuple[str, int, int],
    seen: Sequence[str],
) -> list[tuple[Stop, str]]:
    """The rows of a day whose places a skill knows, with what it says of each."""
    if not places:
        return []
    form, texts = occasion.form, Texts("trip", occasion.language)
    place, day, days = which
    asked = texts(
        "prompt.known_day",
        place=form.fenced(place),
        wishes=form.fenced("\n".join(occasion.said("user"))[-_WISHES:]),
        day=day,
        days=days,
        places=form.fenced("\n".join(f"{one.name}: {_facts(one, ground, texts)}" for one in places)),
    )
    plan = await _filled(occasion, writer, asked, _held_to([one.name for one in places]), is_first=day == 1)
    by_name = {squeezed(one.name): one for one in places}
    rows: list[tuple[Stop, str]] = []
    for stop in sorted(plan.stops if plan is not None else [], key=lambda stop: stop.time):
        known = by_name.pop(squeezed(stop.place), None)  # each once, and none that the skill does not know
        time = known.fitting(stop.time) if known is not None else None
        if known is not None and time is not None:
            facts = [_facts(known, ground, texts), stop.note.strip()]
            kept = Stop(time=time, place=known.name, note=stop.note)
            rows.append((kept, cell(" · ".join(fact for fact in facts if fact))))
    return sorted(rows, key=lambda row: row[0].time)


def _facts(place: Place, ground: _Ground, texts: Texts) -> str:
    """What the skill says of a place: hours, weekdays on which it is closed, kind, area."""
    closed = ", ".join(texts(f"weekday.{day}") for day in place.closed)
    words = ground.known.words.get(place.kind, ())
    kind = words[0] if words and texts.language == "ko" else place.kind
    facts = (place.hours, texts("table.closed", days=closed) if closed else "", kind, place.area)
    return " · ".join(fact for fact in facts if fact)


def _held_to(names: Sequence[str]) -> type[DayPlan]:
    """The form of a day with these places and no others."""
    held = Annotated[str, Field(json_schema_extra={"enum": list(names)})]
    stop = create_model("KnownStop", __base__=Stop, place=(held, ...))
    fewest, most = min(_FEWEST + 1, len(names)), min(5, len(names))
    stops = Annotated[list[stop], Field(min_length=fewest, max_length=most)]
    return create_model("KnownDay", __base__=DayPlan, stops=(stops, ...))


async def _day(
    occasion: Occasion, writer: Writer, place: str, day: int, days: int, seen: list[str]
) -> list[Stop]:
    """The rows of a day of the model's own places; none: the model did not make any that fit."""
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
    plan = await _filled(occasion, writer, asked, DayPlan, is_first=day == 1 and not seen)
    known = {squeezed(name) for name in (*seen, place)}  # the destination itself is no place in it
    kept: list[Stop] = []
    for stop in sorted(plan.stops if plan is not None else [], key=lambda stop: stop.time):
        name = squeezed(stop.place)
        if name and name not in known:
            known.add(name)
            kept.append(stop)
    return kept


async def _filled(
    occasion: Occasion, writer: Writer, asked: str, form: type[DayPlan], *, is_first: bool
) -> DayPlan | None:
    """What the model makes of a day; None: nothing that fits."""
    try:
        return await writer.fill(request(occasion.system, Message("user", asked)), form, max_tokens=320)
    except StructuredOutputInvalid:
        return None
    except MalmoiError:
        if is_first:
            raise  # nothing has been planned yet: the failure itself is the answer
        return None


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
        if found := _DAYS.search(without_dates(text)):
            return min(int(found[2] or found[3]), 60) if len(found[2] or found[3]) < 3 else 60
        for word, days in _WORD_DAYS.items():
            if word in text.casefold():
                return days
    return int(occasion.form.values.get("days") or 0)


trip = Trip()
