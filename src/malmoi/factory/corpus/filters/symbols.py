"""Shares of symbols, digits and letters; of Hangul in what is called Korean."""

import re

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings
from malmoi.factory.corpus.scripts import count_scripts

_RULER = re.compile(r"([=#\-*_~+.`|─━═])\1{3,}")
"""Rulers under headings and between sections are layout and not symbols."""


class SymbolSettings(FilterSettings):
    """Shares of all characters but spaces. Code is judged by `max_symbol_share_in_code` alone."""

    max_symbol_share: float = Field(0.35, ge=0, le=1)
    """Punctuation and symbols."""
    max_symbol_share_in_code: float = Field(0.6, ge=0, le=1)
    """The same in code."""
    max_digit_share: float = Field(0.3, ge=0, le=1)
    """Digits: tables and logs have more."""
    min_letter_share: float = Field(0.5, ge=0, le=1)
    """Letters of any script."""
    min_hangul_share: float = Field(0.1, ge=0, le=1)
    """Of the letters of a Korean document, Hangul."""
    max_jamo_share: float = Field(0.5, ge=0, le=1)
    """Of the Hangul, single letters such as ㅋㅋㅋ."""
    min_visible: int = Field(24, ge=0)
    """Shorter texts say nothing by their shares ("10점!!!"): they only must have letters, a third of all."""


class SymbolFilter(Filter[SymbolSettings]):
    """Reasons: `no_letters`, `symbols`, `digits`, `few_letters`, `little_hangul`, `jamo`."""

    Settings = SymbolSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        scripts, settings = count_scripts(document.text), self.settings
        visible = scripts.total - scripts.spaces
        if scripts.letters == 0:
            return "no_letters"
        if visible < settings.min_visible:
            return None if 3 * scripts.letters >= visible else "few_letters"
        symbols = scripts.symbols + scripts.punctuation
        if symbols > settings.max_symbol_share * visible:
            rulers = sum(len(match.group()) for match in _RULER.finditer(document.text))
            symbols, visible = symbols - rulers, visible - rulers
        if document.language == "code":
            return "symbols" if symbols > settings.max_symbol_share_in_code * visible else None
        if symbols > settings.max_symbol_share * visible:
            return "symbols"
        if scripts.digits > settings.max_digit_share * visible:
            return "digits"
        if scripts.letters < settings.min_letter_share * visible:
            return "few_letters"
        if document.language == "ko":
            hangul = scripts.hangul + scripts.jamo
            if hangul < settings.min_hangul_share * scripts.letters:
                return "little_hangul"
            if scripts.jamo > settings.max_jamo_share * hangul:
                return "jamo"
        return None
