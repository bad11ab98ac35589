"""A text in the parser's spelling, cut into numbers, names and signs."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from malmoi.assist.skills.builtin.math.refused import Refused

Kind: TypeAlias = Literal["number", "name", "sign", "end"]

MOST_TOKENS = 400
LONGEST_NUMBER = 300

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![A-Za-z\d]))?|\.\d+)(?!\.?\d))"
    r"|(?P<name>[A-Za-z]+(?:_[A-Za-z0-9]+)?|[가-힣]+)"
    r"|(?P<sign><=|>=|!=|[-+*/^!%°√()\[\],;=<>|±]))"
)
# Names that are one thing; every other run of letters is single unknowns side by side, as in "2xy".
FUNCTIONS = frozenset(
    (
        *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "arcsin", "arccos", "arctan"),
        *("sinh", "cosh", "tanh", "ln", "log", "log10", "log2", "exp", "sqrt", "cbrt", "root", "abs"),
        *("floor", "ceil", "ceiling", "round", "factorial", "comb", "perm", "binomial", "gcd", "lcm"),
        *("min", "max", "sgn", "sign"),
    )
)
CONSTANTS = frozenset(("pi", "oo", "e", "i", "E"))
GREEK = frozenset(
    (
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "theta",
        "lambda",
        "mu",
        "rho",
        "sigma",
        "tau",
        "phi",
        "omega",
    )
)
_LONGEST_RUN = 3


@dataclass(frozen=True, slots=True)
class Token:
    """One piece; `spaced` says whether a blank stands before it."""

    kind: Kind
    text: str
    spaced: bool = False


def tokenize(text: str, names: frozenset[str] = frozenset()) -> list[Token]:
    """The pieces of a text, the last of kind "end".

    Args:
        text: in the parser's spelling.
        names: unknowns of more than one letter that are one thing.

    Raises:
        Refused: a sign that means nothing here, or too many pieces.
    """
    tokens: list[Token] = []
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Refused("not_mathematics", text[at:].strip()[:20])
        kind = found.lastgroup
        word = found[kind or 0]
        spaced = word != found[0]
        if kind == "number":
            if len(word) > LONGEST_NUMBER:
                raise Refused("too_large", str(LONGEST_NUMBER))
            tokens.append(Token("number", word, spaced))
        elif kind == "name":
            tokens += _split(word, names, spaced)
        else:
            tokens.append(Token("sign", word, spaced))
        at = found.end()
        if len(tokens) > MOST_TOKENS:
            raise Refused("too_long", str(MOST_TOKENS))
    return [*tokens, Token("end", "")]


def _split(word: str, names: frozenset[str], spaced: bool) -> list[Token]:
    """One name, or the functions and single letters that a run of letters is made of."""
    _, _, index = word.partition("_")
    if word in names or word in FUNCTIONS or word in CONSTANTS or word in GREEK or index or word == "mod":
        return [Token("name", word, spaced)]
    if word.lower() in FUNCTIONS or word.lower() in ("pi",):
        return [Token("name", word.lower(), spaced)]
    if not word.isascii():
        return [Token("name", word, spaced)]
    pieces: list[str] = []
    at = 0
    while at < len(word):
        known = next(
            (
                word[at:end]
                for end in range(len(word), at + 1, -1)
                if word[at:end] in FUNCTIONS or word[at:end] == "pi"
            ),
            word[at],
        )
        pieces.append(known)
        at += len(known)
    letters = [piece for piece in pieces if len(piece) == 1]
    if len(letters) > _LONGEST_RUN:
        return [Token("name", word, spaced)]  # a word: an unknown with a long name, or nothing
    return [Token("name", piece, spaced and not number) for number, piece in enumerate(pieces)]
