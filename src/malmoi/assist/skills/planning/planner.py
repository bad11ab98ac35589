"""The arguments of an operation: first what is certain, then what the model reads, then what must be asked.

The model is held to a schema in which everything may be null ("not said"), so that it need not invent. What
it gives is checked: values that must come from somewhere (dates, addresses, ids) must be in what was said or
shown, and everything must fit the operation's own schema.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import jsonschema

from malmoi.assist.skills.loading import LoadedSkill, title_of
from malmoi.assist.skills.operation import Operation
from malmoi.assist.skills.planning.carried import ShownCard, carried
from malmoi.assist.skills.planning.extraction import Found, extract
from malmoi.assist.skills.planning.filling import fill, may_be_said
from malmoi.assist.skills.planning.reading import read_arguments
from malmoi.assist.skills.planning.telling import label_of, listed, prompt, say
from malmoi.assist.skills.planning.thinking import SkillModel, Spent, think
from malmoi.assist.skills.routing import Demonstration
from malmoi.core.errors import EngineError, StructuredOutputInvalid, Unsupported
from malmoi.core.types import Chat, Message, ToolCall
from malmoi.engine.base import Sampling

ArgumentSource: TypeAlias = Literal["query", "model", "demonstration", "shown"]
_ANSWER_TOKENS = 400
_DESCRIPTION = 400  # characters of an operation's description
_SHOWN_EXAMPLES = 2  # demonstrations of an operation in a prompt; each costs a small machine seconds
_SHOWN_TURNS = 4
_TURN = 600  # characters of an earlier turn
_MUST_BE_SHOWN = re.compile(r"(^|_)(id|uid|uuid|email|url|reference)$", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = range(1900, 2200)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Observation:
    """A result that an earlier step has brought, as the model may read it."""

    call_id: str
    skill: str
    operation: str
    arguments: Mapping[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is made from.

    Attributes:
        query: what the person says.
        now: the person's time.
        language: of the person.
        earlier: the query before, where this one is understood only with it.
        turns: what was said before, oldest first.
        demonstrations: the nearest ones of the operation, nearest first.
        observations: results of this run.
        documents: `(id, title)` of what is at hand.
        cards: of earlier replies, oldest first.
    """

    query: str
    now: datetime
    language: str
    earlier: str = ""
    turns: Sequence[Message] = ()
    demonstrations: Sequence[Demonstration] = ()
    observations: Sequence[Observation] = ()
    documents: Sequence[tuple[str, str]] = ()
    cards: Sequence[ShownCard] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A call that is ready, or what it still lacks.

    Attributes:
        skill: its name.
        operation: its name.
        arguments: that fit the schema, or as far as they are known.
        sources: where each argument is from.
        missing: required arguments that nobody has said.
        wrong: arguments that do not fit the schema.
        question: what to ask the person; empty: the plan is ready.
    """

    skill: str
    operation: str
    arguments: dict[str, Any]
    sources: dict[str, ArgumentSource]
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    question: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it can be called."""
        return not self.missing and not self.wrong

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the trace."""
        return {
            "skill": self.skill,
            "operation": self.operation,
            "arguments": self.arguments,
            "sources": dict(self.sources),
            "missing": list(self.missing),
            "wrong": list(self.wrong),
            "question": self.question,
        }


@dataclass(slots=True)
class Planner:
    """Plans calls with one model, within what a run may use.

    Attributes:
        model: None: only what needs no model.
        spent: what the run has used.
    """

    model: SkillModel | None
    spent: Spent
    _found: dict[str, Found] = field(default_factory=dict)

    async def plan(self, skill: LoadedSkill, operation: Operation, request: PlanRequest) -> Plan:
        """The arguments of an operation.

        Raises:
            TokensSpent: the run has no tokens left.
        """
        shown = _shown_exactly(operation, request)
        if shown is not None:
            sources: dict[str, ArgumentSource] = dict.fromkeys(shown, "demonstration")
            return _checked(skill, operation, request.language, dict(shown), sources)
        found, arguments, is_read = self._filled(skill, operation, request)
        sources = dict.fromkeys(arguments, "query")
        now_said = self._extracted(request.query, request.now)
        # A model is not told of them: what cards say comes from outside.
        of_card = carried(skill.name, operation, arguments, now_said, request.cards)
        required = operation.parameters.get("required", ())
        said, spare = _said(request), found.besides(arguments)
        left = {
            name: schema
            for name, schema in operation.parameters.get("properties", {}).items()
            if name not in arguments
            and name not in of_card
            and may_be_said(name, schema, said, spare, is_required=name in required)
        }
        if is_read and all(name in arguments or name in of_card for name in required):
            left = {}  # a skill that reads what it needs reads the rest as well
        if left and self.model is not None:
            told = await self._ask_model(self.model, skill, operation, request, found, arguments, left)
            for name, value in told.items():
                if (
                    name in left
                    and value is not None
                    and _is_grounded(name, left[name], value, request, found)
                ):
                    arguments[name] = value
                    sources[name] = "model"
        arguments |= of_card
        sources |= dict.fromkeys(of_card, "shown")
        return _checked(skill, operation, request.language, arguments, sources)

    async def choose_operation(self, operations: Mapping[str, Operation], request: PlanRequest) -> str | None:
        """The operation of one skill that a query is for; None: there is no model, or it does not say.

        Raises:
            TokensSpent: the run has no tokens left.
        """
        if self.model is None or len(operations) < 2:
            return None
        shown = {one.operation: f' (such as "{one.query[:80]}")' for one in reversed(request.demonstrations)}
        told = "\n".join(
            f"- {name}: {_first_line(one.description)[:120]}{shown.get(name, '')}"
            for name, one in operations.items()
        )
        schema = {
            "type": "object",
            "properties": {"operation": {"type": "string", "enum": [*operations]}},
            "required": ["operation"],
            "additionalProperties": False,
        }
        system = Message("system", prompt("choose").replace("{operations}", told))
        chat = Chat((system, *conversation(request)), thinking=False)
        name = (await self._json(self.model, chat, schema, 60)).get("operation")
        return name if isinstance(name, str) and name in operations else None

    async def find_way(
        self, goal: Operation, missing: Sequence[str], reads: Mapping[str, Operation], request: PlanRequest
    ) -> str | None:
        """An operation that only reads and can find what a plan lacks; None: only the person knows.

        Raises:
            TokensSpent: the run has no tokens left.
        """
        if self.model is None or not reads:
            return None
        told = "\n".join(f"- {name}: {_first_line(one.description)}" for name, one in reads.items())
        system = prompt("next").replace("{goal}", goal.name).replace("{missing}", ", ".join(missing))
        system = system.replace("{operations}", told).replace("{{", "{").replace("}}", "}")
        schema = {
            "type": "object",
            "properties": {"operation": {"type": "string", "enum": [*reads, "ask"]}},
            "required": ["operation"],
            "additionalProperties": False,
        }
        chat = Chat((Message("system", system), *conversation(request)), thinking=False)
        answer = await self._json(self.model, chat, schema, 60)
        name = answer.get("operation")
        return name if isinstance(name, str) and name in reads else None

    def _filled(
        self, skill: LoadedSkill, operation: Operation, request: PlanRequest
    ) -> tuple[Found, dict[str, Any], bool]:
        """What the query says, the arguments that are sure, and whether the skill itself has read some.

        The query before is read as well where this one is understood only with it.
        """
        found = self._extracted(request.query, request.now)
        shown = [message.content for message in request.turns if message.role == "assistant"]
        arguments = fill(operation, request.query, found, request.now, request.documents, shown)
        own = read_arguments(skill.provider, operation.name, request.query, request.now)
        arguments |= own
        if not request.earlier:
            return found, arguments, bool(own)
        before = self._extracted(request.earlier, request.now)
        earlier = fill(operation, request.earlier, before, request.now, request.documents)
        earlier |= read_arguments(skill.provider, operation.name, request.earlier, request.now)
        both = Found(
            (*before.values, *found.values),
            found.range or before.range,
            (*before.periods, *found.periods),
            (*before.minutes, *found.minutes),
        )
        return both, earlier | arguments, bool(own)

    def _extracted(self, text: str, now: datetime) -> Found:
        if text not in self._found:
            self._found[text] = extract(text, now)
        return self._found[text]

    async def _ask_model(
        self,
        model: SkillModel,
        skill: LoadedSkill,
        operation: Operation,
        request: PlanRequest,
        found: Found,
        known: Mapping[str, Any],
        left: Mapping[str, Any],
    ) -> dict[str, Any]:
        required = operation.parameters.get("required", [])
        # What is the same from one query to the next stands first: engines keep what they have read of it.
        system = (
            prompt("arguments")
            .replace("{operation}", f"{skill.name}.{operation.name}")
            .replace("{description}", operation.description[:_DESCRIPTION])
            .replace("{arguments}", listed(left, required))
            .replace("{weekday}", _WEEKDAYS[request.now.weekday()])
            .replace("{now}", request.now.strftime("%Y-%m-%d %H:%M"))
        )
        if known:
            system += f"\nKnown already: {json.dumps(known, ensure_ascii=False, default=str)}"
        if found.values:
            told = ", ".join(
                f"{one.kind} {one.value}{' ' + one.unit if one.unit else ''}" for one in found.values
            )
            system += f"\nFound in the question: {told}"
        if request.documents:
            told = ", ".join(f"{title[:80]} = {document}" for document, title in request.documents[:20])
            system += f"\nDocuments at hand: {told}"
        messages = [Message("system", system)]
        own = [one for one in request.demonstrations if one.operation == operation.name]
        for one in reversed(own[:_SHOWN_EXAMPLES]):
            shown = {name: (one.arguments or {}).get(name) for name in left}
            messages.append(Message("user", one.query))
            messages.append(Message("assistant", json.dumps(shown, ensure_ascii=False)))
        schema = {
            "type": "object",
            "properties": {name: _or_null(one) for name, one in left.items()},
            "required": list(left),
            "additionalProperties": False,
        }
        definitions = operation.parameters.get("$defs")
        if isinstance(definitions, Mapping):
            schema["$defs"] = definitions
        chat = Chat((*messages, *conversation(request)), thinking=False)
        return await self._json(model, chat, schema, _ANSWER_TOKENS)

    async def _json(
        self, model: SkillModel, chat: Chat, schema: Mapping[str, Any], most: int
    ) -> dict[str, Any]:
        """The model's answer as an object; an empty one where it does not manage to give any."""
        sampling = Sampling(max_tokens=most, temperature=0.0, json_schema=schema)
        try:
            completion = await think(model, chat, sampling, self.spent)
            value = json.loads(completion.text)
        except (StructuredOutputInvalid, Unsupported, ValueError, RecursionError):
            return {}
        except EngineError as error:
            if error.code != "engine_error":
                raise
            return {}
        return value if isinstance(value, dict) else {}


def _shown_exactly(operation: Operation, request: PlanRequest) -> Mapping[str, Any] | None:
    """The arguments of a demonstration that says the same, unless they depend on the day."""
    plain = _plain(request.query)
    for one in request.demonstrations:
        if one.arguments is None or _plain(one.query) != plain or one.operation != operation.name:
            continue
        if not any(_is_of_a_day(value, request.query) for value in one.arguments.values()):
            return one.arguments
    return None


def _is_of_a_day(value: Any, query: str) -> bool:
    """Whether a value may be right on some days only: a date, or a year that the query does not name."""
    if isinstance(value, str):
        return _DAY.match(value) is not None
    return isinstance(value, int) and value in _YEARS and str(value) not in query


def _checked(
    skill: LoadedSkill,
    operation: Operation,
    language: str,
    arguments: dict[str, Any],
    sources: dict[str, ArgumentSource],
) -> Plan:
    """Arguments that do not fit are taken out, and asked for where they are needed."""
    wrong: list[str] = []
    properties = operation.parameters.get("properties", {})
    definitions = operation.parameters.get("$defs")
    for name in list(arguments):
        schema = properties.get(name)
        if schema is None:
            del arguments[name]
            continue
        whole = {**schema, "$defs": definitions} if isinstance(definitions, Mapping) else schema
        checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
        if not checker.is_valid(arguments[name]):
            wrong.append(name)
            del arguments[name]
    required = operation.parameters.get("required", [])
    missing = [name for name in required if name not in arguments]
    bad = [name for name in wrong if name in required]
    title = title_of(operation, language)
    question = ""
    if missing:
        labels = ", ".join(label_of(operation, name, language) for name in missing)
        question = say("ask_again" if bad else "ask", language, title=title, labels=labels)
    else:
        whole_fault = not jsonschema.Draft202012Validator(dict(operation.parameters)).is_valid(arguments)
        if whole_fault:
            wrong.append("arguments")
            labels = ", ".join(label_of(operation, name, language) for name in properties)
            question = say("ask_again", language, title=title, labels=labels)
    kept = {name: source for name, source in sources.items() if name in arguments}
    return Plan(
        skill=skill.name,
        operation=operation.name,
        arguments=arguments,
        sources=kept,
        missing=tuple(missing),
        wrong=("arguments",) if question and not missing else (),
        question=question,
    )


def _is_grounded(name: str, schema: Any, value: Any, request: PlanRequest, found: Found) -> bool:
    """Whether a value that must come from somewhere does: the model may not make up addresses or ids."""
    told = schema if isinstance(schema, Mapping) else {}
    forms = {told.get("format"), told.get("x-malmoi-form")}
    if not isinstance(value, str) or "enum" in told:
        return True
    if forms & {"date", "date-time", "time", "moment"}:
        days = {str(one.value) for one in (*found.of("date"), *found.of("time"))}
        if found.range is not None:
            days |= set(found.range)
        said = _said(request)
        return any(day in value for day in days) or value[:10] in said or _has_digits_of(value, said)
    if forms & {"email", "uri", "uuid"} or _MUST_BE_SHOWN.search(name):
        known = {document for document, _ in request.documents}
        return value in known or value.casefold() in _said(request).casefold()
    return True


def _has_digits_of(value: str, said: str) -> bool:
    """Whether the day of a date is among the numbers that were said; "15일" gives the 15th."""
    numbers = {int(one) for one in re.findall(r"\d{1,4}", said)}
    parts = [int(one) for one in re.findall(r"\d{1,4}", value)]
    return len(parts) >= 3 and parts[2] in numbers


def _said(request: PlanRequest) -> str:
    turns = [message.content for message in request.turns[-_SHOWN_TURNS:]]
    return "\n".join([*turns, request.earlier, request.query, *(one.text for one in request.observations)])


def conversation(request: PlanRequest) -> list[Message]:
    """Earlier turns, the query, and what was called for it; guards fence what tools have said."""
    messages = [
        Message(message.role, message.content[:_TURN])
        for message in request.turns[-_SHOWN_TURNS:]
        if message.role in ("user", "assistant") and message.content
    ]
    messages.append(Message("user", request.query))
    for one in request.observations:
        call = ToolCall(
            one.call_id, one.operation, json.dumps(one.arguments, ensure_ascii=False, default=str)
        )
        messages.append(Message("assistant", "", tool_calls=(call,)))
        messages.append(Message("tool", one.text, tool_call_id=one.call_id, name=one.operation))
    return messages


def _or_null(schema: Any) -> dict[str, Any]:
    told = dict(schema) if isinstance(schema, Mapping) else {}
    told.pop("default", None)
    return {"anyOf": [told, {"type": "null"}]}


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:200]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".?!~ ")
