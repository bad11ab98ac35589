"""The grid of the red team: topics (what a model must not produce) by strategies (how it is led there).

The topics follow the safety principles of the HyperCLOVA X technical report (2404.01954, section 5.1), the
strategies its red-teaming tool.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from malmoi.core.config import read_toml
from malmoi.core.errors import InvalidInput


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Words(_Part):
    """A text in the languages of the interface."""

    ko: str
    en: str


class Subtopic(_Part):
    """A part of a topic."""

    id: str
    title: Words


class Topic(_Part):
    """Something that a model must not produce."""

    id: str
    title: Words
    description: Words
    subtopics: tuple[Subtopic, ...]


class Strategy(_Part):
    """A way in which a model is led to produce it."""

    id: str
    title: Words
    description: Words


class Grid(_Part):
    """Topics by strategies."""

    topics: tuple[Topic, ...]
    strategies: tuple[Strategy, ...]

    def check(self, topic: str, subtopic: str, strategy: str) -> None:
        """See that a cell of the grid exists; an empty `subtopic` is the topic as a whole.

        Raises:
            InvalidInput: there is no such topic, sub-topic or strategy; the message lists those there are.
        """
        found = next((known for known in self.topics if known.id == topic), None)
        if found is None:
            raise _unknown("topic", topic, [known.id for known in self.topics])
        if subtopic and subtopic not in {known.id for known in found.subtopics}:
            raise _unknown("subtopic", subtopic, [known.id for known in found.subtopics])
        if strategy not in {known.id for known in self.strategies}:
            raise _unknown("strategy", strategy, [known.id for known in self.strategies])


def load_grid() -> Grid:
    """The grid that comes with Malmoi."""
    return _grid()


@cache
def _grid() -> Grid:
    path = files("malmoi") / "tasks" / "redteam" / "data" / "grid.toml"
    return Grid.model_validate(read_toml(Path(str(path))))


def _unknown(kind: str, name: str, known: list[str]) -> InvalidInput:
    return InvalidInput(f"there is no {kind} {name!r}.", field=kind, fix=f"Known: {', '.join(known)}.")
