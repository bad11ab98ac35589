import itertools
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from malmoi.users.logs import History, load_logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.simulate import SimulationSettings, simulate
from malmoi.users.simulate.world import SUCCESSORS, World
from malmoi.users.splits import leave_one_out

SMALL = SimulationSettings(users=300, items=240, events=12, seed=4)


def test_the_same_settings_give_the_same_logs() -> None:
    one, two = simulate(SMALL), simulate(SMALL)
    assert one.logs.items.texts == two.logs.items.texts
    assert one.logs.events.tolist() == two.logs.events.tolist()
    assert one.traits["region"].tolist() == two.traits["region"].tolist()
    other = simulate(SMALL.model_copy(update={"seed": 5}))
    assert other.logs.events.tolist() != one.logs.events.tolist()


def test_the_rules_do_not_depend_on_the_number_of_users() -> None:
    few, many = simulate(SMALL), simulate(SMALL.model_copy(update={"users": 400}))
    assert few.logs.items.texts == many.logs.items.texts
    assert few.cold_items.tolist() == many.cold_items.tolist()


def test_nobody_does_the_same_twice_and_time_goes_on() -> None:
    logs = simulate(SMALL).logs
    assert logs.times is not None
    assert logs.lengths.min() >= 3
    assert logs.lengths.max() <= SMALL.most_events
    for user in range(len(logs)):
        sequence = logs.sequence(user)
        assert len(set(sequence.tolist())) == len(sequence)
        times = logs.history(user).times
        assert times is not None
        assert (np.diff(times) > 0).all()


def test_texts_are_korean_and_tell_items_apart() -> None:
    made = simulate(SimulationSettings(users=5, items=20_000, seed=1))
    texts = made.logs.items.texts
    assert len(set(texts)) == len(texts)
    assert any("구매" in text for text in texts)
    assert all(any("가" <= letter <= "힣" for letter in text) for text in texts)
    assert set(made.logs.items.services) == {"shop", "travel", "webtoon", "search"}


def test_saved_logs_come_back(tmp_path: Path) -> None:
    logs = simulate(SMALL).logs
    logs.save(tmp_path)
    again = load_logs(tmp_path)
    assert again.items.services == logs.items.services
    assert again.items.service.tolist() == logs.items.service.tolist()
    assert again.events.tolist() == logs.events.tolist()


def test_chances_are_those_of_the_rules_summed_over_all_that_may_be_hidden() -> None:
    """Against every path of kinds of people, one by one."""
    settings = SimulationSettings(
        users=1, items=48, events=2, types=3, interests=3, services=("shop", "search"), change=0.3, seed=7
    )
    best = simulate(settings).best
    world: World = best._world
    count = settings.items

    def step(kind: int, last: int | None) -> np.ndarray:
        interest, service = world.mixes[kind].copy(), world.shares.copy()
        if last is not None:
            interest *= 1 - settings.stay
            interest[world.interest[last]] += settings.stay
            service *= 1 - settings.stay_service
            service[world.service[last]] += settings.stay_service
        chances = np.zeros(count)
        for item in range(count):
            within = world.popularity[item]
            if last is not None and world.cell[item] == world.cell[last]:
                within *= 1 - settings.follow
                for successor, share in zip(world.successors[last], SUCCESSORS, strict=True):
                    within += settings.follow * share * (successor == item)
            chances[item] = interest[world.interest[item]] * service[world.service[item]] * within
        assert chances.sum() == pytest.approx(1)
        return chances

    seen = [int(world.successors[0][0]), 0, 30] if world.successors[0][0] != 0 else [5, 0, 30]
    expected = np.zeros(count)
    for path in itertools.product(range(3), repeat=4):
        chance = 1 / 3
        for before, after in itertools.pairwise(path):
            chance *= (1 - settings.change) * (before == after) + settings.change / 3
        for place in range(4):
            rest = step(path[place], seen[place - 1] if place else None)
            rest[seen[:place]] = 0
            rest /= rest.sum()
            if place < 3:
                chance *= rest[seen[place]]
        expected += chance * rest
    expected /= expected.sum()
    history = History(("",) * 3, np.array(seen, dtype=np.int32))
    np.testing.assert_allclose(best.chances(history), expected, rtol=1e-9, atol=1e-15)


def test_the_best_ranking_keeps_its_promise_on_what_is_drawn() -> None:
    """Items that it gives a chance of p come next in p of all cases."""
    made = simulate(SimulationSettings(users=800, items=200, events=8, seed=2))
    cases = leave_one_out(made.logs).test
    given = np.concatenate([made.best.score(histories) for _, histories in cases.batches(256)])
    truth = cases.truth
    assert given.sum(axis=1) == pytest.approx(1, abs=1e-4)
    for low, high in [(0.0, 0.01), (0.01, 0.05), (0.05, 0.2), (0.2, 1.0)]:
        inside = (given >= low) & (given < high)
        came = inside[np.arange(len(truth)), truth].sum()
        promised = given[inside].sum()
        assert abs(came - promised) < 4 * np.sqrt(promised) + 1
    assert ndcg(rank_cases(made.best, cases)) > 0.15


def test_new_items_are_rare() -> None:
    made = simulate(SimulationSettings(users=1000, items=400, cold=0.2, seed=3))
    counts = np.bincount(made.logs.events, minlength=400)
    assert made.cold_items.sum() == 80
    assert counts[made.cold_items].mean() < 0.2 * counts[~made.cold_items].mean()


def test_traits_follow_behaviour() -> None:
    made = simulate(SimulationSettings(users=3000, seed=6, noise=0.1))
    booking, region = made.traits["booking"], made.traits["region"]
    assert booking.dtype == bool
    assert 0.2 < booking.mean() < 0.8
    assert len(set(region.tolist())) == 6
    # Campers book, gamers do not: their recent items tell which is which.
    interest = made.best._world.interest[made.logs.events[made.logs.offsets[1:] - 1]]
    assert booking[interest == 0].mean() > booking[interest == 5].mean() + 0.15


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"services": ("shop", "bank")}, "services are"),
        ({"items": 60, "events": 40}, "nobody does the same twice"),
        ({"surprise": 1}, "Extra inputs"),
    ],
    ids=["service", "items", "unknown"],
)
def test_settings_that_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationSettings.model_validate(values)
