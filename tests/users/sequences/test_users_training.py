"""The shared loop: accumulation, resuming after a kill, patience, and steps that must not be taken."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from malmoi.core.errors import Conflict, MalmoiError
from malmoi.core.stage import SilentProgress
from malmoi.users.base import FitContext
from malmoi.users.sequences import training_state
from malmoi.users.sequences.training import TrainingSettings, Watch, fit

FAST = TrainingSettings(num_steps=12, learning_rate=0.05, validate_every=3, save_seconds=0, precision="fp32")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Line:
    """y = 2x - 1 by a layer of 4 with dropout; the batch of 8 comes in `pieces` parts."""

    def __init__(self, *, pieces: int = 1, dropout: float = 0.0, die_at: int | None = None) -> None:
        torch.manual_seed(3)
        self.module = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 1))
        self.batch_size = 8
        self.validations = 0
        self._pieces = pieces
        self._die_at = die_at

    def parts(self, step: int) -> Sequence[Tensor]:
        if step == self._die_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
        return list(x.chunk(self._pieces))

    def loss(self, part: Tensor) -> Mapping[str, Tensor]:
        return {"loss": (self.module(part) - (2 * part - 1)).square().sum() / 8}

    def validate(self) -> Mapping[str, float]:
        self.validations += 1
        torch.randn(5)  # a validation that draws random numbers disturbs nothing
        x = torch.linspace(-1, 1, 9)[:, None]
        return {"error": float((self.module(x) - (2 * x - 1)).detach().square().mean())}


def _context(work: Path, **more: object) -> FitContext:
    return FitContext(work=work, home=work, seed=1, **more)  # type: ignore[arg-type]


def _weights(line: Line) -> list[Tensor]:
    return [parameter.detach() for parameter in line.module.parameters()]


def test_a_fit_learns_and_holds_the_best_weights(tmp_path: Path) -> None:
    line = Line()
    before = line.validate()["error"]
    settings = FAST.model_copy(update={"num_steps": 300, "validate_every": 50, "save_seconds": 1e9})
    trained = fit(line, settings, _context(tmp_path), watch=Watch("error", "lower"))
    assert trained.best_figure is not None
    assert trained.best_figure < before / 20
    assert line.validate()["error"] == pytest.approx(trained.best_figure, rel=1e-6)
    assert not line.module.training
    rows = [json.loads(row) for row in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "grad_norm", "rate", "examples_per_second"} <= rows[0].keys()
    assert [row["step"] for row in rows if "validation_error" in row] == [50, 100, 150, 200, 250, 300]


def test_one_micro_batch_of_8_equals_8_of_1(tmp_path: Path) -> None:
    whole, cut = Line(), Line(pieces=8)
    fit(whole, FAST, _context(tmp_path / "whole"))
    fit(cut, FAST, _context(tmp_path / "cut"))
    for one, other in zip(_weights(whole), _weights(cut), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("die_at", [1, 5, 11])
def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path, die_at: int) -> None:
    watch = Watch("error", "lower")
    straight, resumed = Line(dropout=0.3), Line(dropout=0.3)
    fit(straight, FAST, _context(tmp_path / "straight"), watch=watch)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(dropout=0.3, die_at=die_at), FAST, _context(tmp_path / "killed"), watch=watch)
    fit(resumed, FAST, _context(tmp_path / "killed"), watch=watch)
    assert all(torch.equal(a, b) for a, b in zip(_weights(straight), _weights(resumed), strict=True))

    def figures(name: str) -> list[dict[str, float]]:
        rows = [json.loads(row) for row in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k != "examples_per_second"} for row in rows]

    assert figures("straight") == figures("killed")


def test_another_seed_gives_other_dropout(tmp_path: Path) -> None:
    one, other = Line(dropout=0.3), Line(dropout=0.3)
    fit(one, FAST, _context(tmp_path / "one"))
    fit(other, FAST, FitContext(work=tmp_path / "other", home=tmp_path, seed=2))
    assert not torch.equal(_weights(one)[0], _weights(other)[0])


def test_a_finished_fit_is_not_done_again(tmp_path: Path) -> None:
    first, again = Line(), Line(die_at=0)
    fit(first, FAST, _context(tmp_path))
    trained = fit(again, FAST, _context(tmp_path))
    assert trained.steps == 12
    assert all(torch.equal(a, b) for a, b in zip(_weights(first), _weights(again), strict=True))


def test_patience_ends_a_fit_that_gets_no_better(tmp_path: Path) -> None:
    class Worse(Line):
        def validate(self) -> Mapping[str, float]:
            self.validations += 1
            return {"error": float(self.validations)}

    line = Worse()
    settings = FAST.model_copy(update={"num_steps": 1000, "patience": 6})
    trained = fit(line, settings, _context(tmp_path), watch=Watch("error", "lower"))
    assert (trained.steps, trained.best_step, trained.best_figure) == (9, 3, 1.0)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    fit(Line(), FAST, _context(tmp_path), identity={"logs": "a"})
    with pytest.raises(Conflict, match="other settings or logs"):
        fit(Line(), FAST, _context(tmp_path), identity={"logs": "b"})
    (tmp_path / training_state.FILE).write_bytes(b"no tensors")
    with pytest.raises(Conflict, match="no checkpoint"):
        fit(Line(), FAST, _context(tmp_path), identity={"logs": "a"})


def test_a_loss_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    class Broken(Line):
        def loss(self, part: Tensor) -> Mapping[str, Tensor]:
            return {"loss": super().loss(part)["loss"] * math.inf}

    line = Broken()
    before = [weight.clone() for weight in _weights(line)]
    with pytest.raises(MalmoiError, match="step 1 of 12 cannot be taken: its loss is inf"):
        fit(line, FAST, _context(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(before, _weights(line), strict=True))


def test_the_checkpoint_holds_tensors_and_json(tmp_path: Path) -> None:
    fit(Line(), FAST, _context(tmp_path, progress=SilentProgress()))
    with safe_open(tmp_path / training_state.FILE, framework="pt") as file:
        assert json.loads(file.metadata()["state"])["finished"] is True
        assert {name.split(".")[0] for name in file.keys()} == {"model", "optimizer", "best"}  # noqa: SIM118
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_frozen_weights_stay_and_are_not_saved(tmp_path: Path) -> None:
    line = Line()
    frozen = line.module[0].weight.requires_grad_(False)
    before = frozen.clone()
    fit(line, FAST, _context(tmp_path))
    assert torch.equal(frozen, before)
    with safe_open(tmp_path / training_state.FILE, framework="pt") as file:
        assert "model.0.weight" not in file.keys()  # noqa: SIM118
