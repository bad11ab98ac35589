"""The Jinja environment of task files: its sandbox, narrowed to what they need."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_CHARACTERS = 1_000_000
"""Of a text that a filter or method makes, and of what a template gives."""
_WIDEST = 1000  # of `batch` and `slice`
_DEEPEST_INDENT = 16


class _Sandbox(ImmutableSandboxedEnvironment):
    """Cells before methods of the same name (`row.items`, `row.count`), and no texts multiplied."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    refused_methods: frozenset[str] = frozenset()

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The cell, or else the attribute."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Not what starts with an underscore, and not what blows texts up."""
        return attr not in self.refused_methods and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Nothing: Jinja would let its own copy of `format` pass."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic of numbers only, and sums that stay small."""
        if operator == "+":
            if hasattr(left, "__len__") and hasattr(right, "__len__"):
                _check_size(len(left) + len(right))
            return super().call_binop(context, operator, left, right)
        if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"{operator} is for numbers only")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls; texts that are put together stay small."""
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, (str, bytes)) and name == "replace" and len(args) > 1:
            _check_replaced(owner, args[0], args[1])
        elif isinstance(owner, (str, bytes)) and name == "join" and args:
            args = (_joinable(owner, args[0]), *args[1:])
        return super().call(context, obj, *args, **kwargs)


def limited(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a rendered text.

    Raises:
        SecurityError: they are more than `MOST_CHARACTERS` together.
    """
    total = 0
    for piece in pieces:
        total += len(piece)
        _check_size(total)
        yield piece


def _check_size(size: int) -> None:
    if size > MOST_CHARACTERS:
        raise SecurityError(f"a text of more than {MOST_CHARACTERS} characters")


def _check_replaced(text: Any, old: Any, new: Any) -> None:
    if isinstance(old, type(text)) and isinstance(new, type(text)):
        _check_size(len(text) + text.count(old) * max(0, len(new) - len(old)))


def _joinable(between: str | bytes, values: Iterable[Any]) -> list[Any]:
    """The values, if they stay small when they are joined."""
    values, size = list(values), 0
    for value in values:
        size += len(between) + (len(value) if isinstance(value, (str, bytes)) else len(str(value)))
        _check_size(size)
    return values


def _limit_filters(filters: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The filters that could blow something up, with their arguments checked first."""
    replace, join, to_json = filters["replace"], filters["join"], filters["tojson"]
    batch, pieces = filters["batch"], filters["slice"]

    @pass_eval_context
    def limited_replace(context: Any, s: Any, old: str, new: str, count: int | None = None) -> Any:
        _check_replaced(str(s), str(old), str(new))
        return replace(context, s, old, new, count)

    @pass_eval_context
    def limited_join(context: Any, value: Iterable[Any], d: str = "", attribute: Any = None) -> Any:
        # An attribute's text is no longer than that of the whole.
        return join(context, _joinable(str(d), value), d, attribute)

    @pass_eval_context
    def limited_json(context: Any, value: Any, indent: int | None = None) -> Any:
        if indent is not None and indent > _DEEPEST_INDENT:
            raise SecurityError(f"tojson indents by at most {_DEEPEST_INDENT}")
        return to_json(context, value, indent)

    def limited_batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
        if linecount > _WIDEST:
            raise SecurityError(f"batch is for at most {_WIDEST}")
        return batch(value, linecount, fill_with)

    def limited_slice(value: Any, slices: int, fill_with: Any = None) -> Any:
        if slices > _WIDEST:
            raise SecurityError(f"slice is for at most {_WIDEST}")
        return pieces(value, slices, fill_with)

    return {
        **filters,
        "replace": limited_replace,
        "join": limited_join,
        "tojson": limited_json,
        "batch": limited_batch,
        "slice": limited_slice,
    }


def build_environment(filters: Iterable[str], refused_methods: frozenset[str], most_turns: int) -> _Sandbox:
    """An environment with these filters alone.

    Args:
        filters: names of Jinja's filters that stay.
        refused_methods: methods of values that may not be called.
        most_turns: the longest `range`.
    """

    def limited_range(*limits: int) -> range:
        turns = range(*limits)
        if len(turns) > most_turns:
            raise SecurityError(f"range is for at most {most_turns} turns")
        return turns

    # Not HTML: the text is read by a model.
    environment = _Sandbox(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        finalize=lambda value: "" if value is None else value,
    )
    environment.refused_methods = refused_methods
    kept = set(filters)
    environment.filters = _limit_filters(
        {name: call for name, call in environment.filters.items() if name in kept}
    )
    environment.globals = {"range": limited_range, "dict": dict}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment
