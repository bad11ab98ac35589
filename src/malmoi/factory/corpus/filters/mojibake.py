"""Text that was decoded by the wrong table somewhere on its way.

Three traces: U+FFFD, where an earlier reader gave up; letters of Western tables in the rows that UTF-8 or
CP949 bytes make there (`ì•ˆë…•`, `¾È³ç`); and UTF-8 read as CP949, which makes syllables that Korean hardly
uses: 8,822 of the 11,172 are outside KS X 1001, and everyday text stays below one in a hundred of them.
"""

import re
from functools import cache

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings
from malmoi.factory.corpus.scripts import count_scripts

# UTF-8 of Hangul begins with EA-ED, of Latin-1 with C2 or C3: as Windows-1252 these are ê ë ì í Â Ã.
_WESTERN = re.compile("[êëìí][\x80-\xbfŒœŠšŽžŸƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]{1,2}|[ÂÃ][\x80-\xbf€-™]|[\xa1-\xff]{4,}")
_HIGH = re.compile("[\x80-\xff]")


class MojibakeSettings(FilterSettings):
    """How much of a text may look wrongly decoded."""

    max_replacement_share: float = Field(0.001, ge=0, le=1)
    """Of all characters, U+FFFD."""
    max_western_share: float = Field(0.02, ge=0, le=1)
    """Of all characters, those in rows that wrong tables make."""
    max_rare_syllable_share: float = Field(0.15, ge=0, le=1)
    """Of the Hangul syllables, those outside KS X 1001."""
    min_rare_syllables: int = Field(4, ge=1)
    """Fewer rare syllables than this are jokes and dialect, whatever their share."""


class MojibakeFilter(Filter[MojibakeSettings]):
    """Reasons: `replacement_characters`, `mojibake`."""

    Settings = MojibakeSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        text = document.text
        if text.isascii():
            return None
        settings = self.settings
        if "\ufffd" in text and text.count("\ufffd") > settings.max_replacement_share * len(text):
            return "replacement_characters"
        if _HIGH.search(text) is not None:
            wrong = sum(map(len, _WESTERN.findall(text)))
            if wrong > settings.max_western_share * len(text):
                return "mojibake"
        rare = len(_rare_syllables().findall(text))
        if rare >= settings.min_rare_syllables and (
            rare > settings.max_rare_syllable_share * count_scripts(text).hangul
        ):
            return "mojibake"
        return None


@cache
def _rare_syllables() -> re.Pattern[str]:
    """A class of the syllables that are not in KS X 1001."""
    # Python spells the others in EUC-KR too, letter by letter in eight bytes.
    codes = range(0xAC00, 0xD7A4)
    return re.compile("[" + "".join(chr(code) for code in codes if len(chr(code).encode("euc_kr")) > 2) + "]")
