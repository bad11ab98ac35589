"""The Jinja environment of task files: its sandbox, narrowed to what they need."""

from collections.abc import Iterable
from typing import Any

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Sandbox(ImmutableSandboxedEnvironment):
    """Cells before methods of the same name (`row.items`, `row.count`), and no texts multiplied."""

    intercepted_binops = frozenset({"*", "**", "%"})
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
        """Arithmetic of numbers only."""
        if operator == "**" or not all(isinstance(side, (int, float)) for side in (left, right)):
            raise SecurityError(f"{operator} is for numbers only")
        return super().call_binop(context, operator, left, right)


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
    environment.filters = {name: call for name, call in environment.filters.items() if name in kept}
    environment.globals = {"range": limited_range, "dict": dict}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment
