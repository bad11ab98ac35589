"""The suites that come with Malmoi, and those of a user's own file.

title = "Korean"
[[tasks]]
name = "kobest/boolq"      # or a pattern such as "kmmlu/*"
shots = 5                  # instead of the task's own
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import UnknownName
from malmoi.tasks.base import Form


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SuiteTask(_Settings):
    """One line of a suite. What is not said is as the task itself says."""

    name: str
    """A task, or a pattern with `*` over the names of tasks."""
    group: str = ""
    """Heading under which a plain mean of the main metrics is shown."""
    shots: int | None = Field(default=None, ge=0)
    """Solved examples before each question."""
    form: Form | None = None
    """How choices are asked."""
    metrics: tuple[str, ...] = ()
    """Metrics, the main one first."""
    samples: int = Field(default=1, ge=1, le=100)
    """Answers of one question; the answer that most of them give is graded."""
    temperature: float = Field(default=0.0, ge=0)
    """Of generated answers; 0 is greedy."""
    shuffle: bool | None = None
    """Whether choices come in a random order; none: as the protocol says."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of a generated answer."""


class Suite(_Settings):
    """Tasks that are run together."""

    title: str
    tasks: tuple[SuiteTask, ...]
    missing: dict[str, str] = {}
    """What belongs to the suite by its source but cannot be run here -> why."""

    def expanded(self, known: Sequence[str]) -> tuple[SuiteTask, ...]:
        """Its tasks with patterns replaced by the names that fit; a name stays even where it is not known."""
        found: dict[str, SuiteTask] = {}
        for task in self.tasks:
            names = [task.name]
            if "*" in task.name:
                names = [name for name in known if fnmatchcase(name, task.name)]
            for name in names:
                found.setdefault(name, task.model_copy(update={"name": name}))
        return tuple(found.values())

    def settings(self, name: str) -> SuiteTask | None:
        """The first line that fits a task's name."""
        return next((task for task in self.tasks if fnmatchcase(name, task.name)), None)


def known_suites() -> dict[str, Path]:
    """The suites that come with Malmoi: name -> file."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}


def read_suite(name: str) -> Suite:
    """A suite by its name, or by the path of a user's own file.

    Raises:
        UnknownName: there is neither; the message names the nearest.
        ConfigError: its file is wrong; the message names the key.
    """
    known = known_suites()
    path = known.get(name, Path(name))
    if name not in known and not (name.endswith(".toml") and path.is_file()):
        raise UnknownName("suite", name, known)
    tree = ConfigTree()
    tree.merge(read_toml(path), origin=str(path))
    return tree.validate(Suite)
