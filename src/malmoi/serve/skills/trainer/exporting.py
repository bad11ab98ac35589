"""Rows as training data: conversations as JSON lines, and the Studio's columns as CSV; and lines read again.

A line has `messages` and `tools` as chat templates take them: an operation is the function
`<skill>__<operation>`, arguments are an object. The other keys say what a conversation cannot.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.serve.body import check_json
from malmoi.serve.skills.trainer.types import NewRow, Part, RowValue, Stages

if TYPE_CHECKING:
    from malmoi.assist.skills.loading import LoadedSkill
    from malmoi.assist.skills.operation import Operation

COLUMNS = ("System_Prompt", "C_ID", "T_ID", "Text", "Completion")
_BETWEEN = "__"  # between skill and operation; names of skills have no underscores
_MOST_LINES = 2000


def to_lines(
    about: Mapping[str, Any], rows: Sequence[RowValue], skills: Sequence[LoadedSkill]
) -> tuple[str, int]:
    """Rows as JSON lines, and how many say nothing to learn: no call and no answer.

    Args:
        about: the set: its description, tone and format.
        rows: of it.
        skills: of it, whose operations become tools.
    """
    tools = [_tool(one, operation) for one in skills for operation in one.operations]
    lines: list[str] = []
    for row in rows:
        messages = _messages(about, row)
        if messages[-1]["role"] != "assistant":
            continue
        line: dict[str, Any] = {
            "messages": messages,
            "tools": tools,
            "part": row.part,
            "language": row.language,
            "zone": row.zone,
            "said_at": row.said_at.isoformat(),
            "said": row.stages.said,
        }
        if row.stages.asked:
            line["asked_for"] = row.stages.model_dump(include={"skill", "operation", "arguments"})
        if row.stages.steps:
            line["steps"] = [{"clause": one.clause, "said": one.said} for one in row.stages.calls()]
        lines.append(json.dumps(line, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines), len(rows) - len(lines)


def to_csv(about: Mapping[str, Any], rows: Sequence[RowValue]) -> str:
    """Rows in the Studio's columns: earlier turns, the call as JSON, then its result and the answer."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    conversation = 0
    for row in rows:
        pairs = _pairs(row)
        for turn, (text, completion) in enumerate(pairs):
            writer.writerow([_system(about, row), conversation, turn, text, completion])
        conversation += bool(pairs)
    return file.getvalue()


def read_lines(text: str, part: Part | None) -> list[NewRow]:
    """The rows of JSON lines that `to_lines` has written.

    Args:
        text: the lines.
        part: that all rows get; None: what each line says.

    Raises:
        InvalidInput: a line is wrong; the message names it and its key.
    """
    rows: list[NewRow] = []
    for number, line in enumerate(text.split("\n"), start=1):  # other ends of lines may stand in texts
        if not line.strip():
            continue
        if len(rows) == _MOST_LINES:
            raise InvalidInput(f"there are more than {_MOST_LINES} lines.", field="text")
        try:
            rows.append(_row(json.loads(line), part))
            # The check of the request's body has seen all this as one text alone.
            check_json(json.dumps(rows[-1].model_dump(), default=str, ensure_ascii=False).encode())
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(str(one) for one in fault["loc"])
            raise InvalidInput(f"line {number}: {key}: {fault['msg']}.", field="text") from error
        except _Wrong as error:
            raise InvalidInput(f"line {number}: {error}", field="text") from error
        except InvalidInput as error:
            raise InvalidInput(f"line {number}: {error.message}", field="text") from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"line {number} is no JSON.", field="text") from error
    return rows


class _Wrong(Exception):
    """What is wrong with a line."""


def _row(line: Any, part: Part | None) -> NewRow:
    messages = line.get("messages") if isinstance(line, dict) else None
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise _Wrong("`messages` must be a list of messages.")
    asked = [place for place, one in enumerate(messages) if one.get("role") == "user"]
    if not asked:
        raise _Wrong("`messages` has no user.")
    last = asked[-1]
    before, after = messages[:last], messages[last + 1 :]
    steps, answer = _steps_of(after)
    if "asked_for" in line:
        if not isinstance(line["asked_for"], dict):
            raise _Wrong("`asked_for` must be an operation with the arguments so far.")
        own = {key: line["asked_for"].get(key, "") for key in ("skill", "operation")}
        steps.append({**own, "arguments": line["asked_for"].get("arguments", {})})
    if "steps" in line:
        _tell(steps, line["steps"])
    elif steps:
        steps[-1]["said"] = line.get("said", "")
    stages: dict[str, Any] = {**(steps[-1] if steps else {}), "steps": steps[:-1]}
    stages |= {"asked" if "asked_for" in line else "answer": answer}
    told = {name: line[name] for name in ("language", "zone", "said_at") if name in line}
    return NewRow.model_validate(
        {
            **told,
            "query": messages[last].get("content", ""),
            "turns": [
                {"role": one.get("role"), "content": one.get("content", "")}
                for one in before
                if one.get("role") != "system"
            ],
            "part": part or line.get("part", "train"),
            "status": "saved",
            "stages": Stages.model_validate(stages).model_dump(),
        }
    )


def _steps_of(messages: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The calls after a query with their results, and the answer."""
    steps: list[tuple[str, dict[str, Any]]] = []
    answer = ""
    for one in messages:
        role, calls = one.get("role"), one.get("tool_calls")
        if role == "assistant" and calls:
            if not isinstance(calls, list):
                raise _Wrong("`tool_calls` must be a list.")
            steps += [
                (str(call.get("id")) if isinstance(call, dict) else "", _call_of(call)) for call in calls
            ]
        elif role == "tool":
            if not steps:
                raise _Wrong("a result needs a call before it.")
            # Written by hand, it may not name its call: then it is that of the last one.
            own = [step for call_id, step in steps if call_id == str(one.get("tool_call_id"))]
            (own or [steps[-1][1]])[-1]["result"] = one.get("content", "")
        elif role == "assistant":
            answer = one.get("content", "")
        else:
            raise _Wrong(f"a message of the role {str(role)[:20]!r} cannot come after the query.")
    return [step for _, step in steps], answer


def _tell(steps: Sequence[dict[str, Any]], told: Any) -> None:
    """Add to calls what a conversation cannot say of them."""
    if not isinstance(told, list) or len(told) != len(steps):
        raise _Wrong("`steps` must have one object for each call.")
    for step, more in zip(steps, told, strict=True):
        if not isinstance(more, dict) or more.keys() - {"clause", "said"}:
            raise _Wrong("each of `steps` has a `clause`, a `said`, and nothing else.")
        step |= more


def _call_of(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or _BETWEEN not in name:
        raise _Wrong("a call's function must be named <skill>__<operation>.")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):  # as OpenAI writes them
        arguments = json.loads(arguments)
    skill, _, operation = name.partition(_BETWEEN)
    return {"skill": skill, "operation": operation, "arguments": arguments}


def _messages(about: Mapping[str, Any], row: RowValue) -> list[dict[str, Any]]:
    stages = row.stages
    messages: list[dict[str, Any]] = [{"role": "system", "content": _system(about, row)}]
    messages += [turn.model_dump() for turn in row.turns]
    messages.append({"role": "user", "content": row.query})
    for number, one in enumerate(stages.steps if stages.asked else stages.calls()):
        name, call_id = f"{one.skill}{_BETWEEN}{one.operation}", f"call_{number}"
        function = {"name": name, "arguments": one.arguments}
        call = {"id": call_id, "type": "function", "function": function}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        if not (one.result or one.said):
            return messages  # what no result stands behind is not to be learned
        result = one.result or one.said
        messages.append({"role": "tool", "tool_call_id": call_id, "name": name, "content": result})
    if stages.asked:
        messages.append({"role": "assistant", "content": stages.asked})
    elif stages.answer:
        messages.append({"role": "assistant", "content": stages.answer})
    return messages


def _pairs(row: RowValue) -> list[tuple[str, str]]:
    """Texts and their completions; a turn that nothing answers is joined to the next text."""
    stages = row.stages
    pairs: list[tuple[str, str]] = []
    text: list[str] = []
    for turn in row.turns:
        if turn.role == "user":
            text.append(turn.content)
        elif text:
            pairs.append(("\n".join(text), turn.content))
            text = []
    text.append(row.query)
    asked = "\n".join(text)
    for one in stages.steps if stages.asked else stages.calls():
        call = {"skill": one.skill, "operation": one.operation, "arguments": one.arguments}
        pairs.append((asked, json.dumps(call, ensure_ascii=False)))
        asked = one.result or one.said
        if not asked:
            return pairs
    if stages.asked:
        return [*pairs, (asked, stages.asked)]
    if stages.answer:
        return [*pairs, (asked, stages.answer)]
    return pairs if stages.skill else []


def _system(about: Mapping[str, Any], row: RowValue) -> str:
    language: Literal["ko", "en"] = row.language
    text = (
        files(__package__).joinpath("prompts", f"system_{language}.txt").read_text(encoding="utf-8").strip()
    )
    moment = row.said_at.astimezone(ZoneInfo(row.zone)) if row.zone else row.said_at
    # The set's own words come last: braces in them stay.
    told = [text.replace("{now}", moment.strftime("%Y-%m-%d %H:%M"))]
    return "\n".join(
        [*told, *(str(about[name]) for name in ("description", "tone", "format") if about[name])]
    )


def _tool(loaded: LoadedSkill, operation: Operation) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": f"{loaded.name}{_BETWEEN}{operation.name}",
            "description": operation.description,
            "parameters": dict(operation.parameters),
        },
    }
