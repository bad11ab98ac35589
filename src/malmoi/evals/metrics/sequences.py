"""Named entities and dependency trees, as KLUE scores them (Park et al. 2021, sections 4.4 and 4.6).

Entities are written either as KLUE writes them, `<경찰:OG>은 또 ...`, or as one tag a character
(`B-OG I-OG O`). A model that rewrites the sentence is scored by where its entities stand in the gold one.
A tree is written as one `head:type` a word, such as `2:NP_SBJ 0:VP`.
"""

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeAlias

import numpy as np

from malmoi.core.intervals import Array, Statistic, additive, ratio
from malmoi.evals.metrics.labels import macro
from malmoi.evals.results import ItemResult
from malmoi.evals.statistic import Items

Span: TypeAlias = tuple[int, int, str]
"""First character, one past the last, type."""

_MARKED = re.compile(r"<([^<>]+):([A-Z]{2,4})>")
_TAGS = re.compile(r"(?:O|[BI]-[A-Z]+)(?:\s+(?:O|[BI]-[A-Z]+))*")
_ARC = re.compile(r"(\d+)\s*[:/\t]\s*([A-Z][A-Z_]*)")
DEPENDENCIES = ("NP", "NP_AJT", "VP", "NP_SBJ", "VP_MOD", "NP_OBJ", "AP", "NP_CNJ", "NP_MOD", "VNP", "DP",
                "VP_AJT", "VNP_MOD", "NP_CMP", "VP_SBJ")  # fmt: skip
"""The types that KLUE tells apart in its macro F1; all others are one class."""


def read_entities(text: str) -> tuple[str, list[Span]]:
    """The plain sentence and its entities; of tags the sentence is one dot a character."""
    if _TAGS.fullmatch(text.strip()):
        tags = text.split()
        return "." * len(tags), _spans_of(tags)
    plain, spans, end = "", [], 0
    for found in _MARKED.finditer(text):
        plain += text[end : found.start()]
        spans.append((len(plain), len(plain) + len(found[1]), found[2]))
        plain += found[1]
        end = found.end()
    return plain + text[end:], spans


def _spans_of(tags: Sequence[str]) -> list[Span]:
    """Entities of IOB2 tags; an I without its B begins nothing."""
    spans: list[Span] = []
    begin, kind = -1, ""
    for at, tag in enumerate([*tags, "O"]):
        if begin >= 0 and tag != f"I-{kind}":
            spans.append((begin, at, kind))
            begin = -1
        if tag.startswith("B-"):
            begin, kind = at, tag[2:]
    return spans


def _placed(sentence: str, text: str) -> list[Span]:
    """Entities of an answer, at their places in the gold sentence; one that is not in it stands nowhere."""
    plain, spans = read_entities(text)
    if plain == sentence:
        return spans
    placed, after = [], 0
    for number, (start, end, kind) in enumerate(spans):
        surface = plain[start:end]
        at = sentence.find(surface, after)
        if at < 0:
            placed.append((-1 - number, -1, kind))  # counts as an answer, and can match nothing
        else:
            after = at + len(surface)
            placed.append((at, after, kind))
    return placed


def _both(item: ItemResult) -> tuple[str, list[Span], list[Span]]:
    sentence, gold = read_entities(item.gold)
    return sentence, gold, _placed(sentence, item.answer)


def entity_f1(items: Items) -> Statistic:
    """Macro F1 over types of entities; an entity is right where its span and its type are."""
    found = [_both(item) for item in items]
    kinds = sorted({kind for _, *both in found for spans in both for _, _, kind in spans})
    columns = np.zeros((len(items), 3, max(len(kinds), 1)))
    for row, (_, gold, given) in enumerate(found):
        for number, spans in enumerate((set(gold) & set(given), gold, given)):
            for _, _, kind in spans:
                columns[row, number, kinds.index(kind)] += 1
    return additive(columns.reshape(len(items), -1), macro)


def character_f1(items: Items) -> Statistic:
    """Macro F1 over the tags of characters.

    `O` is a class too: the benchmark's own code counts it, though its documentation says otherwise.
    """
    pairs = []
    for item in items:
        sentence, gold, given = _both(item)
        pairs.append((_tags(sentence, gold), _tags(sentence, given)))
    return additive(_counts(pairs), macro)


def _tags(sentence: str, spans: Sequence[Span]) -> list[str]:
    tags = ["O"] * len(sentence)
    for start, end, kind in spans:
        for at in range(max(start, 0), min(end, len(tags))):
            tags[at] = ("B-" if at == start else "I-") + kind
    return tags


def _counts(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Array:
    """(N, 3L): right labels, gold labels and given labels of each class, of sequences of equal length."""
    names = sorted({name for gold, given in pairs for name in (*gold, *given)})
    at = {name: number for number, name in enumerate(names)}
    columns = np.zeros((len(pairs), 3, max(len(names), 1)))
    for row, (gold, given) in enumerate(pairs):
        for one, other in zip(gold, given, strict=True):
            columns[row, 1, at[one]] += 1
            columns[row, 2, at[other]] += 1
            columns[row, 0, at[one]] += one == other
    return columns.reshape(len(pairs), -1)


def read_arcs(text: str) -> list[tuple[int, str]]:
    """(head, type) of each word."""
    return [(int(head), kind) for head, kind in _ARC.findall(text)]


def _arcs(item: ItemResult) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    """(gold, given) of each word of the gold tree; what the answer lacks is wrong."""
    gold = read_arcs(item.gold)
    pairs = zip_longest(gold, read_arcs(item.answer)[: len(gold)], fillvalue=(-1, ""))
    return list(pairs)


def _attached(items: Items, *, typed: bool) -> Statistic:
    columns = np.zeros((len(items), 2))
    for row, item in enumerate(items):
        pairs = _arcs(item)
        columns[row] = sum(a == b if typed else a[0] == b[0] for a, b in pairs), len(pairs)
    return additive(columns, lambda s: ratio(s[:, 0], s[:, 1]))


def uas(items: Items) -> Statistic:
    """Unlabelled attachment score: share of words with the right head."""
    return _attached(items, typed=False)


def las(items: Items) -> Statistic:
    """Labelled attachment score: share of words with the right head and type."""
    return _attached(items, typed=True)


def uas_macro_f1(items: Items) -> Statistic:
    """KLUE-DP's UAS: macro F1 with the places of heads as classes."""
    pairs = [_arcs(item) for item in items]
    heads = [([str(a[0]) for a, _ in one], [str(b[0]) for _, b in one]) for one in pairs]
    return additive(_counts(heads), macro)


def las_macro_f1(items: Items) -> Statistic:
    """KLUE-DP's LAS: macro F1 over types, where a type at a wrong head is a class of its own, and wrong."""
    pairs = []
    for item in items:
        arcs = _arcs(item)
        given = [_type(b[1]) if a[0] == b[0] else "wrong head" for a, b in arcs]
        pairs.append(([_type(a[1]) for a, _ in arcs], given))
    return additive(_counts(pairs), macro)


def _type(name: str) -> str:
    return name if name in DEPENDENCIES else "other"
