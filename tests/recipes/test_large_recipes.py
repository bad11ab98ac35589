"""The recipes for clusters: valid tables, sizes as their names say, and Slurm can start them."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

pytest.importorskip("torch")

from malmoi.cli.run import find_recipe, run
from malmoi.core.recipe import Recipe, check_recipe, read_recipe
from malmoi.factory.plan.hardware import find_device
from malmoi.factory.plan.layout import USABLE
from malmoi.factory.plan.memory import Layout, device_memory
from malmoi.factory.plan.shape import ModelShape, shape_of_settings
from malmoi.factory.stages import build_stages
from malmoi.factory.train.extension import plan_phases
from malmoi.factory.train.settings import PretrainSettings

SLURM = Path(__file__).parents[2] / "scripts" / "slurm"
# Name -> parameters, and the numbers of GPUs that its head speaks of.
LARGE = {"ko-1b": (1e9, (8, 16, 32)), "ko-7b": (7e9, (64,))}


def checked(name: str) -> Recipe:
    return check_recipe(read_recipe(find_recipe(name)), build_stages())


def pretraining(recipe: Recipe) -> tuple[PretrainSettings, ModelShape]:
    configs: dict[str, Any] = {step.use: step.config for step in recipe.steps}
    settings = configs["pretrain"]
    assert isinstance(settings, PretrainSettings)
    return settings, shape_of_settings(settings.model, configs["tokenizer"].vocab_size)


@pytest.mark.parametrize("name", sorted(LARGE))
def test_every_table_is_valid_and_the_size_is_that_of_the_name(name: str) -> None:
    recipe = checked(name)
    assert [step.use for step in recipe.steps] == ["corpus", "tokenizer", "tokens", "pretrain", "gguf"]
    _, shape = pretraining(recipe)
    assert shape.parameters == pytest.approx(LARGE[name][0], rel=0.1)
    assert shape.vocab_size % 128 == 0


@pytest.mark.parametrize("name", sorted(LARGE))
def test_the_ranks_share_every_step_evenly(name: str) -> None:
    settings, _ = pretraining(checked(name))
    assert settings.batch_tokens is not None
    assert settings.num_tokens is not None
    phases = plan_phases(
        settings.num_tokens // settings.batch_tokens,
        settings.batch_tokens,
        settings.context_length,
        settings.extension,
        rope_theta=settings.model.rope_theta,
    )
    for ranks in LARGE[name][1]:
        for phase in phases:
            assert phase.num_sequences % ranks == 0
            assert settings.micro_batch_tokens >= phase.context_length


@pytest.mark.parametrize("name", sorted(LARGE))
def test_it_fits_an_h100(name: str) -> None:
    settings, shape = pretraining(checked(name))
    device = find_device("h100")
    for ranks in LARGE[name][1]:
        layout = Layout(ranks, 1, 1, 1, checkpointing=settings.checkpoint_activations)
        memory = device_memory(
            shape,
            layout,
            context_length=settings.micro_batch_tokens,
            optimizer=settings.optim.optimizer,
        )
        assert memory.total <= USABLE * device.memory_gb * 1e9


@pytest.mark.parametrize("name", ["prepare.sbatch", "pretrain.sbatch"])
class TestSlurm:
    def test_bash_can_read_it(self, name: str) -> None:
        subprocess.run(["bash", "-n", str(SLURM / name)], check=True)

    def test_it_asks_slurm_for_what_it_uses(self, name: str) -> None:
        text = (SLURM / name).read_text()
        asked = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", text, re.MULTILINE))
        assert {"nodes", "time", "requeue", "open-mode"} <= asked.keys()
        assert asked["ntasks-per-node"] == "1"  # torchrun starts the processes of a node

    def test_it_gives_options_that_malmoi_run_has(self, name: str) -> None:
        command = (SLURM / name).read_text().split("malmoi run ", 1)[1].replace("\\\n", " ")
        known = {option for parameter in run.params for option in parameter.opts}
        used = set(re.findall(r"--[a-z-]+", command))
        assert used
        assert used <= known
        assert isinstance(run, click.Command)

    def test_it_starts_the_recipe_unchanged(self, name: str, tmp_path: Path) -> None:
        """Slurm's commands are stood in for by scripts that print how they were called."""
        fake = tmp_path / "bin"
        fake.mkdir()
        for program, body in {
            "srun": 'printf "%s\\n" "$@"',
            "scontrol": "printf 'node-a\\nnode-b\\n'",
        }.items():
            (fake / program).write_text(f"#!/bin/sh\n{body}\n")
            (fake / program).chmod(0o755)
        environment = {
            "PATH": f"{fake}:{os.environ['PATH']}",
            "MALMOI_HOME": str(tmp_path / "home"),
            "SLURM_JOB_ID": "123",
            "SLURM_JOB_NODELIST": "node-[a-b]",
            "SLURM_NNODES": "2",
            "SLURM_GPUS_ON_NODE": "4",
        }
        arguments = ["ko-7b", "my texts", "--quiet"]
        done = subprocess.run(
            ["bash", str(SLURM / name), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        words = done.stdout.splitlines()
        at = words.index("malmoi")
        assert words[at - 1 : at + 5] == ["-m", "malmoi", "run", "ko-7b", "--data", "my texts"]
        assert words[-1] == "--quiet"
        if name == "pretrain.sbatch":
            assert words[0] == "torchrun"
            assert words[words.index("--nnodes") + 1] == "2"
            assert words[words.index("--nproc-per-node") + 1] == "4"
            assert words[words.index("--rdzv-endpoint") + 1].startswith("node-a:")

    def test_without_its_arguments_it_says_how_it_is_used(self, name: str) -> None:
        done = subprocess.run(
            ["bash", str(SLURM / name)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
        )
        assert done.returncode != 0
        assert "usage: sbatch" in done.stderr
