"""Names for things that outsiders may add: engines, tasks, skills, corpus filters, apps.

An entry is an object, or "module:attribute" that is imported when it is first asked for. Packages add entries
by the entry point group `malmoi.<kind>s`; they are found when a name is first looked up, not at import.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from threading import RLock
from typing import Generic, TypeVar, cast

from malmoi.core.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Lazy, thread-safe mapping from name to object for one kind of thing.

    Args:
        kind: the singular noun for messages, such as "engine"; the entry point group is `malmoi.<kind>s`.
        expected: entries must be instances of this class or runtime-checkable protocol.
    """

    def __init__(self, kind: str, expected: type | None = None) -> None:
        self.kind = kind
        self._expected = expected
        self._entries: dict[str, T | str] = {}
        self._lock = RLock()
        self._discovered = False

    def add(self, name: str, target: T | str) -> None:
        """Enter `target` (an object or "module:attribute") under `name`.

        Raises:
            ValueError: the name is taken by another target.
        """
        with self._lock:
            known = self._entries.get(name)
            if known is not None and known is not target and known != target:
                raise ValueError(f"{self.kind} {name!r} is {known!r} already; it cannot also be {target!r}")
            self._entries[name] = target

    def names(self) -> list[str]:
        """All names, sorted, with those of installed packages."""
        with self._lock:
            self._discover()
            return sorted(self._entries)

    def get(self, name: str) -> T:
        """The object under `name`, imported now if need be.

        Raises:
            UnknownName: with the nearest names.
            TypeError: the entry is not what this registry holds.
        """
        with self._lock:
            self._discover()
            if name not in self._entries:
                raise UnknownName(self.kind, name, self._entries)
            target = self._entries[name]
            if isinstance(target, str):
                module, _, attribute = target.partition(":")
                target = cast("T", getattr(import_module(module), attribute))
                self._entries[name] = target
            if self._expected is not None and not isinstance(target, self._expected):
                raise TypeError(f"{self.kind} {name!r} is {target!r}, not a {self._expected.__name__}")
            return target

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for point in entry_points(group=f"malmoi.{self.kind}s"):
            self._entries.setdefault(point.name, point.value)
