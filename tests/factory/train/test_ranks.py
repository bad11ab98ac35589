"""Training by two processes on the processor, through torchrun and the whole stage."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from training_fakes import tokens_artifact

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.core.stage import Metrics
from malmoi.factory.train.distributed import ALONE, Ranks, global_sums, open_ranks, slice_of, total_norm

TOLERANCE = 5e-5
RUN: dict[str, Any] = {
    "model": {
        "depth": None,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mup_base_width": 16,
    },
    # A step with fewer tokens has gradients of low rank: Muon makes directions of rounding errors full-sized.
    "context_length": 32,
    "batch_tokens": 512,
    "micro_batch_tokens": 128,
    "num_steps": 20,
    "schedule": {"kind": "constant", "warmup_steps": 0},
    "optim": {"optimizer": "muon", "learning_rate": 3e-3, "muon_learning_rate": 1e-2},
    "precision": "fp32",
    "evaluate_bytes": 500,
    "save_every": 5,
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(
    home: Path,
    name: str,
    *,
    ranks: int,
    kill: tuple[int, int] | None = None,
    restarts: int = 1,
    **changes: Any,
) -> str:
    """Train to the end or, with `kill` = (step, rank), until nobody is left to restart; what it said."""
    tokens_artifact(home)
    script = [str(Path(__file__).with_name("pretrain_once.py")), str(home), name]
    script += [json.dumps({**RUN, **changes}), *(str(number) for number in kill or ())]
    command = [sys.executable, *script]
    if ranks > 1:
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
        torchrun += ["--max-restarts", str(restarts), "--monitor-interval", "0.1"]
        where = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
        command = [sys.executable, *torchrun, *where, *script]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environ)
    survives = kill is None or (ranks > 1 and restarts > 0)
    assert (done.returncode == 0) is survives, done.stderr[-3000:]
    return done.stdout


def losses(home: Path, name: str) -> list[float]:
    rows = Metrics(home / f"{name}-work" / "metrics.jsonl").read()
    found = [row for row in rows if "loss" in row]
    assert [row["step"] for row in found] == list(range(1, 21))
    return [row["loss"] for row in found]


def contents(home: Path, name: str) -> dict[str, bytes]:
    out = home / f"{name}-out"
    names = ("model.safetensors", "config.json", "training.json")
    return {name: (out / name).read_bytes() for name in names}


def greatest_difference(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> Path:
    """Runs that nothing disturbed: `one` and `two` ranks with Muon, which the others must equal."""
    home = tmp_path_factory.mktemp("straight")
    start(home, "one", ranks=1)
    start(home, "two", ranks=2)
    return home


def check_equal(home: Path) -> None:
    one, two = losses(home, "one"), losses(home, "two")
    assert one[-1] < one[0] - 0.1
    assert greatest_difference(one, two) <= TOLERANCE
    scores = [json.loads(contents(home, name)["training.json"])["bits_per_byte"] for name in ("one", "two")]
    assert scores[0].keys() == scores[1].keys()
    assert all(scores[0][key] == pytest.approx(scores[1][key], abs=1e-3) for key in scores[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_ranks_equal_one_with_muon(straight):
    check_equal(straight)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_ranks_equal_one_with_adamw(tmp_path):
    adamw = {"optimizer": "adamw", "learning_rate": 3e-3}
    start(tmp_path, "one", ranks=1, optim=adamw)
    start(tmp_path, "two", ranks=2, optim=adamw)
    check_equal(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_rank_is_restarted_to_the_identical_trajectory(tmp_path, straight):
    said = start(tmp_path, "killed", ranks=2, kill=(13, 1))
    assert (tmp_path / "killed-killed-13").exists()
    assert "goes on after step 10" in said
    assert losses(tmp_path, "killed") == losses(straight, "two")
    assert contents(tmp_path, "killed") == contents(straight, "two")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_checkpoint_of_two_ranks_goes_on_with_one_and_back(tmp_path, straight):
    start(tmp_path, "mixed", ranks=2, kill=(7, 0), restarts=0)
    said = start(tmp_path, "mixed", ranks=1, kill=(13, 0))
    assert "goes on after step 5" in said
    said = start(tmp_path, "mixed", ranks=2)
    assert "goes on after step 10" in said
    assert greatest_difference(losses(tmp_path, "mixed"), losses(straight, "one")) <= TOLERANCE


def test_a_rank_takes_its_slice():
    numbers = range(40, 52)
    parts = [slice_of(numbers, Ranks(rank, 3)) for rank in range(3)]
    assert parts == [range(40, 44), range(44, 48), range(48, 52)]
    with pytest.raises(InvalidInput, match="12 sequences, which 5 ranks cannot share"):
        slice_of(numbers, Ranks(0, 5))


def test_one_rank_needs_no_group():
    with open_ranks() as ranks:
        assert (ranks.rank, ranks.world_size) == (0, 1)
        assert not torch.distributed.is_initialized()
    assert global_sums([1.5, 2.0], ALONE) == [1.5, 2.0]


def test_several_ranks_need_torchrun(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(ConfigError, match="torchrun"), open_ranks(0, 2):
        pass


def test_the_norm_of_many_gradients():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[0.0], [4.0]])]
    assert total_norm(gradients, ALONE) == 5.0
    assert total_norm([], ALONE) == 0.0
    assert total_norm([torch.tensor([float("nan")])], ALONE) != 0.0
