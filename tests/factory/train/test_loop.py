import json
import math
from pathlib import Path

import pytest
import torch
from training_fakes import CountingBatches, Plain, TinyModel, tiny_loss

from malmoi.core.errors import MalmoiError
from malmoi.core.stage import StageContext
from malmoi.core.store import Store
from malmoi.factory.train.checkpoint import Checkpoints
from malmoi.factory.train.loop import Hooks, LoopSettings, Meter, duration, fit, hash_numbers
from malmoi.factory.train.precision import choose_precision
from malmoi.factory.train.schedule import ScheduleSettings

CONSTANT = ScheduleSettings(kind="constant", warmup_steps=0)


def context_at(folder: Path, seed: int = 0) -> StageContext:
    folder.mkdir(exist_ok=True)
    return StageContext(store=Store(folder / "store"), name="fit", work=folder, seed=seed, home=folder)


def weights(model: TinyModel) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(folder: Path, *, micro: int = 1, loss=tiny_loss, checkpoints=None, hooks=None, **settings):
    model, batches = TinyModel(), CountingBatches(micro)
    given = {"num_steps": 12, "schedule": CONSTANT, **settings}
    context = context_at(folder)
    state = fit(
        model,
        batches,
        loss,
        LoopSettings(**given),
        context,
        optimizer=Plain(model),
        checkpoints=checkpoints,
        hooks=hooks,
    )
    return model, state, list(context.metrics.read()), batches


def test_it_learns_and_logs_every_step(tmp_path):
    _, state, rows, _ = train(tmp_path, num_steps=40)
    assert state.step == 40
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.3
    assert rows[0]["loss"] == pytest.approx(math.log(48), rel=0.1)
    assert rows[-1]["tokens"] == state.tokens
    assert set(rows[0]) >= {"loss", "grad_norm", "rate", "tokens", "seconds", "tokens_per_second"}


def test_one_micro_batch_of_eight_equals_eight_of_one(tmp_path):
    whole, _, rows_whole, _ = train(tmp_path / "a", micro=1)
    split, _, rows_split, _ = train(tmp_path / "b", micro=8)
    assert torch.allclose(weights(whole), weights(split), atol=1e-6, rtol=0)
    for a, b in zip(rows_whole, rows_split, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], abs=1e-6)


def test_the_loss_is_the_mean_over_targets_not_over_micro_batches(tmp_path):
    # Micro-batches differ in their number of targets, so a mean of means would not be this.
    _, _, rows, batches = train(tmp_path, micro=8, num_steps=1)
    group = batches.step(0)
    assert len({batch.num_targets for batch in group}) > 1
    with torch.no_grad():
        sums = [tiny_loss(TinyModel(), batch) for batch in group]
    expected = sum(float(loss) for loss, _ in sums) / sum(count for _, count in sums)
    assert rows[0]["loss"] == pytest.approx(expected, abs=1e-6)
    assert rows[0]["tokens"] == sum(batch.num_targets for batch in group)


def test_gradients_are_shortened_to_the_greatest_norm(tmp_path):
    free, _, rows, _ = train(tmp_path / "a", num_steps=1, max_norm=0.0)
    norm = rows[0]["grad_norm"]
    clipped, _, _, _ = train(tmp_path / "b", num_steps=1, max_norm=norm / 4)
    start = weights(TinyModel())
    ratio = (weights(free) - start).norm() / (weights(clipped) - start).norm()
    assert float(ratio) == pytest.approx(4.0, rel=1e-4)


def test_the_schedule_sets_the_rate(tmp_path):
    _, _, rows, _ = train(tmp_path, schedule=ScheduleSettings(kind="cosine", warmup_steps=3))
    rates = [row["rate"] for row in rows]
    assert rates[0] < rates[2] < 1.0
    assert rates[3] > rates[6] > rates[11] > 0.0


class BadAt:
    """The loss is not finite in the given steps, which are told by the sum of their ids."""

    def __init__(self, *steps: int, value: float = float("nan")) -> None:
        self.sums = {int(CountingBatches().step(step)[0].input_ids.sum()) for step in steps}
        self.value = value

    def __call__(self, model, batch):
        loss, count = tiny_loss(model, batch)
        return (loss * self.value if int(batch.input_ids.sum()) in self.sums else loss), count


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path, value):
    seen = []

    class Watched(Plain):
        def step(self):
            super().step()
            seen.append(weights(model).clone())

    model = TinyModel()
    settings = LoopSettings(num_steps=12, schedule=CONSTANT)
    with pytest.raises(MalmoiError, match=r"step 5 of 12 .* loss is") as caught:
        fit(
            model,
            CountingBatches(),
            BadAt(4, value=value),
            settings,
            context_at(tmp_path),
            optimizer=Watched(model),
        )
    assert "skip_bad_steps" in str(caught.value)
    assert len(seen) == 4
    assert torch.equal(weights(model), seen[-1])


def test_bad_steps_can_be_left_out(tmp_path):
    model, state, rows, _ = train(tmp_path, loss=BadAt(4, 7), skip_bad_steps=2)
    assert (state.step, state.skipped) == (12, 2)
    assert torch.isfinite(weights(model)).all()
    assert "loss" in rows[3]
    assert "loss is nan" in rows[4]["skipped"]
    with pytest.raises(MalmoiError, match="step 8"):
        train(tmp_path / "one", loss=BadAt(4, 7), skip_bad_steps=1)


def test_an_infinite_gradient_of_a_finite_loss_is_found(tmp_path):
    def loss(model, batch):
        loss, count = tiny_loss(model, batch)
        steep = model.head.flatten()[0] - model.head.detach().flatten()[0]
        return loss + torch.sqrt(steep), count  # the slope of a root at 0

    with pytest.raises(MalmoiError, match=r"step 1 of 12 .*gradient"):
        train(tmp_path, loss=loss)


def test_a_step_without_targets_is_refused(tmp_path):
    def loss(model, batch):
        return tiny_loss(model, batch)[0] * 0.0, 0

    with pytest.raises(MalmoiError, match="nothing to learn"):
        train(tmp_path, loss=loss)


def test_evaluation_and_samples_disturb_nothing(tmp_path):
    def noisy(model, batch):  # like dropout: depends on torch's generator
        loss, count = tiny_loss(model, batch)
        return loss * (1.0 + 0.1 * torch.rand(())), count

    shaken = Hooks(
        evaluate=lambda step: {"drawn": float(torch.rand(100).sum())},
        sample=lambda step: f"text {float(torch.randn(7).sum()):.3f}",
    )
    quiet, _, _, _ = train(tmp_path / "a", loss=noisy)
    loud, _, rows, _ = train(tmp_path / "b", loss=noisy, hooks=shaken, evaluate_every=3, sample_every=5)
    assert torch.equal(weights(quiet), weights(loud))
    assert [row["step"] for row in rows if "drawn" in row] == [3, 6, 9]
    assert [row["step"] for row in rows if "sample" in row] == [5, 10]


def test_an_interrupted_run_ends_in_the_same_bits(tmp_path):
    def noisy(model, batch):
        loss, count = tiny_loss(model, batch)
        return loss * (1.0 + 0.1 * torch.rand(())), count

    class Killed(Exception):
        pass

    def stop_at(step):
        def before(number):
            if number == step:
                raise Killed

        return Hooks(before_step=before)

    straight, _, rows_straight, _ = train(tmp_path / "straight", loss=noisy)
    folder = tmp_path / "broken"
    for step in (2, 5, 9, 11):
        with pytest.raises(Killed):
            train(
                folder,
                loss=noisy,
                save_every=3,
                checkpoints=Checkpoints(folder / "c", {}),
                hooks=stop_at(step),
            )
    again, state, rows, batches = train(
        folder, loss=noisy, save_every=3, checkpoints=Checkpoints(folder / "c", {})
    )
    assert batches.asked == [9, 10, 11]
    assert state.step == 12
    assert torch.equal(weights(straight), weights(again))
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["loss"] for row in rows] == [row["loss"] for row in rows_straight]
    # What is finished already is not trained again.
    finished, _, _, batches = train(folder, loss=noisy, checkpoints=Checkpoints(folder / "c", {}))
    assert batches.asked == []
    assert torch.equal(weights(finished), weights(straight))


def test_the_meter_gives_utilisation_and_energy(tmp_path):
    model = TinyModel()
    context = context_at(tmp_path)
    meter = Meter(flops_per_token=lambda step: 1000.0, peak_flops=1e9, joules=lambda seconds: 20 * seconds)
    fit(
        model,
        CountingBatches(),
        tiny_loss,
        LoopSettings(num_steps=2),
        context,
        optimizer=Plain(model),
        meter=meter,
    )
    row = json.loads(context.metrics.path.read_text().splitlines()[0])
    assert row["mfu"] == pytest.approx(row["tokens_per_second"] * 1000 / 1e9)
    assert row["joules"] == pytest.approx(20 * row["seconds"])


def test_random_numbers_of_steps_differ():
    assert len({hash_numbers(s, n, r) for s in range(5) for n in range(5) for r in range(5)}) == 125
    assert hash_numbers(1, 2, 3) == hash_numbers(1, 2, 3)
    assert 0 <= hash_numbers(2**31, 10**9, 64) < 2**63


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.6, "1m 00s"), (725, "12m 05s"), (12_000, "3h 20m")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_precision_is_bf16_only_where_the_processor_has_it(monkeypatch):
    device = torch.device("cpu")
    for has, chosen in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert choose_precision("auto", device) == chosen
        assert choose_precision("fp32", device) == "fp32"
        assert choose_precision("bf16", device) == "bf16"
