"""How much work a template may do.

A template comes with a model file, so it is untrusted code. It runs inside a sandbox (`environment.py`) that
takes every loop turn, call, operator and written character from a budget. The budget grows with the
conversation and never depends on the clock, so the same template and conversation always give the same
result.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import Undefined

ELEMENT = 32  # an element of a list or mapping costs as much time as so many characters


@dataclass(frozen=True, slots=True)
class Limits:
    """Most work of one template. Lengths are in characters.

    Attributes:
        source: length of the template's text.
        nodes: syntax nodes of the template (parsing and compiling are linear in these).
        steps: loop turns, calls and operators, and how many more for every value in the conversation.
        chars: characters written or built on the way, and how many more for every character of the
            conversation.
        integer_bits: size of an integer that arithmetic may give.
        sequence: length of a `range`.
    """

    source: int = 131_072
    nodes: int = 6_000
    steps: int = 100_000
    steps_per_value: int = 2_000
    chars: int = 4_000_000
    chars_per_char: int = 64
    integer_bits: int = 64
    sequence: int = 10_000


class LimitReached(Exception):
    """The template used up its budget, or asked for something that no chat template needs."""


class Budget:
    """What is left for one rendering. Not shared between renderings."""

    def __init__(self, *, steps: int, chars: int) -> None:
        self._steps = steps
        self._chars = chars

    @property
    def chars_left(self) -> int:
        """Characters that may still be built."""
        return self._chars

    def step(self, chars: int = 0) -> None:
        """Pay for one operation that builds `chars` characters.

        Raises:
            LimitReached: there is nothing left.
        """
        self._steps -= 1
        self._chars -= chars
        if self._steps < 0:
            raise LimitReached("it loops for too long")
        if self._chars < 0:
            raise LimitReached("it builds too much text")


def budget_for(limits: Limits, *, values: int, chars: int) -> Budget:
    """The budget for a conversation of so many values and characters."""
    return Budget(
        steps=limits.steps + limits.steps_per_value * values,
        chars=limits.chars + limits.chars_per_char * (chars + ELEMENT * values),
    )


def weight(value: object, limit: int, *, any_object: bool = False) -> int:
    """The size of a value when it is written out: characters and elements, shared parts counted every time.

    Lists that hold one another many times over ("billion laughs") weigh as much as their text would; the walk
    stops at `limit`.

    Anything but plain data is refused, since its text could be of any length; `any_object` lets single
    objects (a macro, a namespace) pass for comparisons, which look at their identity only.

    Raises:
        LimitReached: it weighs more than `limit`, or it is or holds something else than plain data.
    """
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, Mapping | list | tuple | set | frozenset | range) and not _is_view(value):
        if any_object or value is None or isinstance(value, bool | int | float | Undefined):
            return 1
        raise LimitReached(f"it makes text of a {type(value).__name__}")
    total = 0
    stack: list[object] = [value]
    while stack:
        item = stack.pop()
        total += ELEMENT
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, range):
            total += ELEMENT * len(item)
        elif isinstance(item, list | tuple | set | frozenset) or _is_view(item):
            assert isinstance(item, Iterable)
            stack.extend(item)
        elif item is not None and not isinstance(item, bool | int | float | Undefined):
            raise LimitReached(f"it puts a {type(item).__name__} into a list or mapping")
        if total + ELEMENT * len(stack) > limit:
            raise LimitReached("it builds too large a value")
    return total


def _is_view(value: object) -> bool:
    return isinstance(value, type({}.keys()) | type({}.values()) | type({}.items()))
