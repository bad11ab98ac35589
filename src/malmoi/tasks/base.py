"""The task protocol: examples, a prompt, and a grade between 0 and 1.

Evaluation asks the examples, training mixes turn them into conversations, and a grade is a reward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

TaskKind: TypeAlias = Literal["choice", "generate"]
"""How an example is asked: which of its choices is likeliest, or what the model writes."""

Form: TypeAlias = Literal["default", "cloze", "letters"]
"""How choices are asked. `cloze`: they are not shown, their texts are scored. `letters`: they are shown with
letters, the letters are scored. `default`: as the field asks this task."""


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a task.

    Attributes:
        id: unique within its split, and the same for every model and run.
        question: the text that a model continues, without a space at its end.
        choices: the possible answers of a multiple-choice item; empty where any text may be right.
        answer: the right answer; empty where only the grader can tell.
        category: subject or kind, for tables by category; empty: none.
        fields: what else the prompt or the grader reads: unit tests, constraints, further right answers.
    """

    id: str
    question: str
    choices: tuple[str, ...] = ()
    answer: str = ""
    category: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task is, and how the field runs it.

    Attributes:
        title: what is asked, in one line.
        license: of the data.
        source: where the files come from.
        kind: how its examples are asked.
        metrics: names of metrics (`accuracy`, `macro_f1`, `pearson`, ...), the main one first.
        shots: solved examples that are usual for it.
        split: the split that is scored.
        shot_split: the split that solved examples come from; where it is `split`, an item is never its own.
        stop: strings that end a generated answer.
        max_tokens: most tokens of a generated answer.
        language: of the answers, `ko` or `en`; empty: any.
        version: raised whenever prompts or grades change.
    """

    title: str
    license: str
    source: str
    kind: TaskKind
    metrics: tuple[str, ...]
    shots: int = 0
    split: str = "test"
    shot_split: str = "train"
    stop: tuple[str, ...] = ()
    max_tokens: int = 256
    language: str = ""
    version: int = 1


@runtime_checkable
class Task(Protocol):
    """Something that a model can be asked, and graded on."""

    @property
    def name(self) -> str:
        """`family/task`."""
        ...

    @property
    def info(self) -> TaskInfo:
        """What it is, and how the field runs it."""
        ...

    def examples(self, split: str) -> Sequence[Example]:
        """All items of a split, in the order of their file.

        Raises:
            NotFound: the file is not there; the message says which one and where it comes from.
            InvalidInput: a row is not as it should be; the message has file and line.
        """
        ...

    def prompt(self, example: Example, shots: Sequence[Example] = (), *, form: Form = "default") -> str:
        """The text that a model continues, with solved examples before it."""
        ...

    def continuations(self, example: Example, *, form: Form = "default") -> Sequence[str]:
        """What is scored for each choice, in their order: their texts, or their letters."""
        ...

    def grade(self, example: Example, answer: str) -> float:
        """How right an answer is, from 0 to 1; of a `choice` task the answer is one of the choices."""
        ...
