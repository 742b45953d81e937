"""VictoriaMetrics holds the same cluster and gives the same usage, within its own rate()."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from analyzer.sources import PrometheusSource, Window
from analyzer.usage import Recording
from tests.sources.smallcluster import END, MIB

WINDOW = Window(END, timedelta(days=2))


@pytest.fixture(scope="module")
def victoria(small_victoria: str) -> Recording:
    return PrometheusSource(small_victoria).read(WINDOW)


def test_the_same_containers_and_settings(victoria: Recording, small_server: str) -> None:
    """What is there does not depend on who keeps it."""
    prometheus = PrometheusSource(small_server).read(WINDOW)
    assert victoria.usage.containers == prometheus.usage.containers
    assert victoria.usage.pods == prometheus.usage.pods
    columns = ["workload", "container", "container_type", "image", "cpu_request_cores"]
    left = victoria.specs[columns].sort_values(columns).to_numpy().tolist()
    right = prometheus.specs[columns].sort_values(columns).to_numpy().tolist()
    assert str(left) == str(right)
    assert victoria.meta.nodes == prometheus.meta.nodes


def test_the_same_values(victoria: Recording) -> None:
    """Steady CPU and memory come out exactly; nothing is shifted by the server's own cache."""
    frame = victoria.usage.to_frame()
    for workload, cores, mebibytes in (("pg", 0.4, 200), ("roll", 0.3, 10), ("ha", 0.25, 30)):
        rows = frame[frame["workload"] == workload]
        np.testing.assert_allclose(rows["cpu_cores"].dropna(), cores, rtol=0.02)
        assert set(rows["memory_bytes"].dropna()) == {mebibytes * MIB}
        assert 575 <= len(rows) <= 577


def test_the_same_events(victoria: Recording) -> None:
    """One restart that was an OOM kill, one image change, throttling and pressure."""
    counts = victoria.events.groupby("kind").size().to_dict()
    assert (counts["restart"], counts["oom_kill"], counts["image_change"]) == (1, 1, 1)
    assert counts["throttled"] >= 2
    assert (counts["cpu_pressure"], counts["memory_pressure"]) == (1, 1)


def test_the_doctor_knows_it(small_victoria: str) -> None:
    """No status flags to read is no problem."""
    findings = {
        f.check: f for f in PrometheusSource(small_victoria).examine(Window(END, timedelta(days=2)))
    }
    assert findings["reach"].status == "ok"
    assert findings["usage"].status == "ok"
