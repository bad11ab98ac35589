"""The Jinja of task files: texts from rows, with nothing that reaches files, code or much memory.

A task file may come from anybody. Its templates run in Jinja's sandbox, with few filters and text methods,
and without macros, many variables, includes or multiplied texts. Rows are only ever values: text in them is
never a template.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from malmoi.core.errors import ConfigError

if TYPE_CHECKING:
    from jinja2.runtime import Context

Render: TypeAlias = "Callable[[Context], str]"
Evaluate: TypeAlias = "Callable[[Context], Any]"

_LONGEST = 20_000  # characters of a template
_DEEPEST = 2  # loops within loops
_MOST_TURNS = 1000  # of `range`
_MOST_VARIABLES = 8
_MOST_GROWTH = 1000
_FILTERS = (
    "abs", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items",
    "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim",
    "unique", "upper",
)  # fmt: skip
# Methods that blow a text up, or format it.
_REFUSED_METHODS = frozenset(
    {"center", "expandtabs", "format", "format_map", "ljust", "rjust", "to_bytes", "translate", "zfill"}
)


class Templates:
    """Compiles the templates of one task file.

    What it gives are functions of `values`, so that all templates of a row share one context: Jinja spends
    more time on making contexts than on rendering such short texts.

    Args:
        origin: the file, for messages.
    """

    def __init__(self, origin: str) -> None:
        from malmoi.tasks.environment import build_environment

        self._origin = origin
        self._environment = build_environment(_FILTERS, _REFUSED_METHODS, _MOST_TURNS)
        self._empty = self._environment.from_string("")

    def values(self, **values: Any) -> "Context":
        """What templates know. Its `parent` may be given other values, for the next row."""
        return self._empty.new_context(values)

    def condition(self, key: str, source: str, names: frozenset[str] | None = None) -> Render:
        """An expression (without braces) as a function that gives text where it is true.

        Raises:
            ConfigError: it is not an expression.
        """
        return self.text(key, "{{ 'true' if (" + _bare(source) + ") else '' }}", names)

    def text(self, key: str, source: str, names: frozenset[str] | None = None) -> Render:
        """A template as a function of its values.

        Args:
            key: of the task file, for messages.
            source: the template.
            names: the values that it may use; None: any.

        Raises:
            ConfigError: it is not a template, or does what templates of tasks may not do.
        """
        from malmoi.tasks.environment import limited

        if not any(mark in source for mark in ("{{", "{%", "{#")):
            return lambda _: source
        tree = self._check(key, source, names)
        template = self._environment.from_string(source)
        if _variables(tree):  # they would stay in the context for the templates after it
            return lambda values: "".join(limited(template.generate(values.get_all())))
        return lambda values: "".join(limited(template.root_render_func(values)))

    def expression(self, key: str, source: str, names: frozenset[str] | None = None) -> Evaluate:
        """An expression (without braces) as a function of its values.

        Raises:
            ConfigError: it is not an expression.
        """
        from jinja2 import TemplateSyntaxError

        bare = _bare(source)
        self._check(key, "{{ " + bare + " }}", names)
        try:
            evaluate = self._environment.compile_expression(bare, undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise ConfigError(f"{self._origin}: {key}: {error.message}.") from None
        return lambda values: evaluate(values.get_all())

    def _check(self, key: str, source: str, names: frozenset[str] | None) -> Any:
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
        if _variables(tree) > _MOST_VARIABLES:
            raise ConfigError(f"{self._origin}: {key} sets more than {_MOST_VARIABLES} variables.")
        if _growth(tree) > _MOST_GROWTH:
            raise ConfigError(f"{self._origin}: {key} sets variables that grow without bounds.")
        for block in tree.find_all((nodes.AssignBlock, nodes.FilterBlock)):  # they keep all that is in them
            if block.find(nodes.For) is not None:
                raise ConfigError(
                    f"{self._origin}: {key}: a loop within a block has no place in a task file."
                )
        if names is not None:
            unknown = meta.find_undeclared_variables(tree) - names - {"range", "dict"}
            if unknown:
                raise ConfigError(
                    f"{self._origin}: {key} knows no {', '.join(sorted(unknown))}.",
                    fix=f"It may use {', '.join(sorted(names))}.",
                )
        return tree


def _bare(source: str) -> str:
    """An expression without the braces that it may have been written with."""
    bare = source.strip()
    return bare[2:-2].strip() if bare.startswith("{{") and bare.endswith("}}") else bare


def _variables(tree: Any) -> int:
    from jinja2 import nodes

    return sum(1 for _ in tree.find_all((nodes.Assign, nodes.AssignBlock)))


def _growth(tree: Any) -> int:
    """How often the last variable may hold the first: the product of the values that each is made of."""
    from jinja2 import nodes

    growth = 1
    for assign in tree.find_all((nodes.Assign, nodes.AssignBlock)):
        read = sum(1 for name in assign.find_all(nodes.Name) if name.ctx == "load")
        growth = min(growth * max(1, read), _MOST_GROWTH + 1)
    return growth


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
