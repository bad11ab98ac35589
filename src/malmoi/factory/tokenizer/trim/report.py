"""What trimming did, in figures: sizes, what texts cost now, what is lost, and how fast it is."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from malmoi.factory.tokenizer.trim.choose import Choice
from malmoi.factory.tokenizer.trim.scripts import SCRIPTS, script_of
from malmoi.factory.tokenizer.trim.texts import Counted, Slice
from malmoi.factory.tokenizer.trim.vocabulary import Vocabulary

LOSS_WORTH_SAYING = 1.15
"""A language whose texts take this many times the tokens is named as lost in part."""


class Growth(BaseModel):
    """Tokens of the same text before and after; `kept_share` of those before are still tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: int
    after: int
    kept_share: float

    @property
    def ratio(self) -> float:
        """Times as many tokens."""
        return self.after / self.before if self.before else 1.0


class ScriptCount(BaseModel):
    """Tokens of one script before and after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: int
    after: int


class TrimReport(BaseModel):
    """The report, which is also the file trim.json; `kept` gives the old id of each new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    vocabulary_before: int
    vocabulary_after: int
    required: int
    by_languages: int
    by_data: int
    by_order: int
    weights_bytes_before: int
    weights_bytes_after: int
    documents: int
    data_bytes: int
    held_out_documents: int
    data: Growth
    """All counted text that tokens were chosen by."""
    held_out: Growth
    """Documents that were not looked at."""
    probes: dict[str, Growth]
    """Built-in texts of a few sentences, by language."""
    scripts: dict[str, ScriptCount]
    notes: list[str]
    kept: list[int]
    speed_before: list[float] | None = None
    """Tokens a second when decoding, one figure a repeat."""
    speed_after: list[float] | None = None

    @property
    def lost(self) -> list[str]:
        """Languages whose probes take clearly more tokens now."""
        return [name for name, growth in self.probes.items() if growth.ratio >= LOSS_WORTH_SAYING]


def build_report(
    *,
    model: str,
    vocabulary: Vocabulary,
    choice: Choice,
    counted: Counted,
    bytes_before: int,
    bytes_after: int,
    notes: Sequence[str],
) -> TrimReport:
    """Everything but the speed."""
    smaller = vocabulary.restricted(choice.kept)
    kept = frozenset(choice.kept)
    return TrimReport(
        model=model,
        vocabulary_before=len(vocabulary.texts),
        vocabulary_after=len(choice.kept),
        required=choice.required,
        by_languages=choice.languages,
        by_data=choice.data,
        by_order=choice.order,
        weights_bytes_before=bytes_before,
        weights_bytes_after=bytes_after,
        documents=counted.documents,
        data_bytes=counted.chosen_by.bytes + counted.held_out.bytes,
        held_out_documents=counted.held_out.documents,
        data=_growth(counted.chosen_by, vocabulary, smaller, kept),
        held_out=_growth(counted.held_out, vocabulary, smaller, kept),
        probes={
            name: _growth(_slice(text, vocabulary), vocabulary, smaller, kept)
            for name, text in read_probes().items()
        },
        scripts=_scripts(vocabulary, kept),
        notes=list(notes),
        kept=list(choice.kept),
    )


def read_probes() -> dict[str, str]:
    """The built-in texts by language."""
    raw = files("malmoi.factory.tokenizer.trim").joinpath("probes.toml").read_text(encoding="utf-8")
    return {name: str(entry["text"]).strip() for name, entry in tomllib.loads(raw).items()}


def as_json(report: TrimReport) -> dict[str, Any]:
    """The content of trim.json."""
    return report.model_dump(mode="json")


def _slice(text: str, vocabulary: Vocabulary) -> Slice:
    part = Slice(documents=1, bytes=len(text.encode()))
    part.words.update(vocabulary.words(text))
    return part


def _growth(part: Slice, vocabulary: Vocabulary, smaller: Vocabulary, kept: frozenset[int]) -> Growth:
    before = after = same = 0
    new = {old: number for number, old in enumerate(sorted(kept))}
    for word, times in part.words.items():
        if isinstance(word, int):
            before, after, same = before + times, after + times, same + times
            continue
        tokens, pieces = vocabulary.cut(word)
        before += len(tokens) * times
        same += sum(token in kept for token in tokens) * times
        # A word whose every piece is kept is cut as before (`merging`); only the others are cut again.
        whole = all(token in new for token in pieces) and all(token in new for token in tokens)
        after += (len(tokens) if whole else len(smaller.cut(word)[0])) * times
    return Growth(before=before, after=after, kept_share=same / before if before else 1.0)


def _scripts(vocabulary: Vocabulary, kept: frozenset[int]) -> dict[str, ScriptCount]:
    before = dict.fromkeys(SCRIPTS, 0)
    after = dict.fromkeys(SCRIPTS, 0)
    for token in range(len(vocabulary.texts)):
        text = vocabulary.shown(token)
        if text:
            script = script_of(text)
            before[script] += 1
            after[script] += token in kept
    return {script: ScriptCount(before=before[script], after=after[script]) for script in SCRIPTS}
