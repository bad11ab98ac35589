"""Text for comparison and search: folded, cut into words, and into pairs of characters."""

import re
import unicodedata

_CJK = (
    "\u1100-\u11ff\u3040-\u30ff\u3105-\u318e\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_CJK_RUN = re.compile(f"(?:(?=\\w)[{_CJK}])+")
_WORD = re.compile(f"(?:(?=\\w)[{_CJK}])+|[^\\W_{_CJK}]+")


def fold(text: str) -> str:
    """`text` for comparison: compatibility forms unified (NFKC), lower case, no accents on Latin letters.

    Hangul stays composed. The length may change.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():
        return folded
    bare = "".join(char for char in unicodedata.normalize("NFKD", folded) if not 0x300 <= ord(char) <= 0x36F)
    return unicodedata.normalize("NFC", bare)


def words(text: str) -> list[str]:
    """The words of `text`, folded: runs of letters and digits, cut where scripts meet (API를 -> api, 를)."""
    return [match.group() for match in _WORD.finditer(fold(text))]


def is_cjk(word: str) -> bool:
    """Whether `bigrams` stand for this word of `words`: Hangul, Han or Kana."""
    return bool(_CJK_RUN.fullmatch(word))


def bigrams(text: str, *, last: bool = False) -> list[str]:
    """Terms to find any part of a word by: overlapping pairs of each CJK run, other words whole.

    결제하기 v2 -> 결제 제하 하기 v2. A run of one character is that character. A phrase of neighbouring pairs
    is then an exact substring of a run: "결제하" is found as "결제 제하", two syllables anywhere in a word.

    Args:
        text: any text; it is folded first.
        last: add each run's last character by itself, so that a one-syllable query, asked as the prefix of a
            pair, finds it there too. For what is indexed, not for queries.
    """
    terms: list[str] = []
    for word in words(text):
        if not is_cjk(word):
            terms.append(word)
            continue
        terms.extend(word[i : i + 2] for i in range(len(word) - 1))
        if last or len(word) == 1:
            terms.append(word[-1])
    return terms
