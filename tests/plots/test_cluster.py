"""The chart of a cluster, and that of a backtest."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analyzer.evidence import observe
from analyzer.history import Histories, Skipped
from analyzer.plots import backtest_figure, cluster_figure, describe_cluster
from analyzer.recommend import Recommendation
from tests.plots.scenes import daily
from tests.plots.test_workload import overlaps, words
from tests.samples import histories, meta, recommendation, ref, resources

NODES = tuple(
    {"name": f"n{k}", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 8 * 2.0**30}
    for k in range(3)
)


def cluster(
    namespaces: int, nodes: tuple[dict[str, object], ...] = NODES
) -> tuple[list[Recommendation], Histories]:
    """One container a namespace: every third one is raised, the others give back."""
    frame = pd.concat(
        [daily(pods=1, seed=k).assign(namespace=f"space-{k}") for k in range(namespaces)]
    )
    of = histories(frame, window=meta(nodes=nodes))
    found = []
    for index, seen in observe(of, range(len(of))).items():
        up = index % 3 == 2
        now, new = resources("1", "1Gi"), resources("400m", "384Mi")
        made = recommendation(new if up else now, now if up else new, of=of.containers[index])
        found.append(replace(made, evidence=seen))
    return found, of


def draw(found: list[Recommendation], of: Histories, skipped: int = 0) -> Figure:
    gone = [Skipped(ref(f"gone-{k}"), "no samples") for k in range(skipped)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = cluster_figure(found, gone, of)
        FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("namespaces", [1, 3, 9, 14])
def test_no_text_covers_another_on_the_cluster_chart(namespaces: int) -> None:
    """From one namespace to more than there is room for."""
    assert overlaps(draw(*cluster(namespaces), skipped=2)) == []


def test_the_cluster_verdict_counts_and_sums() -> None:
    """Two of three give back 600m and 640Mi, one asks for as much: 600m and 640Mi are left."""
    figure = draw(*cluster(3), skipped=2)
    shown = words(figure)
    assert "−600m CPU (−25%)" in shown
    assert "−640 MiB (−26%)" in shown
    assert "5 containers · 3 to change (2 down, 1 up) · 2 skipped" in shown


def test_namespaces_that_differ_in_the_middle_are_told_apart() -> None:
    """Sixty characters with one that differs: the rows do not read the same."""
    long = ["team-" + "a" * 25 + letter + "b" * 29 for letter in "xyz"]
    found, of = cluster(3)
    named = [
        replace(r, ref=replace(r.ref, namespace=name)) for r, name in zip(found, long, strict=True)
    ]
    containers = tuple(r.ref for r in named)
    figure = draw(named, replace(of, usage=replace(of.usage, containers=containers)))
    rows = [text for text in words(figure) if text.startswith("te")]
    assert len(set(rows)) == 3
    assert overlaps(figure) == []


def test_small_namespaces_are_summed_as_others() -> None:
    """Fourteen namespaces: seven by name, seven together."""
    shown = words(draw(*cluster(14)))
    assert "7 others" in shown
    assert sum(text.startswith("space-") for text in shown) == 7


def test_headroom_without_nodes_compares_with_requests() -> None:
    """Unknown nodes are said, not guessed."""
    shown = words(draw(*cluster(2, nodes=())))
    assert "nodes are unknown · share of what is requested now" in shown
    assert not any("whole nodes" in text for text in shown)


def test_nodes_that_tell_only_half_count_with_that_half() -> None:
    """Two cores are half of what three nodes give, and three eighths with a fourth one."""
    shares = [
        next(text for text in words(draw(*cluster(2, nodes=nodes))) if text.startswith("CPU ·"))
        for nodes in (NODES, (*NODES, {"name": "odd", "cpu_allocatable_cores": 4.0}))
    ]
    assert shares == ["CPU · 12 cores", "CPU · 16 cores"]


def test_an_empty_cluster_is_drawn() -> None:
    """No recommendation at all: the chart says so instead of failing."""
    _, of = cluster(1)
    assert "no CPU request to compare with" in words(draw([], of))


def test_the_cluster_is_described_in_words() -> None:
    """Alternative text names the cluster, both changes and the counts."""
    found, of = cluster(3)
    text = describe_cluster(found, [], of)
    assert text.startswith("Cluster lab: CPU requests 2.4 cores → 1.8 cores (−25%)")


def sweep(models: list[str]) -> pd.DataFrame:
    """A backtest's rows: peers state no risk."""
    rows = [
        {
            "model": model,
            "resource": resource,
            "stated_risk": np.nan if model in ("vpa", "krr") else risk,
            "margin": 0.0,
            "container_weeks": 1200,
            "overrun_week_share": risk * 1.2,
            "overrun_sample_share": risk / 2,
            "footprint_to_usage": (1 + rank) * (1.2 - 0.1 * np.log(risk)),
        }
        for rank, model in enumerate(models)
        for resource in ("cpu", "memory")
        for risk in (0.0, 0.01, 0.05, 0.2)
        if risk
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    "models",
    [
        ["pooled"],
        ["this policy", "pooled", "percentile", "trend", "vpa", "krr", "constant", "last week"],
        ["a" * 80, "cost $x$", "krr"],
    ],
)
def test_no_text_covers_another_on_the_backtest_chart(models: list[str]) -> None:
    """One model or many, and names of any length."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = backtest_figure(sweep(models))
    assert overlaps(figure) == []
    facts = "judged on what followed: 1\N{THIN SPACE}200 weeks of one container each"
    assert any(facts in text for text in words(figure))


def test_a_backtest_that_measured_nothing_says_so() -> None:
    """No rows, or only NaN: words instead of curves."""
    empty = sweep(["pooled"])
    for frame in (empty.iloc[:0], empty.assign(footprint_to_usage=np.nan)):
        assert "nothing was measured" in words(backtest_figure(frame))


def test_no_overrun_is_drawn_as_none() -> None:
    """None of 1 200 weeks: open markers at the edge, and words; never a share above the promise."""
    frame = sweep(["pooled", "vpa"])
    frame[["overrun_week_share", "overrun_sample_share"]] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = backtest_figure(frame)
    shown = words(figure)
    assert "○ none seen in 1\N{THIN SPACE}200 weeks" in shown
    assert "none seen in 1\N{THIN SPACE}200 weeks" in shown
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    filled = [line for line in lines if line.get_markerfacecolor() != "none"]
    assert not any(np.size(line.get_xdata()) for line in filled)
    # Of stated risks from 1 % on, the place of nought lies below them all: never over the diagonal.
    reliability = figure.axes[1]
    for line in reliability.lines:
        if line.get_marker() == "o" and line.get_markerfacecolor() == "none":
            assert (np.asarray(line.get_ydata()) < np.asarray(line.get_xdata())).all()


def test_few_weeks_have_an_interval() -> None:
    """2 of 20 weeks, Clopper-Pearson at 90 %: from 1.8 % to 28.3 %, by the tables."""
    frame = sweep(["pooled"]).assign(container_weeks=20, overrun_week_share=0.1)
    reliability = backtest_figure(frame.replace({"stated_risk": {0.2: 0.8}})).axes[3]
    lines = [c for c in reliability.collections if isinstance(c, LineCollection)]
    (bars,) = [c for c in lines if np.ravel(c.get_linewidth())[0] == 5]
    segment = bars.get_segments()[0]
    assert 10 ** segment[:, 1] == pytest.approx([0.01807, 0.28262], rel=0.02)
