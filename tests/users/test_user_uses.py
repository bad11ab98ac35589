"""The four uses: what is cut out of the logs, and that each ends in figures of the right people."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from malmoi.cli.users import users
from malmoi.core.errors import UnknownName
from malmoi.users.simulate import SimulationSettings, simulate
from malmoi.users.uses import USES, run_use
from malmoi.users.uses.company import halves, last_at, of_services
from malmoi.users.uses.items import _first_visits

TINY = {
    "batch_size": 32,
    "vocab_size": 450,
    "encoder": {"width": 16, "heads": 2, "item_layers": 1, "service_layers": 1, "projected": 16},
    "training": {"num_steps": 4},
    "head": {"hidden": 16, "size": 16, "training": {"num_steps": 5}},
}


@pytest.fixture(scope="module")
def company():
    return simulate(SimulationSettings(users=60, items=100, events=10, seed=5))


def test_services_are_cut_out_of_everybodys_past(company) -> None:
    logs = of_services(company.logs, ("shop", "search"))
    for user in range(len(logs)):
        whole = company.logs.history(user)
        names = [company.logs.items.services[number] for number in company.logs.items.service[whole.items]]
        kept = [text for text, name in zip(whole.texts, names, strict=True) if name in ("shop", "search")]
        assert list(logs.history(user).texts) == kept
    assert logs.times is not None
    assert len(logs.times) == logs.num_events


def test_a_case_asks_for_the_last_event_at_the_service(company) -> None:
    cases = last_at(company.logs, "webtoon")
    number = company.logs.items.services.index("webtoon")
    assert set(company.logs.items.service[cases.truth]) == {number}
    for case in range(len(cases)):
        assert len(cases.history(case)) > 0
        later = company.logs.sequence(int(cases.user[case]))
        after = later[int(cases.at[case] - company.logs.offsets[cases.user[case]]) + 1 :]
        assert number not in company.logs.items.service[after]


def test_a_new_shop_sees_nothing_of_itself(company) -> None:
    logs = company.logs
    elsewhere, shop = of_services(logs, ("search", "travel", "webtoon")), of_services(logs, ("shop",)).items
    cases = _first_visits(logs, elsewhere, last_at(logs, "shop"), shop)
    assert len(cases) > 10
    number = logs.items.services.index("shop")
    for case in range(len(cases)):
        assert number not in cases.logs.items.service[cases.history(case).items]
        assert cases.logs.items.service[cases.truth[case]] == number
    assert not set(elsewhere.items.texts) & set(shop.texts)


def test_halves_share_nobody() -> None:
    known, new = halves(50, 0.3, 1)
    assert (len(known), len(new), len(np.union1d(known, new))) == (35, 15, 50)


@pytest.mark.parametrize("name", list(USES))
def test_a_use_ends_in_figures_with_intervals(name: str, tmp_path: Path) -> None:
    result = run_use(name, work=tmp_path, home=tmp_path, users=250, changes=TINY)
    assert len(result.rows) >= 3
    assert all(row.low <= row.value <= row.high for row in result.rows)
    assert [row.value for row in result.rows] == sorted((row.value for row in result.rows), reverse=True)
    assert any("clue" in row.name.lower() for row in result.rows)
    # What wins is said with an interval of the difference.
    compared = [line.rpartition(", ")[2] for line in result.remarks if " - " in line]
    assert compared
    assert set(compared) <= {"better", "worse", "no difference that this many users show"}
    json.dumps(result.to_json())


def test_an_unknown_use_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="booking"):
        run_use("bookings", work=tmp_path, home=tmp_path)
    assert "new-shop" in CliRunner().invoke(users, ["use"]).output
