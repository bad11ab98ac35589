import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from malmoi.factory import plots

LABELS = {"title": "Loss", "x_label": "step", "y_label": "nats"}
SVG = "{http://www.w3.org/2000/svg}"


def tips(svg):
    return [title.text for title in ET.fromstring(svg).iter(f"{SVG}title")]


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_line_shows_its_points_and_axes():
    svg = plots.line_plot({"train": [(0, 4.0), (50, 3.0), (100, 2.5)]}, **LABELS)
    assert tips(svg) == ["train: 0, 4", "train: 50, 3", "train: 100, 2.5"]
    assert {"Loss", "step", "nats", "0", "100", "2.5", "4"} <= set(words(svg))
    assert ET.fromstring(svg).get("role") == "img"


def test_everything_is_inside_the_picture():
    svg = plots.line_plot(
        {"a": [(1, 1e-5), (1e6, 12)], "아주 긴 이름의 계열 " * 5: [(3, 4)]}, **LABELS, log_x=True, log_y=True
    )
    for mark in ET.fromstring(svg).iter(f"{SVG}circle"):
        assert 0 < float(mark.get("cx")) < plots.WIDTH
        assert 0 < float(mark.get("cy")) < plots.HEIGHT


def test_hostile_names_are_text():
    svg = plots.bar_plot({"<script>alert(1)</script>\x00\ud800": 3.0}, title='"><b>')
    assert "<script" not in svg
    assert "<b>" not in svg
    assert any("<script>alert(1)" in word for word in words(svg))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_leaves_a_gap(bad):
    svg = plots.line_plot({"a": [(0, 1), (1, bad), (2, 3)]}, **LABELS)
    assert len(tips(svg)) == 2
    assert sum(1 for _ in ET.fromstring(svg).iter(f"{SVG}path")) == 2


def test_a_log_axis_leaves_out_zero():
    assert (
        len(tips(plots.scatter_plot({"a": [(0, 1), (1, 0), (2, 3)]}, **LABELS, log_x=True, log_y=True))) == 1
    )


@pytest.mark.parametrize(
    "empty",
    [
        lambda: plots.line_plot({}, **LABELS),
        lambda: plots.line_plot({"a": []}, **LABELS),
        lambda: plots.histogram([], **LABELS),
        lambda: plots.bar_plot({}, title="t"),
        lambda: plots.bar_plot({"a": math.nan}, title="t"),
    ],
)
def test_no_data_is_said(empty):
    assert "nothing to show" in words(empty())


def test_one_point_and_equal_values_are_shown():
    assert tips(plots.line_plot({"a": [(5, 7)]}, **LABELS)) == ["a: 5, 7"]
    assert sum("3" in tip for tip in tips(plots.histogram([2.0, 2.0, 2.0], **LABELS))) == 1
    assert len(tips(plots.histogram([9.0], **LABELS, log_x=True, log_y=True))) == 1


def test_a_long_line_keeps_its_peak():
    points = [(float(n), 1.0) for n in range(50_000)]
    points[31_337] = (31_337.0, 9.0)
    svg = plots.line_plot({"a": points}, **LABELS)
    assert len(svg) < 40_000
    assert "9" in words(svg) or "10" in words(svg)
    top = min(float(p.split()[1]) for p in ET.fromstring(svg).find(f"{SVG}path").get("d")[1:].split("L"))
    assert top < 60


def test_a_histogram_counts_every_value():
    values = np.random.default_rng(0).lognormal(3, 1, 5000)
    for log in (False, True):
        counts = [
            int(t.rsplit(": ")[1].replace(",", ""))
            for t in tips(plots.histogram(values, **LABELS, log_x=log))
        ]
        assert sum(counts) == 5000


def test_a_histogram_of_counts_is_that_of_the_values():
    plain = plots.histogram([1.0, 1.0, 5.0, 9.0], **LABELS, bins=5)
    assert plots.histogram([1.0, 5.0, 9.0, 4.0], **LABELS, bins=5, weights=[2, 1, 1, 0]) == plain


def test_bars_have_lengths_in_proportion():
    svg = plots.stacked_bar_plot({"한 줄": {"kept": 30, "dropped": 10}, "둘": {"kept": 20}}, title="t")
    widths = [float(rect.get("width")) for rect in ET.fromstring(svg).iter(f"{SVG}rect")][:3]
    assert widths[0] / widths[1] == pytest.approx(3, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(1.5, rel=0.01)
    assert {"kept", "dropped", "한 줄", "40", "20"} <= set(words(svg))


def test_a_spread_is_a_whisker():
    svg = plots.bar_plot({"a": 2.0, "b": 3.0}, title="t", spread={"a": (1.5, 2.5)})
    assert svg.count('stroke-width="1.6"') == 3


def test_the_same_data_give_the_same_text():
    draw = lambda: plots.line_plot({"a": [(0, 1), (2, 3)], "b": [(1, 1)]}, **LABELS)  # noqa: E731
    assert draw() == draw()


@pytest.mark.parametrize("background", ["#ffffff", "#15181d"])
def test_colours_are_seen_on_light_and_dark(background):
    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in plots.COLOURS:
        light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0, 1], False),
        ([-5, 3], False),
        ([0.0012, 0.0019], False),
        ([1, 7e7], True),
        ([3, 4], True),
        ([5, 5], True),
    ],
)
def test_ticks_embrace_the_values(values, log):
    ticks = plots._ticks([float(v) for v in values], log)
    assert ticks[0] <= min(values)
    assert ticks[-1] >= max(values)
    assert 2 <= len(ticks) <= 11
    assert ticks == sorted(set(ticks))


def test_intervals_are_whiskers_and_levels_dashes():
    rows = {
        "boolq <b>": {"a": plots.Interval(0.55, 0.5, 0.6, 0.5), "b": plots.Interval(0.7, 0.65, 0.75, 0.5)},
        "copa": {"a": plots.Interval(0.4), "b": plots.Interval(math.nan)},
    }
    svg = plots.interval_plot(rows, title="점수", level_label="guessing", ends=(0.0, 1.0))
    assert svg.count("stroke-dasharray") == 1  # one level for both models of a row
    assert "boolq &lt;b&gt;" in svg
    assert "boolq &lt;b&gt; b: 0.7" in svg
    assert "nan" not in svg
    assert svg == plots.interval_plot(rows, title="점수", level_label="guessing", ends=(0.0, 1.0))
    assert "nothing to show" in plots.interval_plot({}, title="점수")


def test_differences_may_be_negative():
    svg = plots.interval_plot({"boolq": {"": plots.Interval(-0.1, -0.2, 0.05, 0.0)}}, title="Differences")
    assert "boolq: -0.1" in svg
