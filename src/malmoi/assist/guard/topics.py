"""Rules that tell when somebody is in need, before any model is asked. The rules are `rules/topics.toml`."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from malmoi.assist.guard.data import read_table
from malmoi.assist.guard.lists import fold
from malmoi.assist.guard.sentences import sentences

_SPACES = re.compile(r"\s+")
_QUOTED = re.compile(r"[\"“”「」『』`]|(?<![a-z])['‘’]|['‘’](?![a-z])")
_LONGEST = 400  # characters of a sentence that are looked at


@dataclass(frozen=True, slots=True)
class Need:
    """A need that was told: its topic and the sentence that tells it."""

    topic: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Rule:
    topic: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None

    def holds(self, sentence: str) -> bool:
        if not any(word in sentence for word in self.words) or self.pattern.search(sentence) is None:
            return False
        return self.unless is None or self.unless.search(sentence) is None


def find_needs(text: str, topics: Collection[str]) -> list[Need]:
    """Who is in need in `text`: at most one need a sentence, in the order of the rules."""
    found: list[Need] = []
    wanted = [rule for rule in _rules() if rule.topic in topics]
    if not wanted:
        return found
    for start, end in sentences(text):
        sentence = _QUOTED.sub("", _SPACES.sub(" ", fold(text[start:end])[0])).strip()[:_LONGEST]
        rule = next((rule for rule in wanted if rule.holds(sentence)), None)
        if rule is not None:
            found.append(Need(rule.topic, start, end))
    return found


@lru_cache
def _rules() -> tuple[_Rule, ...]:
    table = read_table("rules", "topics.toml")
    rules = []
    for entry in table["rules"]:
        unless = [*table["topics"][entry["topic"]]["unless"], *entry.get("unless", ())]
        rules.append(
            _Rule(
                entry["topic"],
                tuple(entry["words"]),
                re.compile(entry["pattern"]),
                re.compile("|".join(f"(?:{part})" for part in unless)) if unless else None,
            )
        )
    return tuple(rules)
