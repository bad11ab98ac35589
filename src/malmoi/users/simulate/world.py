"""The rules of a simulated company: its items, who likes what, and what follows what.

An item belongs to one cell, a pair of service and interest. A user is of a kind, which mixes interests. From
event to event the interest and the service stay or are drawn anew; the item is drawn from the cell by
popularity, or is a successor of the item before. Nobody does the same twice: what was done is drawn again.

M items, K interests, S services, T kinds of people.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import Items
from malmoi.users.simulate.settings import SimulationSettings

Array = NDArray[np.float64]

SUCCESSORS = (0.6, 0.3, 0.1)
"""How likely each of an item's successors is, where one is drawn."""
MAIN = (0.5, 0.3, 0.2)
"""How a kind's three main interests share its focus."""
COLD = 0.05


@dataclass(frozen=True)
class World:
    """Everything that is drawn once.

    Attributes:
        settings: of the simulation.
        items: all of them, in order of their cells.
        interest: of each item, (M,).
        service: of each item, in order of `settings.services`, (M,).
        popularity: of each item within its cell, (M,); sums to 1 over a cell.
        cold: which items are new, (M,).
        successors: of each item, (M, 3).
        shares: of the services, where one is drawn, (S,).
        mixes: how each kind of person mixes interests, (T, K).
        booking: chance of each kind to book a trip, (T,).
        campaign: chance of each kind to answer a campaign, (T,).
        home: region of each kind, (T,).
        regions: their names.
    """

    settings: SimulationSettings
    items: Items
    interest: NDArray[np.int64]
    service: NDArray[np.int64]
    popularity: Array
    cold: NDArray[np.bool_]
    successors: NDArray[np.int64]
    shares: Array
    mixes: Array
    booking: Array
    campaign: Array
    home: NDArray[np.int64]
    regions: tuple[str, ...]

    @property
    def cell(self) -> NDArray[np.int64]:
        """Number of each item's cell, (M,), never falling."""
        return self.service * self.settings.interests + self.interest


def build_world(settings: SimulationSettings) -> World:
    """Draw the rules; the same for the same settings, whatever the number of users and events."""
    random = np.random.default_rng([settings.seed, 1])
    services, interests = _read("services"), _read("interests")["interests"][: settings.interests]
    cells = len(settings.services) * settings.interests
    cell = np.sort(np.arange(settings.items) % cells)
    service, interest = np.divmod(cell, settings.interests)
    begins = np.searchsorted(cell, np.arange(cells))
    place = np.arange(settings.items) - begins[cell]
    weight = (1.0 + place) ** -settings.skew
    cold = np.zeros(settings.items, dtype=bool)
    cold[random.permutation(settings.items)[: int(settings.cold * settings.items)]] = True
    weight[cold] *= COLD
    popularity = weight / np.bincount(cell, weight)[cell]
    shares = random.dirichlet(np.full(len(settings.services), 8.0))
    mixes = np.full((settings.types, settings.interests), (1 - settings.focus) / settings.interests)
    for mix in mixes:
        chosen = random.permutation(settings.interests)[: len(MAIN)]
        mix[chosen] += settings.focus * np.array(MAIN[: len(chosen)]) / sum(MAIN[: len(chosen)])
    successors = np.stack([draw_items(random, cell, cell, popularity) for _ in SUCCESSORS], axis=1)
    regions = tuple(services["regions"])
    return World(
        settings=settings,
        items=_name_items(settings, services, interests, service, interest, place),
        interest=interest,
        service=service,
        popularity=popularity,
        cold=cold,
        successors=successors,
        shares=shares,
        mixes=mixes,
        booking=mixes @ np.array([one["booking"] for one in interests]),
        campaign=mixes @ np.array([one["campaign"] for one in interests]),
        home=random.integers(0, len(regions), settings.types),
        regions=regions,
    )


def draw_items(
    random: np.random.Generator, wanted: NDArray[np.int64], cell: NDArray[np.int64], popularity: Array
) -> NDArray[np.int64]:
    """For each wanted cell one of its items by popularity."""
    summed = np.concatenate([[0.0], np.cumsum(popularity)])
    begin = np.searchsorted(cell, wanted)
    end = np.searchsorted(cell, wanted, side="right")
    at = summed[begin] + random.random(len(wanted)) * (summed[end] - summed[begin])
    # Rounding may put a draw on a border; it stays in its cell.
    return np.clip(np.searchsorted(summed, at, side="right") - 1, begin, end - 1)


def _name_items(
    settings: SimulationSettings,
    services: dict[str, Any],
    interests: list[dict[str, Any]],
    service: NDArray[np.int64],
    interest: NDArray[np.int64],
    place: NDArray[np.int64],
) -> Items:
    ids, texts = [], []
    for number, (s, k, n) in enumerate(zip(service.tolist(), interest.tolist(), place.tolist(), strict=True)):
        words = services[settings.services[s]]
        details, thirds, things = words["details"], words["thirds"], interests[k][settings.services[s]]
        n, thing = divmod(n, len(things))
        n, detail = divmod(n, len(details))
        again, third = divmod(n, len(thirds))
        text = words["text"].format(
            thing=things[thing],
            detail=details[(detail + thing) % len(details)],
            third=thirds[(third + detail) % len(thirds)],
        )
        ids.append(f"{settings.services[s][0]}{number:05d}")
        texts.append(f"{text} {again + 1}" if again else text)
    # `load_logs` orders services by name, so that saved logs come back the same.
    names = tuple(sorted(settings.services))
    order = np.array([names.index(name) for name in settings.services])
    return Items(tuple(ids), tuple(texts), names, order[service].astype(np.int16))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("words", f"{name}.toml").read_text(encoding="utf-8"))
