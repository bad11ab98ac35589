"""Rules that an answer keeps or breaks, each a function of the answer and the rule's own options.

After the idea of IFEval (Zhou et al. 2023): what a program can verify, for Korean. Counts are of characters
(composed), of words between spaces (어절), of sentences, lines, paragraphs, items.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from malmoi.core.hangul import nfc
from malmoi.tasks.graders.sentences import Ending, ends_as, split_sentences

_BULLET = re.compile(r"^\s*[-*+•·]\s+\S", re.MULTILINE)
_NUMBERED = re.compile(r"^\s*(?:\d{1,3}[.)]|[①-⑳])\s*\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+\S", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*")
_FENCED = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL)
_HANGUL = re.compile(r"[ᄀ-ᇿ㄰-㆏가-힣]")
_LATIN = re.compile(r"[A-Za-z]")


def characters(answer: str, *, at_least: int = 0, at_most: int | None = None, spaces: bool = True) -> bool:
    """Length in characters, with or without white space."""
    text = answer if spaces else re.sub(r"\s", "", answer)
    return _within(len(text), at_least, at_most)


def words(answer: str, *, at_least: int = 0, at_most: int | None = None) -> bool:
    """Number of words."""
    return _within(len(answer.split()), at_least, at_most)


def sentences(answer: str, *, at_least: int = 0, at_most: int | None = None) -> bool:
    """Number of sentences."""
    return _within(len(split_sentences(answer)), at_least, at_most)


def lines(answer: str, *, at_least: int = 0, at_most: int | None = None) -> bool:
    """Number of lines that are not empty."""
    return _within(sum(bool(line.strip()) for line in answer.splitlines()), at_least, at_most)


def paragraphs(answer: str, *, at_least: int = 0, at_most: int | None = None) -> bool:
    """Number of paragraphs, which empty lines part."""
    return _within(sum(bool(part.strip()) for part in re.split(r"\n\s*\n", answer)), at_least, at_most)


def ending(answer: str, *, style: Ending, share: float = 1.0) -> bool:
    """Whether sentences end in a style; `share`: how many of them must."""
    if style not in get_args(Ending):
        raise ValueError(f"there is no ending {style!r}; there are {', '.join(get_args(Ending))}")
    found = split_sentences(answer)
    return bool(found) and sum(ends_as(sentence, style) for sentence in found) >= share * len(found)


def list_items(
    answer: str,
    *,
    at_least: int = 1,
    at_most: int | None = None,
    marker: Literal["any", "bullet", "number"] = "any",
) -> bool:
    """Number of items of lists."""
    bullets = 0 if marker == "number" else len(_BULLET.findall(answer))
    numbers = 0 if marker == "bullet" else len(_NUMBERED.findall(answer))
    return _within(bullets + numbers, at_least, at_most)


def headings(answer: str, *, at_least: int = 1, at_most: int | None = None) -> bool:
    """Number of headings (#)."""
    return _within(len(_HEADING.findall(answer)), at_least, at_most)


def bold(answer: str, *, at_least: int = 1, at_most: int | None = None) -> bool:
    """Number of bold parts (**)."""
    return _within(len(_BOLD.findall(answer)), at_least, at_most)


def json_value(
    answer: str,
    *,
    kind: Literal["object", "array"] = "object",
    keys: Sequence[str] = (),
    items: int | None = None,
) -> bool:
    """Whether all of the answer is JSON, in a fence or bare; `keys` must be there, `items` is the length."""
    fenced = _FENCED.match(answer.strip())
    try:
        value = json.loads(fenced.group(1) if fenced else answer)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict if kind == "object" else list):
        return False
    return all(key in value for key in keys) and (items is None or len(value) == items)


def language(answer: str, *, code: Literal["ko", "en"], at_least: float = 0.9) -> bool:
    """Share of letters that are of the language's script."""
    counts = {"ko": len(_HANGUL.findall(answer)), "en": len(_LATIN.findall(answer))}
    letters = sum(char.isalpha() for char in answer)
    return letters > 0 and counts[code] >= at_least * letters


def contains(answer: str, *, texts: Sequence[str], at_least: int = 1) -> bool:
    """Whether each of the texts occurs, as often as this."""
    return all(answer.count(nfc(text)) >= at_least for text in texts)


def absent(answer: str, *, texts: Sequence[str]) -> bool:
    """Whether none of the texts occurs."""
    return not any(nfc(text) in answer for text in texts)


def occurs(answer: str, *, text: str, at_least: int = 0, at_most: int | None = None) -> bool:
    """How often a text occurs."""
    return _within(answer.count(nfc(text)), at_least, at_most)


def starts_with(answer: str, *, text: str) -> bool:
    """How the answer begins."""
    return answer.startswith(nfc(text))


def ends_with(answer: str, *, text: str) -> bool:
    """How the answer ends."""
    return answer.endswith(nfc(text))


def no_digits(answer: str) -> bool:
    """Whether there is no digit."""
    return not re.search(r"\d", answer)


def one_of(answer: str, *, texts: Sequence[str]) -> bool:
    """Whether the answer is one of these and nothing else; a full stop at its end is forgiven."""
    return answer.rstrip(".") in {nfc(text) for text in texts}


def _within(count: int, at_least: int, at_most: int | None) -> bool:
    return at_least <= count and (at_most is None or count <= at_most)


def known_rules() -> dict[str, Callable[..., bool]]:
    """The rules by name."""
    found = (
        characters, words, sentences, lines, paragraphs, ending, list_items, headings, bold, language,
        contains, absent, occurs, starts_with, ends_with, no_digits, one_of,
    )  # fmt: skip
    return {rule.__name__: rule for rule in found} | {"json": json_value}


def keeps(answer: str, rule: dict[str, Any]) -> bool:
    """Whether an answer keeps a rule, given as its name under `rule` and its options.

    Raises:
        ValueError: there is no such rule, or it has no such option.
    """
    options = {key: value for key, value in rule.items() if key != "rule"}
    found = known_rules().get(str(rule.get("rule")))
    if found is None:
        raise ValueError(f"there is no rule {rule.get('rule')!r}; there are {', '.join(known_rules())}")
    try:
        return found(nfc(answer).strip(), **options)
    except (TypeError, KeyError) as error:
        raise ValueError(f"the rule {rule['rule']!r}: {error}") from None
