"""Trimming from beginning to end: read, count, choose, write, measure, tell."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from malmoi.core.errors import Conflict, InvalidInput, MalmoiError, UnknownName
from malmoi.core.files import new_directory, write_json
from malmoi.core.stage import Progress, SilentProgress
from malmoi.factory.tokenizer.trim.choose import choose
from malmoi.factory.tokenizer.trim.measure import measure_decode
from malmoi.factory.tokenizer.trim.model import GgufModel, TrimmableModel
from malmoi.factory.tokenizer.trim.report import TrimReport, as_json, build_report
from malmoi.factory.tokenizer.trim.scripts import SCRIPTS_OF
from malmoi.factory.tokenizer.trim.texts import count_texts, usage_of


class TrimSettings(BaseModel):
    """How to trim."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    size: int = Field(48_000, ge=1)
    """How many tokens stay. Multiples of 64 suit the kernels."""
    languages: tuple[str, ...] = ()
    """Languages whose commonest tokens stay whatever the data holds; an eighth of the size for each."""
    also_share: float = Field(0.25, gt=0, lt=1)
    """The weight of the second data beside the first."""
    placeholders: bool = False
    """Keep tokens that stand for nothing, such as <unused5>, too."""
    max_bytes: int = Field(64_000_000, ge=1)
    """The most text that is read, of the data and of the second data each."""

    @field_validator("languages")
    @classmethod
    def _known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in languages:
            if language not in SCRIPTS_OF:
                raise UnknownName("language to keep", language, SCRIPTS_OF)
        return languages


class Trimming:
    """One model's trimming: `count` and `choose` first, then perhaps `write`.

    Args:
        model: what is trimmed.
        settings: how.
        progress: where to show how far it is.
    """

    def __init__(
        self, model: TrimmableModel, settings: TrimSettings, progress: Progress | None = None
    ) -> None:
        self.model = model
        self.settings = settings
        self.progress = progress or SilentProgress()

    def plan(self, texts: Iterable[str], also: Iterable[str] | None = None) -> TrimReport:
        """Count the texts, choose the tokens, and say what that would do. Nothing is written.

        Raises:
            InvalidInput: no text, or a size that does not fit.
        """
        vocabulary = self.model.vocabulary
        limit = self.settings.max_bytes
        with self.progress.task("Count words", unit="MB") as task:
            counted = count_texts(texts, vocabulary, max_bytes=limit, task=task)
        if not counted.chosen_by.words:
            raise InvalidInput(
                "the data holds no text to choose tokens by.", field="data", fix="Name files with text."
            )
        others = None
        if also is not None:
            with self.progress.task("Count words of the second data", unit="MB") as task:
                others = count_texts(also, vocabulary, max_bytes=limit, task=task)
        with self.progress.task("Choose tokens"):
            usage = usage_of(counted, vocabulary, others, self.settings.also_share)
            choice = choose(
                vocabulary,
                usage,
                self.settings.size,
                languages=self.settings.languages,
                placeholders=self.settings.placeholders,
            )
        with self.progress.task("Compare"):
            return build_report(
                model=self.model.name,
                vocabulary=vocabulary,
                choice=choice,
                counted=counted,
                bytes_before=self.model.bytes_of(),
                bytes_after=self.model.bytes_of(len(choice.kept)),
                notes=self.model.notes,
            )

    def write(self, report: TrimReport, out: Path, *, home: Path, measure: bool = True) -> TrimReport:
        """Write the model and trim.json as the new folder `out`, all or nothing.

        Args:
            report: of `plan`.
            out: the folder; it must not exist.
            home: Malmoi's home directory, for the engine that measures.
            measure: decode with both models and add their speeds (GGUF only).

        Returns:
            The report with the speeds.

        Raises:
            Conflict: `out` is there already.
            DiskFull: no room; nothing is left behind.
        """
        if out.exists():
            raise Conflict(f"{out} is there already.", fix="Choose another name, or remove it first.")
        with new_directory(out) as folder:
            total = report.weights_bytes_after / 1e6
            with self.progress.task("Write", total=total, unit="MB") as task:
                inside = self.model.write(report.kept, folder, task)
            if measure and isinstance(self.model, GgufModel):
                report = self._measured(report, folder / inside, home)
            write_json(folder / "trim.json", as_json(report))
        return report

    def _measured(self, report: TrimReport, written: Path, home: Path) -> TrimReport:
        prompt = "\n".join(_prompt(self.model, report.kept))
        try:
            with self.progress.task("Measure both"):
                before, after = measure_decode(self.model.path, written, prompt=prompt, home=home)
        except MalmoiError as error:
            # A model that no engine here can open is still a good result for another machine.
            note = f"The speed could not be measured: {error.message}"
            return report.model_copy(update={"notes": [*report.notes, note]})
        return report.model_copy(update={"speed_before": before, "speed_after": after})


def _prompt(model: TrimmableModel, kept: Sequence[int]) -> list[str]:
    """A text to begin with that both models can cut: a few kept tokens."""
    texts = (model.vocabulary.shown(token) for token in kept)
    words = [text for text in texts if text and text.strip().isalpha()]
    return ["".join(words[:16]) or "a"]
