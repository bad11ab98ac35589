"""Draw users and their events from the rules of a simulated company.

All users go forward together, one event at a time, so that a million events take a second or two.

N users, M items, L events of the most active user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import Logs
from malmoi.users.simulate.best import Best
from malmoi.users.simulate.settings import SimulationSettings
from malmoi.users.simulate.texts import ItemText, with_texts
from malmoi.users.simulate.world import SUCCESSORS, World, build_world, draw_items

BEGIN = 1_735_689_600  # 1 January 2025, UTC
DAY = 86_400


@dataclass(frozen=True)
class Simulation:
    """What was drawn, and what is known about it.

    Attributes:
        logs: of all users.
        best: ranks by the true chance of each item given the history; on average no model ranks better.
        traits: of each user, (N,): `booking` and `campaign` (bool) and `region` (names), by the kind of
            person that the user is at the end.
        cold_items: which items are new and therefore rare, (M,).
    """

    logs: Logs
    best: Best
    traits: Mapping[str, NDArray[np.bool_] | NDArray[np.str_]]
    cold_items: NDArray[np.bool_]


def simulate(settings: SimulationSettings, texts: Sequence[ItemText] | None = None) -> Simulation:
    """Draw logs; the same for the same settings.

    Args:
        settings: how large the company is, and how its users behave.
        texts: for its items; None: made-up ones. They change nothing else.

    Raises:
        InvalidInput: there are too few texts.
    """
    world = build_world(settings)
    if texts is not None:
        world = with_texts(world, texts)
    random = np.random.default_rng([settings.seed, 2])
    least = max(2, settings.events // 4)
    lengths = random.integers(least, max(settings.most_events, least) + 1, settings.users)
    events, kinds = _draw_events(world, lengths, random)
    return Simulation(
        logs=_gather(world, lengths, events, random),
        best=Best(world),
        traits=_draw_traits(world, kinds, random),
        cold_items=world.cold,
    )


def _draw_events(
    world: World, lengths: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Items (N, L), and the last kind of each user (N,)."""
    settings = world.settings
    count, longest = len(lengths), int(lengths.max())
    events = np.full((count, longest), -1, dtype=np.int32)
    kinds = random.integers(0, settings.types, count)
    for step in range(longest):
        waiting = np.flatnonzero(lengths > step)
        changed = waiting[random.random(len(waiting)) < settings.change]
        kinds[changed] = random.integers(0, settings.types, len(changed))
        while len(waiting):
            last = events[waiting, step - 1] if step else np.full(len(waiting), -1)
            drawn = _draw_step(world, kinds[waiting], last, random)
            again = (events[waiting, :step] == drawn[:, None]).any(axis=1)
            events[waiting[~again], step] = drawn[~again]
            waiting = waiting[again]
    return events, kinds


def _draw_step(
    world: World, kinds: NDArray[np.int64], last: NDArray[np.int32], random: np.random.Generator
) -> NDArray[np.int64]:
    """The next item of each user, done before or not; `last` is -1 where there was none."""
    settings, count, began = world.settings, len(kinds), last >= 0
    interest = _choose(world.mixes[kinds], random)
    service = _choose(np.broadcast_to(world.shares, (count, len(world.shares))), random)
    stays = began & (random.random(count) < settings.stay)
    interest[stays] = world.interest[last[stays]]
    stays = began & (random.random(count) < settings.stay_service)
    service[stays] = world.service[last[stays]]
    drawn = draw_items(random, service * settings.interests + interest, world.cell, world.popularity)
    same = began & (interest == world.interest[last]) & (service == world.service[last])
    follows = same & (random.random(count) < settings.follow)
    which = random.choice(len(SUCCESSORS), size=count, p=SUCCESSORS)
    drawn[follows] = world.successors[last[follows], which[follows]]
    return drawn


def _choose(chances: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """One column of each row by its chances."""
    summed = np.cumsum(chances, axis=1)
    at = random.random(len(chances)) * summed[:, -1]
    return np.minimum((summed <= at[:, None]).sum(axis=1), chances.shape[1] - 1)


def _gather(
    world: World, lengths: NDArray[np.int64], events: NDArray[np.int32], random: np.random.Generator
) -> Logs:
    """The table of events as logs, each user somewhere in a year, a few days between events."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    gaps = 60 + random.exponential(3 * DAY, int(offsets[-1])).astype(np.int64)
    gaps[offsets[:-1]] = random.integers(0, 365 * DAY, len(lengths))
    summed = np.cumsum(gaps)
    before = np.concatenate([[0], summed])[offsets[:-1]]
    width = max(6, len(str(len(lengths))))
    return Logs(
        users=tuple(f"u{number:0{width}d}" for number in range(len(lengths))),
        items=world.items,
        offsets=offsets,
        events=events[events >= 0],
        times=BEGIN + summed - np.repeat(before, lengths),
    )


def _draw_traits(
    world: World, kinds: NDArray[np.int64], random: np.random.Generator
) -> dict[str, NDArray[np.bool_] | NDArray[np.str_]]:
    count, noise = len(kinds), world.settings.noise

    def answers(chance: NDArray[np.float64]) -> NDArray[np.bool_]:
        # Steeper than the chances themselves, so that the trait can be told from behaviour.
        steep = 1 / (1 + np.exp(-12 * (chance - chance.mean())))
        blurred = np.where(random.random(count) < noise, 0.5, steep[kinds])
        return np.asarray(random.random(count) < blurred)

    region = np.where(
        random.random(count) < max(noise, 0.25),
        random.integers(0, len(world.regions), count),
        world.home[kinds],
    )
    return {
        "booking": answers(world.booking),
        "campaign": answers(world.campaign),
        "region": np.array(world.regions)[region],
    }
