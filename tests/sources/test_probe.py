"""Whatever a server calls things, the usage of its containers is found, or its lack explained."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest

from analyzer.errors import SourceError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.probe import Dialect
from analyzer.usage import Recording
from tests.sources import dialects
from tests.sources.conftest import once, program, prometheus
from tests.sources.smallcluster import END, MIB

WINDOW = Window(END, timedelta(hours=6))


@pytest.fixture(scope="module")
def store(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds several clusters."""
    promtool = program("promtool")

    def build(folder: Path) -> None:
        folder.mkdir()
        text = folder.with_suffix(".om")
        text.write_text(dialects.openmetrics())
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        subprocess.run([*command, str(text), str(folder)], check=True, capture_output=True)

    with prometheus(once(shared, "dialects", build), tmp_path_factory.mktemp("store")) as url:
        yield url


def read(store: str, cluster: str, **settings: object) -> Recording:
    # Keywords of several types.
    chosen = PrometheusSettings(cluster=cluster, **settings)  # type: ignore[arg-type]
    return PrometheusSource(store, chosen).read(WINDOW)


def test_a_store_of_several_clusters_asks_which(store: str) -> None:
    """Nothing is mixed: the sentence names the clusters there are."""
    with pytest.raises(SourceError, match="managed, rules, rules5m, twice"):
        PrometheusSource(store).read(WINDOW)
    with pytest.raises(SourceError, match="no usage has cluster='other'"):
        read(store, "other")


def test_a_managed_offer_without_image_and_path_is_read(store: str) -> None:
    """No image label, no metrics_path, kube-state-metrics 1 under renamed labels."""
    got = read(store, "managed")
    assert [str(ref) for ref in got.usage.containers] == ["n/Deployment/web/web"]
    assert got.meta.cluster == "managed"
    np.testing.assert_allclose(got.usage.cpu_cores[1:], 0.25, rtol=1e-5)
    assert set(got.usage.memory_bytes) == {64 * MIB}
    spec = got.specs.iloc[-1]
    assert (spec["cpu_request_cores"], spec["memory_request_bytes"]) == (0.5, 128 * MIB)
    hpa = orjson.loads(spec["hpa"])
    assert (hpa["name"], hpa["min"], hpa["max"]) == ("web", 2, 5)
    assert hpa["metrics"] == [{"resource": "memory", "type": "Utilization", "value": 70.0}]


@pytest.mark.parametrize(
    ("cluster", "rule"), [("rules", dialects.RULE), ("rules5m", dialects.NEW_RULE)]
)
def test_recording_rules_stand_in_for_lost_series(store: str, cluster: str, rule: str) -> None:
    """The values are those of the newest rule, and the recording says where they come from."""
    got = read(store, cluster)
    np.testing.assert_allclose(got.usage.cpu_cores, 0.75)
    assert set(got.usage.memory_bytes) == {96 * MIB}
    assert rule in got.meta.queries[0]
    assert any("recording rule" in warning for warning in got.meta.warnings)


def test_two_jobs_count_once_and_neither_is_lost(store: str) -> None:
    """The job that sees less is not trusted alone; what both see does not double."""
    got = read(store, "twice")
    frame = got.usage.to_frame().groupby("container", observed=True)["cpu_cores"].median()
    assert frame.to_dict() == pytest.approx({"web": 1, "lone": 2})


def test_matchers_of_the_user_win(store: str) -> None:
    """Named matchers are used as they are; where they find nothing the sentence shows them."""
    got = read(store, "twice", usage_matchers='job="kubelet"')
    assert [ref.container for ref in got.usage.containers] == ["web"]
    with pytest.raises(SourceError, match='job="nobody"'):
        read(store, "twice", usage_matchers='job="nobody"')


@pytest.mark.parametrize(
    ("interval", "step", "window"),
    [
        (10, 300, 300),
        (60, 300, 300),
        (75, 300, 300),
        (90, 300, 360),
        (120, 300, 480),
        (300, 600, 1200),
        (60, 60, 240),
    ],
)
def test_the_rate_window_fits_the_scrapes(interval: int, step: int, window: int) -> None:
    """At least one step and four scrapes, in whole minutes."""
    dialect = Dialect((), (), timedelta(seconds=interval), {})
    assert dialect.rate_window(timedelta(seconds=step)).total_seconds() == window
