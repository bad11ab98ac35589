"""What a new event is called and where it is: what is left of a sentence without days, times and verbs."""

import re
import tomllib
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.planning.extraction import extract
from malmoi.assist.skills.planning.reading import sentence

_LONGEST = 40


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("asked.toml").read_text(encoding="utf-8"))


def read_query(operation: str, query: str, now: datetime) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: of the calendar skill.
        query: what the person says.
        now: the person's time.
    """
    query = sentence(query)
    if operation == "list_events":
        return _looked_for(query)
    if operation != "create_event" or extract(query, now).of("quoted"):
        return {}
    told: dict[str, Any] = {}
    rest = query
    for pattern in _words()["place"]["of"]:
        if match := re.search(pattern, rest):
            told["place"] = match[1].strip()
            rest = f"{rest[: match.start()]} ; {rest[match.end() :]}"
            break
    title = _title(rest, now)
    return told | ({"title": title} if title else {})


def _title(query: str, now: datetime) -> str:
    """The one part of a sentence that says what happens."""
    for pattern in _words()["title"]["of"]:
        if match := re.search(pattern, query, re.IGNORECASE):
            return _bare(_timeless(match[1], now))
    text = _timeless(query, now)
    for pattern in _words()["verbs"]["of"]:
        text = re.sub(pattern, " ; ", text, flags=re.IGNORECASE)
    parts = [_bare(part) for part in re.split(r"[;,.!?\n]", text)]
    parts = [part for part in parts if len(part) > 1]
    return parts[0] if len(parts) == 1 and len(parts[0]) <= _LONGEST else ""


def _timeless(query: str, now: datetime) -> str:
    """The sentence without its days, times and lengths, with the particles behind them."""
    found = extract(query, now)
    spans = [
        (one.start, one.end)
        for one in (*found.values, *found.periods, *found.minutes)
        if one.kind in ("date", "time", "days", "period") or one.unit in ("minutes", "hours")
    ]
    text = query
    for start, end in sorted(spans, reverse=True):
        behind = re.match(_words()["behind"]["of"], text[end:])
        text = f"{text[:start]} ; {text[end + (behind.end() if behind else 0) :]}"
        before = re.search(r"(?:\bon|\bat|\bfor|\bfrom|\bthis|\bby|\bin)\s*$", text[:start], re.IGNORECASE)
        if before:
            text = text[: before.start()] + " " + text[start:]
    return text


def _bare(part: str) -> str:
    text = re.sub(r"^[\s;,]+|[\s;,.!?]+$", "", part)
    text = re.sub(r"\s*;\s*", " ", text).strip()
    for pattern in _words()["ends"]["of"]:
        text = re.sub(pattern, "", text, flags=re.IGNORECASE).strip()
    return text


def _looked_for(query: str) -> dict[str, Any]:
    """The words by which an event is looked for: "치과 언제 가기로 했지"."""
    for pattern in _words()["sought"]["of"]:
        if match := re.search(pattern, query, re.IGNORECASE):
            word = _bare(match[1])
            if len(word) > 1 and not re.search(_words()["sought"]["not"], word, re.IGNORECASE):
                return {"query": word}
    return {}
