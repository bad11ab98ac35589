"""The small world of the corpus: words from tables, and towns and people that are made up from a seed.

A fact about a town or a person is the same in every document that tells it, in Korean and in English.
"""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from random import Random
from typing import Any

from malmoi.factory.corpus.synthetic.conjugate import Conjugator, Irregulars
from malmoi.factory.corpus.synthetic.grammar import Entity, Grammar, Word

NUM_TOWNS = 240
NUM_PEOPLE = 1600
THIS_YEAR = 2026
"""The year in which the documents are written; a constant, so that the corpus never changes."""


def read_data(name: str) -> dict[str, Any]:
    """One of the package's data files."""
    path = files("malmoi.factory.corpus.synthetic") / "data" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def build_grammar(world: Mapping[str, Any]) -> Grammar:
    """The grammar with the verbs and plurals of world.toml."""
    irregular = world["irregular"]
    kinds = {verb: kind for kind in "ㅂㄷㅅㅎ" for verb in irregular[kind].split()}
    conjugator = Conjugator(
        Irregulars(
            kinds=kinds,
            adjectives=frozenset(world["adjectives"]["words"].split()),
            rieul=frozenset(irregular["rieul"].split()),
        )
    )
    return Grammar(conjugator, world["plurals"])


def build_tables(world: Mapping[str, Any], seed: int) -> dict[str, Sequence[Entity]]:
    """All tables that patterns draw from: the words of words.toml, towns and people."""
    tables: dict[str, Sequence[Entity]] = {
        name: _rows(table["rows"], table.get("fields", ["name"]))
        for name, table in read_data("words").items()
    }
    dice = Random(f"malmoi synthetic world {seed}")  # noqa: S311  # reproducible text, no secrets
    towns = _towns(world, tables, dice)
    people = _people(world, tables, towns, dice)
    tables["town"], tables["person"] = towns, people
    return tables


def _rows(text: str, fields: Sequence[str]) -> list[Entity]:
    lines = text.strip().splitlines() if "\n" in text else text.split(";")
    rows: list[Entity] = []
    for line in lines:
        words = [_word(part) for part in (line.split(";") if len(fields) > 1 else [line])]
        rows.append(dict(zip(fields, words, strict=True)))
    return rows


def _word(text: str) -> Word:
    korean, _, english = text.strip().partition("|")
    return korean, english


def _words(text: str) -> list[Word]:
    return [_word(part) for part in text.split(";")]


def _towns(
    world: Mapping[str, Any], tables: Mapping[str, Sequence[Entity]], dice: Random
) -> list[dict[str, Any]]:
    names = [(first, last) for first in _words(world["town_first"]) for last in _words(world["town_last"])]
    dice.shuffle(names)
    kinds = _words(world["town_kind"])
    towns: list[dict[str, Any]] = []
    for (first, last), (river, flow) in zip(
        names[:NUM_TOWNS], reversed(names[NUM_TOWNS : 2 * NUM_TOWNS]), strict=False
    ):
        name = (first[0] + last[0], first[1] + last[1])
        kind = dice.choice(kinds)
        stream = dice.choice([("강", " River"), ("천", " Stream")])
        town = {
            "name": name,
            "full": (name[0] + kind[0], name[1]),
            "kind": kind,
            "river": (river[0] + flow[0] + stream[0], river[1] + flow[1] + stream[1]),
            "product": dice.choice(tables["product"]),
            "product2": dice.choice(tables["craft"]),
            "distance": dice.randint(3, 60),
            "population": f"{dice.randint(4, 900) * 100:,}",
            "founded": dice.randint(680, 1890),
            "built": dice.randint(1950, 2015),
        }
        for field in ("festival", "month", "building", "landform", "direction", "plant", "animal"):
            town[field] = dice.choice(tables[field])
        towns.append(town)
    for number, town in enumerate(towns):
        town["neighbour"] = towns[number - 1]
    return towns


def _people(
    world: Mapping[str, Any],
    tables: Mapping[str, Sequence[Entity]],
    towns: Sequence[dict[str, Any]],
    dice: Random,
) -> list[dict[str, Any]]:
    surnames, firsts = _words(world["surname"]), _words(world["given_first"])
    lasts = {"her": _words(world["given_last_her"]), "his": _words(world["given_last_his"])}
    pronouns = {"her": ("she", "her", "her"), "his": ("he", "his", "him")}
    pets = [{"name": pet} for pet in _words(world["pet"])]
    people: list[dict[str, Any]] = []
    known: set[tuple[Word, Word]] = set()
    for number in range(NUM_PEOPLE):
        kind = dice.choice(("her", "his"))
        surname, first, last = dice.choice(surnames), dice.choice(firsts), dice.choice(lasts[kind])
        given = (first[0] + last[0], first[1] + last[1])
        while (surname, given) in known:  # a name stands for one person
            surname = dice.choice(surnames)
            first = dice.choice(firsts)
            given = (first[0] + last[0], first[1] + last[1])
        known.add((surname, given))
        born = dice.randint(1950, 2000)
        since = born + dice.randint(18, 25)
        person = {
            "name": (surname[0] + given[0], f"{surname[1]} {given[1]}"),
            "given": given,
            "town": towns[number % len(towns)],
            "born": born,
            "since": since,
            "started": since - born,
            "prize": min(since + dice.randint(1, 20), THIS_YEAR - 1),
            "years": THIS_YEAR - since,
            "pet": dice.choice(pets),
        }
        person["he"], person["his"], person["him"] = (("", word) for word in pronouns[kind])
        for field in ("trade", "hobby", "instrument", "dish", "subject"):
            person[field] = dice.choice(tables[field])
        people.append(person)
    for number, person in enumerate(people):
        person["friend"] = people[number - 1]
        towns[number % len(towns)].setdefault("person", person)
    return people
