import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.factory.models.mup import ParameterGroup
from malmoi.factory.train.muon import orthogonalize
from malmoi.factory.train.optim import Optimizer, build_optimizer
from malmoi.factory.train.settings import OptimSettings


@dataclass
class Rates:
    adamw_learning_rate: float = 0.01
    muon_learning_rate: float = 0.05
    weight_decay: float = 0.1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(7, 6)
        self.up = nn.Linear(6, 12, bias=False)
        self.down = nn.Linear(12, 6, bias=False)
        self.norm = nn.LayerNorm(6, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(ids)
        return self.norm(hidden + self.down(torch.tanh(self.up(hidden)))) @ self.embed.weight.T


def groups(net: Net) -> list[ParameterGroup]:
    return [
        ParameterGroup("embedding", ["embed.weight"], [net.embed.weight], weight_decay=False),
        ParameterGroup(
            "hidden",
            ["up.weight", "down.weight"],
            [net.up.weight, net.down.weight],
            lr_scale=0.5,
            muon_lr_scale=0.8,
            weight_decay=True,
        ),
        ParameterGroup("norm", ["norm.weight"], [net.norm.weight], weight_decay=False),
    ]


def build(net: Net, **settings: Any) -> Optimizer:
    return build_optimizer(net, OptimSettings(**settings), Rates(), groups=groups(net))


def learn(net: Net, optimizer: Optimizer, steps: int, start: int = 0) -> list[float]:
    losses = []
    for step in range(start, start + steps):
        ids = torch.randint(0, 7, (8,), generator=torch.Generator().manual_seed(step))
        loss = nn.functional.cross_entropy(net(ids), (ids + 1) % 7)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_it_learns(kind: str) -> None:
    net = Net()
    losses = learn(net, build(net, optimizer=kind), 60)

    assert sum(losses[-5:]) / 5 < 0.5 * losses[0]


def test_muon_steps_as_its_paper_says() -> None:
    net = Net()
    optimizer = build(net)
    before = net.up.weight.detach().clone()
    first = torch.randn(12, 6, generator=torch.Generator().manual_seed(1))
    second = torch.randn(12, 6, generator=torch.Generator().manual_seed(2))
    rate, decay = 0.05 * 0.8, 0.1

    buffer = torch.zeros(12, 6)
    expected = before.clone()
    for grad in (first, second):
        net.up.weight.grad = grad.clone()
        optimizer.step()
        optimizer.zero_grad()
        buffer = 0.95 * buffer + 0.05 * grad
        update = 0.05 * grad + 0.95 * buffer
        direction = orthogonalize(update[None])[0]
        expected = expected * (1 - rate * decay) - rate * math.sqrt(12 / 6) * direction

    torch.testing.assert_close(net.up.weight.detach(), expected)


def test_adamw_is_torchs_with_the_scaled_rate() -> None:
    net, other = Net(), Net()
    reference = torch.optim.AdamW(
        [
            {"params": [other.up.weight, other.down.weight], "lr": 0.005, "weight_decay": 0.1},
            {"params": [other.embed.weight, other.norm.weight], "lr": 0.01, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-10,
    )
    optimizer = build(net, optimizer="adamw")

    for step in range(3):
        for one in (net, other):
            for number, parameter in enumerate(one.parameters()):
                generator = torch.Generator().manual_seed(10 * step + number)
                parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        reference.step()

    for got, want in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(got, want)


def test_the_rate_multiplies_every_group() -> None:
    net = Net()
    optimizer = build(net)
    optimizer.set_rate(0.5)

    assert optimizer.rates == pytest.approx({"muon": 0.02, "embedding": 0.005, "norm": 0.005})

    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer.set_rate(0.0)
    learn(net, optimizer, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_parameters_without_a_gradient_stay() -> None:
    net = Net()
    optimizer = build(net)
    before = net.down.weight.detach().clone()
    net.up.weight.grad = torch.ones(12, 6)

    optimizer.step()

    assert torch.equal(net.down.weight, before)


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_a_run_goes_on_from_its_state_bit_for_bit(kind: str) -> None:
    straight = Net()
    losses = learn(straight, build(straight, optimizer=kind), 8)

    first = Net()
    optimizer = build(first, optimizer=kind)
    learn(first, optimizer, 4)
    weights = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    state = {name: tensor.clone() for name, tensor in optimizer.state_dict().items()}
    second = Net()
    second.load_state_dict(weights)
    resumed = build(second, optimizer=kind)
    resumed.load_state_dict(state)

    assert learn(second, resumed, 4, start=4) == losses[4:]
    assert all(torch.equal(a, b) for a, b in zip(second.parameters(), straight.parameters(), strict=True))


def test_the_state_is_named_by_parameters_and_there_from_the_start() -> None:
    net = Net()

    assert set(build(net).state_dict()) == {
        "up.weight.momentum",
        "down.weight.momentum",
        *(
            f"{name}.weight.{what}"
            for name in ("embed", "norm")
            for what in ("step", "exp_avg", "exp_avg_sq")
        ),
    }


def test_a_state_filled_in_place_counts() -> None:
    net, other = Net(), Net()
    optimizer, reference = build(net, optimizer="adamw"), build(other, optimizer="adamw")
    learn(other, reference, 3)

    for name, tensor in optimizer.state_dict().items():
        tensor.copy_(reference.state_dict()[name])
    net.load_state_dict(other.state_dict())

    assert learn(net, optimizer, 2, start=3) == learn(other, reference, 2, start=3)


def test_a_state_of_another_optimizer_is_refused() -> None:
    net = Net()
    with pytest.raises(InvalidInput, match="is on one side only"):
        build(net).load_state_dict(build(net, optimizer="adamw").state_dict())
    state = dict(build(net).state_dict())
    state["up.weight.momentum"] = torch.zeros(3, 3)
    with pytest.raises(InvalidInput, match=r"'up.weight.momentum' has the shape \(3, 3\), not \(12, 6\)"):
        build(net).load_state_dict(state)


def test_a_missing_rate_is_named() -> None:
    net = Net()
    with pytest.raises(ConfigError, match=r"optim.learning_rate is not set.*Set optim.learning_rate"):
        build_optimizer(net, OptimSettings(), None, groups=groups(net))
    with pytest.raises(ConfigError, match=r"optim.muon_learning_rate is not set"):
        build_optimizer(net, OptimSettings(learning_rate=0.1), None, groups=groups(net))
    build_optimizer(net, OptimSettings(learning_rate=0.1, optimizer="adamw"), None, groups=groups(net))


def after_a_step(run: Literal["fp32", "bf16"], **settings: Any) -> torch.Tensor:
    net = Net()
    learn(net, build_optimizer(net, OptimSettings(**settings), Rates(), groups=groups(net), precision=run), 1)
    return net.up.weight.detach()


def test_muon_computes_as_the_run_does_unless_told() -> None:
    wide, low = after_a_step("fp32"), after_a_step("bf16")
    assert not torch.equal(wide, low)
    assert (wide - low).norm() < 0.1 * (wide - Net().up.weight.detach()).norm()
    assert torch.equal(low, after_a_step("fp32", newton_schulz_precision="bfloat16"))
    assert torch.equal(wide, after_a_step("bf16", newton_schulz_precision="float32"))


RANKS = Path(__file__).with_name("optim_ranks.py")


def trajectories(folder: Path, world_size: int) -> dict[str, list[float]]:
    """Losses by optimizer: of 20 steps on `world_size` ranks, and of 5 more from two ranks' checkpoint."""
    processes = [
        subprocess.Popen([sys.executable, str(RANKS), str(folder), str(world_size), str(rank)])
        for rank in range(world_size)
    ]
    assert [process.wait(timeout=150) for process in processes] == [0] * world_size
    losses: dict[str, list[float]] = json.loads((folder / f"losses-{world_size}.json").read_text())
    return losses


@pytest.mark.slow
@pytest.mark.timeout(330)
def test_two_ranks_follow_one_and_their_checkpoint_resumes_on_one(tmp_path: Path) -> None:
    two = trajectories(tmp_path, 2)  # writes checkpoints after step 20
    one = trajectories(tmp_path, 1)  # goes on from them

    assert list(one) == ["muon", "adamw"]
    for kind, losses in one.items():
        apart = [abs(a - b) for a, b in zip(losses, two[kind], strict=True)]
        assert len(apart) == 25
        assert losses[0] > 1.15 * losses[19], "it learns, so the comparison means something"
        assert max(apart) < 5e-5
