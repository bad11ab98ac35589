"""Where each key of a TOML text stands, so that a message can name its line.

`tomllib` gives values without their places. This reads the same text once more for places alone; it runs on
texts that `tomllib` has taken, so it need not refuse anything.
"""

import re
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]+")


def toml_lines(text: str) -> dict[Path, int]:
    """The line (from 1) on which each key, table and element of an array begins, by its path."""
    return _Places(text).read()


class _Places:
    """A walk through a TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._lines: dict[Path, int] = {(): 1}
        self._counts: dict[Path, int] = {}

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip():
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        line = self._line
        many = self._peek("[[")
        self._step(2 if many else 1)
        path: Path = ()
        for part in self._key():
            path = self._current((*path, part))
        self._until("\n")
        if many:
            bare = path[:-1] if isinstance(path[-1], int) else path
            number = self._counts.get(bare, 0)
            self._counts[bare] = number + 1
            self._lines.setdefault(bare, line)
            path = (*bare, number)
        self._lines.setdefault(path, line)
        return path

    def _current(self, path: Path) -> Path:
        """The path, led into the last element where it names an array of tables."""
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _pair(self, table: Path) -> None:
        line = self._line
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._step(1)  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._blanks()
            if self._peek('"') or self._peek("'"):
                parts.append(self._string())
            elif found := _BARE.match(self._text, self._at):
                parts.append(found[0])
                self._step(len(found[0]))
            else:
                self._step(1)
            self._blanks()
            if not self._peek("."):
                return parts
            self._step(1)

    def _value(self, path: Path) -> None:
        self._skip()
        if self._peek('"') or self._peek("'"):
            self._string()
        elif self._peek("["):
            self._step(1)
            number = 0
            while self._skip() and not self._peek("]"):
                self._lines.setdefault((*path, number), self._line)
                self._value((*path, number))
                number += 1
                self._comma()
            self._step(1)
        elif self._peek("{"):
            self._step(1)
            while self._skip() and not self._peek("}"):
                self._pair(path)
                self._comma()
            self._step(1)
        elif found := _SCALAR.match(self._text, self._at):
            self._step(len(found[0]))
        else:
            self._step(1)

    def _comma(self) -> None:
        self._skip()
        if self._peek(","):
            self._step(1)

    def _string(self) -> str:
        quote = self._text[self._at]
        fence = quote * 3 if self._peek(quote * 3) else quote
        self._step(len(fence))
        begin = self._at
        while self._at < len(self._text) and not self._peek(fence):
            self._step(2 if quote == '"' and self._peek("\\") else 1)
        inside = self._text[begin : self._at]
        self._step(len(fence))
        while len(fence) == 3 and self._peek(quote):  # up to two quotes may stand before the closing three
            self._step(1)
        return inside

    def _skip(self) -> bool:
        """Go over blanks, line ends and comments; whether anything follows."""
        while self._at < len(self._text):
            if self._text[self._at] in " \t\n":
                self._step(1)
            elif self._peek("#"):
                self._until("\n")
            else:
                return True
        return False

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._step(1)

    def _until(self, end: str) -> None:
        found = self._text.find(end, self._at)
        self._step((found if found >= 0 else len(self._text)) - self._at)

    def _peek(self, what: str) -> bool:
        return self._text.startswith(what, self._at)

    def _step(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count
