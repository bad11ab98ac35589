"""Whether an answer holds what a template's test asks for. Pure functions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from malmoi.assist.templates.template import Checks
from malmoi.core.hangul import is_hangul, nfc

_RULE = re.compile(r"^\s*\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*$")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one answer; `detail` says what was found where it did not hold."""

    check: str
    passed: bool
    detail: str = ""


def run_checks(checks: Checks, text: str, *, calls: int) -> Iterator[CheckResult]:
    """All checks that are given.

    Args:
        checks: what must hold.
        text: the answer.
        calls: how often a model was asked for it.
    """
    folded = nfc(text).casefold()
    for wanted in checks.contains:
        yield _result(f"contains {wanted!r}", nfc(wanted).casefold() in folded, "it does not")
    if checks.contains_any:
        found = any(nfc(wanted).casefold() in folded for wanted in checks.contains_any)
        yield _result(f"contains one of {', '.join(checks.contains_any)}", found, "it has none")
    for unwanted in checks.not_contains:
        yield _result(f"does not contain {unwanted!r}", nfc(unwanted).casefold() not in folded, "it does")
    if checks.language is not None:
        share = korean_share(text)
        fits = share >= 0.5 if checks.language == "ko" else share < 0.2
        yield _result(f"is in {checks.language}", fits, f"{share:.0%} of its letters are Korean")
    length = len(text.strip())
    if checks.at_least is not None:
        yield _result(
            f"has {checks.at_least} characters or more", length >= checks.at_least, f"it has {length}"
        )
    if checks.at_most is not None:
        yield _result(
            f"has {checks.at_most} characters or fewer", length <= checks.at_most, f"it has {length}"
        )
    if checks.table is not None:
        name = "has a table" if checks.table else "has no table"
        yield _result(name, has_table(text) == checks.table, "it has none" if checks.table else "it has one")
    if checks.ends_with_question is not None:
        name = "ends with a question" if checks.ends_with_question else "does not end with a question"
        last = last_line(text)
        yield _result(name, is_question(last) == checks.ends_with_question, f"it ends with {last[-40:]!r}")
    for number in checks.help_lines:
        yield _result(f"names the help line {number}", has_number(text, number), "it does not")
    if checks.most_calls is not None:
        name = f"asks the model {checks.most_calls} times or fewer" if checks.most_calls else "asks no model"
        yield _result(name, calls <= checks.most_calls, f"it was asked {calls} times")


def korean_share(text: str) -> float:
    """How many of the letters are Korean; 0 where there are none."""
    letters = [char for char in text if char.isalpha()]
    return sum(is_hangul(char) for char in letters) / len(letters) if letters else 0.0


def has_table(text: str) -> bool:
    """Whether there is a Markdown table with a row below its head."""
    lines = text.splitlines()
    return any(
        "|" in lines[at - 1] and _RULE.match(lines[at]) and "|" in lines[at] and "|" in lines[at + 1]
        for at in range(1, len(lines) - 1)
    )


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def is_question(line: str) -> bool:
    """Whether a line ends as a question."""
    return line.rstrip(" *_\"'”’)").endswith(("?", "？"))


def has_number(text: str, number: str) -> bool:
    """Whether a number stands in a text by itself, not within another one."""
    return re.search(rf"(?<![\d-]){re.escape(number)}(?![\d-])", text) is not None


def _result(check: str, passed: bool, detail: str) -> CheckResult:
    return CheckResult(check, passed, "" if passed else detail)
