"""From what a model wrote to a program: fenced blocks of chat models, bare continuations of base models.

Base models lose the indentation of the first line when a prompt's last space was trimmed, chat models repeat
the signature or leave it out; both are mended here, in several ways, and the first that is Python is run.
"""

import re
import textwrap

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_PYTHON = ("", "python", "py", "python3")
_STOP = re.compile(r"\n(?=class\s|def\s|async\s+def\s|#|if\s|print\s*\(|@|```|assert\s|from\s|import\s|<)")


def candidate_programs(answer: str, *, header: str = "", entry_point: str = "") -> tuple[str, ...]:
    """Programs that an answer may stand for, the most literal first, without repeats.

    Args:
        answer: what the model wrote.
        header: the code that it was to go on with; empty: it was to write a whole program.
        entry_point: the function that the tests call; it tells a whole program from the rest of one.
    """
    code = _fenced(answer, entry_point)
    body = answer if code is None else code
    if not header:
        return _unique(body, textwrap.dedent(body))
    if _defines(body, entry_point):
        before = _before(header, entry_point)
        if code is not None:
            return _unique(f"{before}\n{textwrap.dedent(code)}")
        whole = answer[_start(answer, entry_point) :]
        cut = _cut(whole, _definition(entry_point).search(whole))
        return _unique(f"{before}\n{whole}", f"{before}\n{cut}")
    body = _cut(body) if code is None else body
    joint = "" if header.endswith("\n") else "\n"
    bodies = [body, *_indented(body)]
    return _unique(*(f"{header}{'' if text.startswith(chr(10)) else joint}{text}" for text in bodies))


def _unique(*programs: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(programs))


def _fenced(answer: str, entry_point: str) -> str | None:
    """The fenced block to run: the last that defines the function, else the longest of Python."""
    blocks = [body for _, language, body in _FENCE.findall(answer) if language.lower() in _PYTHON]
    if not blocks:
        return None
    defining = [block for block in blocks if _defines(block, entry_point)]
    return str(defining[-1] if defining else max(blocks, key=len))


def _defines(code: str, entry_point: str) -> bool:
    return bool(entry_point) and _definition(entry_point).search(code) is not None


def _definition(entry_point: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", re.MULTILINE)


def _start(code: str, entry_point: str) -> int:
    """Where a whole program begins within unfenced text: at its first import or definition."""
    first = re.search(r"^(?:import |from |def |async def |class |@)", code, re.MULTILINE)
    found = _definition(entry_point).search(code)
    assert found is not None  # the caller has looked
    return min(found.start(), first.start()) if first else found.start()


def _before(header: str, entry_point: str) -> str:
    """What of the header is before the function itself: imports, and other functions that it uses."""
    found = _definition(entry_point).search(header)
    return header[: found.start()] if found else header


def _cut(text: str, after: re.Match[str] | None = None) -> str:
    """Code without what base models write after it: the next function, a test, another task.

    Args:
        text: the code.
        after: the definition that must stay.
    """
    start = after.end() if after else len(text) - len(text.lstrip("\n"))
    stop = _STOP.search(text, start)
    return text[: stop.start() + 1] if stop else text


def _indented(body: str) -> list[str]:
    """The body with its lost indentation mended: of its first line alone, or of all lines."""
    lines = body.lstrip("\n").split("\n")
    if not lines[0].strip():
        return []
    first = " " * 4 + lines[0].lstrip()
    rest = "\n".join(lines[1:])
    dedented = textwrap.indent(textwrap.dedent("\n".join(lines)), " " * 4)
    below = textwrap.indent(textwrap.dedent(rest), " " * 4)
    return [f"{first}\n{rest}", dedented, f"{first}\n{below}"]
