"""The formulas, points and matrices that stand in a sentence.

A formula is a run of figures, letters that can be unknowns, functions and signs; words end it. Words for
signs ("x제곱 빼기 7x") are written as signs first.
"""

import re
from functools import lru_cache
from importlib.resources import files
from tomllib import loads
from typing import Any

from malmoi.assist.skills.builtin.math.tokens import CONSTANTS, FUNCTIONS

_PIECE = re.compile(
    r"(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)|(?P<name>[A-Za-z]+)|(?P<open>[(\[])|(?P<close>[)\]])"
    r"|(?P<sign><=|>=|[-+*/^!√=<>|²³⁴⁵ⁿπ∞×÷≤≥−·])|(?P<blank>[ \t]+)|(?P<comma>,)"
)
_WORDS = frozenset(
    (
        *(
            "of",
            "as",
            "at",
            "is",
            "to",
            "in",
            "me",
            "my",
            "it",
            "be",
            "if",
            "on",
            "or",
            "by",
            "an",
            "so",
            "do",
        ),
        *("we", "the", "and", "for", "are", "you", "how", "get", "one", "two", "its", "was", "has", "far"),
        *("dx", "dy", "dt"),
    )
)
_DEFINED = re.compile(r"^(?:[A-Za-z]\s*\(\s*[A-Za-z]\s*\)|y|f|s)\s*=\s*(?=\S)")
_SET = re.compile(r"[A-Za-z]\s*=\s*-?(?:\d+(?:\.\d+)?|pi|π|∞)")
_RELATION = re.compile(r"[=<>≤≥]")
_MATRIX = re.compile(r"\[\s*\[[^\[\]]*\](?:\s*,?\s*\[[^\[\]]*\])*\s*\]")
_POINT = re.compile(r"\(\s*-?[\d./√π]+(?:\s*,\s*-?[\d./√π]+){1,2}\s*\)")


@lru_cache(maxsize=1)
def asked_words() -> dict[str, Any]:
    """The word lists of `asked.toml`."""
    return loads(files(__package__).joinpath("asked.toml").read_text(encoding="utf-8"))


def with_signs(text: str) -> str:
    """A sentence in which words for signs are signs, where they stand between what they join."""
    for pattern, sign in asked_words()["signs"].items():
        text = re.sub(pattern, sign, text)
    return text


def formulas(text: str) -> list[str]:
    """The formulas of a sentence, in order; a point or a matrix is none."""
    plain = _POINT.sub(" ; ", _MATRIX.sub(" ; ", with_signs(text)))
    found: list[str] = []
    run, depth, at = "", 0, 0
    while at <= len(plain):
        piece = _PIECE.match(plain, at) if at < len(plain) else None
        ends = piece is None
        if piece is not None:
            kind, word = piece.lastgroup, piece[0]
            if kind == "name":
                ends = not _is_unknown(plain, piece)
            elif kind == "comma":
                ends = depth == 0
            elif kind == "open":
                depth += 1
            elif kind == "close":
                ends = depth == 0
                depth = max(0, depth - 1)
            if not ends:
                run += word
        if ends:
            found += _whole(run)
            run, depth = "", 0
        at = piece.end() if piece is not None else at + 1
    return found


def _is_unknown(text: str, piece: re.Match[str]) -> bool:
    """Whether letters are unknowns, a constant or a function, and no word of the sentence."""
    word = piece[0]
    before, after = text[: piece.start()][-1:], text[piece.end() :][:1]
    if word.lower() in FUNCTIONS:
        return bool(re.match(r"\s*[\^²³]?\s*\S?\s*[\w(√|]", text[piece.end() :])) and word.lower() not in (
            "min",
            "max",
        )
    if word in CONSTANTS or word == "π":
        return True
    if len(word) == 1:
        # "a" and "I" are words where a word follows; "x" is an unknown.
        return not (word in "aAI" and re.match(r"\s+[A-Za-z]{2}", text[piece.end() :]))
    if word.lower() in _WORDS:
        return False
    if any(
        word.lower().startswith(name) and len(word) <= len(name) + 1 for name in ("sin", "cos", "tan", "ln")
    ):
        return True  # "cosx"
    return len(word) <= 3 and bool(
        re.match(r"[\d+*/^=()-]", before or " ") or re.match(r"[+*/^=()²³-]", after or " ")
    )


def _whole(run: str) -> list[str]:
    """The run as a formula, if it says anything: without what hangs loose at its ends."""
    text = run.strip(" ,*/^=<>+≤≥·×÷").rstrip("-−").strip()
    while text.count("(") > text.count(")") and text.endswith("("):
        text = text[:-1].rstrip()
    if text.count("(") != text.count(")"):
        return []
    inner = text
    if not re.search(r"[A-Za-z\dπ]", inner):
        return []
    if re.fullmatch(r"-?\d+(?:,\d{3})*(?:\.\d+)?|[A-Za-z]+", inner):
        return []  # a number or a letter alone
    if re.fullmatch(r"[\d\s,]+|[A-Za-z](?:\s+[A-Za-z\d]+)+", inner):
        return []
    return [re.sub(r"\s+", " ", text)]


def is_setting(formula: str) -> bool:
    """Whether it gives a letter a number: "x = 2"."""
    return _SET.fullmatch(formula.replace(" ", "")) is not None


def is_relation(formula: str) -> bool:
    """Whether it is an equation or an inequality."""
    return _RELATION.search(formula) is not None


def defined(formula: str) -> str:
    """What a function is equal to: "y = x^2" is "x^2"."""
    return _DEFINED.sub("", formula)


def points(text: str) -> list[tuple[int, str]]:
    """Points with their places: "(1, 2)"."""
    return [(match.start(), match[0]) for match in _POINT.finditer(text)]


def matrices(text: str) -> list[str]:
    """Matrices in brackets: "[[1,2],[3,4]]"."""
    return [match[0] for match in _MATRIX.finditer(text)]
