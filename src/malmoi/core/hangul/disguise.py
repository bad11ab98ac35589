"""Undo the tricks that hide a word from a filter but not from a reader.

    시.발, 시~발, 씨1발 -> 시발, 씨발          something between two syllables
    ㅅㅣㅂㅏㄹ, 시ㅂㅏㄹ -> 시발               syllables spelled out
    ｼ, ﾡ, ᄉᄇ, 𝐚 -> the usual letters          halfwidth, conjoining, mathematical ... forms
    zero widths, fillers, marks over letters -> nothing

The result is for classifiers and word lists, not for display: it is shorter than the text, and now and then
it joins what belongs apart (나,너 -> 나너).
"""

import re
import unicodedata
from functools import lru_cache

from malmoi.core.hangul.letters import LEADS, TAILS, VOWELS, compose, nfc

_SYLLABLE = "가-힣"
_LETTER = "ㄱ-ㅣ"
_USUAL = re.compile(f"[^\\x00-\\x7e{_SYLLABLE}{_LETTER}\u3040-\u30ff\u4e00-\u9fff…“”‘’·「」『』《》]")
_TAIL = "".join(TAILS)
_SPELLED = re.compile(f"(?<![{_LETTER}])(?:[{LEADS}][{VOWELS}](?:[{_TAIL}](?![{VOWELS}]))?)+(?![{_LETTER}])")
_SPELLED_ONE = re.compile(f"([{LEADS}])([{VOWELS}])([{_TAIL}](?![{VOWELS}]))?")
_BETWEEN = r"[.,_\-~*^|/\\·'\"`+=:;!?@#$%&ㆍ•]{1,3}"
_SPLIT = re.compile(
    # One syllable, then something, then the rest; or all but one syllable, then something, then that one.
    f"(?<![{_SYLLABLE}])([{_SYLLABLE}]){_BETWEEN}(?=[{_SYLLABLE}])"
    f"|(?<=[{_SYLLABLE}]){_BETWEEN}(?=[{_SYLLABLE}](?![{_SYLLABLE}]))"
    f"|(?<=[{_LETTER}]){_BETWEEN}(?=[{_LETTER}])"
    # A one is a stroke, unless it counts something: 제1조, 약1년.
    f"|(?<![{_SYLLABLE}])([{_SYLLABLE}])[1lI|](?=[{_SYLLABLE}])(?![조차회항호과부인명개년월일위대등급번장절세심단종])"
)
_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"


def undisguise(text: str) -> str:
    """`text` in NFC with the tricks above undone."""
    text = _USUAL.sub(lambda match: _usual(match.group()), nfc(text))
    text = _SPELLED.sub(_composed, text)
    return _SPLIT.sub(lambda match: match.group(1) or match.group(2) or "", text)


@lru_cache(maxsize=4096)
def _usual(char: str) -> str:
    """The usual form of one unusual character; nothing for what cannot be seen."""
    if char in _FILLERS or unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc", "Cs"):
        return ""
    return "".join(_letter(part) for part in unicodedata.normalize("NFKC", char))


def _letter(char: str) -> str:
    """A conjoining letter of Hangul as the one that people type; all else as it is."""
    code = ord(char)
    if 0x1100 <= code < 0x1113:
        return LEADS[code - 0x1100]
    if 0x1161 <= code < 0x1176:
        return VOWELS[code - 0x1161]
    if 0x11A8 <= code < 0x11C3:
        return TAILS[code - 0x11A7]
    return char


def _composed(match: re.Match[str]) -> str:
    """Spelled-out syllables put together: two or more, or one that touches a syllable (ㅋㅠ alone stays)."""
    run = match.group()
    found = _SPELLED_ONE.findall(run)
    text, begin, end = match.string, match.start(), match.end()
    touches = "가" <= text[begin - 1 : begin] <= "힣" or "가" <= text[end : end + 1] <= "힣"
    if len(found) < 2 and not touches:
        return run
    return "".join(compose(lead, vowel, tail) for lead, vowel, tail in found)
