"""Run a Python program that nobody has read, and say how it ended. Called in a sandbox, never directly.

Standard library only, so that the sandbox starts quickly.
"""

import os
import warnings
from collections.abc import Sequence
from typing import Any

_LONGEST_MESSAGE = 300


def run_program(candidates: Sequence[str]) -> dict[str, Any]:
    """Run the first candidate that is Python.

    What it prints goes nowhere, and its input is empty. It has passed when it reached its end: an exception,
    also one that asks to exit, is a failure.

    Returns:
        `passed`; `error`, the exception; `candidate`, which one was run (None: none is Python).
    """
    warnings.simplefilter("ignore")
    error = "there is no program"
    for index, source in enumerate(candidates):
        try:
            code = compile(source, "<program>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as refused:
            error = error if index else _message(refused)
            continue
        failure = _execute(code)
        return {"passed": failure is None, "error": failure or "", "candidate": index}
    return {"passed": False, "error": error, "candidate": None}


def _execute(code: Any) -> str | None:
    """Run compiled code; the exception it ended with, as text."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        exec(code, {"__name__": "__main__"})  # noqa: S102 - the sandbox exists for this
    except BaseException as error:  # the boundary: whatever it raises, SystemExit too, is how it ended
        return _message(error)
    return None


def _message(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
    except BaseException:  # an exception of the program's own may fail to say what it is
        return "an exception without words"
