"""Runs a person's Python inside the sandbox, and says what it printed, gave and drew. Never called directly.

Standard library only, so that the sandbox starts quickly; numpy is there when code imports it.
"""

import ast
import builtins
import io
import sys
import traceback
import warnings
from types import ModuleType
from typing import Any

from malmoi.assist.skills.builtin.code import plots

FILE = "<code>"
_MOST_OUTPUT = 20_000
_LONGEST_VALUE = 2_000
_MOST_FRAMES = 6


class _Printed(io.TextIOBase):
    """Standard output that stops to grow."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[: _MOST_OUTPUT + 1]
        return len(text)

    def writable(self) -> bool:
        return True


def run_code(code: str, tables: list[list[list[str]]]) -> dict[str, Any]:
    """Run code.

    Args:
        code: a program; the value of an expression in its last line is given back.
        tables: what the code finds as `tables`, and the first of them as `table`.

    Returns:
        `output`, `value` (as repr), `error` (a traceback of the code's own lines) and `figures`.
    """
    warnings.simplefilter("ignore")
    drawn = _offer_plots()
    printed = _Printed()
    space: dict[str, Any] = {
        "__name__": "__main__",
        "tables": tables,
        "table": tables[0] if tables else [],
    }
    builtins.input = _no_input
    sys.stdout = sys.stderr = printed
    value, error = "", ""
    try:
        value = _execute(code, space)
    except BaseException as fault:  # the boundary: whatever the code raises, SystemExit too, is told
        error = _told(fault, code)
    output = printed.text
    if len(output) > _MOST_OUTPUT:
        output = output[:_MOST_OUTPUT] + "\n…"
    return {"output": output, "value": value, "error": error, "figures": plots.figures(drawn)}


def _execute(code: str, space: dict[str, Any]) -> str:
    tree = ast.parse(code, FILE)
    last = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if last is not None:
        tree.body.pop()
    exec(compile(tree, FILE, "exec"), space)  # noqa: S102 - the sandbox exists for this
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), FILE, "eval"), space)  # noqa: S307
    return "" if value is None else repr(value)[:_LONGEST_VALUE]


def _offer_plots() -> ModuleType:
    made: ModuleType = plots.module("plots")
    above = ModuleType("matplotlib")
    above.pyplot = made  # type: ignore[attr-defined]
    sys.modules.update({"plots": made, "matplotlib": above, "matplotlib.pyplot": made})
    return made


def _no_input(*_: Any) -> str:
    raise EOFError("nobody is there to answer input()")


def _told(fault: BaseException, code: str) -> str:
    """The traceback, of the code's own lines alone."""
    if isinstance(fault, SyntaxError) and fault.filename == FILE:
        line = (fault.text or "").rstrip()
        return f"line {fault.lineno}: {line.strip()}\n{type(fault).__name__}: {fault.msg}"
    lines = code.splitlines()
    told = [
        f"line {frame.lineno}: {lines[frame.lineno - 1].strip()}"
        for frame in traceback.extract_tb(fault.__traceback__)
        if frame.filename == FILE and frame.lineno and frame.lineno <= len(lines)
    ]
    try:
        message = f"{type(fault).__name__}: {fault}"
    except BaseException:  # an exception of the code's own may fail to say what it is
        message = type(fault).__name__
    return "\n".join([*told[-_MOST_FRAMES:], message])[:_LONGEST_VALUE]
