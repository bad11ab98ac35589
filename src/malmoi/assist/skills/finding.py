"""What a check has to say about a file of a skill."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from malmoi.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, or one thing to know.

    Attributes:
        level: an error keeps the skill from being used; a warning does not.
        file: the name of the file.
        line: from 1; 0: it belongs to the whole file.
        key: the path of the key, such as `operations.book.effect`.
        message: what is wrong, and how to mend it.
    """

    level: Literal["error", "warning"]
    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raise what is wrong, all of it in one message.

    Raises:
        ConfigError: there is an error among the findings.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise ConfigError("\n".join(str(error) for error in errors))
