"""Python code in a sandbox that reads nobody's files, reaches no network and takes no more than its share."""

import ast
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from malmoi.assist.skills.builtin.code.picture import draw
from malmoi.assist.skills.builtin.described import DescribedProvider
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.operation import CallContext, Card, File, Result
from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.core.sandbox import Limits, SandboxFailed, run_async

_MOST_CELLS = 200_000
_SHOWN = 1500
_FENCED = re.compile(r"```(?:python|py)?\s*\n(.*?)```", re.DOTALL)
_BEGINS = re.compile(r"[:：]\s*|(?<=[가-힣])[.!?]?\s+(?=[A-Za-z@#(\[])")
_MOST_STARTS = 12  # places of a line where a program is looked for
_TICKED = re.compile(r"(?<!`)`([^`\n]{3,500})`(?!`)")


class CodeProvider(DescribedProvider):
    """Runs Python.

    Args:
        seconds: a run may take.
        memory_mb: a run may use.
    """

    def __init__(self, seconds: float = 20.0, memory_mb: int = 1024) -> None:
        super().__init__(__package__, {"run_python": self._run})
        self._limits = Limits(
            seconds=seconds,
            cpu_seconds=max(1, int(seconds)),
            memory_bytes=memory_mb << 20,
            output_bytes=4 << 20,
            confined=True,
        )

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """A program that stands in the query itself: between backticks, or from some place to its end."""
        fenced = _FENCED.findall(query) or _TICKED.findall(query)
        if len(fenced) == 1:
            return {"code": fenced[0].strip()}
        code = _program(query)
        return {"code": code} if code else {}

    async def _run(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        language = context.language
        tables = await _tables(arguments.get("documents") or [], context)
        told = {"code": _unfenced(arguments["code"]), "tables": tables}
        try:
            outcome = await run_async(f"{__package__}.child:run_code", told, limits=self._limits)
        except SandboxFailed as error:
            raise self._failed(error.reason) from error
        except Unsupported as error:
            return Result(
                data={"error": str(error)}, text=self._texts.say(language, "unsupported"), is_error=True
            )
        if not isinstance(outcome.value, dict):
            raise self._failed("other")
        return self._result(outcome.value, language)

    def _failed(self, reason: str) -> SkillRefused:
        key = reason if reason in ("timeout", "memory", "output") else "other"
        megabytes = self._limits.memory_bytes >> 20
        return SkillRefused(key, seconds=f"{self._limits.seconds:g}", megabytes=megabytes)

    def _result(self, told: dict[str, Any], language: str) -> Result:
        # Code has had this value in its hands: only plain texts and checked figures are taken from it.
        output, value, error = (_text(told.get(key)) for key in ("output", "value", "error"))
        figures = told.get("figures") if isinstance(told.get("figures"), list) else []
        files = []
        for number, figure in enumerate(figures[:8] if isinstance(figures, list) else [], 1):
            drawn = draw(figure) if isinstance(figure, dict) else None
            if drawn is not None:
                files.append(File(f"plot-{number}.svg", "image/svg+xml", drawn))
        data = {"output": output, "value": value, "error": error, "plots": [file.name for file in files]}
        data = {key: inner for key, inner in data.items() if inner}
        plot = self._texts.say(language, "plot")
        cards = [Card(kind="plot", title=plot, file=file.name) for file in files]
        if output or value or error:
            cards.insert(0, self._card(output, value, error, language))
        key = "raised" if error else "ran" if output or value else "drew" if files else "silent"
        text = self._texts.say(
            language,
            key,
            value=value or output.strip()[-200:],
            error=error.rpartition("\n")[2],
            count=len(files),
        )
        return Result(data=data, text=text, cards=tuple(cards), files=tuple(files), is_error=bool(error))

    def _card(self, output: str, value: str, error: str, language: str) -> Card:
        told = (("output", output), ("value", value), ("error", error))
        fields = tuple((self._texts.say(language, key), text[:_SHOWN]) for key, text in told if text)
        return Card(
            kind="note", title=self._texts.say(language, "failed" if error else "done"), fields=fields
        )


async def _tables(documents: Sequence[str], context: CallContext) -> list[list[list[str]]]:
    if not documents:
        return []
    if context.documents is None:
        raise InvalidInput("this skill may not see documents here.", field="documents")
    tables = [
        [list(row) for row in table] for name in documents for table in await context.documents.tables(name)
    ]
    if sum(len(row) for table in tables for row in table) > _MOST_CELLS:
        raise InvalidInput(f"the tables have more than {_MOST_CELLS} cells.", field="documents")
    return tables


def _unfenced(code: str) -> str:
    """Code without the fence that models put around it."""
    lines = code.strip("\n").splitlines()
    if lines and lines[0].strip().startswith("```"):
        lines = lines[1:-1] if lines[-1].strip() == "```" else lines[1:]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return value[:25_000] if isinstance(value, str) else ""


def _program(query: str) -> str:
    """The lines of a query that are a program; it may begin in the first line, behind other words."""
    first, _, below = query.partition("\n")
    if not below.strip():
        return ""
    starts = [0] if first[:1].isascii() else []
    starts += [match.end() for match in islice(_BEGINS.finditer(first), _MOST_STARTS)]
    for start in starts:
        code = f"{first[start:]}\n{below}".strip()
        if first[start:].strip() and _is_program(code):
            return code
    return below.strip() if _is_python(below) else ""


def _is_program(code: str) -> bool:
    """Whether lines are a program whose first one does something: a word such as "run:" does nothing."""
    if not _is_python(code):
        return False
    first = ast.parse(code).body[0]
    if isinstance(first, ast.Expr):
        return not isinstance(first.value, ast.Name | ast.Constant | ast.Tuple | ast.Attribute)
    return not isinstance(first, ast.AnnAssign) or first.value is not None


def _is_python(text: str) -> bool:
    """Whether lines are a program; a word alone is none."""
    if not re.search(r"[=(]", text):
        return False
    try:
        return bool(ast.parse(text.strip()).body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
