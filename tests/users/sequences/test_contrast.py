"""The contrastive loss: its formula, its masks, its scale, and several ranks."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from malmoi.users.sequences.contrast import LARGEST_SCALE, Scale, Views, contrastive_loss

B, D = 5, 3


def vectors(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(normalize(torch.randn(B, D, generator=generator), dim=-1) for _ in range(2))  # type: ignore[return-value]


def views(user: list[int] | None = None, texts: dict[tuple[int, int], int] | None = None) -> Views:
    digests = torch.arange(2 * B).view(B, 2) + 100
    for place, value in (texts or {}).items():
        digests[place] = value
    return Views(torch.tensor(user or list(range(B))), digests)


def by_hand(a: torch.Tensor, b: torch.Tensor, hidden: set[tuple[int, int]], rows: list[int]) -> float:
    """The formula, written with loops."""
    total = 0.0
    for left, right in ((a, b), (b, a)):
        for i in rows:
            logits = {j: 2.0 * float(left[i] @ right[j]) for j in range(B) if (i, j) not in hidden}
            total += 0.5 * (math.log(sum(math.exp(x) for x in logits.values())) - logits[i])
    return total


def test_the_loss_is_the_symmetric_cross_entropy():
    a, b = vectors()
    loss, count = contrastive_loss(a, b, views(), torch.tensor(2.0))
    assert count == B
    assert float(loss) == pytest.approx(by_hand(a, b, set(), list(range(B))), abs=1e-5)


def test_a_user_who_comes_twice_counts_once_and_is_no_negative():
    a, b = vectors()
    loss, count = contrastive_loss(a, b, views(user=[0, 1, 0, 3, 4]), torch.tensor(2.0))
    assert count == B - 1
    assert float(loss) == pytest.approx(by_hand(a, b, {(0, 2), (2, 0)}, [0, 1, 3, 4]), abs=1e-5)


@pytest.mark.parametrize(
    ("mine", "other"), [((1, 0), (3, 0)), ((1, 1), (3, 1)), ((1, 0), (3, 1)), ((1, 1), (3, 0))]
)
def test_equal_histories_are_no_negatives(mine: tuple[int, int], other: tuple[int, int]):
    a, b = vectors()
    loss, _ = contrastive_loss(a, b, views(texts={mine: 7, other: 7}), torch.tensor(2.0))
    assert float(loss) == pytest.approx(by_hand(a, b, {(1, 3), (3, 1)}, list(range(B))), abs=1e-5)


def test_two_equal_views_of_one_user_stay_a_positive_pair():
    a, b = vectors()
    loss, count = contrastive_loss(a, b, views(texts={(2, 0): 7, (2, 1): 7}), torch.tensor(2.0))
    assert (count, math.isfinite(float(loss))) == (B, True)


def test_the_scale_is_clamped_and_comes_back():
    scale = Scale()
    assert scale().item() == pytest.approx(math.e)
    with torch.no_grad():
        scale.log.fill_(9.0)
    value = scale()
    assert value.item() == pytest.approx(math.exp(LARGEST_SCALE))
    value.backward()
    assert float(scale.log.grad) > 0  # a clamp in the graph would have stopped the gradient


def test_the_scale_does_not_lose_digits_under_bfloat16():
    a, b = vectors()
    exact, _ = contrastive_loss(a, b, views(), torch.tensor(100.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = contrastive_loss(a, b, views(), torch.tensor(100.0))
    assert float(loss) == pytest.approx(float(exact), abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_ranks_equal_one(tmp_path: Path):
    """The gradient of every weight, and the loss, after the sum over the ranks."""
    script = str(Path(__file__).with_name("clue_ranks.py"))
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(tmp_path), str(world_size), str(rank)],
            env=environ,
            text=True,
            stderr=subprocess.PIPE,
        )
        for world_size in (1, 2)
        for rank in range(world_size)
    ]
    for process in processes:
        _, told = process.communicate(timeout=110)
        assert process.returncode == 0, told[-2000:]
    one, two = (json.loads((tmp_path / f"{world_size}.json").read_text()) for world_size in (1, 2))
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert two["gradients"].keys() == one["gradients"].keys()
    for name, gradient in one["gradients"].items():
        largest = max(map(abs, gradient))
        assert two["gradients"][name] == pytest.approx(gradient, abs=2e-5 * largest), name
