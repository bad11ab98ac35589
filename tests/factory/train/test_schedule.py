from itertools import pairwise

import pytest
from pydantic import ValidationError

from malmoi.core.errors import InvalidInput
from malmoi.factory.train.schedule import ScheduleSettings, rate_at, warmup_steps


def rates(num_steps: int, **settings: object) -> list[float]:
    chosen = ScheduleSettings(**settings)  # type: ignore[arg-type]
    return [rate_at(step, num_steps, chosen) for step in range(num_steps)]


def test_wsd_warms_up_stays_and_decays_in_a_straight_line() -> None:
    got = rates(20, warmup_share=0.2, decay_share=0.4)

    assert got[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert got[4:12] == [1.0] * 8
    steps = [a - b for a, b in pairwise(got[11:])]
    assert steps == pytest.approx([1 / 9] * 8)
    assert got[-1] == pytest.approx(1 / 9)


def test_a_stable_run_made_longer_keeps_its_beginning() -> None:
    short = rates(100, warmup_steps=5, decay_share=0.2)
    long = rates(200, warmup_steps=5, decay_share=0.1)

    assert short[:80] == long[:80]


def test_the_sqrt_decay_falls_faster_at_first() -> None:
    line = rates(100, decay_share=0.5)
    root = rates(100, decay_share=0.5, decay_shape="sqrt")

    assert all(r < s for r, s in zip(root[51:99], line[51:99], strict=True))
    assert root[-1] > 0.0


def test_cosine_is_at_the_middle_between_its_ends_halfway() -> None:
    got = rates(101, kind="cosine", warmup_steps=0, final_share=0.1)

    assert got[50] == pytest.approx(0.55, abs=1e-3)
    assert got == sorted(got, reverse=True)
    assert got[-1] == pytest.approx(0.1, abs=1e-3)


def test_constant_stays_after_its_warm_up() -> None:
    assert rates(4, kind="constant", warmup_steps=1) == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", ["wsd", "cosine", "constant"])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 7])
def test_every_step_of_a_short_run_learns(kind: str, num_steps: int) -> None:
    for final_share in (0.0, 0.1):
        got = rates(num_steps, kind=kind, warmup_share=0.3, decay_share=0.5, final_share=final_share)
        assert all(0.0 < rate <= 1.0 for rate in got), got


def test_the_final_share_is_the_floor() -> None:
    assert min(rates(50, final_share=0.2)) >= 0.2


def test_a_warm_up_longer_than_the_run_only_climbs() -> None:
    got = rates(5, warmup_steps=50)

    assert got == sorted(got)
    assert warmup_steps(5, ScheduleSettings(warmup_steps=50)) == 50


def test_parts_longer_than_the_run_are_refused() -> None:
    with pytest.raises(ValidationError, match="more than the whole run"):
        ScheduleSettings(warmup_share=0.6, decay_share=0.6)


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(InvalidInput, match=f"step {step} is not in a run of 10 steps"):
        rate_at(step, 10, ScheduleSettings())


def test_a_run_without_steps_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no schedule"):
        rate_at(0, 0, ScheduleSettings())
