"""Odd, missing and doubled series of a real Prometheus: the right amounts, or a word about it."""

from __future__ import annotations

import logging
from datetime import timedelta

import numpy as np
import pytest

from analyzer.sources import PrometheusSource, Window
from analyzer.usage import Recording
from tests.sources.smallcluster import END, MIB

ONE_DAY = Window(END, timedelta(days=1))


@pytest.fixture(scope="module")
def odd(odd_server: str) -> Recording:
    return PrometheusSource(odd_server).read(ONE_DAY)


def samples(recording: Recording, workload: str) -> tuple[np.ndarray, np.ndarray]:
    """CPU and memory of the only container of a workload, all pods in a row."""
    usage = recording.usage
    (index,) = (i for i, ref in enumerate(usage.containers) if ref.workload == workload)
    where = usage.span(index)
    return usage.cpu_cores[where], usage.memory_bytes[where]


def requested(recording: Recording, workload: str) -> float:
    specs = recording.specs
    (value,) = specs.loc[specs["workload"] == workload, "cpu_request_cores"]
    return float(value)


def test_usage_counts_whatever_labels_it_lacks_for_a_while(odd: Recording) -> None:
    """Half a day without image and path is half of what there is; pause containers never count."""
    cpu, memory = samples(odd, "late")
    np.testing.assert_allclose(cpu[5:140], 1, rtol=1e-4)
    np.testing.assert_allclose(cpu[-140:], 0.5, rtol=1e-4)
    assert memory.tolist() == [300 * MIB] * 144 + [100 * MIB] * 144
    assert {ref.container for ref in odd.usage.containers if ref.workload == "late"} == {"late"}


def test_one_container_under_two_paths_is_one(odd: Recording) -> None:
    """Both live all day: neither CPU nor memory doubles."""
    cpu, memory = samples(odd, "twice")
    np.testing.assert_allclose(cpu[1:], 0.4, rtol=1e-4)
    assert set(memory) == {200 * MIB}


def test_one_exporter_of_requests_is_believed(
    odd_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that also tells of containers and owners; the other is named, the data is whole."""
    with caplog.at_level(logging.WARNING, "analyzer"):
        got = PrometheusSource(odd_server).read(ONE_DAY)
    assert requested(got, "cost") == 1
    assert "opencost tells 1 requests" in caplog.text
    assert "than kube-state-metrics, which counts" in caplog.text
    assert got.meta.warnings == ()


def test_shards_of_exporters_add_up(odd: Recording) -> None:
    """What one of them alone tells is not lost, whatever its name."""
    assert requested(odd, "far") == 0.75
    assert requested(odd, "well") == 0.5


def test_doctor_names_the_exporters(odd_server: str) -> None:
    """Which two repeat each other, which counts, and what to do."""
    checks = {check.check: check for check in PrometheusSource(odd_server).examine(END)}
    found = checks["exporters"]
    assert found.found == (
        "opencost and kube-state-metrics both tell 1 requests; "
        "where they differ kube-state-metrics counts"
    )
    assert found.advice.endswith('job="kube-state-metrics"')
