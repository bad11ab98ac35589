"""Which of the options an answer names: by letter, number, circled number, or the option's own text."""

import re

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings
from malmoi.tasks.graders.text import normalise

LETTERS = "ABCDEFGHIJ"
_LONGEST = 20_000  # characters of an answer that are read
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
_LABEL = rf"(?:[(\[]\s*([{LETTERS}{LETTERS.lower()}1-9])\s*[)\]]|([{LETTERS}1-9{_CIRCLED}]))"
# A letter is a label only where no letter or digit goes on from it: "A cat" is not, "A." and "A입니다" are.
_END = r"(?![A-Za-z0-9'’]|\s+[a-z])"
_LEADING = re.compile(rf"^[\s*_#>\"'`]*{_LABEL}{_END}")
_MARKED = re.compile(
    rf"(?:정답|답변|답|answer|option|choice)\s*(?:은|는|이|is)?\s*[:：=]?\s*[\s*_\"'`]*{_LABEL}{_END}",
    re.IGNORECASE,
)
_BOLD = re.compile(rf"\*\*\s*{_LABEL}{_END}")


def parse_choice(answer: str, choices: tuple[str, ...]) -> int | None:
    """The index of the option that an answer names, or None where it names none, or more than one.

    In this order: the option's text alone; a label at the start; the last label after a word such as 정답 or
    "answer"; a bold label; the only option whose text occurs.
    """
    answer = answer[:_LONGEST]
    plain = normalise(answer)
    texts = [normalise(choice) for choice in choices]
    if texts.count(plain) == 1:
        return texts.index(plain)
    for pattern in (_LEADING, _MARKED, _BOLD):
        found = [
            index for match in pattern.finditer(answer) if (index := _index(match, len(choices))) is not None
        ]
        if found:
            return found[-1]
    said = [index for index, text in enumerate(texts) if text and text in plain]
    # An option within a longer one that was said too does not count by itself.
    said = [i for i in said if not any(texts[i] in texts[j] and texts[i] != texts[j] for j in said)]
    return said[0] if len(said) == 1 else None


def _index(match: re.Match[str], number: int) -> int | None:
    label = (match.group(1) or match.group(2)).upper()
    for alphabet in (LETTERS, _CIRCLED, "123456789"):
        if label in alphabet:
            index = alphabet.index(label)
            return index if index < number else None
    return None


class ChoiceGrader(GraderSettings):
    """1 when the answer names the right option."""

    def grade(self, example: Example, answer: str) -> float:
        """1 for the right option; its text or its letter may be the example's answer."""
        gold = _gold(example)
        return float(gold is not None and parse_choice(answer, example.choices) == gold)

    def grades(self, example: Example, answer: str) -> dict[str, float]:
        """`out_of_choice`: 1 when it names none of them."""
        return {"out_of_choice": float(parse_choice(answer, example.choices) is None)}


def _gold(example: Example) -> int | None:
    if example.answer in example.choices:
        return example.choices.index(example.answer)
    return parse_choice(example.answer, example.choices)
