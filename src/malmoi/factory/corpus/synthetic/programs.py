"""Python programs: functions with docstrings and examples that run.

What an example gives is worked out by calling the function's own first body, compiled once, with the
constants of the program in its globals. The bodies are data of this package; nothing else is ever run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import FunctionType
from typing import Any

from malmoi.factory.corpus.synthetic.documents import Text
from malmoi.factory.corpus.synthetic.grammar import Entity

_PLACE = re.compile(r"\$(\d|[KLvw])")
_MAX_LINE = 100


@dataclass(frozen=True)
class _Function:
    topic: str
    names: Sequence[str]
    args: Sequence[Sequence[str]]
    types: Sequence[str]
    returns: str
    constants: Mapping[str, Sequence[int]]
    docs: Sequence[str]
    bodies: Sequence[str]
    calls: Sequence[Sequence[str]]
    reference: FunctionType


class ProgramWriter:
    """Writes Python files.

    Args:
        data: programs.toml.
        tables: words for the examples.
    """

    def __init__(self, data: Mapping[str, Any], tables: Mapping[str, Sequence[Entity]]) -> None:
        self._topics = {name: text.partition("|")[::2] for name, text in data["topics"].items()}
        self._module_docs = data["module_docs"]
        self._locals = {"v": data["locals_v"], "w": data["locals_w"]}
        self._functions = [_Function(**entry, reference=_compile(entry)) for entry in data["function"]]
        names = [entity["name"][1] for table in ("thing", "fruit", "animal") for entity in tables[table]]
        self._words = [name for name in names if name.isalpha() and name.islower()]
        self._people = sorted({person["given"][1] for person in tables["person"]})

    def write(self, dice: Random) -> Text:
        """One file of three to seven functions, most about one topic."""
        topic = _pick(dice, list(self._topics))
        of_topic = [function for function in self._functions if function.topic == topic]
        others = [function for function in self._functions if function.topic != topic]
        chosen = _sample(dice, of_topic, _between(dice, 2, 4)) + _sample(dice, others, _between(dice, 1, 3))
        english, korean = self._topics[topic]
        doc = _pick(dice, self._module_docs)
        for slot, text in (
            ("{topic_ko}", korean),
            ("{topic_cap}", english.capitalize()),
            ("{topic}", english),
        ):
            doc = doc.replace(slot, text)
        parts = [f'"""{doc}"""']
        typed, in_korean = dice.random() < 0.6, dice.random() < 0.4
        taken: set[str] = set()
        for function in chosen:
            name = _pick(dice, function.names)
            if name not in taken:
                taken.add(name)
                parts.append(self._function(function, name, dice, typed=typed, in_korean=in_korean))
        if dice.random() < 0.3:
            parts.append('if __name__ == "__main__":\n    import doctest\n\n    doctest.testmod()')
        return Text("program", "code", "python", "\n\n\n".join(parts) + "\n")

    def _function(self, function: _Function, name: str, dice: Random, *, typed: bool, in_korean: bool) -> str:
        places = {str(number): _pick(dice, names) for number, names in enumerate(function.args)}
        constants = {key: _between(dice, *span) for key, span in function.constants.items()}
        used = set(places.values())
        places |= {key: str(value) for key, value in constants.items()}
        for key, names in self._locals.items():
            places[key] = _pick(dice, [one for one in names if one not in used])
            used.add(places[key])

        def filled(text: str) -> str:
            return _PLACE.sub(lambda match: places[match[1]], text)

        arguments = [places[str(number)] for number in range(len(function.args))]
        if typed:
            arguments = [
                f"{argument}: {kind}" for argument, kind in zip(arguments, function.types, strict=True)
            ]
        head = f"def {name}({', '.join(arguments)})" + (f" -> {function.returns}" if typed else "") + ":"
        docs = [doc for doc in function.docs if doc.isascii() != in_korean] or function.docs
        lines = [head, f'    """{filled(_pick(dice, docs))}', ""]
        for call, value in self._examples(function, constants, dice):
            lines += [f"    >>> {name}({call})", f"    {value}"]
        lines.append('    """')
        lines += [f"    {line}" for line in filled(_pick(dice, function.bodies)).splitlines()]
        return "\n".join(lines)

    def _examples(
        self, function: _Function, constants: Mapping[str, int], dice: Random
    ) -> list[tuple[str, str]]:
        function.reference.__globals__.update(constants)
        examples: dict[str, str] = {}
        wanted = 1 + int(dice.random() * 3)
        for _ in range(8):
            values: list[Any] = []
            for kind in _pick(dice, function.calls):
                made = self._value(kind, dice, values)
                values.extend(made if isinstance(made, tuple) and kind == "anagram" else [made])
            shown = ", ".join(map(repr, values))
            result = function.reference(*values)
            # An example whose value is None shows nothing, so it would teach nothing.
            if result is not None and len(shown) < _MAX_LINE - 30 and len(repr(result)) < _MAX_LINE:
                examples[shown] = repr(result)
            if len(examples) == wanted:
                break
        return list(examples.items())

    def _value(self, kind: str, dice: Random, before: Sequence[Any]) -> Any:
        """A value of a kind that programs.toml names."""
        name, *numbers = kind.split()
        span = [int(number) for number in numbers]
        return getattr(self, f"_make_{name}")(dice, span, before)

    def _make_int(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> int:
        return _between(dice, *span)

    def _make_tens(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> int:
        return _between(dice, *span) // 10 * 10

    def _make_ints(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[int]:
        return [_between(dice, *span[2:]) for _ in range(_between(dice, *span[:2]))]

    def _make_sorted(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[int]:
        return sorted(self._make_ints(dice, span, before))

    def _make_distinct(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[int]:
        return sorted(set(self._make_ints(dice, span, before)))

    def _make_word(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return str(_pick(dice, self._words))

    def _make_words(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[str]:
        return _sample(dice, self._words, _between(dice, *span))

    def _make_phrase(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return " ".join(_sample(dice, self._words, _between(dice, 1, 3)))

    def _make_title(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return " ".join(_sample(dice, self._words, _between(dice, 2, 3))).title()

    def _make_repeats(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        words = _sample(dice, self._words, 3)
        return " ".join(_pick(dice, words) for _ in range(_between(dice, 3, 6)))

    def _make_mirror(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        word = str(_pick(dice, self._words))
        return word + word[-2::-1] if dice.random() < 0.4 else word

    def _make_anagram(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> tuple[str, str]:
        word = str(_pick(dice, self._words))
        return word, "".join(_sample(dice, list(word), len(word)))

    def _make_runs(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return "".join(_pick(dice, "abcxyz") * _between(dice, 1, 4) for _ in range(_between(dice, 2, 5)))

    def _make_prices(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> dict[str, int]:
        return {word: _between(dice, 1, 20) * 50 for word in _sample(dice, self._words, _between(dice, 2, 4))}

    def _make_keys(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[str]:
        return [_pick(dice, list(before[0])) for _ in range(_between(dice, 1, 4))]

    def _make_stock(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> dict[str, int]:
        return {word: _between(dice, 0, 60) for word in _sample(dice, self._words, _between(dice, 1, 3))}

    def _make_scores(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> dict[str, int]:
        return {name: _between(dice, 1, 20) for name in _sample(dice, self._people, _between(dice, 2, 4))}

    def _make_hand(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return str(_pick(dice, ("rock", "paper", "scissors")))

    def _make_early(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return f"{_between(dice, 5, 11):02d}:{_between(dice, 0, 59):02d}"

    def _make_late(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return f"{_between(dice, 12, 23):02d}:{_between(dice, 0, 59):02d}"

    def _make_day(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        return str(_pick(dice, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")))

    def _make_point(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> tuple[int, int]:
        return _between(dice, -9, 20), _between(dice, -9, 20)

    def _make_grid(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> list[list[int]]:
        width = _between(dice, 2, 4)
        return [[_between(dice, 0, 12) for _ in range(width)] for _ in range(_between(dice, 1, 3))]

    def _make_fields(self, dice: Random, span: Sequence[int], before: Sequence[Any]) -> str:
        words = _sample(dice, self._words, _between(dice, 1, 3))
        return ";".join(f"{word}={_between(dice, 0, 99)}" for word in words)


def _compile(entry: Mapping[str, Any]) -> FunctionType:
    """The first body as a function, its constants as globals."""
    places = {str(number): f"a{number}_" for number in range(len(entry["args"]))}
    places |= {"K": "K", "L": "L", "v": "v_", "w": "w_"}
    body = _PLACE.sub(lambda match: places[match[1]], entry["bodies"][0])
    arguments = ", ".join(places[str(number)] for number in range(len(entry["args"])))
    source = f"def reference({arguments}):\n" + "\n".join(f"    {line}" for line in body.splitlines())
    names: dict[str, Any] = {}
    exec(compile(source, f"<{entry['names'][0]}>", "exec"), names)  # noqa: S102  # our own package data
    made: FunctionType = names["reference"]
    return made


def _pick(dice: Random, items: Sequence[Any]) -> Any:
    return items[int(dice.random() * len(items))]


def _between(dice: Random, low: int, high: int) -> int:
    return low + int(dice.random() * (high - low + 1))


def _sample(dice: Random, items: Sequence[Any], count: int) -> list[Any]:
    rest = list(items)
    return [rest.pop(int(dice.random() * len(rest))) for _ in range(min(count, len(rest)))]
