"""The task protocol: examples, a prompt, and a grade between 0 and 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a task.

    Attributes:
        id: unique within its split.
        question: the text that a model continues, without a space at its end.
        choices: the possible continuations of a multiple-choice item; empty where any text may be right.
        answer: the right continuation.
    """

    id: str
    question: str
    choices: tuple[str, ...]
    answer: str


@runtime_checkable
class Task(Protocol):
    """Something that a model can be asked, and graded on."""

    @property
    def name(self) -> str:
        """`family/task`."""
        ...

    def examples(self, split: str) -> Sequence[Example]:
        """All items of a split, in the order of their file.

        Raises:
            NotFound: the file is not there; the message says which one and where it comes from.
        """
        ...

    def prompt(self, example: Example, shots: Sequence[Example] = ()) -> str:
        """The text that a model continues, with solved examples before it."""
        ...

    def grade(self, example: Example, answer: str) -> float:
        """How right an answer is, from 0 to 1."""
        ...
