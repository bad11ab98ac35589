"""What an item reads like: a column, or a Jinja template over columns, rendered in a sandbox."""

import json
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from malmoi.core.errors import InvalidInput, MalmoiError

MOST_CHARACTERS = 2000
"""Of an item's text; the rest is cut off."""
_FILTERS = (
    "join",
    "replace",
    "upper",
    "lower",
    "trim",
    "default",
    "first",
    "last",
    "length",
    "round",
    "tojson",
    "batch",
    "slice",
)
_REFUSED = frozenset({"format", "format_map", "center", "ljust", "rjust", "zfill", "expandtabs"})
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_MOST_TURNS = 100


class TextTemplate:
    """How a row becomes a text.

    Args:
        text: a column, taken as it is.
        template: a Jinja template; one of both at most.

    Raises:
        InvalidInput: the template is not Jinja.
    """

    def __init__(self, text: str | None, template: str | None) -> None:
        self.text = text
        self.template = template
        if template is not None:
            _ = self._compiled

    @property
    def is_given(self) -> bool:
        """Whether items have a text beside their id."""
        return self.text is not None or self.template is not None

    def columns(self, known: tuple[str, ...] | None) -> tuple[str, ...]:
        """Columns that the text needs.

        Args:
            known: those of the file; None: each row has its own, and the template's names are taken.
        """
        if self.text is not None:
            return (self.text,)
        if self.template is None:
            return ()
        from jinja2 import meta, nodes

        tree = self._environment.parse(self.template)
        names = set(meta.find_undeclared_variables(tree))
        for node in tree.find_all(nodes.Getitem):
            if isinstance(node.node, nodes.Name) and node.node.name == "row":
                key = node.arg
                if isinstance(key, nodes.Const) and isinstance(key.value, str):
                    names.add(key.value)
        names.discard("row")
        if known is None or names <= set(known):
            return tuple(sorted(names))
        missing = sorted(names - set(known))[0]
        raise InvalidInput(
            f"the template names {missing!r}, which is no column; there are {', '.join(known[:30])}.",
            field="template",
            fix='Use a column\'s name, or row["its name"].',
        )

    def render(self, fields: str) -> str:
        """The text of one row, without line breaks; empty where there is none.

        Args:
            fields: the needed columns as a JSON object.

        Raises:
            MalmoiError: the template cannot be rendered for this row.
        """
        row: dict[str, Any] = json.loads(fields)
        if self.text is not None:
            value = row.get(self.text)
            return tidy("" if value is None else value if isinstance(value, str) else json.dumps(value))
        return tidy(self._compiled(row))

    @cached_property
    def _environment(self) -> Any:
        from malmoi.tasks.environment import build_environment

        return build_environment(_FILTERS, _REFUSED, _MOST_TURNS)

    @cached_property
    def _compiled(self) -> Callable[[dict[str, Any]], str]:
        from jinja2 import TemplateError

        from malmoi.tasks.environment import limited

        try:
            template = self._environment.from_string(self.template)
        except TemplateError as error:
            raise InvalidInput(
                f"the template {self.template!r} is not Jinja: {error}.", field="template"
            ) from error

        def render(row: dict[str, Any]) -> str:
            named = {key: value for key, value in row.items() if key.isidentifier()}
            try:
                return "".join(limited(template.generate(**{**named, "row": row})))
            except (TemplateError, TypeError, ValueError, ArithmeticError, KeyError) as error:
                # Whatever a template does with a value of another type; the row is told about.
                raise MalmoiError(f"the template cannot be rendered: {error}.") from error

        return render


def tidy(text: str) -> str:
    """One line of at most `MOST_CHARACTERS`, without control characters."""
    return _SPACE.sub(" ", text).strip()[:MOST_CHARACTERS]
