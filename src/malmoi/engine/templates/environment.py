"""A Jinja environment for templates that nobody has read.

It speaks the dialect of Hugging Face chat templates (`trim_blocks`, `lstrip_blocks`, `break` and `continue`,
`tojson` without HTML escapes, `raise_exception`, `strftime_now`, `{% generation %}`), and on top of Jinja's
immutable sandbox it
- lets a template touch only named methods of text, lists and mappings, and a named set of filters;
- pays for every loop turn, call, operator and written character from a `Budget`. Jinja has hooks for calls,
  filters and arithmetic; for loops, output, `~`, slices, comparisons and literals the syntax tree is
  rewritten (`guard.py`).

One environment serves one rendering: it holds that rendering's budget, so nothing is shared between threads.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace

from malmoi.engine.templates.filters import build_filters, build_tests, delete_text
from malmoi.engine.templates.limits import Budget, LimitReached, Limits, weight

TEXT_METHODS = frozenset(
    (
        *("capitalize", "count", "endswith", "find", "format", "index", "join", "lower", "lstrip"),
        *("isalnum", "isalpha", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "isupper"),
        *("partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit"),
        *("rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
    )
)
MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
SEQUENCE_METHODS = frozenset({"count", "index"})

_FORMAT_WIDTH = re.compile(r"\d{4,}|\*")  # a width or precision that no prompt needs
_DATE_DIRECTIVES = re.compile(r"(?:[^%]|%-?[A-Za-z]|%%)*")


class Refusal(TemplateError):
    """The template itself says that it cannot write this conversation."""


class GenerationBlock(Extension):
    """`{% generation %}` marks the model's turns for training; for a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Keep the body, drop the tag."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class TemplateNamespace(Namespace):
    """A namespace that keeps no names with an underscore, so nothing internal can be put there."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # a template may write namespace(self=...)
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or name.startswith("_"):
        raise SecurityError(f"a namespace cannot hold {name!r}")


class _BudgetedFormatter(SandboxedFormatter):
    """`str.format` that pays for each field and refuses huge widths."""

    def __init__(self, environment: "PromptEnvironment") -> None:
        super().__init__(environment)
        self._budget = environment.budget

    def format_field(self, value: Any, format_spec: str) -> str:
        """One field, within the budget."""
        if _FORMAT_WIDTH.search(format_spec):
            raise LimitReached("it formats with a huge width")
        self._budget.step(weight(value, self._budget.chars_left))
        text = str(super().format_field(value, format_spec))
        self._budget.step(len(text))
        return text


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox of one rendering.

    Args:
        budget: what the template may use up.
        limits: bounds of single operations.
        now: the clock behind `strftime_now`.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, budget: Budget, limits: Limits, now: Callable[[], datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[LoopControlExtension, GenerationBlock],
            cache_size=0,
            optimized=False,  # constants are computed under the budget, at run time
        )
        self.budget = budget
        self.limits = limits
        self._now = now
        self.filters.clear()
        self.filters.update(build_filters(budget))
        self.tests.clear()
        self.tests.update(build_tests(budget))
        self.globals = {
            "range": self._range,
            "dict": self._dict,
            "namespace": TemplateNamespace,
            "joiner": Joiner,
            "cycler": Cycler,
            "raise_exception": _raise_exception,
            "strftime_now": self._strftime_now,
        }

    def handle_exception(self, source: str | None = None) -> NoReturn:
        """Let the error pass; Jinja would rebuild its traceback first, which is slow in a deep recursion."""
        error = sys.exc_info()[1]
        assert error is not None
        raise error

    # What a template may touch

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Only named methods of plain data, and the public side of Jinja's own loop and namespace objects."""
        if attr.startswith("_"):
            return False
        if isinstance(obj, str):
            return attr in TEXT_METHODS
        if isinstance(obj, Mapping):
            return attr in MAPPING_METHODS
        if isinstance(obj, list | tuple):
            return attr in SEQUENCE_METHODS
        return isinstance(obj, LoopContext | Namespace | Cycler | Macro)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format` under the budget; `format_map` is not offered."""
        owner = getattr(value, "__self__", None)
        if isinstance(owner, str) and getattr(value, "__name__", "") in {"format", "format_map"}:
            return partial(self._format, owner)
        return None

    # What guarded syntax trees call (guard.py)

    def tick(self, chars: int) -> bool:
        """Pay for one turn of a loop or macro whose body holds `chars` characters of literal text."""
        self.budget.step(chars)
        return True

    def emit(self, value: object) -> str:
        """The text of a value that is written out."""
        if isinstance(value, str):
            self.budget.step(len(value))
            return value
        self.budget.step(weight(value, self.budget.chars_left))
        text = str(value)
        self.budget.step(len(text))
        return text

    def weighed(self, value: object) -> object:
        """A value that is about to be compared."""
        self.budget.step(weight(value, self.budget.chars_left, any_object=True))
        return value

    def tilde(self, *values: object) -> str:
        """The operator `~`."""
        return "".join([self.emit(value) for value in values])

    def slice_of(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """`value[start:stop:step]`."""
        self.budget.step(len(value) if isinstance(value, str | list | tuple) else 0)
        return value[start:stop:step]

    # Jinja's hooks

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call `__obj`, within the budget. The names leave every keyword to the template, as in Jinja."""
        owner = getattr(__obj, "__self__", None)
        scope = {name: kwargs.pop(name) for name in ("_loop_vars", "_block_vars") if name in kwargs}
        if owner is __self:  # from a guarded tree, or a global of ours: it pays itself
            return __obj(*args, **kwargs)
        budget = __self.budget
        budget.step()
        if not __self.is_safe_callable(__obj):
            raise SecurityError(f"{type(__obj).__name__} cannot be called")
        if isinstance(owner, str):
            return __self._text_method(owner, __obj, args, kwargs)
        if isinstance(owner, Mapping | list | tuple):
            budget.step(len(owner) + sum(weight(value, budget.chars_left) for value in args))
            return __obj(*args, **kwargs)
        result = __context.call(__obj, *args, **kwargs, **scope)
        budget.step(len(result) if isinstance(result, str) else 1)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic and concatenation, within the budget."""
        room = self.budget.chars_left
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self.budget.step(len(left) + len(right))
            return left + right
        if operator == "%" and isinstance(left, str):
            return self._percent(left, right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return self._number(operator, left, right)
        if operator == "*" and (isinstance(left, int) or isinstance(right, int)):
            count, value = (left, right) if isinstance(left, int) else (right, left)
            self.budget.step(weight(value, room) * max(count, 0))
        else:
            self.budget.step(weight(left, room) + weight(right, room))
        return self.binop_table[operator](left, right)

    # Single operations

    def _number(self, operator: str, left: float, right: float) -> Any:
        self.budget.step()
        whole = isinstance(left, int) and isinstance(right, int)
        if operator == "**" and whole and int(left).bit_length() * abs(right) > self.limits.integer_bits:
            raise LimitReached("it computes a huge number")
        result = self.binop_table[operator](left, right)
        if isinstance(result, int) and result.bit_length() > self.limits.integer_bits:
            raise LimitReached("it computes a huge number")
        return result

    def _percent(self, template: str, values: Any) -> str:
        if _FORMAT_WIDTH.search(template):
            raise LimitReached("it formats with a huge width")
        size = weight(values, self.budget.chars_left)
        self.budget.step(len(template) + size * (template.count("%") + 1))
        return str(template % values)

    def _text_method(self, text: str, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A method of a string. Those whose result can outgrow their arguments pay before they run."""
        room = self.budget.chars_left
        name = method.__name__
        size = len(text) + sum(weight(value, room) for value in (*args, *kwargs.values()))
        if name == "replace" and len(args) >= 2:
            old, new = args[0], args[1]
            if isinstance(old, str) and isinstance(new, str):
                size += text.count(old) * len(new)
                self.budget.step(size)
                if old and not new and len(args) == 2 and not kwargs:
                    return delete_text(text, old)
                return text.replace(*args, **kwargs)
        if name == "join" and args and isinstance(args[0], Sequence | Mapping):
            size += len(text) * len(args[0])
        self.budget.step(size)
        return method(*args, **kwargs)

    def _format(self, template: str, /, *args: Any, **kwargs: Any) -> str:
        self.budget.step(len(template))
        return _BudgetedFormatter(self).vformat(template, args, kwargs)

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > self.limits.sequence:
            raise LimitReached("it counts too far")
        return numbers

    def _dict(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        made = dict(*args, **kwargs)
        self.budget.step(weight(made, self.budget.chars_left))
        return made

    def _strftime_now(self, template: str) -> str:
        if len(template) > 256 or not _DATE_DIRECTIVES.fullmatch(template):
            raise LimitReached("it formats the date in an unknown way")
        self.budget.step(len(template))
        return self._now().strftime(template)


def _raise_exception(message: object) -> NoReturn:
    raise Refusal(str(message)[:500])
