"""Settings of the stage `corpus`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.pii import PiiSettings
from malmoi.core.stage import NEUTRAL, StageConfig
from malmoi.factory.corpus.decontaminate import DecontaminationSettings
from malmoi.factory.corpus.minhash import MinHashSettings
from malmoi.factory.corpus.mix import MixtureSettings
from malmoi.factory.corpus.provenance import ProvenanceSettings
from malmoi.factory.corpus.quality import QualitySettings
from malmoi.factory.corpus.sources import SourceSettings


class ScorerSettings(BaseModel):
    """A quality scorer, trained on examples; without examples there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    good: tuple[SourceSettings, ...] = ()
    """Texts that should score high."""
    bad: tuple[SourceSettings, ...] = ()
    """Texts that should score low."""
    lowest: float = Field(0.0, ge=0, le=1)
    """Documents with a lower score are dropped; 0 only writes the scores down."""
    languages: tuple[str, ...] = ()
    """Languages whose documents are dropped for their score; empty: all."""
    training: QualitySettings = QualitySettings()
    """How the scorer is trained."""

    @model_validator(mode="after")
    def _both_sides(self) -> "ScorerSettings":
        if bool(self.good) != bool(self.bad):
            raise ValueError("a scorer needs good and bad examples, or neither")
        return self


class CorpusConfig(StageConfig):
    """Settings of the stage `corpus`."""

    sources: tuple[SourceSettings, ...] = ()
    """What to read; empty: every folder inside the data folder is a source."""
    evaluation: tuple[str, ...] = ()
    """Globs of evaluation sets: they are never training data, and no text of theirs may be inside it."""
    languages: tuple[str, ...] = ()
    """Languages to keep, such as ["ko", "en", "code"]; empty: all."""
    provenance: ProvenanceSettings = ProvenanceSettings()
    """Licences and opt-out lists."""
    filters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of filters by their names."""
    quality: ScorerSettings = ScorerSettings()
    """A learned score of quality."""
    pii: PiiSettings = PiiSettings()
    """Which personal data is taken out of texts."""
    decontamination: DecontaminationSettings = DecontaminationSettings()
    """How texts of evaluation sets are found."""
    minhash: MinHashSettings = MinHashSettings()
    """How near-duplicates are found."""
    mixture: MixtureSettings = MixtureSettings()
    """How sources are balanced."""
    validation_share: float = Field(0.01, ge=0, le=0.5)
    """Share of the documents that are held out; texts that resemble each other stay together."""
    max_reject_megabytes: float = Field(200.0, ge=0)
    """Text of dropped documents that is kept with its reasons; all of them are counted."""
    synthetic_megabytes: float = Field(6.0, gt=0, le=1000)
    """Size of the generated corpus that stands in where no data folder is given."""
    num_workers: int = Field(0, ge=0, json_schema_extra=NEUTRAL)
    """Processes; 0: one for each core."""

    @model_validator(mode="after")
    def _names_differ(self) -> "CorpusConfig":
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {twice[0]!r}")
        return self
