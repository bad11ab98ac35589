"""The answer-token table: how likely each letter is as the next token, read from one generated token.

This is what the protocol `report` needs, and all that an engine without scores can tell.
"""

import math
from collections.abc import Sequence

from malmoi.core.errors import Unsupported
from malmoi.engine.base import Completion, EngineInfo, Sampling

_MOST_TOP = 1000
"""Likeliest tokens that are asked for; letters are nearly always among them."""
_MOST_TOP_REMOTE = 20
"""What servers of other makers allow."""
_LETTER = 3
"""Most characters of a continuation that counts as a letter, with its space."""


def table_sampling(continuations: Sequence[str], info: EngineInfo) -> Sampling:
    """What to ask for: one token, its likeliest alternatives, and a letter where the engine can be held so.

    Raises:
        Unsupported: the continuations are more than letters, or the engine tells no probabilities.
    """
    if any(len(text) > _LETTER or not text.strip() for text in continuations):
        raise Unsupported(
            f"{info.name} cannot score given texts, and the choices are more than letters.",
            fix="Use --engine torch (pip install 'malmoi[train]'), or --protocol report.",
        )
    if "logprobs" not in info.capabilities:
        raise Unsupported(
            f"{info.name} tells no probabilities.", fix="Use an engine or a server that gives logprobs."
        )
    grammar = None
    if "grammar" in info.capabilities:
        letters = dict.fromkeys(form for text in continuations for form in (text, text.strip()))
        grammar = "root ::= " + " | ".join(f'"{_escaped(letter)}"' for letter in letters)
    top = _MOST_TOP_REMOTE if info.kind == "http" else _MOST_TOP
    return Sampling(max_tokens=1, temperature=0.0, top_logprobs=top, grammar=grammar)


def read_table(completion: Completion, continuations: Sequence[str]) -> list[tuple[float, bool]]:
    """The log-probability of each continuation, and whether it is the likeliest token of all.

    A continuation counts with its space as it stands; where the table does not hold it so, its letter does,
    however spaced. One that is not there at all is less likely than the least likely that is.
    """
    if not completion.logprobs:
        return [(0.0, False)] * len(continuations)
    first = completion.logprobs[0]
    entries = dict(first.top)
    entries.setdefault(first.token, first.logprob)
    floor = min(entries.values()) - 1.0
    best = max(entries, key=lambda token: entries[token])
    found = []
    for text in continuations:
        value = entries.get(text)
        if value is None:
            spaced = [entry for token, entry in entries.items() if token.strip() == text.strip()]
            value = _log_sum(spaced) if spaced else floor
        found.append((value, best.strip() == text.strip()))
    if all(value == floor for value, _ in found):
        # None is in the table; but the grammar held the answer to one of them.
        said = completion.text.strip()
        found = [
            (floor + (text.strip() == said), flag)
            for text, (_, flag) in zip(continuations, found, strict=True)
        ]
    return found


def _log_sum(values: Sequence[float]) -> float:
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
