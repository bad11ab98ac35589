"""Documents from patterns: which blocks they have, and sentences drawn for each.

Sentences of a paragraph or numbered list come in the order of their pool; one with `!` before it is always
among the first taken. A block of `body` is a pattern, or names pools and how many sentences it takes:

    "town_place:3-4 town_life:1-2"    one paragraph
    "= talk:4-7"                      one after another, each on its own lines
    "+ question:4-7"                  divided by empty lines
    "1 step:5-7"                      numbered
    "- step:5-7"                      in a list
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from malmoi.factory.corpus.synthetic.conjugate import STYLES
from malmoi.factory.corpus.synthetic.grammar import ENGLISH, KOREAN, Entity, Grammar, Scene

Render = Callable[[Scene], str]
_POOLS = re.compile(r"(?:(?P<form>[=+1-]) )?(?P<pools>\w+:\d+-\d+(?: \w+:\d+-\d+)*)")
_LANGUAGES = {"ko": KOREAN, "en": ENGLISH}


@dataclass(frozen=True)
class Text:
    """One finished document."""

    kind: str
    language: str
    """ "ko", "en", or "code"."""
    format: str
    """ "text", "markdown" or "python"."""
    text: str


@dataclass(frozen=True)
class _Block:
    form: str
    pools: tuple[tuple[str, int, int], ...] = ()
    pattern: Render | None = None


@dataclass(frozen=True)
class _Pool:
    sentences: Sequence[Render]
    has_opening: bool
    """Whether the first sentence is always among the first that are taken."""

    def order(self, dice: Random) -> list[int]:
        """Numbers of the sentences, to be taken from the end."""
        if not self.has_opening:
            return _shuffled(len(self.sentences), dice)
        return [number + 1 for number in _shuffled(len(self.sentences) - 1, dice)] + [0]


@dataclass(frozen=True)
class _Kind:
    name: str
    format: str
    styles: tuple[int, ...]
    let: tuple[str, ...]
    titles: tuple[Render, ...]
    blocks: tuple[_Block, ...]


class DocumentWriter:
    """Writes documents of one language from one or more pattern files.

    Args:
        grammar: compiles the patterns.
        data: pattern files, each with `language`, `pools` and `document`.
        tables: what patterns draw from.
    """

    def __init__(
        self, grammar: Grammar, data: Sequence[Mapping[str, Any]], tables: Mapping[str, Sequence[Entity]]
    ) -> None:
        self._tables = tables
        self._language = data[0]["language"]
        self._kinds: list[tuple[_Kind, Mapping[str, _Pool]]] = []
        for file in data:
            pools = {
                name: _Pool([grammar.compile(one.removeprefix("!")) for one in some], some[0].startswith("!"))
                for name, some in file["pools"].items()
            }
            for entry in file["document"]:
                kind = _Kind(
                    name=entry["kind"],
                    format=entry.get("format", "text"),
                    styles=tuple(STYLES.index(style) for style in entry.get("styles", ["plain"])),
                    let=tuple(entry["let"]),
                    titles=tuple(grammar.compile(title) for title in entry["title"]),
                    blocks=tuple(_block(block, grammar, pools) for block in entry["body"]),
                )
                self._kinds.extend([(kind, pools)] * entry["weight"])

    def write(self, dice: Random) -> Text:
        """One document, a pure function of the state of the dice."""
        kind, pools = self._kinds[int(dice.random() * len(self._kinds))]
        scene = Scene(dice, _LANGUAGES[self._language], 0, self._tables)
        scene.style = scene.pick(kind.styles)
        for binding in kind.let:
            scene.let(binding)
        finish = capitalised if scene.language == ENGLISH else str
        title = finish(scene.pick(kind.titles)(scene))
        left = {name: pools[name].order(dice) for name in _used(kind)}
        blocks = [title]
        for block in kind.blocks:
            if block.pattern is not None:
                blocks.append(finish(block.pattern(scene)))
                continue
            sentences: list[str] = []
            for name, low, high in block.pools:
                chosen = [left[name].pop() for _ in range(scene.between(low, high)) if left[name]]
                if block.form in " 1":
                    chosen.sort()
                sentences += [finish(pools[name].sentences[number](scene)) for number in chosen]
            if sentences:
                blocks.append(_joined(block.form, sentences))
        return Text(kind.name, self._language, kind.format, "\n\n".join(blocks) + "\n")


def capitalised(text: str) -> str:
    """The text with a capital at its head; a quotation mark before it is passed over."""
    if text[:1] == '"':
        return text[:1] + text[1:2].upper() + text[2:]
    return text[:1].upper() + text[1:]


def _used(kind: _Kind) -> list[str]:
    # A list, since sets of text have another order in every process.
    return list(dict.fromkeys(name for block in kind.blocks for name, _, _ in block.pools))


def _block(text: str, grammar: Grammar, pools: Mapping[str, Any]) -> _Block:
    match = _POOLS.fullmatch(text)
    if match is None:
        return _Block("", pattern=grammar.compile(text))
    named = []
    for part in match["pools"].split():
        name, _, span = part.partition(":")
        low, _, high = span.partition("-")
        if name not in pools:
            raise ValueError(f"the block {text!r} names the pool {name!r}, which is not there")
        named.append((name, int(low), int(high)))
    return _Block(match["form"] or " ", tuple(named))


def _joined(form: str, sentences: Sequence[str]) -> str:
    if form == "1":
        return "\n".join(f"{number}. {sentence}" for number, sentence in enumerate(sentences, 1))
    if form == "-":
        return "\n".join(f"- {sentence}" for sentence in sentences)
    return {" ": " ", "=": "\n", "+": "\n\n"}[form].join(sentences)


def _shuffled(count: int, dice: Random) -> list[int]:
    order = list(range(count))
    for place in range(count - 1, 0, -1):
        other = int(dice.random() * (place + 1))
        order[place], order[other] = order[other], order[place]
    return order


class PairWriter:
    """Writes translations and word problems from pairs.toml."""

    def __init__(
        self, grammar: Grammar, data: Mapping[str, Any], tables: Mapping[str, Sequence[Entity]]
    ) -> None:
        self._tables = tables
        self._pairs = [(grammar.compile(pair["ko"]), grammar.compile(pair["en"])) for pair in data["pair"]]
        self._problems = [
            (
                tuple(problem["let"]),
                {name: grammar.compile(problem[name]) for name in ("ko", "ko_answer", "en", "en_answer")},
            )
            for problem in data["problem"]
        ]

    def write(self, dice: Random) -> Text:
        """Sentences in both languages."""
        scene = Scene(dice, KOREAN, 0, self._tables)
        scene.style = scene.between(0, len(STYLES) - 1)
        scene.let("p=person")
        scene.let("t=p.town")
        order = _shuffled(len(self._pairs), dice)[: scene.between(5, 9)]
        rows = []
        for number in order:
            korean, english = self._pairs[number]
            scene.language = KOREAN
            source = korean(scene)
            scene.language = ENGLISH
            rows.append((source, capitalised(english(scene))))
        layout = scene.between(0, 3)
        if layout == 0:
            text = "\n\n".join(f"{korean}\n{english}" for korean, english in rows)
        elif layout == 1:
            text = "\n\n".join(f"한국어: {korean}\n영어: {english}" for korean, english in rows)
        elif layout == 2:
            text = "\n".join(f"{english} = {korean}" for korean, english in rows)
        else:
            text = "\n".join(
                [
                    "| 한국어 | English |",
                    "|---|---|",
                    *(f"| {korean} | {english} |" for korean, english in rows),
                ]
            )
        return Text("pairs", "ko", "text", text + "\n")

    def write_problems(self, dice: Random, language: str) -> Text:
        """Word problems with worked answers; "ko" or "en"."""
        parts = []
        layout = int(dice.random() * 3)
        labels = {"ko": ("문제", "풀이"), "en": ("Problem", "Solution")}[language]
        for number, index in enumerate(_shuffled(len(self._problems), dice)[: 2 + int(dice.random() * 3)], 1):
            let, patterns = self._problems[index]
            scene = Scene(dice, _LANGUAGES[language], STYLES.index("formal"), self._tables)
            for binding in let:
                scene.let(binding)
            # The Korean question draws what is not in `let`, so it comes first in both languages.
            question = patterns["ko"](scene)
            if language == "en":
                question = capitalised(patterns["en"](scene))
            answer = patterns[f"{language}_answer"](scene)
            if layout == 0:
                parts.append(f"{labels[0]}: {question}\n{labels[1]}: {answer}")
            elif layout == 1:
                parts.append(f"{labels[0]} {number}. {question}\n\n{labels[1]}. {answer}")
            else:
                parts.append(f"{question}\n{answer}")
        return Text("problems", language, "text", "\n\n".join(parts) + "\n")
