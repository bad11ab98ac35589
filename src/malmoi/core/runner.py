"""Runs recipes: each stage once, again only when something changed, and on from where it was killed.

A stage's key is the hash of everything that its result depends on: kind of stage, version, configuration,
the content of its inputs, what it reads from outside, and the seed. An artifact that carries the key is
reused. Half-done work lies under `store/work/<key>` and is found again by the same key.

Under torchrun every rank runs the recipe: rank 0 alone runs the stages that are not distributed, keeps the
records and makes artifacts; the others wait for these.
"""

import hashlib
import json
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from malmoi.core.errors import ConfigError, Conflict, DiskFull, MalmoiError, UnknownName
from malmoi.core.files import full, write_text
from malmoi.core.locks import is_locked, locked
from malmoi.core.recipe import Recipe, Step
from malmoi.core.stage import Progress, SilentProgress, StageContext
from malmoi.core.store import LOCK, Artifact, Run, RunStatus, StageRecord, Store

Action = Literal["reuse", "run", "resume", "skip"]

_POLL = 0.5  # seconds between two looks of a waiting rank


@dataclass(frozen=True, slots=True)
class Planned:
    """What would happen to one stage, and why."""

    name: str
    use: str
    action: Action
    why: str
    artifact: str | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a recipe.

    `until` and `start` are names of stages: the last one to run, and the first one to run again even where
    nothing changed (all before it must be there).
    """

    home: Path
    data: Path | None = None
    until: str | None = None
    start: str | None = None
    again: bool = False
    """Run every stage again."""
    progress: Progress = field(default_factory=SilentProgress)
    rank: int = 0
    world_size: int = 1

    @property
    def store(self) -> Store:
        """The store under `home`."""
        return Store(self.home / "store")


def plan_recipe(recipe: Recipe, options: RunOptions) -> list[Planned]:
    """What `run_recipe` would do now, without doing it.

    Raises:
        MalmoiError: as `run_recipe` would before its first stage.
    """
    found = _Found(options.store)
    made: dict[str, Artifact | None] = {}
    rows = []
    for step in _chosen(recipe, options):
        forced = _is_forced(recipe, step, options)
        inputs = {role: found.input(step, role, made) for role in step.inputs}
        waiting = [step.inputs[role] for role, artifact in inputs.items() if artifact is None]
        if waiting:
            made[step.name] = None
            rows.append(Planned(step.name, step.use, "run", f"{' and '.join(waiting)} will be made first"))
            continue
        parts = _parts(step, {r: a for r, a in inputs.items() if a is not None}, options)
        key = _key(parts)
        artifact = None if forced else found.by_key(step, key)
        made[step.name] = artifact
        if artifact is not None:
            rows.append(Planned(step.name, step.use, "reuse", "nothing changed", artifact.id))
        elif is_locked(_lock(options.store, key)):
            rows.append(Planned(step.name, step.use, "run", "another process is working on it"))
        elif (_work(options.store, key)).is_dir():
            rows.append(Planned(step.name, step.use, "resume", "it was interrupted"))
        else:
            why = "asked for" if forced else found.why(step, parts)
            rows.append(Planned(step.name, step.use, "run", why))
    rest = recipe.steps[len(rows) :]
    return [*rows, *(Planned(step.name, step.use, "skip", f"--until {options.until}") for step in rest)]


def run_recipe(recipe: Recipe, options: RunOptions) -> Run:
    """Run a recipe to its end, or until `options.until`.

    A run of the same recipe that was interrupted goes on under its own id.

    Raises:
        MalmoiError: a stage failed; the run is recorded as failed, and what is done is kept.
        Conflict: another process works on the same stage.
    """
    if options.world_size > 1 and (options.start or options.again):
        raise ConfigError(
            "--from and --again do not work under torchrun.", fix="Remove the artifact, or run without it."
        )
    steps = _chosen(recipe, options)
    if options.start is not None:
        _require_before(recipe, options)
    if options.rank > 0:
        return _follow(recipe, steps, options)
    _check_outside(steps, options)
    store = options.store
    try:
        run = _open_run(recipe, options)
    except OSError as error:
        raise _unwritable(error, store) from error
    with locked(run.path / LOCK, busy=f"the run {run.id} is running already."):
        run.update(status="running", error=None, ended_at=None)
        try:
            made: dict[str, Artifact] = {}
            for step in steps:
                made[step.name] = _run_step(recipe, step, made, run, options)
            run.end("finished")
        except KeyboardInterrupt:
            _end(run, "cancelled", "Stopped by its user.")
            raise
        except MalmoiError as error:
            _end(run, "failed", str(error))
            raise
        except Exception as error:
            # A bug, or a library's error that no stage explains: its story goes to a file, and people get
            # a sentence.
            known = full(error, store.root)
            if isinstance(known, MalmoiError):
                _end(run, "failed", str(known))
                raise known from error
            log = run.path / "error.log"
            write_text(log, traceback.format_exc())
            failed = next((stage.name for stage in run.record.stages if stage.status == "failed"), "a stage")
            message = f"{failed} failed: {type(error).__name__}: {error}"
            _end(run, "failed", message)
            raise MalmoiError(message, fix=f"The whole story is in {log}.") from error
    return run


def _check_outside(steps: Sequence[Step], options: RunOptions) -> None:
    """Whether everything that stages read from outside the recipe is there, before hours are spent."""
    found, names = _Found(options.store), {step.name for step in steps}
    for step in steps:
        for role, source in step.inputs.items():
            if source not in names:
                found.input(step, role, {})
        step.stage.outside(step.config, options.data, options.home)


def _unwritable(error: OSError, store: Store) -> MalmoiError:
    known = full(error, store.root)
    if isinstance(known, MalmoiError):
        return known
    return MalmoiError(
        f"the store {store.root} cannot be written to: {error.strerror}.",
        fix="Choose another directory with --home, or mend the rights of this one.",
    )


def _end(run: Run, status: RunStatus, error: str) -> None:
    """Record the end; where even that cannot be written, what went wrong first is what people must see."""
    with suppress(DiskFull, OSError):
        run.end(status, error=error)


def _run_step(
    recipe: Recipe, step: Step, made: Mapping[str, Artifact], run: Run, options: RunOptions
) -> Artifact:
    store, found = options.store, _Found(options.store)
    inputs = {role: _required(found.input(step, role, made), step, role) for role in step.inputs}
    parts = _parts(step, inputs, options)
    key = _key(parts)
    known = None if _is_forced(recipe, step, options) else found.by_key(step, key)
    if known is not None:
        return _reuse(step, key, known, run, options)
    work = _work(store, key)
    with locked(
        _lock(store, key),
        busy=f"another process is working on the stage {step.name}.",
        fix="Wait for it, or stop it; `malmoi runs ls` shows what runs.",
    ):
        if not _is_forced(recipe, step, options):
            known = _Found(store).by_key(step, key)
            if known is not None:  # another process has made it while we looked
                _lock(store, key).unlink(missing_ok=True)
                return _reuse(step, key, known, run, options)
        record = StageRecord(name=step.name, use=step.use, status="running", key=key)
        run.set_stage(record)
        resumed = work.is_dir()
        options.progress.note(f"{step.name}: {'goes on' if resumed else 'begins'}")
        work.mkdir(parents=True, exist_ok=True)
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)  # half-filled by a process that died; `work` has the rest
        out.mkdir()
        context = _context(step, work, options)
        began = time.monotonic()
        try:
            metadata = step.stage.run(step.config, inputs, out, context)
        except BaseException:
            with suppress(DiskFull, OSError):  # as in `_end`
                run.set_stage(record.model_copy(update={"status": "failed"}))
            raise
        if context.metrics.path.exists():
            (out / "about").mkdir(exist_ok=True)
            shutil.copyfile(context.metrics.path, out / "about" / "metrics.jsonl")
        artifact = store.adopt(
            out,
            step.stage.kind,
            _artifact_name(recipe, step),
            inputs=[artifact.id for artifact in inputs.values()],
            run=run.id,
            metadata={**metadata, "stage": {"name": step.name, "key": key, **parts}},
        )
        shutil.rmtree(work, ignore_errors=True)
        seconds = round(time.monotonic() - began, 1)
        run.set_stage(
            record.model_copy(update={"status": "finished", "artifact": artifact.id, "seconds": seconds})
        )
        options.progress.note(f"{step.name}: made {artifact.id} in {_duration(seconds)}")
        _lock(store, key).unlink(missing_ok=True)
    return artifact


def _reuse(step: Step, key: str, known: Artifact, run: Run, options: RunOptions) -> Artifact:
    run.set_stage(StageRecord(name=step.name, use=step.use, status="reused", key=key, artifact=known.id))
    options.progress.note(f"{step.name}: reused {known.id}")
    return known


def _follow(recipe: Recipe, steps: Sequence[Step], options: RunOptions) -> Run:
    """What ranks above 0 do: take part in distributed stages, and wait for the artifacts of the others."""
    store = options.store
    made: dict[str, Artifact] = {}
    began = datetime.now(UTC)
    for step in steps:
        found = _Found(store)
        inputs = {role: _required(found.input(step, role, made), step, role) for role in step.inputs}
        key = _key(_parts(step, inputs, options))
        known = found.by_key(step, key)
        if known is None and step.stage.distributed:
            work = _work(store, key)
            with ExitStack() as stack:
                work.mkdir(parents=True, exist_ok=True)
                scratch = work / f"rank-{options.rank}"
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                stack.callback(shutil.rmtree, scratch, ignore_errors=True)
                step.stage.run(step.config, inputs, scratch, _context(step, work, options))
        while known is None:  # torchrun ends this process when rank 0 fails
            known = _Found(store).by_key(step, key)
            if known is None:
                time.sleep(_POLL)
        made[step.name] = known
    fitting = [run for run in store.runs() if run.record.name == recipe.name]
    newest = [run for run in fitting if run.record.started_at >= began] or fitting
    return newest[-1]


def _context(step: Step, work: Path, options: RunOptions) -> StageContext:
    return StageContext(
        store=options.store,
        name=step.name,
        work=work,
        seed=step.seed,
        home=options.home,
        progress=options.progress,
        data=options.data,
        rank=options.rank,
        world_size=options.world_size,
    )


class _Found:
    """The artifacts that stages made before, as one look at the store saw them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._artifacts = [
            artifact for artifact in store.artifacts() if "stage" in artifact.manifest.metadata
        ]

    def input(self, step: Step, role: str, made: Mapping[str, Artifact | None]) -> Artifact | None:
        source = step.inputs[role]
        if source in made:
            return made[source]
        artifact = self._store.artifact(source)
        if artifact.manifest.kind not in step.stage.inputs[role].kinds:
            wanted = " or ".join(step.stage.inputs[role].kinds)
            raise ConfigError(f"stages.{step.name}.inputs.{role}: {artifact.id} is not a {wanted}.")
        return artifact

    def by_key(self, step: Step, key: str) -> Artifact | None:
        """The newest whole artifact with this key."""
        for artifact in reversed(self._artifacts):
            if artifact.manifest.metadata["stage"].get("key") == key and artifact.is_complete:
                return artifact
        return None

    def why(self, step: Step, parts: Mapping[str, Any]) -> str:
        """How the stage's key differs from the last time, in words."""
        for artifact in reversed(self._artifacts):
            last = artifact.manifest.metadata["stage"]
            if (last.get("name"), last.get("use")) == (step.name, step.use):
                if not artifact.is_complete:
                    return f"files of {artifact.id} are missing"
                return "; ".join(_differences(last, parts)) or "nothing like it is in the store"
        return "it was never run"


def _differences(last: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    said = []
    if last.get("version") != now["version"]:
        said.append(f"the stage is version {now['version']}, was {last.get('version')}")
    if last.get("seed") != now["seed"]:
        said.append(f"seed = {now['seed']}, was {last.get('seed')}")
    for part, word in (("inputs", "the input"), ("outside", "what it reads at")):
        before, after = last.get(part, {}), now[part]
        said.extend(f"{word} {name} changed" for name in after if before.get(name) != after[name])
    before, after = flatten(last.get("config", {})), flatten(now["config"])
    said.extend(
        f"{path} = {after.get(path)!r}, was {before.get(path)!r}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )
    return said


def flatten(tree: Any, at: str = "") -> dict[str, Any]:
    """Nested tables as one table of dotted paths."""
    if not isinstance(tree, Mapping) or (at and not tree):
        return {at: tree}
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat.update(flatten(value, f"{at}.{name}" if at else str(name)))
    return flat


def _parts(step: Step, inputs: Mapping[str, Artifact], options: RunOptions) -> dict[str, Any]:
    """Everything that the stage's result depends on."""
    return {
        "use": step.use,
        "version": step.stage.version,
        "config": step.config.result_settings(),
        "inputs": {role: artifact.digest for role, artifact in inputs.items()},
        "outside": dict(step.stage.outside(step.config, options.data, options.home)),
        "seed": step.seed,
    }


def _artifact_name(recipe: Recipe, step: Step) -> str:
    """Of the recipe and the stage; of a recipe whose one stage is called as itself the name alone."""
    return recipe.name if recipe.name == step.name else f"{recipe.name}-{step.name}"[:90]


def _key(parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:20]


def _work(store: Store, key: str) -> Path:
    return store.root / "work" / key


def _lock(store: Store, key: str) -> Path:
    return store.root / "work" / f"{key}.lock"


def _chosen(recipe: Recipe, options: RunOptions) -> Sequence[Step]:
    names = recipe.names()
    for wanted in (options.until, options.start):
        if wanted is not None and wanted not in names:
            raise UnknownName("stage", wanted, names)
    end = names.index(options.until) + 1 if options.until else len(names)
    if options.start is not None and names.index(options.start) >= end:
        raise ConfigError(f"--from {options.start} comes after --until {options.until}.")
    return recipe.steps[:end]


def _is_forced(recipe: Recipe, step: Step, options: RunOptions) -> bool:
    names = recipe.names()
    return options.again or (
        options.start is not None and names.index(step.name) >= names.index(options.start)
    )


def _require_before(recipe: Recipe, options: RunOptions) -> None:
    for planned in plan_recipe(recipe, replace(options, start=None)):
        if planned.name == options.start:
            return
        if planned.action != "reuse":
            raise Conflict(
                f"--from {options.start}: the stage {planned.name} before it is not there ({planned.why}).",
                fix="Run the recipe without --from.",
            )


def _required(artifact: Artifact | None, step: Step, role: str) -> Artifact:
    assert artifact is not None, f"{step.name} runs before its {role}"
    return artifact


def _open_run(recipe: Recipe, options: RunOptions) -> Run:
    """The run of this recipe that was interrupted, or a new one."""
    store = options.store
    config = json.loads(json.dumps(recipe.tables))  # tables of TOML, without what JSON does not know
    data = str(options.data) if options.data is not None else None
    for run in reversed(store.runs()):
        record = run.record
        if (record.name, record.config, record.data) != (recipe.name, config, data):
            continue
        if run.status in ("interrupted", "failed", "cancelled"):
            return run
        break
    return store.new_run(recipe.name, config=config, seed=recipe.seed, data=options.data)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
