"""The chart of one container, over containers of every kind."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analyzer.models.demand import Resource, Step
from analyzer.models.forecast import Forecast
from analyzer.plots import workload_figure
from analyzer.plots.workload import summarise
from tests.plots.scenes import SCENES, expected, lines_of, scene
from tests.samples import MIB, START, resources, steady


def draw(name: str, *, dark: bool = False, forecast: bool = False) -> Figure:
    """The figure of a scene, with every warning an error."""
    of, recommended = SCENES[name]()
    forecasts: Mapping[Resource, Forecast] | None = (
        {"cpu": expected(0.3), "memory": expected(320.0 * 2**20)} if forecast else None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = workload_figure(of, 0, recommended, forecasts, dark=dark)
        FigureCanvasAgg(figure).draw()
    return figure


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in lines_of(figure)]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose ink boxes share more than a pixel, and texts off the page."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts: list[Text] = [text for text in lines_of(figure) if text.get_text().strip()]
    boxes = np.array([text.get_window_extent(renderer).extents for text in texts])
    width, height = figure.get_size_inches() * figure.dpi
    found = [
        (text.get_text(), "the edge")
        for text, (x0, y0, x1, y1) in zip(texts, boxes, strict=True)
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height
    ]
    for i, (ax0, ay0, ax1, ay1) in enumerate(boxes):
        for j in range(i):
            bx0, by0, bx1, by1 = boxes[j]
            across = min(ax1, bx1) - max(ax0, bx0)
            # Boxes reach from ascender to descender: neighbouring lines may share a few pixels.
            down = min(ay1, by1) - max(ay0, by0)
            if across > 1 and down > 4:
                found.append((texts[i].get_text(), texts[j].get_text()))
    return found


@pytest.mark.parametrize("name", SCENES)
def test_no_text_covers_another(name: str) -> None:
    """Whatever the container is like, every label can be read and stays on the page."""
    assert overlaps(draw(name)) == []


@pytest.mark.parametrize("name", ["lowered", "limit fifty times usage", "no cpu", "events"])
def test_no_text_covers_another_with_a_forecast_or_in_the_dark(name: str) -> None:
    """The forecast and the dark variant change nothing about that."""
    assert overlaps(draw(name, dark=True, forecast=True)) == []


def test_the_verdict_says_what_changes_and_by_how_much() -> None:
    """CPU from 1 core to 420m is 58 % less; memory from 2Gi to 1Gi half."""
    shown = words(draw("lowered"))
    assert "CPU 1 core → 420m (−58%)" in shown
    assert "Memory 2Gi → 1Gi (−50%)" in shown


def test_an_unchanged_container_says_so() -> None:
    """Nothing to do is a verdict too."""
    shown = words(draw("unchanged"))
    assert "Nothing changes" in shown
    assert "request 400m stays" in shown


def test_a_request_that_is_lowered_in_time_shows_what_usage_asks_for() -> None:
    """Earlier reviews wanted 420m, usage asks for 300m by now: both lines are there, and named."""
    of, recommended = SCENES["lowered"]()
    held = Step("lasting", "300m", "420m", "earlier reviews wanted as much")
    trail = {**recommended.trail, "cpu_request": (held,)}
    figure = workload_figure(of, 0, replace(recommended, trail=trail))
    assert {"need 300m", "request new 420m", "need now; the request follows in time"} <= {
        *words(figure)
    }
    assert overlaps(figure) == []
    assert "need 300m" not in words(draw("lowered"))


def test_lines_off_the_scale_are_named_with_an_arrow() -> None:
    """A limit of 20 cores over 400m of use is told, not drawn."""
    shown = words(draw("limit fifty times usage"))
    assert "limit now 20 cores, dropped ↑" in shown
    assert "limit now 20Gi ↑" in shown


def test_a_cut_peak_is_named_with_an_arrow() -> None:
    """40 cores once, 100m otherwise: the peak is told, the usual use is visible."""
    assert "max 40 ↑" in words(draw("spike"))


def test_usage_fills_a_fifth_of_the_scale_at_least() -> None:
    """Requests and limits fifty times above usage do not press it to the ground."""
    of, recommended = SCENES["limit fifty times usage"]()
    for row in summarise(of, 0, recommended).rows:
        assert row.course is not None
        assert np.nanmax(row.course.peak) > row.scale.top / 5


def test_a_resource_without_samples_says_so() -> None:
    """An empty row is explained."""
    assert "no CPU usage was observed" in words(draw("no cpu"))
    assert "no memory usage was observed" in words(draw("no memory"))


def test_events_are_counted_in_the_heading() -> None:
    """Thirty kills, thirty-one restarts, one change, a hundred throttled steps."""
    shown = words(draw("events"))
    for text in ("30 OOM kills", "31 restarts", "1 image change", "100 throttled steps"):
        assert text in shown


def test_a_gap_breaks_the_line_and_is_named() -> None:
    """Two days without samples are neither bridged nor silent."""
    of, recommended = SCENES["gap"]()
    data = summarise(of, 0, recommended)
    course = data.rows[0].course
    assert course is not None
    inside = (course.times > 5.1) & (course.times < 6.9)
    assert np.isnan(course.p50[inside]).all() and np.isnan(course.peak[inside]).all()
    ((low, high),) = data.gaps
    assert low == pytest.approx(5, abs=0.03) and high == pytest.approx(7, abs=0.03)
    assert "no data" in words(draw("gap"))


def test_a_young_container_fills_the_time_axis() -> None:
    """Two days of a fortnight are shown large, not as a sliver."""
    of, recommended = SCENES["young"]()
    low, high = summarise(of, 0, recommended).span
    assert 11 < low < 12 and high == 14


def test_names_are_never_parsed_as_mathematics() -> None:
    """Dollar signs and backslashes in names are drawn as they are, and nothing else happens."""
    figure = draw("ugly names")
    assert any("$" in text for text in words(figure))
    assert not any(text.get_parse_math() for text in lines_of(figure))


def test_quantiles_per_bucket_are_those_of_all_pods() -> None:
    """In each half hour, six samples of two pods: the median is the sixth of twelve by rank."""
    of, recommended = SCENES["lowered"]()
    course = summarise(of, 0, recommended).rows[0].course
    assert course is not None
    frame = of.samples(0)
    since = (frame["timestamp"] - of.usage.start).dt.total_seconds()
    first = np.sort(frame["cpu_cores"][(since > 0) & (since <= 1800)].to_numpy())
    assert len(first) == 12
    assert course.p50[0] == first[5]
    assert course.p95[0] == first[11]
    assert course.peak[0] == first[11]


def test_the_search_for_overlaps_finds_one() -> None:
    """The law of the labels can be broken."""
    figure = draw("unchanged")
    title = next(text for text in figure.findobj(Text) if "shop / web" in text.get_text())
    x, y = figure.transFigure.inverted().transform(title.get_window_extent().min)
    figure.text(x, y, "in the way")
    figure.text(0.99, 0.5, "over the edge of the page")
    found = {text for pair in overlaps(figure) for text in pair}
    assert {"in the way", title.get_text(), "over the edge of the page"} <= found


def drawn(name: str = "lowered", **changes: object) -> list[str]:
    """The words on a chart whose memory is expected as `changes` say."""
    of, recommended = SCENES[name]()
    figure = workload_figure(of, 0, recommended, {"memory": expected(3e8, **changes)})
    assert overlaps(figure) == []
    return words(figure)


def test_the_days_are_named_for_what_they_show() -> None:
    """The dashes of memory are daily peaks; where days were cut off, the peak is a lower bound."""
    assert "peak of each day, expected" in drawn()
    cut = drawn(at_least=True, cut_off=np.arange(21) < 14, low=np.full(21, np.nan))
    assert "peak of each day, at least" in cut
    assert "cut off by its limit: the need is higher" in cut
    assert "cut off by its limit: the need is higher" not in drawn()


def test_what_was_before_a_shift_is_set_off_with_its_date() -> None:
    """Usage halves on 9 November: words, histogram and quantiles are of what followed."""
    usage = steady(memory=600 * MIB)
    late = usage["timestamp"] > START + timedelta(days=7)
    usage.loc[late, "memory_bytes"] = 300.0 * MIB
    of, recommended = scene(usage, resources("1", "1Gi"), resources("1", "400Mi"))
    moved = expected(300.0 * MIB, since=START + timedelta(days=7))
    row = summarise(of, 0, recommended, {"memory": moved}).rows[1]
    assert dict(row.quantiles) == dict.fromkeys(("p50", "p95", "p99", "max"), 300.0 * MIB)
    assert row.shares.max() == 1
    shown = words(workload_figure(of, 0, recommended, {"memory": moved}))
    assert "usage moved to another level; counted from 9 Nov on" in shown
    assert "share of samples since 9 Nov" in shown
    imaged = replace(moved, by_image=True)
    shown = words(workload_figure(of, 0, recommended, {"memory": imaged}))
    assert "a new image changed usage; counted from 9 Nov on" in shown


def test_a_pod_unlike_the_others_is_drawn_apart() -> None:
    """One of three pods uses three times as much: it has its own line, the others their band."""
    usage = pd.concat(
        [steady(memory=size * 100 * MIB).assign(pod=f"web-{k}") for k, size in enumerate((1, 1, 3))]
    )
    of, recommended = scene(usage, resources("1", "1Gi"), resources("1", "400Mi"), replicas=3)
    cpu, memory = summarise(of, 0, recommended).rows
    assert cpu.apart is None
    assert memory.apart is not None and memory.apart.pod == "web-2"
    assert np.nanmax(memory.apart.line) == 300 * MIB
    assert memory.course is not None and np.nanmax(memory.course.peak) == 100 * MIB
    assert "● pod web-2 by itself" in words(workload_figure(of, 0, recommended))


def test_pods_that_came_one_after_the_other_are_not_compared() -> None:
    """A new pod at another level is no unlike pod: no two ran at once."""
    first, second = steady(days=14, memory=100 * MIB), steady(days=14, memory=300 * MIB)
    half = START + timedelta(days=7)
    usage = pd.concat(
        [
            first[first["timestamp"] <= half].assign(pod="web-a"),
            second[second["timestamp"] > half].assign(pod="web-b"),
        ]
    )
    of, recommended = scene(usage, resources("1", "1Gi"), resources("1", "400Mi"))
    assert summarise(of, 0, recommended).rows[1].apart is None


def test_names_of_sixty_characters_are_whole() -> None:
    """What tells two containers apart may stand anywhere in their names."""
    of, recommended = SCENES["lowered"]()
    names = {"namespace": "n" * 60, "workload": "w" * 60, "container": "c" * 12}
    named = replace(recommended, ref=replace(recommended.ref, **names))
    title = f"{'n' * 60} / {'w' * 60} · {'c' * 12}"
    figure = workload_figure(of, 0, named)
    assert title in words(figure)
    assert overlaps(figure) == []


def test_pressure_and_resizes_are_told() -> None:
    """Two hours of waiting for CPU; the request was changed on the sixth day."""
    shown = words(draw("pressure"))
    assert "2 hours of waiting for CPU" in shown
    assert "1 resize" in shown
