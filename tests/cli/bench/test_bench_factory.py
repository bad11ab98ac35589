"""The whole of `malmoi bench factory` on a model of two small layers: its structure, not its speeds."""

from pathlib import Path

import pytest

from malmoi.cli.bench.factory import measure
from malmoi.cli.bench.measure import BenchOptions
from malmoi.core.errors import ConfigError

RECIPE = """
name = "mini"
seed = 1
[stages.corpus]
synthetic_megabytes = 0.25
num_workers = 1
[stages.tokenizer]
vocab_size = 512
report_bytes = 0
workers = 1
[stages.tokens]
[stages.pretrain]
context_length = 32
batch_tokens = 128
num_steps = 4
precision = "fp32"
[stages.pretrain.model]
depth = 1
"""


@pytest.fixture
def options(tmp_path: Path) -> BenchOptions:
    recipe = tmp_path / "mini.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return BenchOptions(
        home=tmp_path / "home",
        model="small",
        repeats=1,
        tokens=8,
        recipe=str(recipe),
        minutes=0.001,
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_figure_is_measured(options: BenchOptions) -> None:
    found = {measure.name: measure for measure in measure(options)}
    assert {
        "factory.corpus",
        "factory.corpus.read",
        "factory.encode_ratio",
        "factory.tokenizer_training",
        "factory.train_ratio_fp32",
        "factory.bits_per_byte_ratio",
        "factory.bits_per_byte",
        "factory.bits_per_byte_baseline",
    } <= found.keys()
    assert all(measure.value > 0 for measure in found.values())
    ours, theirs = found["factory.bits_per_byte"], found["factory.bits_per_byte_baseline"]
    assert found["factory.bits_per_byte_ratio"].value == ours.value / theirs.value
    assert found["factory.bits_per_byte_ratio"].goal == 0.92
    assert "M parameters" in str(found["factory.bits_per_byte_ratio"].note)
    # Models are not kept, what they were made from is.
    store = options.home / "bench" / "store" / "artifacts"
    assert sorted(path.name for path in store.iterdir() if any(path.iterdir())) == [
        "corpus",
        "tokenizer",
        "tokens",
    ]


def test_a_recipe_without_a_model_is_refused(options: BenchOptions, tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(RECIPE.split("[stages.tokenizer]")[0], encoding="utf-8")
    with pytest.raises(ConfigError, match="no stage tokenizer"):
        next(measure(options))
