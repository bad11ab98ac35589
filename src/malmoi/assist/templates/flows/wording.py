"""Small questions about texts: is it a command, is it one question, which figures are in it?"""

import re
import unicodedata
from collections.abc import Iterable, Set

_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
_ITEM = re.compile(r"(?:^|\n)[ \t>]*$")
_SPACES = re.compile(r"\s+")
_MARKS = " \t\n.!?~…。'\"“”‘’()"


def is_command(text: str, words: Iterable[str]) -> bool:
    """Whether a message is one of these words and nothing else."""
    said = _SPACES.sub(" ", text).strip(_MARKS).casefold()
    return said in {word.casefold() for word in words}


def one_question(text: str, *, most: int) -> str | None:
    """The first line that is a question, without marks of lists and quotes; None: there is none that fits."""
    for line in text.splitlines():
        bare = re.sub(r"^(?:[-*>#\s]+|\d+[.)]\s+|[A-Za-z가-힣 ]{1,8}[:：]\s*)", "", line).strip(" *\"“”'")
        if bare.endswith(("?", "？")) and 6 <= len(bare) <= most:
            return bare
    return None


def squeezed(text: str) -> str:
    """Letters and digits alone, in lower case: what stays when spacing and signs differ."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def is_quoted(quote: str, text: str, *, least: int = 4) -> bool:
    """Whether a quote stands in a text, but for spacing and signs."""
    bare = squeezed(quote)
    return len(bare) >= least and bare in squeezed(text)


def figures(text: str) -> set[str]:
    """The numbers of a text, without the commas of thousands."""
    folded = unicodedata.normalize("NFKC", text)
    return {found.replace(",", "").rstrip(".") for found in _FIGURE.findall(folded)}


def cover_figures(text: str, known: Set[str], cover: str) -> str:
    """The text with `cover` in the place of every number that is not known; those of lists stay."""

    def covered(found: re.Match[str]) -> str:
        is_listed = _ITEM.search(text[: found.start()]) and text[found.end() : found.end() + 2] in (
            ". ",
            ") ",
        )
        return found[0] if is_listed or figures(found[0]) <= known else cover

    return _FIGURE.sub(covered, text)


def cell(text: str) -> str:
    """A text for a cell of a Markdown table: one line, no bars."""
    return _SPACES.sub(" ", text).strip().replace("|", "\\|")
