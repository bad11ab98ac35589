"""What a corpus is made from: the files of its sources, its evaluation sets, and their fingerprints."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from malmoi.core.errors import InvalidInput
from malmoi.core.files import new_directory
from malmoi.factory.corpus.formats import kinds
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.readers import discover_sources, find_files
from malmoi.factory.corpus.settings import CorpusConfig
from malmoi.factory.corpus.sources import SourceSettings

TASK_BYTES = 16 << 20
"""Small files are read together until they have so many bytes."""
SYNTHETIC_LICENSE = "CC0-1.0"


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Files of one source that one process reads."""

    source: SourceSettings
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that is read from outside."""

    data: Path
    sources: tuple[SourceSettings, ...]
    files: Mapping[str, tuple[str, ...]]
    """Source name -> paths relative to `data`, sorted."""
    evaluation: tuple[str, ...]
    """Evaluation files, relative to `data`."""
    notes: tuple[str, ...] = ()
    problems: Problems = field(default_factory=Problems)

    def tasks(self) -> list[ReadTask]:
        """The reading, divided by sizes alone, so that it does not depend on the number of processes."""
        tasks = []
        for source in self.sources:
            group: list[str] = []
            size = 0
            for name in self.files[source.name]:
                group.append(name)
                size += (self.data / name).stat().st_size
                if size >= TASK_BYTES:
                    tasks.append(ReadTask(source, tuple(group)))
                    group, size = [], 0
            if group:
                tasks.append(ReadTask(source, tuple(group)))
        return tasks


def find_inputs(config: CorpusConfig, data: Path) -> Inputs:
    """The files that a corpus of `config` is made from.

    Raises:
        InvalidInput: the data folder does not exist, or holds no file of text.
    """
    notes: list[str] = []
    problems = Problems()
    evaluation = _evaluation_files(config.evaluation, data, notes)
    held = set(evaluation)

    def files_of(source: SourceSettings) -> tuple[str, ...]:
        return tuple(name for name in find_files(source, data, problems) if name not in held)

    sources, files = list(config.sources), {}
    for source in sources:
        files[source.name] = files_of(source)
    missing = [source.name for source in sources if not files[source.name]]
    if sources and len(missing) == len(sources):
        notes.append(f"none of the sources {', '.join(missing)} is in {data}: its folders are the sources")
        sources = []
    elif missing:
        notes.append(f"no files of {', '.join(missing)}: left out")
    if not sources:
        problems = Problems()
        sources = discover_sources(data, problems)
        files = {source.name: files_of(source) for source in sources}
    sources = [source for source in sources if files[source.name]]
    problems.require_documents(len(sources), str(data))
    return Inputs(data, tuple(sources), files, evaluation, tuple(notes), problems)


def _evaluation_files(patterns: tuple[str, ...], data: Path, notes: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for pattern in patterns:
        if not data.is_dir():
            break  # find_files says so
        if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
            raise InvalidInput(
                f"evaluation: {pattern!r} leaves the data folder.",
                field="evaluation",
                fix="Write a path inside it.",
            )
        wanted = f"{pattern}/*" if pattern.endswith("**") else pattern
        matched = {path.relative_to(data).as_posix() for path in data.glob(wanted) if path.is_file()}
        if not matched:
            notes.append(f"the evaluation set {pattern} is not in {data}: nothing is compared with it")
        found |= matched
    return tuple(sorted(found))


def evaluation_texts_of(names: tuple[str, ...]) -> list[str]:
    """Those of the evaluation files that hold texts: no notes, licences, hidden files or binaries."""
    return [
        name for name in names if kinds.left_out(name) is None or kinds.kind_of(name) is kinds.Kind.JSON_LIST
    ]


def fingerprints(inputs: Inputs, config: CorpusConfig) -> dict[str, str]:
    """Names, sizes and times of all files, by source; they change when a file does."""
    groups = {f"source {name}": names for name, names in inputs.files.items() if names}
    groups["evaluation"] = inputs.evaluation
    groups["opt_out"] = tuple(config.provenance.opt_out)
    result = {}
    for group, names in groups.items():
        digest = hashlib.sha256()
        for name in names:
            path = inputs.data / name
            status = path.stat() if path.exists() else None
            seen = (status.st_size, status.st_mtime_ns) if status else None
            digest.update(f"{name}\0{seen}\n".encode("utf-8", "surrogateescape"))
        if names:
            result[group] = digest.hexdigest()
    return result


def synthetic_inputs(config: CorpusConfig, work: Path, seed: int) -> Inputs:
    """The generated corpus that stands in where no data folder is given; made once under `work`."""
    from malmoi.factory.corpus.synthetic import generate

    folder = work / "synthetic"
    if not folder.is_dir():
        for stale in work.glob(".synthetic.*.tmp"):
            shutil.rmtree(stale, ignore_errors=True)
        with new_directory(folder) as out:
            generate(out, seed=seed, megabytes=config.synthetic_megabytes)
    problems = Problems()
    found = [
        source.model_copy(update={"license": SYNTHETIC_LICENSE})
        for source in discover_sources(folder, problems)
    ]
    files = {source.name: tuple(find_files(source, folder, problems)) for source in found}
    problems.require_documents(len(found), "the generated corpus")
    note = "no data folder was given (--data): the corpus is the generated one"
    return Inputs(folder, tuple(found), files, (), (note,), problems)
