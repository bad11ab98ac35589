import json

from malmoi.cli.bench.measure import Measure, of_repeats


def test_a_goal_is_a_least_value_or_a_greatest() -> None:
    assert Measure("a", 0.98, "x", goal=0.97).ok is True
    assert Measure("a", 0.96, "x", goal=0.97).ok is False
    assert Measure("a", 4, "ms", goal=5, lower_is_better=True).ok is True
    assert Measure("a", 6, "ms", goal=5, lower_is_better=True).ok is False
    assert Measure("a", 6, "ms").ok is None


def test_a_line_is_json_with_the_median_and_the_spread() -> None:
    line = of_repeats(
        "gateway.decode_ratio", [0.9, 1.0, 0.98], "x", peer="engine called directly", goal=0.97
    ).line()
    assert json.loads(line) == {
        "name": "gateway.decode_ratio",
        "value": 0.98,
        "unit": "x",
        "peer": "engine called directly",
        "spread": [0.9, 1.0],
        "goal": 0.97,
        "ok": True,
    }
