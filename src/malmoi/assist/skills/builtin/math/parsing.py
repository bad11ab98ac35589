"""From the parser's spelling to sympy objects: by precedence, with bounds, and nothing is ever evaluated.

statement  := sum (relation sum)*
sum        := term (("+" | "-") term)*              "a + b%" adds b per cent of a
term       := factor (("*" | "/" | "mod")? factor)*  side by side is a product: 2x, 3(x+1)
factor     := ("+" | "-") factor | power
power      := item ("^" factor)?                     from the right: 2^3^2 = 2^9
item       := atom ("!" | "%" | "°")*
atom       := number | name | function factors | "√" item | "(" sum ")" | "|" sum "|"
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sympy

from malmoi.assist.skills.builtin.math.bounded import apply, divided, factorial, not_zero, raised, root
from malmoi.assist.skills.builtin.math.refused import Refused
from malmoi.assist.skills.builtin.math.tokens import FUNCTIONS, Token, tokenize

DEEPEST = 60

_RELATIONS: dict[str, Any] = {
    "=": sympy.Eq,
    "!=": sympy.Ne,
    "<": sympy.Lt,
    "<=": sympy.Le,
    ">": sympy.Gt,
    ">=": sympy.Ge,
}
_STARTS_AN_ITEM = ("(", "√")


@dataclass(slots=True)
class Reading:
    """What was read, and what a reader should be told of.

    Attributes:
        values: what stood between commas; relations are (name, left, right).
        names: the unknowns, in the order in which they were found.
        decimals: whether a number had a decimal point.
        remarks: keys of remarks, such as "log_base_10".
    """

    values: list[Any] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    decimals: bool = False
    remarks: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Relation:
    """Two sides and what stands between them."""

    sign: str
    left: Any
    right: Any

    def to_sympy(self) -> Any:
        """As sympy's relation; sympy's `true` or `false` where it can tell at once."""
        return _RELATIONS[self.sign](self.left, self.right)


def read(text: str, names: Sequence[str] = ()) -> Reading:
    """Read what stands in a text, between commas or semicolons.

    Args:
        text: in the spelling of `plain_spelling`.
        names: unknowns that are one thing although they have several letters, or are called e or i.

    Raises:
        Refused: it is not mathematics, or larger than what is worked out here.
    """
    return _Parser(text, frozenset(names)).read()


def read_one(text: str, names: Sequence[str] = ()) -> tuple[Any, Reading]:
    """The only expression in a text.

    Raises:
        Refused: as `read`; or it is an equation or a list.
    """
    reading = read(text, names)
    if len(reading.values) != 1:
        raise Refused("list_given", text.strip()[:60])
    if isinstance(reading.values[0], Relation):
        raise Refused("equation_given", text.strip()[:60])
    return reading.values[0], reading


class _Parser:
    def __init__(self, text: str, names: frozenset[str]) -> None:
        self._text = text.strip()
        self._names = names
        self._tokens = tokenize(text, names)
        self._at = 0
        self._depth = 0
        self._bars = 0
        self._reading = Reading()

    def read(self) -> Reading:
        while True:
            self._reading.values += self._statement()
            if not (self._take(",") or self._take(";")):
                break
        if self._now.kind != "end":
            self._refuse()
        return self._reading

    # --- the grammar ---

    def _statement(self) -> list[Any]:
        sides = [self._sum()]
        signs: list[str] = []
        while self._now.text in _RELATIONS:
            signs.append(self._next().text)
            sides.append(self._sum())
        if not signs:
            return sides
        pairs = pairwise(sides)
        return [Relation(sign, left, right) for sign, (left, right) in zip(signs, pairs, strict=True)]

    def _sum(self) -> Any:
        self._enter()
        total = self._term()
        while self._now.text in ("+", "-"):
            sign = 1 if self._next().text == "+" else -1
            begin = self._at
            added = self._term()
            if self._is_percent(begin):
                total = total * (1 + sign * added)
                self._reading.remarks.add("percent_of_left")
            else:
                total = total + sign * added
        self._depth -= 1
        return total

    def _is_percent(self, begin: int) -> bool:
        """Whether the term since `begin` is a bare per cent: "10%"."""
        return self._at - begin == 2 and self._tokens[self._at - 1].text == "%"

    def _term(self) -> Any:
        value = self._factor()
        while True:
            if self._take("*"):
                value = value * self._factor()
            elif self._take("/"):
                value = divided(value, self._factor())
            elif self._now.kind == "name" and self._now.text == "mod":
                self._next()
                value = sympy.Mod(value, not_zero(self._factor()))
            elif self._now.text == "%":
                # Behind a number and before another one: what is left over. "7 % 3"
                self._next()
                value = sympy.Mod(value, not_zero(self._factor()))
            elif self._starts_factor():
                value = value * self._power()
            else:
                return value

    def _factor(self) -> Any:
        self._enter()
        if self._take("-"):
            value = -self._factor()
        elif self._take("+"):
            value = self._factor()
        else:
            value = self._power()
        self._depth -= 1
        return value

    def _power(self) -> Any:
        base = self._item()
        if self._take("^"):
            return raised(base, self._factor())
        return base

    def _item(self) -> Any:
        value = self._atom()
        while True:
            if self._take("!"):
                value = factorial(value)
            elif self._take("°"):
                value = value * sympy.pi / 180
            elif self._now.text == "%" and not self._operand_follows():
                self._next()
                value = value / 100
            else:
                return value

    def _operand_follows(self) -> bool:
        after = self._tokens[self._at + 1]
        return after.kind == "number" or after.text == "("

    def _atom(self) -> Any:
        token = self._next()
        if token.kind == "number":
            return self._number(token.text)
        if token.kind == "name":
            return self._name(token)
        if token.text == "√":
            return root(self._factor_without_product(), 2)
        if token.text == "|":
            self._bars += 1
            value = self._sum()
            self._bars -= 1
            self._expect("|")
            return sympy.Abs(value)
        if token.text in ("(", "["):
            bars, self._bars = self._bars, 0
            value = self._sum()
            self._bars = bars
            self._expect(")" if token.text == "(" else "]")
            return value
        if token.kind != "end":
            self._at -= 1
        return self._refuse()

    # --- numbers, names, functions ---

    def _number(self, text: str) -> Any:
        choose = self._now.kind == "name" and self._now.text in ("C", "P") and not self._now.spaced
        if choose and self._now.text not in self._names and self._tokens[self._at + 1].kind == "number":
            # 5C2: ways to choose, 5P2: to arrange
            which = "comb" if self._next().text == "C" else "perm"
            numbers = [sympy.Rational(text), sympy.Rational(self._next().text)]
            return apply(which, numbers, self._reading.remarks)
        if "." in text or "e" in text.lower():
            self._reading.decimals = True
        return sympy.Rational(text)

    def _name(self, token: Token) -> Any:
        name = token.text
        if name in self._names:
            return self._symbol(name)
        if name == "pi":
            return sympy.pi
        if name == "oo":
            return sympy.oo
        if name in ("e", "E"):
            return sympy.E
        if name == "i":
            return sympy.I
        if name.partition("_")[0] == "log" and name[4:].isdigit():
            return self._applied("log", base=sympy.Integer(name[4:]))
        if name in FUNCTIONS:
            return self._applied(name)
        if name == "mod":
            self._at -= 1
            return self._refuse()
        follows = self._now
        if (
            follows.kind == "number"
            and not follows.spaced
            and follows.text.isdigit()
            and len(follows.text) < 3
        ):
            self._next()
            return self._symbol(f"{name}{follows.text}")  # x1, x2
        return self._symbol(name)

    def _symbol(self, name: str) -> Any:
        if name not in self._reading.names:
            self._reading.names.append(name)
        return sympy.Symbol(name)

    def _applied(self, name: str, base: Any = None) -> Any:
        """A function and what it is applied to: "sin(x)", "sin 2x", "sin^2 x"."""
        self._enter()
        power = None
        if self._take("^"):
            power = self._factor_without_product()
        if self._now.text == "(":
            self._next()
            bars, self._bars = self._bars, 0
            arguments = [self._sum()]
            while self._take(","):
                arguments.append(self._sum())
            self._bars = bars
            self._expect(")")
        else:
            arguments = [self._bare_argument()]
        if base is not None:
            arguments.append(base)
        value = apply(name, arguments, self._reading.remarks)
        self._depth -= 1
        return value if power is None else raised(value, power)

    def _factor_without_product(self) -> Any:
        if self._take("-"):
            return -self._item()
        return self._item()

    def _bare_argument(self) -> Any:
        """Up to the next sign or function: the 2x of "sin 2x cos x"."""
        if self._take("-"):
            return -self._bare_argument()
        value = self._power()
        while self._starts_factor() and not (self._now.kind == "name" and self._is_function(self._now.text)):
            value = value * self._power()
        return value

    def _is_function(self, name: str) -> bool:
        return name not in self._names and name.partition("_")[0] in FUNCTIONS

    # --- the tokens ---

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _take(self, sign: str) -> bool:
        if self._now.kind == "sign" and self._now.text == sign:
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise Refused("missing", sign)

    def _starts_factor(self) -> bool:
        token = self._now
        if token.kind in ("number", "name"):
            return token.text != "mod"
        return token.kind == "sign" and (
            token.text in _STARTS_AN_ITEM or (token.text == "|" and not self._bars)
        )

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Refused("too_deep", str(DEEPEST))

    def _refuse(self) -> Any:
        raise Refused("not_mathematics", self._now.text or self._text[:40])
