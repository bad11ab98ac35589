"""Who sent a mail and what stands in it, from a sentence that looks for one."""

import re
import tomllib
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.planning.reading import sentence


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("asked.toml").read_text(encoding="utf-8"))


def read_query(operation: str, query: str, now: datetime) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: of the mail skill.
        query: what the person says.
        now: the person's time.
    """
    if operation != "search_mail":
        return {}
    query = sentence(query)
    told = {name: _first(_words()[name]["of"], query) for name in ("from", "query")}
    sender = told["from"]
    for title in _words()["titles"]["of"]:
        sender = re.sub(rf"\s*{title}$", "", sender)
    told["from"] = sender if not re.fullmatch(_words()["titles"]["nobody"], sender, re.IGNORECASE) else ""
    told["query"] = re.sub(_words()["titles"]["before"], "", told["query"])
    if told["query"] and re.fullmatch(_words()["titles"]["nothing"], told["query"], re.IGNORECASE):
        told["query"] = ""
    return {name: value for name, value in told.items() if value}


def _first(patterns: list[str], query: str) -> str:
    for pattern in patterns:
        if match := re.search(pattern, query):  # names begin with capitals
            return next(filter(None, match.groups()), "").strip(" '\"“”‘’,.?!")
    return ""
