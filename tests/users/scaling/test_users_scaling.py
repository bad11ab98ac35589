"""The scaling study: the law, the pool, the runs and the report."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput
from malmoi.core.store import Store
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.logs import History, Items, Logs
from malmoi.users.scaling import study
from malmoi.users.scaling.pool import build_pool, pool_losses
from malmoi.users.scaling.power_law import fit_power_law, fit_with_interval
from malmoi.users.scaling.report import build_report, render_table, write_report
from malmoi.users.scaling.study import Place, ScalingSettings, places, run_study


@pytest.mark.parametrize(("a", "b", "c"), [(0.2, 0.3, 0.05), (0.1, 0.8, 0.0), (0.3, 0.15, 0.1)])
def test_a_law_is_found_again(a: float, b: float, c: float):
    compute = np.geomspace(1e9, 1e13, 8)
    law = fit_power_law(compute, a * (compute / 1e11) ** -b + c)
    assert law.b == pytest.approx(b, abs=0.02)
    assert law.c == pytest.approx(c, abs=0.01)
    np.testing.assert_allclose(law(compute), a * (compute / 1e11) ** -b + c, rtol=1e-3)


def test_the_interval_holds_the_exponent():
    random = np.random.default_rng(0)
    compute = np.geomspace(1e9, 1e12, 6)
    truth = 0.05 * (compute / 1e10) ** -0.4 + 0.02
    losses = [np.clip(value * random.gamma(4, 0.25, (2, 400)), 1e-6, 1) for value in truth]
    law = fit_with_interval(compute, losses, resamples=60)
    low, high = law.b_interval
    assert low < 0.4 < high
    assert high - low < 0.5
    assert fit_with_interval(compute, losses, resamples=60) == law


def test_too_few_points_make_no_law():
    with pytest.raises(InvalidInput, match="four points"):
        fit_power_law([1, 2, 3], [0.3, 0.2, 0.1])
    with pytest.raises(InvalidInput, match="positive"):
        fit_power_law([1, 2, 3, 4], [0.3, 0.2, 0.1, 0.0])


def many_logs(users: int = 100) -> Logs:
    """Users with one of four interests, each twice in both services."""
    texts = tuple(f"{service} {interest} {n}" for service in "ab" for interest in range(4) for n in range(3))
    service = np.repeat([0, 1], 12).astype(np.int16)
    items = Items(tuple(map(str, range(24))), texts, ("a", "b"), service)
    random = np.random.default_rng(0)
    rows = [[i * 3 + random.integers(3), i * 3 + random.integers(3), 12 + i * 3 + random.integers(3)]
            for i in random.integers(0, 4, users)]  # fmt: skip
    offsets = np.arange(0, 3 * users + 1, 3)
    return Logs(tuple(map(str, range(users))), items, offsets, np.array(rows, dtype=np.int32).ravel())


class Knowing:
    """A model that knows the interest, beside some noise; with none, everything is equal."""

    kind: ClassVar[str] = "knowing"
    settings_type: ClassVar[type[UserModelSettings]] = UserModelSettings

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.facts = {"flops": 1e9 / (0.01 + noise), "weights_of_blocks": 7}

    def contrast(self, histories: list[History]) -> np.ndarray:
        vectors = np.eye(4)[[int(history.texts[0].split()[1]) for history in histories]]
        random = np.random.default_rng(len(histories[0].texts))
        return (vectors + self.noise * random.normal(size=vectors.shape)).astype(np.float32)


def test_the_pool_is_the_same_two_services_of_all():
    pool = build_pool(many_logs(), size=50)
    assert len(pool.rows) == 50
    assert {text[0] for history in pool.a for text in history.texts} == {"a"}
    assert {text[0] for history in pool.b for text in history.texts} == {"b"}
    assert build_pool(many_logs(), size=50).rows.tolist() == pool.rows.tolist()
    with pytest.raises(InvalidInput, match="two services"):
        build_pool(many_logs(10), size=50)


def test_losses_are_shares_of_others_before_the_own():
    pool = build_pool(many_logs(), size=80)
    losses = pool_losses(Knowing(0.0), pool)
    interest = np.array([history.texts[0].split()[1] for history in pool.a])
    equals = np.array([(interest == own).sum() - 1 for own in interest])
    np.testing.assert_allclose(losses, equals / 2 / 79)  # equals count half
    assert losses.mean() < pool_losses(Knowing(2.0), pool).mean() < 0.5


def test_the_grid_has_sizes_by_batches_then_lines():
    settings = ScalingSettings(
        widths=(8, 16, 32, 64), batch_sizes=(4, 8), histories=(2, 32), shares=(0.5, 1.0)
    )
    found = list(places(settings))
    assert len(found) == 8 + 1 + 1
    assert found[-2:] == [Place(32, 8, 2, 1.0, 0), Place(32, 8, 32, 0.5, 0)]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Runs that were made; a wider model is less noisy. The real model is trained in the tests of CLUE."""
    made = []

    class Kind(Knowing):
        @classmethod
        def fit(cls, settings: Any, logs: Logs, context: FitContext) -> Knowing:
            made.append((settings, len(logs)))
            return Knowing(20 / settings.width)

    class Settings(UserModelSettings):
        width: int

    Kind.settings_type = Settings
    monkeypatch.setattr(study, "build_user_models", lambda: {"clue": Kind})
    monkeypatch.setattr(study, "model_settings", lambda place, settings, kind: kind(width=place.width))
    return made


SMALL = ScalingSettings(
    widths=(8, 16, 32, 64), batch_sizes=(4, 8), histories=(2,), shares=(0.5,), pool=40, num_steps=1
)


def test_a_study_goes_on_where_it_was(tmp_path: Path, fits: list[Any], monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path / "store")
    whole = study._run

    def stop(place: Place, *rest: Any) -> None:
        if place.width == 32:
            raise KeyboardInterrupt
        whole(place, *rest)

    monkeypatch.setattr(study, "_run", stop)
    with pytest.raises(KeyboardInterrupt):
        run_study(many_logs(200), SMALL, store=store, home=tmp_path)
    assert len(fits) == 2
    monkeypatch.setattr(study, "_run", whole)
    points = run_study(many_logs(200), SMALL, store=store, home=tmp_path)
    assert len(fits) == len(points) == 10
    again = run_study(many_logs(200), SMALL, store=store, home=tmp_path)
    assert len(fits) == 10
    assert [point.losses.tolist() for point in again] == [point.losses.tolist() for point in points]
    larger = SMALL.model_copy(update={"widths": (8, 16, 32, 64, 128)})
    run_study(many_logs(200), larger, store=store, home=tmp_path)
    assert len(fits) == 12  # the new width at both batch sizes
    assert {users for _, users in fits} == {160, 80}


def test_the_report_has_a_law_for_each_batch_size(tmp_path: Path, fits: list[Any]):
    points = run_study(many_logs(200), SMALL, store=Store(tmp_path / "store"), home=tmp_path)
    report = build_report(points, SMALL)
    assert set(report["laws"]) == {"4", "8"}
    assert len(report["runs"]) == 10
    best, worst = report["runs"][3], report["runs"][0]
    assert best["auc"] > worst["auc"]
    assert best["mean_rank"] == pytest.approx(1 + best["loss"] * 39)
    assert "Batch 8: L =" in render_table(report)
    write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.loads((tmp_path / "report.json").read_text())["pool_users"] == 40


def test_heads_that_do_not_fit_are_told():
    from malmoi.users.scaling.study import model_settings

    with pytest.raises(InvalidInput, match="3 heads do not divide the width 16"):
        model_settings(Place(16, 4, 8, 1.0, 0), ScalingSettings(heads=3), UserModelSettings)
