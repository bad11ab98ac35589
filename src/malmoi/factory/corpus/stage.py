"""The stage `corpus`: files of text to a clean, balanced corpus with a report of all that happened to it."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from malmoi.core.files import write_json, write_text
from malmoi.core.stage import Input, Stage, StageContext
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.factory.corpus.documents import Group, Mixture
from malmoi.factory.corpus.inputs import Inputs, find_inputs, fingerprints, synthetic_inputs
from malmoi.factory.corpus.mix import SourceTotal, balance
from malmoi.factory.corpus.settings import CorpusConfig


class CorpusStage(Stage[CorpusConfig]):
    """Reads, cleans, removes copies, keeps evaluation sets out, splits and balances."""

    config = CorpusConfig
    kind: ClassVar[ArtifactKind] = "corpus"
    inputs: ClassVar[Mapping[str, Input]] = {}

    def outside(self, config: CorpusConfig, data: Path | None, home: Path) -> Mapping[str, str]:
        """Names, sizes and times of the data files, the evaluation sets and the opt-out lists."""
        return {} if data is None else fingerprints(find_inputs(config, data), config)

    def run(
        self, config: CorpusConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Fill `out`; see the class.

        Raises:
            InvalidInput: there is no data folder, no text in it, or nothing is left of it.
            ConfigError: a filter's setting is wrong.
            MalmoiError: a worker process was killed.
            DiskFull: no room; what is done is kept.
        """
        from malmoi.factory.corpus.pipeline import CorpusPipeline

        if context.data is None:
            found = synthetic_inputs(config, context.work, context.seed)
        else:
            found = find_inputs(config, context.data)
        for note in found.notes:
            context.progress.note(note)
        result = CorpusPipeline(config, found, context.work, context.seed, context.progress).run()
        for shard, folder in zip(result.shards, result.folders, strict=True):
            for split in ("train", "validation", "rejects"):
                if (folder / f"{split}.parquet").exists():
                    (out / split).mkdir(exist_ok=True)
                    os.link(folder / f"{split}.parquet", out / split / shard.name)
        for split in ("train", "validation", "rejects"):
            (out / split).mkdir(exist_ok=True)
        if result.scorer is not None:
            (out / "quality").mkdir()
            for name in ("quality.json", "quality.safetensors"):
                os.link(result.scorer / name, out / "quality" / name)
        write_text(out / "contamination.jsonl", "".join(path.read_text("utf-8") for path in result.matches))
        totals = _totals(found, result.summaries)
        mixture, notes = balance(
            [_source_total(found, name, total) for name, total in totals.items()], config.mixture
        )
        for note in notes:
            context.progress.note(note)
        counts = {
            "steps": result.tally.to_json(),
            "problems": result.problems,
            "notes": [*found.notes, *notes],
            "sources": totals,
        }
        write_json(out / "mixture.json", mixture.model_dump(mode="json"))
        write_json(out / "counts.json", counts)
        steps = _speeds(result.tally.to_json(), result.seconds)
        write_json(out / "about" / "steps.json", {"steps": steps})
        _write_page(out)
        return _summary(mixture, counts, context)


def _totals(inputs: Inputs, summaries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What there is of each source, in the order of the sources."""
    totals: dict[str, dict[str, Any]] = {}
    for source in inputs.sources:
        own = [summary for summary in summaries if summary["source"] == source.name]
        sums: dict[str, Counter[str]] = {
            name: Counter() for name in ("languages", "licenses", "lengths", "quality")
        }
        splits = {
            "train": Counter({"documents": 0, "bytes": 0}),
            "validation": Counter({"documents": 0, "bytes": 0}),
        }
        for summary in own:
            for name, counter in sums.items():
                counter.update(summary[name])
            for name, counter in splits.items():
                counter.update(summary["splits"][name])
        totals[source.name] = {
            **{name: dict(sorted(counter.items())) for name, counter in sums.items()},
            **{name: dict(counter) for name, counter in splits.items()},
        }
    return totals


def _source_total(inputs: Inputs, name: str, total: dict[str, Any]) -> SourceTotal:
    settings = next(source for source in inputs.sources if source.name == name)
    by_group: Counter[Group] = Counter()
    for language, size in total["languages"].items():
        by_group["korean" if language == "ko" else "code" if language == "code" else "other"] += size
    most: Group = by_group.most_common(1)[0][0] if by_group else "other"
    licenses = Counter(total["licenses"]).most_common()
    license = settings.license
    if licenses:
        license = licenses[0][0] + (f" and {len(licenses) - 1} others" if len(licenses) > 1 else "")
    return SourceTotal(
        name=name,
        group=most if settings.group == "auto" else settings.group,
        license=license,
        documents=total["train"]["documents"],
        bytes=total["train"]["bytes"],
        weight=settings.weight,
        epochs=settings.epochs,
        max_share=settings.max_share,
    )


def _speeds(steps: list[dict[str, Any]], seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Seconds of one core, and megabytes a second, for each step."""
    rows = []
    sizes = {step["name"]: step["bytes_seen"] / 1e6 for step in steps}
    for name in [*sizes, *(name for name in seconds if name not in sizes)]:
        if name in seconds:
            size = sizes.get(name)
            rows.append(
                {
                    "name": name,
                    "seconds": round(seconds[name], 3),
                    "megabytes": None if size is None else round(size, 3),
                    "megabytes_per_second": None
                    if size is None
                    else round(size / max(seconds[name], 1e-6), 2),
                }
            )
    return rows


def _write_page(out: Path) -> None:
    from malmoi.factory.corpus.report import read_report, render_report

    write_text(out / "about" / "report.html", render_report(read_report(out)))


def _summary(mixture: Mixture, counts: dict[str, Any], context: StageContext) -> dict[str, Any]:
    documents = sum(source.documents for source in mixture.sources)
    size = sum(source.bytes for source in mixture.sources)
    held = sum(total["validation"]["documents"] for total in counts["sources"].values())
    read = next(step["seen"] for step in counts["steps"] if step["name"] == "read")
    shares: dict[str, float] = {}
    for source in mixture.sources:
        shares[source.group] = shares.get(source.group, 0.0) + source.weight
    context.progress.note(
        f"{documents:,} of {read:,} documents kept, {size / 1e6:.1f} MB, and {held:,} held out; "
        + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    )
    return {
        "documents": documents,
        "bytes": size,
        "validation_documents": held,
        "sources": len(mixture.sources),
        "groups": {name: round(share, 4) for name, share in shares.items()},
    }


def read_counts(folder: Path) -> dict[str, Any]:
    """The counts of the corpus in `folder`."""
    counts: dict[str, Any] = json.loads((folder / "counts.json").read_bytes())
    return counts
