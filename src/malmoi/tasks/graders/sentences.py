"""Sentences of an answer and how Korean ones end, by rule: without an analyser, a grade never changes."""

import re
from typing import Literal, TypeAlias

from malmoi.core.hangul import decompose, is_syllable, nfc

Ending: TypeAlias = Literal["습니다", "해요", "한다", "반말", "명사형"]

_BREAK = re.compile(r"(?<=[.!?。！？…])[\"'”’)\]]*\s+|\n+")
_MARKUP = re.compile(r"^\s*(?:[-*+•·]\s+|\d{1,3}[.)]\s+|#{1,6}\s+|>\s*)+")
_TAIL = re.compile(r"[\s.!?。！？…~,;:\"'”’)\]}*_`ㅋㅎㅠㅜ^]+$")
_POLITE = ("니다", "니까", "십시오", "시오", "십시요")
_HAEYO = ("요", "죠")
_NOT_CASUAL = ("니다", "니까", "시오", "요", "죠")
_WORD = re.compile(r"[가-힣A-Za-z]")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text; a line is at least one, and marks of lists and headings are left out.

    A full stop ends a sentence where white space follows, so 3.5 stays whole.
    """
    parts = (_MARKUP.sub("", part).strip() for part in _BREAK.split(nfc(text)))
    return [part for part in parts if _WORD.search(part)]


def ends_as(sentence: str, ending: Ending) -> bool:
    """Whether a sentence ends in this style.

    습니다: the formal polite one (합쇼체); 해요: the informal polite one; 한다: the plain written one;
    반말: the intimate one, or the plain one; 명사형: a noun form, in -음 or -기.
    """
    bare = _TAIL.sub("", sentence)
    last = bare[-1:]
    if not is_syllable(last):
        return False
    if ending == "습니다":
        return bare.endswith(_POLITE)
    if ending == "해요":
        return bare.endswith(_HAEYO) and not bare.endswith(_POLITE)
    if ending == "한다":
        return last == "다" and not bare.endswith("니다")
    if ending == "명사형":
        return decompose(last).tail == "ㅁ" or last == "기"
    return not bare.endswith(_NOT_CASUAL)
