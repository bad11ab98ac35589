"""Columns of a table that a sentence names: which to keep, to group by, to add up, to sort by."""

import re
from datetime import datetime
from typing import Any

from malmoi.assist.skills.planning.reading import sentence

_WORD = r"[가-힣A-Za-z0-9_]{1,40}"
_KEEP = re.compile(
    # Words are joined at their ends alone: joints within them could be had in too many ways.
    rf"(?<![가-힣A-Za-z0-9_])((?:{_WORD}(?:,\s*|(?:(?<=[랑와과])|(?<=하고))\s+))+{_WORD}?)\s*"
    r"(?:열|칸|컬럼|항목|두 개|세 개)?(?:만|로만)"
    r"(?![가-힣]*원)"
)
_JOINT = re.compile(r"(?:이랑|랑|하고|와|과(?!장|목)|,)\s+|,\s*")
_GROUP = re.compile(rf"({_WORD})별(?:로)?|({_WORD})마다|\bby\s+(\w+)")
_GROUPED = re.compile(r"묶|합|더|총|평균|그룹|sum|total|group|add", re.IGNORECASE)
_SUM = re.compile(
    rf"({_WORD}?)(?:을|를|의)?\s*(?:합계|합산|총합|총액|모두 더|다 더|더해|합쳐)"
    r"|\b(?:sum|total)(?:\s+of)?(?:\s+the)?\s+(\w+)"
)
_SORT = re.compile(
    rf"({_WORD}?)(?:이|가|을|를)?\s*(?:큰|높은|많은|작은|낮은|적은|비싼|싼|빠른|오래된)\s*(?:순|것부터|거부터)"
    rf"|({_WORD}?)\s?(?:순으로|순서로|기준으로 정렬|으로 정렬|로 정렬)"
    r"|\b(?:sort(?:ed)?|order(?:ed)?)\s+(?:\w+ ){0,4}?by\s+(?:the\s+)?(\w+)",
    re.IGNORECASE,
)
_NO_COLUMN = frozenset(
    ("", "내림차", "오름차", "가나다", "번호", "큰", "높은", "이번엔", "다시", "그", "it", "the", "email")
)


def read_query(operation: str, query: str, now: datetime) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: of the table skill.
        query: what the person says.
        now: not needed.
    """
    if operation != "make_table":
        return {}
    query = sentence(query)
    told: dict[str, Any] = {}
    if match := _KEEP.search(query):
        names = [one.strip() for one in _JOINT.split(match[1]) if one.strip()]
        names = [re.sub(r"(?:이랑|랑|하고)$", "", one) for one in names]
        names = [one for one in names if one not in ("표", "파일", "문서", "자료")]
        if len(names) > 1:
            told["columns"] = names
    group, total, order = (_column(pattern, query) for pattern in (_GROUP, _SUM, _SORT))
    if group and _GROUPED.search(query):
        told["group_by"] = group
    if total and total != group:
        told["sum"] = [total]
    if order:
        told["sort_by"] = order
    return told


def _column(pattern: re.Pattern[str], query: str) -> str:
    match = pattern.search(query)
    name = next(filter(None, match.groups()), "") if match is not None else ""
    return "" if name in _NO_COLUMN else name
