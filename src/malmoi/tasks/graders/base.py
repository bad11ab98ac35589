"""The grader protocol, and graders by their kind.

A grader is described by the `grader` table of a task file: its `kind`, and the options of that kind.

    grader = {kind = "numeric", main = "strict"}
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from malmoi.core.config import ConfigTree
from malmoi.core.errors import ConfigError, UnknownName
from malmoi.tasks.base import Example


@runtime_checkable
class Grader(Protocol):
    """Says how right an answer is. The same example and answer get the same grade, always."""

    def grade(self, example: Example, answer: str) -> float:
        """The grade, from 0 to 1."""
        ...

    def grades(self, example: Example, answer: str) -> Mapping[str, float]:
        """Further grades by name, where the field reports several; may be empty. Each is from 0 to 1."""
        ...


class GraderSettings(BaseModel):
    """What every kind of grader is made of: its options, read from a task file, and two functions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Which grader."""

    def grades(self, example: Example, answer: str) -> Mapping[str, float]:
        """No further grades."""
        return {}


class NoGrader(GraderSettings):
    """For tasks whose figure is not a mean of grades, such as bits per byte: every grade is 0."""

    def grade(self, example: Example, answer: str) -> float:
        """Always 0."""
        return 0.0


# Kind -> where it is; loaded when a task asks for it.
_KINDS = {
    "choice": "choice:ChoiceGrader",
    "code": "code:CodeGrader",
    "contains": "text:ContainsGrader",
    "exact": "text:ExactGrader",
    "format": "format:FormatGrader",
    "latex": "latex:LatexGrader",
    "none": "base:NoGrader",
    "numeric": "numeric:NumericGrader",
    "regex": "text:RegexGrader",
    "span_f1": "span:SpanGrader",
}


def grader_kinds() -> tuple[str, ...]:
    """The kinds that there are."""
    return tuple(_KINDS)


def build_grader(settings: Mapping[str, Any]) -> Grader:
    """The grader that a task file describes.

    Args:
        settings: `kind` and the options of that kind.

    Raises:
        UnknownName: there is no such kind.
        ConfigError: there is no kind, or an option is wrong; the message names it.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str):
        raise ConfigError("grader: it has no kind.", fix=f"Give one of {', '.join(_KINDS)}.")
    if kind not in _KINDS:
        raise UnknownName("kind of grader", kind, _KINDS)
    module, _, name = _KINDS[kind].partition(":")
    found: type[GraderSettings] = getattr(import_module(f"malmoi.tasks.graders.{module}"), name)
    tree = ConfigTree()
    tree.merge(settings, origin=f"the grader {kind!r}")
    grader = tree.validate(found, under="grader")
    assert isinstance(grader, Grader)
    return grader


def right_answers(example: Example) -> tuple[str, ...]:
    """Every right answer: the example's own, then those of its field `answers`."""
    more = example.fields.get("answers", ())
    if isinstance(more, str) or not isinstance(more, Sequence):
        more = (more,)
    own = (example.answer,) if example.answer else ()
    return tuple(dict.fromkeys([*own, *(str(answer) for answer in more)]))
