"""Where sentences end, in Korean and English, by rules.

A mark (. ! ? … and their wide forms) ends a sentence where white space follows, unless it is part of a
number, a date, an initial or an abbreviation, or a quotation goes on ("갔다." 라고). Korean sentences that
are written together ("했다.그리고") are cut as well. A line end is an end but where a long line just goes on.
"""

import re
from functools import cache
from importlib.resources import files

# A mark with what closes behind it; or a line's end.
_MARK = re.compile(r"[.!?…。！？]+[\"'”’」』》〉）)\]]*|\n")
_KOREAN_END = frozenset("다요죠까함음됨임라자네군")
_QUOTES = frozenset("\"'”’」』")
# What goes on behind a quotation: "…다."라고, "…까?" 하고.
_GOES_ON = re.compile(r"\s*(?:이?라[고는며]|하[고는며]|[고는며]\s|이?란\s)")
_LIST_NUMBER = re.compile(
    r"(?:^|\n)[^\S\n]*\(?(?:\d{1,3}|[가나다라마바사아자차카타파하A-Za-z]|[ivxIVX]{1,5})$"
)
_DATE = re.compile(r"(?:19|20)\d\d\.\s?\d{1,2}\.\s?\d{1,2}$")  # the full stop of a day: 2024. 5. 3.
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]{1,40}$")
_ITEM = re.compile(
    r"[^\S\n]*(?:[-*+•·▪◦○●■□▶※#>|]|\(?(?:\d{1,3}|[가나라마바사아자차카타파하A-Za-z])[.)]\s|[①-⑳])"
)
_LONG_LINE = 30  # characters; a shorter line without a mark is one of its own, such as a title
_REACH = 80  # characters looked back


@cache
def _abbreviations() -> frozenset[str]:
    text = files("malmoi.assist.retrieval").joinpath("abbreviations.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """`(start, end)` of each sentence, in order, without white space around it; together all the words."""
    spans: list[tuple[int, int]] = []
    start = 0
    for mark in _MARK.finditer(text):
        if _ends(text, start, mark):
            _keep(text, start, mark.end(), spans)
            start = mark.end()
    _keep(text, start, len(text), spans)
    return spans


def _keep(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        start += len(piece) - len(piece.lstrip())
        spans.append((start, start + len(stripped)))


def _ends(text: str, start: int, mark: re.Match[str]) -> bool:
    if mark[0] == "\n":
        return _line_ends(text, start, mark.start())
    end = mark.end()
    following = text[end : end + 1]
    before = text[mark.start() - 1 : mark.start()]
    if not following:
        return True
    if not following.isspace():
        # No white space: only a Korean ending directly before a Korean word, neither of them a single letter.
        two = text[max(start, mark.start() - 2) : mark.start()]
        return (
            mark[0] == "."
            and before in _KOREAN_END
            and len(two) == 2
            and all("가" <= char <= "힣" for char in two)
            and "가" <= following <= "힣"
            and not _GOES_ON.match(text, end)
        )
    if mark[0][-1] in _QUOTES and _GOES_ON.match(text, end):
        return False
    return not (mark[0] == "." and _is_inner(text, start, mark.start(), end))


def _is_inner(text: str, start: int, at: int, end: int) -> bool:
    """Whether a single full stop with white space behind it does not end a sentence."""
    head = text[max(start, at - _REACH) : at]
    rest = text[end : end + _REACH].lstrip()
    if _LIST_NUMBER.search(head) and (at - start <= _REACH):
        return True
    word = _LAST_WORD.search(head)
    last = word[0] if word else ""
    if (last.isdigit() and rest[:1].isdigit()) or (_DATE.search(head) and text[end : end + 1] != "\n"):
        return True
    if len(last) == 1 and last.isascii() and last.isupper():  # J. Kim
        return True
    if last.lower() in _abbreviations():
        return True
    return bool(rest) and rest[0].isascii() and rest[0].islower()


def _line_ends(text: str, start: int, at: int) -> bool:
    following = text[at + 1 : at + 1 + _REACH]
    if not following.strip() or following[0] == "\n" or _ITEM.match(following):
        return True
    line = text[max(start, text.rfind("\n", max(start, at - 200), at) + 1) : at].rstrip()
    return len(line) < _LONG_LINE or line.endswith((":", ";"))
