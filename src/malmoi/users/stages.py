"""Stages of recipes: users-logs (files or a simulation to logs) and users-fit (logs to a model).

    [stages.logs]
    use = "users-logs"
    [stages.logs.simulate]
    users = 2000

    [stages.model]
    use = "users-fit"
    kind = "markov-knn"
    [stages.model.settings]
    knn = 0.7

The third, users-eval, is in users/report.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from malmoi.core.config import ConfigTree
from malmoi.core.errors import InvalidInput, MissingExtra
from malmoi.core.stage import Input, Stage, StageConfig, StageContext, fingerprint
from malmoi.core.store import Artifact
from malmoi.users.base import FitContext, Recommender, UserModelSettings, build_user_models
from malmoi.users.data.schema import ImportSettings
from malmoi.users.logs import load_logs
from malmoi.users.simulate import SimulationSettings
from malmoi.users.splits import SplitSettings


class LogsConfig(StageConfig):
    """Of users-logs: exactly one of both."""

    read: ImportSettings | None = None
    """Files to read; relative paths are below the folder given with --data."""
    simulate: SimulationSettings | None = None
    """A company to simulate; the recipe's seed does not matter, its own does."""
    texts: str | None = None
    """With simulate: a JSONL file of texts for the items, instead of made-up ones; relative paths are below
    the folder given with --data."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.read is None) == (self.simulate is None):
            raise ValueError("give either read (files) or simulate")
        if self.texts is not None and self.simulate is None:
            raise ValueError("texts goes with simulate")
        return self


class LogsStage(Stage[LogsConfig]):
    """Makes logs of files, or simulates them."""

    config: ClassVar[type[LogsConfig]] = LogsConfig
    kind: ClassVar[Literal["logs"]] = "logs"

    def outside(self, config: LogsConfig, data: Path | None, home: Path) -> Mapping[str, str]:
        """The files that are read.

        Raises:
            InvalidInput: there is no such file.
        """
        if config.texts is not None:
            path = _texts_path(config.texts, data)
            return {str(path): fingerprint(path)}
        if config.read is None:
            return {}
        from malmoi.users.data.staging import plan_files

        return {str(file.path): fingerprint(file.path) for file in plan_files(config.read, data)}

    def run(
        self, config: LogsConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Fill `out` with logs, and with about/import.json and about/rejects.jsonl or traits.parquet.

        Raises:
            MalmoiError: as `import_logs`.
        """
        if config.read is not None:
            from malmoi.users.data.importing import import_logs

            report = import_logs(config.read, out, context.work, base=context.data, progress=context.progress)
        else:
            from malmoi.users.data.report import describe
            from malmoi.users.simulate import simulate
            from malmoi.users.simulate.files import write_traits
            from malmoi.users.simulate.texts import read_texts

            assert config.simulate is not None, "checked when the settings were read"
            texts = None
            if config.texts is not None:
                texts = read_texts(_texts_path(config.texts, context.data))
            with context.progress.task("simulating", total=1):
                made = simulate(config.simulate, texts)
            made.logs.save(out)
            write_traits(made, out / "traits.parquet")
            report = describe(made.logs)
        for line in report.lines():
            context.progress.note(line)
        simulated = config.simulate.model_dump(mode="json") if config.simulate is not None else None
        counts = {"users": report.users, "items": report.items, "events": report.events}
        return {**counts, "services": [one.name for one in report.services], "simulation": simulated}


def _texts_path(name: str, data: Path | None) -> Path:
    path = Path(name).expanduser()
    path = path if data is None else data / path
    if not path.is_file():
        raise InvalidInput(
            f"there is no file {name} of texts.", fix="Give a JSONL file of interest and text."
        )
    return path


class FitConfig(StageConfig):
    """Of users-fit."""

    kind: str
    """Kind of model, such as "markov-knn"; `malmoi users fit --help` lists them."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of that kind."""
    split: SplitSettings = SplitSettings()
    """What is held back; the evaluation must use the same."""
    on: Literal["train", "known", "all"] = "train"
    """train: what the split leaves, with its validation to stop early by; known: train and validation events;
    all: everything, for a model that is served and not evaluated on these logs."""

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        names = build_user_models().names()
        if kind not in names:
            near = get_close_matches(kind, names, n=2, cutoff=0.5)
            meant = f" (did you mean {' or '.join(near)}?)" if near else ""
            raise ValueError(f"no kind {kind!r}{meant}; there are {', '.join(names)}")
        return kind


def open_kind(name: str) -> type[Recommender]:
    """The class of a kind, imported now.

    Raises:
        MissingExtra: it needs a package that is not installed.
    """
    try:
        return build_user_models().get(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("malmoi"):
            raise
        raise MissingExtra(f"A user model of kind {name}", "users") from error


def check_settings(kind: type[Recommender], settings: Mapping[str, Any]) -> UserModelSettings:
    """Settings of a kind as its own type.

    Raises:
        ConfigError: an unknown key or a wrong value.
    """
    tree = ConfigTree()
    tree.merge(settings, origin=f"the settings of {kind.kind}")
    return tree.validate(kind.settings_type, under="settings")


class FitStage(Stage[FitConfig]):
    """Fits one model to logs. A fit that was killed goes on from its own checkpoints."""

    config: ClassVar[type[FitConfig]] = FitConfig
    kind: ClassVar[Literal["users"]] = "users"
    inputs: ClassVar[Mapping[str, Input]] = {"logs": Input(("logs",))}

    def run(
        self, config: FitConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Fit, and save the model into `out`.

        Raises:
            MalmoiError: settings that the kind does not have, or logs that it cannot learn from.
        """
        kind = open_kind(config.kind)
        settings = check_settings(kind, config.settings)
        logs = load_logs(inputs["logs"].path)
        split = config.split.divide(logs) if config.on != "all" else None
        if split is None:
            learned, validation = logs, None
        else:
            learned = split.train if config.on == "train" else split.known
            validation = split.validation if config.on == "train" and len(split.validation) else None
        fit = FitContext(
            work=context.work,
            home=context.home,
            seed=context.seed,
            validation=validation,
            progress=context.progress,
        )
        model = kind.fit(settings, learned, fit)
        model.save(out)
        return {
            "kind": config.kind,
            "settings": settings.model_dump(mode="json"),
            "split": config.split.model_dump(mode="json"),
            "on": config.on,
            "logs": inputs["logs"].digest,
            "seed": context.seed,
            "items": len(model.items),
            "services": list(model.items.services),
        }
