"""Patterns: sentences with slots, compiled once and rendered many times.

    {animal=a:은/는} {a.home:에서} 산다.        a word of a table, kept as a, with a particle; a field
    {#2..9=n:*마리}                            a whole number, kept as n, as a count: 세 마리
    {=a*b:을/를}                               arithmetic over kept numbers
    {만들다.았다}                              a Korean predicate, in the document's style
    {job:이다}                                 a noun as predicate, in the document's style
    {천천히|조용히}                            one of these
    {'까닭:이다}                               a text as it stands, with a form
    {trade=j:은/는} {j.work:문장}.             a field that is a plain sentence, in the document's style
    {animal:a} {animal:s}                      English: with its article; in the plural

Patterns are data of this package and nothing else: text of users never comes here.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from malmoi.core.hangul import final_consonant, is_hangul, particle, read_count
from malmoi.factory.corpus.synthetic.conjugate import STYLES, Conjugator

Word = tuple[str, str]
"""Korean and English."""
Entity = Mapping[str, Any]
"""Fields of a word or of somebody in the world: words, or other entities; `name` is what it is called."""
Part = Callable[["Scene"], str]

KOREAN, ENGLISH = 0, 1
_SLOT = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"#(?P<low>[^=:]+?)\.\.(?P<high>[^=:]+?)(?:=(?P<name>\w+))?(?::(?P<form>.+))?")
_EXPRESSION = re.compile(r"=(?P<expression>[^:]+)(?::(?P<form>.+))?")
_PATH = re.compile(r"(?P<path>[\w.]+)(?:=(?P<name>\w+))?(?::(?P<form>.+))?")
_COPULAS: Mapping[str, Sequence[tuple[str, str]]] = {
    # For each style: after a final consonant, after a vowel.
    "이다": (("이다", "다"), ("이에요", "예요"), ("입니다", "입니다")),
    "이었다": (("이었다", "였다"), ("이었어요", "였어요"), ("이었습니다", "였습니다")),
    "일것": (("일 것이다", "일 것이다"), ("일 거예요", "일 거예요"), ("일 것입니다", "일 것입니다")),
}


@dataclass
class Scene:
    """What one document knows while it is written."""

    dice: Random
    language: int
    """KOREAN or ENGLISH: which half of words is shown."""
    style: int
    """Index of `STYLES`."""
    tables: Mapping[str, Sequence[Entity]]
    kept: dict[str, Any] = field(default_factory=dict)
    """Entities and numbers by the names that patterns gave them."""

    def pick(self, items: Sequence[Any]) -> Any:
        """One of the items."""
        return items[int(self.dice.random() * len(items))]

    def draw(self, table: str) -> Entity:
        """A word of a table that this document has not kept yet."""
        rows = self.tables[table]
        kept = self.kept.values()
        for _ in range(8):
            row: Entity = self.pick(rows)
            if not any(row is other for other in kept):
                break
        return row

    def let(self, binding: str) -> None:
        """Keep something: `a=animal`, `n=#2..9`, `m==n*3`."""
        name, _, what = binding.partition("=")
        if what.startswith("#"):
            low, _, high = what[1:].partition("..")
            self.kept[name] = self.between(arithmetic(low)(self.kept), arithmetic(high)(self.kept))
        elif what.startswith("="):
            self.kept[name] = arithmetic(what[1:])(self.kept)
        else:
            table, *path = what.split(".")
            entity: Any = self.kept[table] if table in self.kept else self.draw(table)
            for step in path:
                entity = entity[step]
            self.kept[name] = entity

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.dice.random() * (high - low + 1))


class Grammar:
    """Compiles patterns.

    Args:
        conjugator: for Korean predicates.
        plurals: English plurals that no rule gives.
    """

    def __init__(self, conjugator: Conjugator, plurals: Mapping[str, str]) -> None:
        self._conjugator = conjugator
        self._plurals = plurals
        self._restyled = lru_cache(maxsize=4096)(conjugator.restyled)

    def compile(self, pattern: str) -> Callable[[Scene], str]:
        """A function that renders `pattern`.

        Raises:
            ValueError: a slot is not written as the grammar wants.
        """
        parts: list[str | Part] = []
        end = 0
        for match in _SLOT.finditer(pattern):
            parts.append(pattern[end : match.start()])
            parts.append(self._slot(match[1], pattern))
            end = match.end()
        parts.append(pattern[end:])
        kept = [part for part in parts if part != ""]

        def render(scene: Scene) -> str:
            return "".join([part if type(part) is str else part(scene) for part in kept])  # type: ignore[operator]

        return render

    def _slot(self, body: str, pattern: str) -> Part:
        if "|" in body:
            choices = body.split("|")
            return lambda scene: str(scene.pick(choices))
        if body.startswith("'"):
            literal, _, form = body[1:].partition(":")
            shown = self._form(form)
            return lambda scene: shown(literal, scene)
        stem, dot, ending = body.partition(".")
        if dot and stem.endswith("다") and is_hangul(stem):
            forms = [self._conjugator.form(stem, ending, style) for style in STYLES]
            return lambda scene: forms[scene.style]
        for regex, build in ((_NUMBER, self._number), (_EXPRESSION, self._expression), (_PATH, self._path)):
            match = regex.fullmatch(body)
            if match:
                return build(match)
        raise ValueError(f"the slot {{{body}}} of the pattern {pattern!r} cannot be read")

    def _number(self, match: re.Match[str]) -> Part:
        low, high, name = arithmetic(match["low"]), arithmetic(match["high"]), match["name"]
        shown = self._form(match["form"])

        def part(scene: Scene) -> str:
            value = scene.between(low(scene.kept), high(scene.kept))
            if name:
                scene.kept[name] = value
            return shown(str(value), scene)

        return part

    def _expression(self, match: re.Match[str]) -> Part:
        value, shown = arithmetic(match["expression"]), self._form(match["form"])
        return lambda scene: shown(str(value(scene.kept)), scene)

    def _path(self, match: re.Match[str]) -> Part:
        head, *rest = match["path"].split(".")
        name = match["name"]
        shown = self._form(match["form"])

        def part(scene: Scene) -> str:
            value: Any = scene.kept[head] if head in scene.kept else scene.draw(head)
            for step in rest:
                value = value[step]
            if name:
                scene.kept[name] = value
            if isinstance(value, Mapping):
                value = value["name"]
            return shown(value[scene.language] if isinstance(value, tuple) else str(value), scene)

        return part

    def _form(self, form: str | None) -> Callable[[str, Scene], str]:
        if form is None:
            return lambda value, scene: value
        if form in ("a", "A"):
            article = _article if form == "a" else lambda value: _article(value).capitalize()
            return lambda value, scene: f"{article(value)} {value}"
        if form == "cap":
            return lambda value, scene: value[:1].upper() + value[1:]
        if form == "s":
            return lambda value, scene: self.plural(value)
        if form.startswith("*"):
            counter = form[1:]
            return lambda value, scene: _count(value, counter)
        if form == "문장":
            return lambda value, scene: self._restyled(value, STYLES[scene.style])
        if form in _COPULAS:
            copula = _COPULAS[form]
            return lambda value, scene: value + copula[scene.style][0 if _closed(value) else 1]
        return lambda value, scene: _joined(value, form)

    def plural(self, noun: str) -> str:
        """The plural of an English noun or noun phrase."""
        head, space, last = noun.rpartition(" ")
        if last in self._plurals:
            return head + space + self._plurals[last]
        if re.search(r"(s|x|z|ch|sh)$", last):
            return noun + "es"
        if re.search(r"[^aeiou]y$", last):
            return noun[:-1] + "ies"
        return noun + "s"


@lru_cache(maxsize=65536)
def _joined(value: str, form: str) -> str:
    after_consonant, slash, after_vowel = form.partition("/")
    if not slash:
        return value + form
    if form == "으로/로":
        return value + particle(value, form)
    return value + (after_consonant if _closed(value) else after_vowel)


@lru_cache(maxsize=65536)
def _closed(value: str) -> bool:
    return bool(final_consonant(value))


@lru_cache(maxsize=4096)
def _count(value: str, counter: str) -> str:
    return read_count(int(value), counter)


def _article(noun: str) -> str:
    if re.match(r"(hour|honest|heir)", noun):
        return "an"
    return "an" if noun[:1].lower() in "aeiou" and not re.match(r"(uni|use|euro|one)", noun) else "a"


_OPERATIONS: Mapping[type, Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}


@lru_cache(maxsize=1024)
def arithmetic(text: str) -> Callable[[Mapping[str, Any]], int]:
    """A function that works out whole-number arithmetic over kept numbers.

    Raises:
        ValueError: `text` is more than + - * // % with names and whole numbers.
    """
    return _evaluator(ast.parse(text.strip(), mode="eval").body)


def _evaluator(node: ast.expr) -> Callable[[Mapping[str, Any]], int]:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        number = node.value
        return lambda kept: number
    if isinstance(node, ast.Name):
        name = node.id
        return lambda kept: int(kept[name])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _evaluator(node.operand)
        return lambda kept: -inner(kept)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        operation, left, right = _OPERATIONS[type(node.op)], _evaluator(node.left), _evaluator(node.right)
        return lambda kept: operation(left(kept), right(kept))
    raise ValueError(f"{ast.unparse(node)!r} is not arithmetic that patterns may use")
