"""Odd, missing and doubled series of a real Prometheus: the right amounts, or a word about it."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzer.errors import SourceError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window
from analyzer.sources.prometheus.freshness import check_future
from analyzer.sources.prometheus.long_look import read_long_look
from analyzer.sources.prometheus.probe import probe
from analyzer.sources.prometheus.reader import Reader
from analyzer.sources.prometheus.source import fit_grid
from analyzer.sources.window import silent
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
    assert not any("opencost" in warning for warning in got.meta.warnings)


def test_shards_of_exporters_add_up(odd: Recording) -> None:
    """What one of them alone tells is not lost, whatever its name."""
    assert requested(odd, "far") == 0.75
    assert requested(odd, "well") == 0.5


def test_doctor_names_the_exporters(odd_server: str) -> None:
    """Which two repeat each other, which counts, and what to do."""
    checks = {check.check: check for check in PrometheusSource(odd_server).examine(ONE_DAY)}
    found = checks["exporters"]
    assert found.found == (
        "opencost and kube-state-metrics both tell 1 requests; "
        "where they differ kube-state-metrics counts"
    )
    assert found.advice.endswith('job="kube-state-metrics"')


# -- what still arrives ---------------------------------------------------------------------------


def test_a_node_that_fell_silent_is_named(odd: Recording) -> None:
    """Its pods still run, so the run is partial and says since when."""
    assert odd.meta.warnings == (
        "the node n2 has told no usage since 2026-11-22 22:30 UTC, though 2 of its pods still run; "
        "look at its scrape",
    )


def test_usage_that_stopped_hours_ago_is_an_outage(odd_server: str) -> None:
    """Nothing is recommended from it; the sentence says where the data ends."""
    stopped = r"newest usage is of 2026-11-2\d .*, 5 hours before .*--until 2026-11-2"
    with pytest.raises(SourceError, match=stopped):
        PrometheusSource(odd_server).read(Window(END + timedelta(hours=5), timedelta(days=1)))
    PrometheusSource(odd_server).read(Window(END + timedelta(hours=1), timedelta(days=1)))


def test_most_pods_gone_at_once_is_an_outage(odd_server: str) -> None:
    """Two of three running pods have no usage any more: the rest is not the cluster."""
    settings = PrometheusSettings(namespaces=("silent", "well"))
    with pytest.raises(SourceError, match="2 running pods have lost their usage and 1 have not"):
        PrometheusSource(odd_server, settings).read(ONE_DAY)


def test_times_to_come_are_told(odd_server: str) -> None:
    """A server whose clock is an hour behind its nodes'."""
    with PrometheusSource(odd_server).connect() as connection:
        dialect = probe(connection, PrometheusSettings(), END - timedelta(days=1), END)
        (told,) = check_future(connection, dialect, END - timedelta(hours=1))
        assert list(check_future(connection, dialect, END)) == []
    assert "up to 1 hours after its own clock (2026-11-22 23:00 UTC)" in told


# -- what still exists ----------------------------------------------------------------------------


def spec(recording: Recording, workload: str, container: str = "") -> dict[str, Any]:
    specs = recording.specs[recording.specs["workload"] == workload]
    (row,) = specs[specs["container"] == (container or workload)].to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_specs_tell_what_exists(odd: Recording) -> None:
    """Seen to the end: what kube-state-metrics still tells of, with a sample or without."""
    noon = END - timedelta(hours=12)
    assert spec(odd, "well")["last_seen"] == END
    assert spec(odd, "silent")["last_seen"] == END
    assert spec(odd, "renamed", "after")["last_seen"] == END
    assert spec(odd, "renamed", "before")["last_seen"] == noon
    assert spec(odd, "deleted")["last_seen"] == noon
    assert math.isnan(spec(odd, "deleted")["replicas"])
    assert spec(odd, "idle")["replicas"] == 0
    assert spec(odd, "nightly")["suspended"] == 1
    assert spec(odd, "nightly")["deadline_seconds"] == 3600
    assert spec(odd, "kernel")["exit_reason"] == "Error (137)"


def test_pods_know_where_they_ran_and_when(odd: Recording) -> None:
    """An evicted pod is over though its object is still there."""
    pods = odd.pods.set_index("pod")
    assert pods["node"].loc[["silent-1-aaaaa", "well-1-aaaaa"]].tolist() == ["n2", "n1"]
    assert pods["owner"]["well-1-aaaaa"] == "ReplicaSet/well-1"
    assert pods["workload"]["well-1-aaaaa"] == "well"
    start = END - timedelta(days=1, seconds=7)
    assert pods["started"]["well-1-aaaaa"] == start
    over = set(pods.index[pods["ended"].notna()])
    assert over == {
        "deleted-1-aaaaa", "evicted-1-aaaaa", "idle-1-aaaaa", "nightly-29000001-ccccc",
        "renamed-1-aaaaa", "brief-29000001-ccccc", "glimpse-29000001-ccccc",
    }  # fmt: skip


def test_rules_of_namespaces_are_read(odd: Recording) -> None:
    """Quotas with what is used of them, limit ranges by constraint."""
    assert odd.meta.quotas == (
        {"namespace": "well", "name": "team", "resource": "requests.cpu", "hard": 8, "used": 0.5},
    )
    assert odd.meta.limit_ranges == (
        {
            "namespace": "well",
            "name": "sane",
            "resource": "memory",
            "type": "Container",
            "constraint": "max",
            "value": 2**30,
        },
    )


# -- what ended them ------------------------------------------------------------------------------


def happened(recording: Recording, workload: str) -> list[tuple[str, float, float]]:
    """Kind, hours since noon and value of the events of a workload."""
    events = recording.events[recording.events["workload"] == workload]
    noon = END - timedelta(hours=12)
    return [
        (row["kind"], (row["timestamp"] - noon).total_seconds() / 3600, row["value"])
        for row in events.to_dict("records")
    ]


def test_the_kernels_counter_tells_of_kills_that_kubernetes_does_not(odd: Recording) -> None:
    """A restart at which it rises is one kill; so is a rise without a restart, of a child."""
    events = happened(odd, "kernel")
    assert [kind for kind, _, _ in events[:3]] == ["restart", "oom_kill", "oom_kill"]
    assert [value for _, _, value in events[1:3]] == [256 * MIB] * 2
    np.testing.assert_allclose(
        [hour for _, hour, _ in events[:3]], [2 / 60, 2 / 60, 61 / 60], atol=0.02
    )


def test_a_kill_on_a_node_that_was_short_of_memory_is_marked(odd: Recording) -> None:
    """The second kill fell into ten minutes of its node's need, the first an hour before."""
    pressure = [hour for kind, hour, _ in happened(odd, "kernel") if kind == "node_pressure"]
    np.testing.assert_allclose(pressure, [61 / 60], atol=0.02)


def test_a_signal_near_the_limit_is_a_kill(odd: Recording) -> None:
    """Exit code 137 with 250 of 256 MiB used; with 100 it was a probe."""
    near = [(kind, value) for kind, _, value in happened(odd, "signal") if kind == "oom_kill"]
    assert near == [("oom_kill", 256 * MIB)]
    assert [kind for kind, _, _ in happened(odd, "probe")] == ["restart"]


def test_what_a_pod_declares_as_a_whole_is_read(odd: Recording) -> None:
    """Of memory its containers declare nothing, so the pod's is its own; CPU is theirs."""
    row = spec(odd, "whole")
    assert row["pod_memory_request_bytes"] == 2**30
    assert row["pod_memory_limit_bytes"] == 2**31
    assert math.isnan(row["pod_cpu_request_cores"])
    assert math.isnan(spec(odd, "well")["pod_memory_request_bytes"])


def test_an_eviction_is_no_kill(odd: Recording) -> None:
    """The node ran short, not the container."""
    ((kind, hour, _),) = happened(odd, "evicted")
    assert (kind, round(hour)) == ("eviction", 0)


def test_a_crash_loop_without_usage_is_known(odd: Recording) -> None:
    """Each restart is a kill at the limit; the container is listed in the specs."""
    kinds = Counter(kind for kind, _, _ in happened(odd, "loop"))
    assert kinds["restart"] == kinds["oom_kill"] >= 140
    assert {value for kind, _, value in happened(odd, "loop") if kind == "oom_kill"} == {64 * MIB}
    assert spec(odd, "loop")["memory_limit_bytes"] == 64 * MIB


# -- what only some are asked for -----------------------------------------------------------------


def test_short_runs_are_worth_what_their_counter_says(odd: Recording) -> None:
    """Two cores are two cores, though a rate over five minutes says half of it."""
    assert np.nanmax(samples(odd, "brief")[0]) == pytest.approx(2, rel=1e-3)


def test_one_scrape_is_enough_where_the_start_is_known(odd: Recording) -> None:
    """A counter begins at zero with its container."""
    assert np.nanmax(samples(odd, "glimpse")[0]) == pytest.approx(2, rel=1e-3)


def test_resident_memory_is_read_near_the_limit_only(odd: Recording) -> None:
    """250 of 256 MiB are near it: 90 are resident, and 170 are told to be cache."""
    usage = odd.usage
    assert usage.memory_rss_bytes is not None
    assert usage.memory_cache_bytes is None
    seen = np.flatnonzero(~np.isnan(usage.memory_rss_bytes))
    (index,) = (i for i, ref in enumerate(usage.containers) if ref.workload == "kernel")
    where = usage.span(index)
    assert (seen[0], seen[-1] + 1, len(seen)) == (where.start, where.stop, 288)
    assert set(usage.memory_rss_bytes[seen]) == {90 * MIB}
    assert set(usage.firm_bytes[seen]) == {90 * MIB}


def test_a_long_look_finds_peaks_from_before_the_window(small_server: str) -> None:
    """One row a day and container, from the highest of its pods; the window itself is not asked."""
    day = timedelta(days=1)
    with PrometheusSource(small_server).connect() as connection:
        dialect = probe(connection, PrometheusSettings(), END - day, END)
        grid = fit_grid(END, ONE_DAY, dialect)
        found = read_long_look(Reader(connection, silent), dialect, grid, depths=(60, 2))
        again = read_long_look(
            Reader(connection, silent), dialect, grid, depths=(60, 2), known=lambda _: True
        )
    assert again.empty
    assert set(found["day"]) == {pd.Timestamp(END - 2 * day)}
    peaks = found.set_index("workload")["memory_peak_bytes"]
    assert peaks["db"] == 500 * MIB
    assert peaks["web"] == 100 * MIB
    assert "proxy" not in set(found["container"])


def test_doctor_names_what_fell_silent(odd_server: str) -> None:
    """The same words as a run's; an outage is a problem."""
    source = PrometheusSource(odd_server)
    fresh = {check.check: check for check in source.examine(ONE_DAY)}["fresh"]
    assert fresh.status == "warning"
    assert fresh.found.startswith("the node n2 has told no usage since")
    late = {
        check.check: check
        for check in source.examine(replace(ONE_DAY, end=END + timedelta(hours=5)))
    }["fresh"]
    assert late.status == "problem"
