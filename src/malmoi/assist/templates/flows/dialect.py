"""Dialects: a word list of each region goes beside the text that is to be put into other words.

A small model guesses at dialect words, and forgets those it was told. So the code exchanges the words of the
list and shows that at once; the model writes the sentence, which is shown only if it has kept the words; and
the words stand under it. A single word that is in the list needs no model.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache

from malmoi.assist.templates.flows.flow import Occasion, Piece, Writer, plain_opening, request
from malmoi.assist.templates.flows.wording import cell, squeezed
from malmoi.assist.templates.form import Form, shown_value
from malmoi.assist.templates.template import Template
from malmoi.assist.templates.texts import Texts, names_in, read_text
from malmoi.core.types import Message

_MOST = 12  # words that are listed for a text
_FOUND = 2  # letters of the shortest word that is found inside of others


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a dialect with its standard forms (the first is the usual one) and an example."""

    dialect: str
    standard: tuple[str, ...]
    example: str

    def forms(self, *, to_standard: bool) -> tuple[str, ...]:
        """The forms that a text is searched for."""
        return (self.dialect,) if to_standard else self.standard


class Dialect:
    """The flow. The template needs the fields `region` (a word list) and `direction` (standard, dialect)."""

    def check(self, template: Template) -> None:
        """The regions of the form must have word lists."""
        fields = {field.id: field for field in template.fields}
        if not {"region", "direction"} <= set(fields):
            raise ValueError("dialect asks for the fields 'region' and 'direction'")
        unknown = {choice.value for choice in fields["region"].choices} - set(known_regions())
        if unknown:
            raise ValueError(f"there is no word list {min(unknown)!r}; there are {known_regions()}")

    def opening(self, template: Template, form: Form) -> str:
        """The template's own."""
        return plain_opening(template, form)

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The text in the other words, and the words of the list that were in it."""
        form, texts = occasion.form, Texts("dialect", occasion.language)
        region = form.values.get("region", known_regions()[0])
        to_standard = form.values.get("direction", "standard") == "standard"
        text = occasion.question.strip()
        found = find_words(text, region, to_standard=to_standard)
        single = next(
            (word for word in found if squeezed(text) in map(squeezed, word.forms(to_standard=to_standard))),
            None,
        )
        if single is not None:
            yield Piece(_entry(single, texts, to_standard=to_standard))
            return
        listed = "\n".join(f"{word.dialect} = {', '.join(word.standard)}" for word in found[:_MOST])
        asked = texts(
            "prompt.standard" if to_standard else "prompt.dialect",
            region=shown_value(occasion.template, form, "region"),
            words=texts("prompt.words", words=form.fenced(listed)) if listed else "",
            text=form.fenced(text),
        )
        prompt = request(f"{occasion.system}\n{form.instruction()}".strip(), Message("user", asked))
        if found:
            yield Piece(texts("draft", text=exchange_words(text, region, to_standard=to_standard)) + "\n\n")
        written = "".join([part async for part in writer.write(prompt, occasion.sampling)]).strip()
        if not all(_is_kept(word, written, to_standard=to_standard) for word in found[:_MOST]):
            written = texts("not_kept")
        yield Piece(f"{written}\n\n{_table(found, texts)}")


def find_words(text: str, region: str, *, to_standard: bool) -> list[Word]:
    """The words of a region's list that are in a text, the longest first; none lies within another."""
    places = _places(text, region, to_standard=to_standard)
    return list(dict.fromkeys(word for _, _, word in places))


def exchange_words(text: str, region: str, *, to_standard: bool) -> str:
    """A text with the words of the list put into the other form, and nothing else changed."""
    words = _places(text, region, to_standard=to_standard)
    exchanged = _folded(text)
    for start, end, word in sorted(words, key=lambda place: -place[0]):
        other = word.standard[0] if to_standard else word.dialect
        exchanged = exchanged[:start] + other + exchanged[end:]
    return exchanged


def _places(text: str, region: str, *, to_standard: bool) -> list[tuple[int, int, Word]]:
    """`(start, end, word)` in the folded text, the longest first."""
    folded = _folded(text)
    tokens = {squeezed(token) for token in folded.split()}
    found: list[tuple[int, int, Word]] = []
    taken = [False] * len(folded)
    forms = [(form, word) for word in load_words(region) for form in word.forms(to_standard=to_standard)]
    for form, word in sorted(forms, key=lambda pair: -len(pair[0])):
        # A word of one letter stands by itself; endings stick to longer ones.
        if len(form) < _FOUND and squeezed(form) not in tokens:
            continue
        at = folded.find(form)
        while at >= 0:
            end = at + len(form)
            alone = (at == 0 or folded[at - 1] == " ") and not folded[end : end + 1].isalnum()
            if not any(taken[at:end]) and (len(form) >= _FOUND or alone):
                taken[at:end] = [True] * len(form)
                found.append((at, end, word))
            at = folded.find(form, end)
    return found


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_kept(word: Word, written: str, *, to_standard: bool) -> bool:
    """Whether the other form of a word, or at least its stem, is in what the model wrote."""
    bare = squeezed(written)
    others = word.standard if to_standard else (word.dialect,)
    return any(squeezed(other)[:2] in bare for other in others)


@lru_cache
def load_words(region: str) -> tuple[Word, ...]:
    """A region's word list."""
    words = []
    for line in read_text("dialects", f"{region}.tsv").splitlines():
        if line.strip() and not line.startswith("#"):
            dialect, standard, example = (part.strip() for part in line.split("\t"))
            words.append(Word(dialect, tuple(form.strip() for form in standard.split("/")), example))
    return tuple(words)


@lru_cache
def known_regions() -> tuple[str, ...]:
    """The regions that have a word list."""
    return tuple(names_in("dialects", ".tsv"))


def _entry(word: Word, texts: Texts, *, to_standard: bool) -> str:
    first, second = word.dialect, ", ".join(word.standard)
    if not to_standard:
        first, second = second, first
    return texts("entry", first=first, second=second, example=word.example)


def _table(found: list[Word], texts: Texts) -> str:
    if not found:
        return texts("none")
    rows = [
        f"| {cell(word.dialect)} | {cell(', '.join(word.standard))} | {cell(word.example)} |"
        for word in found[:_MOST]
    ]
    return "\n".join([texts("head"), "|---|---|---|", *rows])


dialect = Dialect()
