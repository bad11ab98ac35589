"""`malmoi plan`: what it prints and refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from malmoi.cli.plan import plan
from malmoi.core.errors import InvalidInput, MalmoiError, UnknownName


def run(*args: object) -> str:
    result = CliRunner().invoke(plan, [*map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_plan_says_what_it_rests_on() -> None:
    shown = run("--params", "7b", "--tokens", "1T", "--gpu", "h100", "--count", 64, "--price-per-hour", 2)
    for part in ("7.23 B parameters", "64 x NVIDIA H100", "days", "kWh", "64 data (FSDP)", "MFU: 40%"):
        assert part in shown
    assert "price: 2 - an input" in shown
    assert "disk: unknown" in shown


def test_json_has_the_same_figures() -> None:
    made = json.loads(run("--depth", 24, "--gpu", "a100", "--count", 8, "--tokens", "20B", "--json"))
    assert made["inputs"]["shape"]["hidden_size"] == 24 * 64
    assert made["inputs"]["tokens"] == 20_000_000_000
    assert made["memory"]["total"] > 0
    assert made["cost"] is None


def test_counts_are_compared_with_bars() -> None:
    shown = run("--params", "1b", "--tokens", "20B", "--gpu", "h100", "--compare", "8,16,32")
    bars = [line.count("#") for line in shown.splitlines() if "#" in line]
    assert bars == [40, 20, 10]


def test_a_recipe_is_planned(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        """
        name = "mine"
        [stages.tokenizer]
        vocab_size = 64000
        [stages.first]
        use = "pretrain"
        context_length = 2048
        batch_tokens = 524288
        num_tokens = 30_000_000_000
        model = { depth = 12 }
        optim = { optimizer = "adamw" }
        """
    )
    inputs = json.loads(run("--recipe", recipe, "--gpu", "a100", "--count", 8, "--json"))["inputs"]
    assert inputs["shape"]["vocab_size"] == 64_000
    assert inputs["shape"]["num_hidden_layers"] == 12
    assert (inputs["context_length"], inputs["batch_tokens"], inputs["tokens"]) == (2048, 524_288, 30 * 10**9)
    assert inputs["optimizer"] == "adamw"


def test_a_recipe_without_pretraining(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('name = "mine"\n[stages.corpus]\n')
    with pytest.raises(MalmoiError, match="no stage of the kind pretrain"):
        run("--recipe", recipe, "--gpu", "a100")


@pytest.mark.parametrize(
    ("args", "match"),
    [
        (("--params", "seven billion", "--gpu", "h100"), "'seven billion' is not a number"),
        (("--params", "7b", "--gpu", "h100", "--count", 0), "--count 0 devices"),
        (("--params", "7b", "--gpu", "h100", "--mfu", 40), "not a share between 0 and 1"),
        (("--gpu", "h100"), "the model is not named"),
        (("--params", "7b", "--depth", 4, "--gpu", "h100"), "the model is not named"),
        (("--params", "7b", "--gpu", "h100", "--count", 2, "--compare", "2,4"), "not both"),
    ],
)
def test_bad_input_is_explained(args: tuple[object, ...], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        run(*args)


def test_an_unknown_device_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        run("--params", "7b", "--gpu", "h10o")
