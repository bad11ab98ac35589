"""Grades by text alone: the same text, a text within it, or a pattern."""

import re
import unicodedata
from typing import Literal, TypeAlias

from pydantic import field_validator

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings, right_answers
from malmoi.tasks.graders.patterns import check_pattern, find_all, is_found

Ignored: TypeAlias = Literal["case", "punctuation", "spaces"]

_LONGEST = 100_000  # characters that are compared
_SPACES = re.compile(r"\s+")


def normalise(text: str, ignore: tuple[Ignored, ...] = ("case", "punctuation", "spaces")) -> str:
    """Text for comparison: composed (NFC), runs of white space one space, and without what is ignored.

    Ignored punctuation is all of Unicode's (category P) and its symbols but for those with a meaning in
    mathematics (category Sm).
    """
    text = unicodedata.normalize("NFC", text[:_LONGEST])
    if "case" in ignore:
        text = text.casefold()
    if "punctuation" in ignore:
        text = "".join(char for char in text if not _is_punctuation(char))
    return _SPACES.sub("" if "spaces" in ignore else " ", text).strip()


def _is_punctuation(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "P" or category in ("Sk", "So")


class _Extracting(GraderSettings):
    """What may be cut out of an answer before it is judged."""

    extract: str = ""
    """A regular expression: its first group, or all that it matches, is the answer. Empty: all of it."""
    take: Literal["first", "last"] = "first"
    """Which match."""
    ignore: tuple[Ignored, ...] = ("case", "punctuation", "spaces")
    """Differences that do not count."""

    @field_validator("extract")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return check_pattern(pattern)

    def _answer(self, answer: str) -> str:
        if not self.extract:
            return answer
        found = find_all(self.extract, answer)
        if not found:
            return answer
        match = found[0 if self.take == "first" else -1]
        return str(match.group(1 if match.re.groups else 0) or "")


class ExactGrader(_Extracting):
    """1 for a right answer, word for word."""

    match: Literal["whole", "prefix"] = "whole"
    """`prefix`: the answer may go on after the right one, as those of base models do."""

    def grade(self, example: Example, answer: str) -> float:
        """1 when it equals one of the right answers."""
        given = normalise(self._answer(answer), self.ignore)
        golds = [normalise(gold, self.ignore) for gold in right_answers(example)]
        if self.match == "prefix":
            return float(any(gold != "" and given.startswith(gold) for gold in golds))
        return float(given in golds)


class ContainsGrader(_Extracting):
    """1 when a right answer occurs in what was said."""

    def grade(self, example: Example, answer: str) -> float:
        """1 when one of the right answers is within it."""
        given = normalise(self._answer(answer), self.ignore)
        golds = [normalise(gold, self.ignore) for gold in right_answers(example)]
        return float(any(gold and gold in given for gold in golds))


class RegexGrader(GraderSettings):
    """1 when a pattern is found in the answer."""

    pattern: str = ""
    """The pattern; empty: the example's own, in its field `pattern`."""
    whole: bool = False
    """The whole answer must match, not a part of it."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return check_pattern(pattern)

    def grade(self, example: Example, answer: str) -> float:
        """1 when the pattern is found."""
        pattern = self.pattern or str(example.fields.get("pattern", ""))
        if not pattern:
            return 0.0
        text = unicodedata.normalize("NFC", answer).strip()
        return float(is_found(pattern, text, whole=self.whole))
