"""What readers say of documents has words in the person's language."""

import ast
import re
from pathlib import Path
from typing import get_args

import malmoi
from malmoi.assist.retrieval.parsing.formats import known_formats
from malmoi.core.sandbox import FailureReason

SOURCE = Path(malmoi.__file__).parent
PAGE = (SOURCE / "web" / "documents" / "remarks.js").read_text(encoding="utf-8")
PATTERNS = [re.compile(pattern) for pattern in re.findall(r"^  \[/(\^.+\$)/, \(", PAGE, re.MULTILINE)]


def sentences() -> set[str]:
    """Every remark that a reader makes, with a number or a quoted word in each of its places."""
    found = set()
    for path in (SOURCE / "assist" / "retrieval" / "parsing").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "remark":
                found.add(filled(node.args[0]))
    return found


def filled(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(filled(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        if isinstance(node.value, ast.Name) and node.value.id == "sure":
            return ""  # a second sentence, or none
        return "'7'" if node.conversion == ord("r") else "7"
    assert isinstance(node, ast.Constant)
    return str(node.value)


def test_every_remark_is_known_to_the_page() -> None:
    said = sentences()
    assert len(said) > 15
    assert len(PATTERNS) >= len(said)
    assert [one for one in said if not any(pattern.match(one) for pattern in PATTERNS)] == []


def test_every_reason_is_known_to_the_page() -> None:
    known = re.search(r"REASONS = new Set\(\[(.+)\]\)", PAGE)
    assert known is not None
    reasons = {*get_args(FailureReason)}
    for path in (SOURCE / "assist" / "retrieval" / "parsing").glob("*.py"):
        reasons.update(re.findall(r'reason="(\w+)"', path.read_text(encoding="utf-8")))
    assert set(re.findall(r"'(\w+)'", known[1])) == reasons


def test_folders_are_asked_for_the_formats_that_can_be_read() -> None:
    text = (SOURCE / "web" / "documents" / "files.js").read_text(encoding="utf-8")
    known = re.search(r"KNOWN = /\\\.\(\?:(.+)\)\$/i", text)
    assert known is not None
    extensions = {one.removeprefix(".") for info in known_formats().values() for one in info.extensions}
    assert set(known[1].split("|")) == extensions
