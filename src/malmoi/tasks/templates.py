"""The Jinja of task files: texts from rows, with nothing that reaches files, code or much memory.

A task file may come from anybody. Its templates run in Jinja's sandbox, with few filters and text methods,
and without macros, includes or multiplied texts. Rows are only ever values: text in them is never a template.
"""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from malmoi.core.errors import ConfigError

Render: TypeAlias = Callable[..., str]

_LONGEST = 20_000  # characters of a template
_DEEPEST = 2  # loops within loops
_MOST_TURNS = 1000  # of `range`
_FILTERS = (
    "abs", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items",
    "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim",
    "unique", "upper",
)  # fmt: skip
# Methods that blow a text up, or format it.
_REFUSED_METHODS = frozenset(
    {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill", "translate"}
)


class Templates:
    """Compiles the templates of one task file.

    Args:
        origin: the file, for messages.
    """

    def __init__(self, origin: str) -> None:
        from malmoi.tasks.sandbox import build_environment

        self._origin = origin
        self._environment = build_environment(_FILTERS, _REFUSED_METHODS, _MOST_TURNS)

    def text(self, key: str, source: str, names: frozenset[str] | None = None) -> Render:
        """A template as a function of its values.

        Args:
            key: of the task file, for messages.
            source: the template.
            names: the values that it may use; None: any.

        Raises:
            ConfigError: it is not a template, or does what templates of tasks may not do.
        """
        if not any(mark in source for mark in ("{{", "{%", "{#")):
            return lambda **_: source
        self._check(key, source, names)
        return self._environment.from_string(source).render

    def expression(self, key: str, source: str) -> Callable[..., Any]:
        """An expression (without braces) as a function of its values.

        Raises:
            ConfigError: it is not an expression.
        """
        from jinja2 import TemplateSyntaxError

        bare = source.strip()
        if bare.startswith("{{") and bare.endswith("}}"):
            bare = bare[2:-2].strip()
        self._check(key, "{{ " + bare + " }}", None)
        try:
            return self._environment.compile_expression(bare, undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise ConfigError(f"{self._origin}: {key}: {error.message}.") from None

    def _check(self, key: str, source: str, names: frozenset[str] | None) -> None:
        from jinja2 import TemplateError, meta, nodes

        if len(source) > _LONGEST:
            raise ConfigError(f"{self._origin}: {key} has more than {_LONGEST} characters.")
        try:
            tree = self._environment.parse(source)
            # Compiling finds filters and tests that are not there.
            self._environment.compile(source)
        except (TemplateError, RecursionError) as error:
            said = getattr(error, "message", None) or "it nests too deep"
            raise ConfigError(f"{self._origin}: {key}: {said.rstrip('.')}.") from None
        refused = (
            nodes.Macro, nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends,
            nodes.Block,
        )  # fmt: skip
        for node in tree.find_all(refused):
            raise ConfigError(
                f"{self._origin}: {key}: {type(node).__name__.lower()} has no place in a task file."
            )
        if any(loop.recursive for loop in tree.find_all(nodes.For)) or _depth(tree) > _DEEPEST:
            raise ConfigError(f"{self._origin}: {key}: its loops go deeper than {_DEEPEST}.")
        if names is not None:
            unknown = meta.find_undeclared_variables(tree) - names - {"range", "dict"}
            if unknown:
                raise ConfigError(
                    f"{self._origin}: {key} knows no {', '.join(sorted(unknown))}.",
                    fix=f"It may use {', '.join(sorted(names))}.",
                )


def _depth(node: Any) -> int:
    from jinja2 import nodes

    below = max((_depth(child) for child in node.iter_child_nodes()), default=0)
    return below + 1 if isinstance(node, nodes.For) else below


def parse_json(text: str) -> Any:
    """A value from its JSON.

    Raises:
        ValueError: it is not JSON, or nests too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it nests too deep") from None
