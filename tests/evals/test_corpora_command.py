"""The command over stages whose figures are known, and once with real ones."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from pydantic import Field

from malmoi.cli import cli
from malmoi.core.config import read_toml
from malmoi.core.errors import UnknownName
from malmoi.core.files import write_json
from malmoi.core.registry import Registry
from malmoi.core.stage import Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact, Store

SOURCES = ("news", "blog", "<b>wiki</b>")


class PretrainConfig(StageConfig):
    num_bytes: int = 1000
    weights: dict[str, float] = Field(default_factory=dict)


class Pretrain(Stage[PretrainConfig]):
    """A model knows a source the better the more of it it has read."""

    config = PretrainConfig
    kind = "model"

    def run(
        self, config: PretrainConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        shares = {source: config.weights.get(source, 0.0) for source in SOURCES}
        write_json(out / "shares.json", {"shares": shares, "seed": context.seed})
        bits = {f"source/{source}": 3.0 - share + 0.01 * context.seed for source, share in shares.items()}
        write_json(out / "scores.json", {"bits_per_byte": bits})
        return {}


class FewshotConfig(StageConfig):
    shots: int = 2


class Fewshot(Stage[FewshotConfig]):
    """The blog teaches to learn from examples; nothing teaches the task without them."""

    config = FewshotConfig
    kind = "report"
    inputs: ClassVar = {"model": Input(("model",))}

    def run(
        self, config: FewshotConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        model = json.loads((inputs["model"].path / "shares.json").read_text())
        learned = (0.4 + 0.001 * model["seed"]) * model["shares"]["blog"] if config.shots else 0.0
        accuracy = 0.5 + learned
        write_json(
            out / "scores.json",
            {"tasks": {"kobest/copa": {"accuracy": accuracy, "chance": 0.5, "items": 300}}},
        )
        return {}


RECIPE = """
name = "tiny"
[stages.pretrain]
[stages.zeroshot]
use = "fewshot"
shots = 0
[stages.fewshot]
"""
STUDY = """
title = "Which sources?"
recipe = "tiny.toml"
repeat = "pretrain"
seeds = [1, 2, 3]
baseline = "all"
losses = ["pretrain.bits_per_byte.source/news", "pretrain.bits_per_byte.source/blog"]
scores = ["zeroshot.tasks.kobest/copa.accuracy", "fewshot.tasks.kobest/copa.accuracy"]
[variants.news]
"pretrain.weights" = {news = 1.0}
[variants.blog]
"pretrain.weights" = {blog = 1.0}
[variants.all]
"pretrain.weights" = {news = 0.5, blog = 0.5}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def stages() -> Registry[type[Stage[Any]]]:
        registry: Registry[type[Stage[Any]]] = Registry("stage")
        registry.add("pretrain", Pretrain)
        registry.add("fewshot", Fewshot)
        return registry

    monkeypatch.setattr("malmoi.factory.stages.build_stages", stages)
    (tmp_path / "data").mkdir()
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "sources.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def call(folder: Path, *args: str) -> str:
    command = ["evals", "corpora", "--data", str(folder / "data"), "--home", str(folder / "home"), "--quiet"]
    if "--recipe" not in args:
        command += ["--recipe", str(folder / "sources.toml")]
    return CliRunner().invoke(cli, [*command, *args], catch_exceptions=False, standalone_mode=False).stdout


def test_the_matrix_says_what_the_sources_taught(folder: Path) -> None:
    report = json.loads(call(folder, "--json"))
    mixes = {mix["name"]: mix for mix in report["mixes"]}
    assert report["seeds"] == [1, 2, 3]
    assert report["shots"] == {"zeroshot": 0, "fewshot": 2}
    assert report["num_bytes"] == 1000
    blog = mixes["blog"]["scores"]["fewshot"]["kobest/copa"]
    assert blog["figure"]["mean"] == pytest.approx(0.902)
    assert blog["figure"]["by_seed"] == pytest.approx({"1": 0.901, "2": 0.902, "3": 0.903})
    assert mixes["news"]["bits"]["news"]["mean"] == pytest.approx(2.02)
    assert mixes["news"]["weights"] == {"news": 1.0}
    (alone, shown) = report["additions"]
    assert (alone["stage"], alone["difference"]) == ("zeroshot", pytest.approx(0.0))
    assert alone["verdict"] == "inside the noise"
    assert (shown["best"], shown["verdict"]) == ("blog", "worse")


def test_the_table_marks_what_is_not_guessing_and_keeps_a_page(folder: Path) -> None:
    said = call(folder, "--mix", "wiki=<b>wiki</b>:1,blog:1")
    lines = [line.split() for line in said.splitlines()]
    zero, few = (lines.index(["mix", "kobest/copa"], start) for start in (0, 4))
    assert lines[zero + 1] == ["news", "0.500"]  # nothing but guessing
    assert lines[few + 2] == ["blog", "0.902*"]
    assert "all sources" in said
    saved = Store(folder / "home" / "store").artifacts("report")[-1]
    page = (saved.path / "about" / "corpora.html").read_text()
    assert "inside the noise" in page
    assert "<svg" in page
    assert "&lt;b&gt;wiki" in page
    assert "<b>" not in page
    assert len(saved.manifest.inputs) == 12  # four mixes, three seeds
    ranks = json.loads((saved.path / "corpora.json").read_text())["ranks"]
    rho = {(rank["source"], rank["stage"]): rank["rho"] for rank in ranks}
    assert rho["blog", "fewshot"] < -0.9  # who foretells blogs learns from examples
    assert rho["news", "fewshot"] > 0


def test_what_would_be_trained_and_what_is_not_there(folder: Path) -> None:
    said = call(folder, "--dry-run", "--only", "news,all", "--seeds", "7")
    assert said.splitlines() == [
        f"{'news':<20} seeds 7  news 100%",
        f"{'all':<20} seeds 7  news 50%, blog 50%",
    ]
    with pytest.raises(UnknownName, match="no mix 'nwes'"):
        call(folder, "--only", "nwes,all")
    with pytest.raises(UnknownName, match="no study"):
        call(folder, "--recipe", "nothing-like-it")


@pytest.mark.parametrize("name", ["corpora", "corpora-tiny"])
def test_the_studies_that_come_with_it_are_whole(name: str) -> None:
    from malmoi.cli.ablate import studies
    from malmoi.evals.corpora.results import figures_of, weights_of
    from malmoi.factory.ablate.study import build_recipe, read_study
    from malmoi.factory.stages import build_stages

    settings, base = read_study(studies()[name])
    recipe = build_recipe(settings, base, settings.baseline, 1, build_stages(), {})
    assert recipe.names() == ["corpus", "tokenizer", "tokens", "pretrain", "zeroshot", "fewshot"]
    known = {source["name"] for source in base.values["stages"]["corpus"]["sources"]}
    assert set(figures_of(settings).sources) <= known
    for variant in settings.variants:
        assert set(weights_of(settings, variant)) <= known
    assert read_toml(studies()[name])["title"]


@pytest.mark.slow
def test_the_tiny_study_runs_on_the_published_files(tmp_path: Path) -> None:
    data = os.environ.get("MALMOI_TEST_DATA")
    if data is None:
        pytest.skip("MALMOI_TEST_DATA does not name a folder with the published files")
    command = ["evals", "corpora", "--recipe", "corpora-tiny", "--data", data, "--home", str(tmp_path)]
    command += [
        "--seeds",
        "1",
        "--only",
        "reviews,chat",
        "--set",
        "pretrain.num_bytes=60_000",
        "--json",
        "--quiet",
    ]
    said = CliRunner().invoke(cli, command, catch_exceptions=False, standalone_mode=False).stdout
    mixes = {mix["name"]: mix for mix in json.loads(said)["mixes"]}
    assert mixes["reviews"]["bits"]["reviews"]["mean"] < mixes["chat"]["bits"]["reviews"]["mean"]
    assert mixes["chat"]["bits"]["chat"]["mean"] < mixes["reviews"]["bits"]["chat"]["mean"]
    assert mixes["reviews"]["epochs"]["reviews"] > 0
