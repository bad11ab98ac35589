"""Real texts for simulated items: who gets which, that nothing else changes, and files that are no texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from malmoi.cli import cli
from malmoi.core.errors import InvalidInput
from malmoi.core.store import Store
from malmoi.users.logs import load_logs
from malmoi.users.simulate import SimulationSettings, simulate
from malmoi.users.simulate.texts import ItemText, read_texts

SMALL = SimulationSettings(users=30, items=60, events=6, services=("shop", "search"), interests=3, seed=4)


def _rows(count: int = 20) -> list[ItemText]:
    return [ItemText(name, f"{name} {number}") for number in range(count) for name in "abc"]


def test_items_take_the_texts_of_their_interest_in_order_and_nothing_else_changes() -> None:
    plain, made = simulate(SMALL), simulate(SMALL, _rows())
    assert made.logs.events.tolist() == plain.logs.events.tolist()
    assert made.logs.items.ids == plain.logs.items.ids
    texts = made.logs.items.texts
    assert len(set(texts)) == 60
    interest = made.best._world.interest
    assert [text[0] for text in texts] == ["abc"[number] for number in interest]
    assert [text for text in texts if text[0] == "b"] == [f"b {number}" for number in range(20)]
    history = plain.logs.history(0)
    assert np.array_equal(made.best.chances(history), plain.best.chances(history))


def test_a_text_may_be_for_one_service() -> None:
    rows = [ItemText(row.interest, f"새 {row.text}", "search") for row in _rows(10)] + _rows(10)
    made = simulate(SMALL, rows)
    services = np.array(made.logs.items.services)[made.logs.items.service]
    assert all(
        text.startswith("새") == (service == "search")
        for text, service in zip(made.logs.items.texts, services, strict=True)
    )


def test_too_few_texts_or_interests() -> None:
    with pytest.raises(InvalidInput, match="interest 'a' for 10 items of search"):
        simulate(SMALL, _rows(15))
    with pytest.raises(InvalidInput, match="2 interests, not 3"):
        simulate(SMALL, [row for row in _rows() if row.interest != "c"])


@pytest.mark.parametrize("line", ["x", "[]", "{}", '{"interest": 1, "text": " "}', '{"text": "a"}'])
def test_a_line_that_is_no_text(tmp_path: Path, line: str) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"interest": 1, "text": "처음"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"texts\.jsonl, line 2"):
        read_texts(path)


def test_the_command_reads_the_file_and_notices_its_change(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    words = ["users", "simulate", "--users", "30", "--items", "60", "--events", "6", "--texts", str(path)]
    words += [
        "--set",
        "services=['shop']",
        "--set",
        "interests=3",
        "--quiet",
        "--home",
        str(tmp_path / "home"),
    ]
    for letter in "가나":
        rows = [{"interest": n % 3, "text": f"{letter} {n}"} for n in range(60)]
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        newest = Store(tmp_path / "home" / "store").artifacts("logs")[-1]
        assert all(text.startswith(letter) for text in load_logs(newest.path).items.texts)
    gone = CliRunner().invoke(cli, [*words, "--texts", "missing.jsonl"])
    assert gone.exit_code != 0
