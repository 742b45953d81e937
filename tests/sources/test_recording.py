"""Recordings come back as they went, and broken ones say what is broken."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analyzer.errors import OutputError, RecordingError, UsageError
from analyzer.sources import (
    RecordingSource,
    Window,
    anonymise,
    import_frame,
    import_usage,
    load_recording,
    save_recording,
)
from analyzer.sources.recording.joining import join_recordings
from analyzer.sources.recording.recording import cut_recording
from analyzer.tables import validate_days, validate_events, validate_pods, validate_specs
from analyzer.telemetry import gate
from analyzer.usage import Meta, Recording, Usage
from tests.samples import MIB, START, STEP, steady
from tests.sources.conftest import ROOT

SAMPLE = ROOT / "sample-data" / "recording"
DAY = timedelta(days=1)


def frame(rows: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "namespace": "n",
            "workload_kind": "Deployment",
            "workload": "w",
            "container": "c",
            "pod": "p",
            "timestamp": pd.date_range("2026-11-02 00:05", periods=rows, freq="5min", tz="UTC"),
            "cpu_cores": np.arange(rows) / 10,
            "memory_bytes": np.arange(rows) * 4096.0,
        }
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    save_recording(import_frame(frame(), cluster="test"), tmp_path / "recording")
    return tmp_path / "recording"


def test_the_sample_comes_back_as_it_went(tmp_path: Path) -> None:
    """Save and load lose nothing, whatever was there before."""
    first = load_recording(SAMPLE)
    save_recording(first, tmp_path / "copy")
    save_recording(first, tmp_path / "copy")
    again = load_recording(tmp_path / "copy")
    assert again.meta == first.meta
    assert again.usage.containers == first.usage.containers
    assert again.usage.pods == first.usage.pods
    np.testing.assert_array_equal(again.usage.cpu_cores, first.usage.cpu_cores)
    np.testing.assert_array_equal(again.usage.memory_bytes, first.usage.memory_bytes)
    pd.testing.assert_frame_equal(again.specs, first.specs, check_dtype=False)
    pd.testing.assert_frame_equal(again.events, first.events, check_dtype=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy"]


def _columns(ref: dict[str, str], **values: object) -> pd.DataFrame:
    return pd.DataFrame([ref | values])


@pytest.fixture
def full() -> Recording:
    """A recording with everything the format has room for, an hour long, of two namespaces."""
    table = pd.concat([frame(12), frame(12).assign(namespace="other", pod="q")])
    table["memory_rss_bytes"] = table["memory_bytes"] / 2
    table["memory_cache_bytes"] = [8192.0] * 12 + [np.nan] * 12
    simple = import_frame(table, cluster="test")
    end = simple.meta.end
    first, second = ({**NAMED, "namespace": space} for space in ("n", "other"))
    return Recording(
        meta=replace(
            simple.meta,
            nodes=({"name": "a", "cpu_allocatable_cores": 4.0, "labels": {"zone": "x"}},),
            quotas=tuple(
                {"namespace": space, "name": "q", "resource": "requests.cpu", "hard": 2.0}
                for space in ("n", "other")
            ),
            limit_ranges=(
                {"namespace": "n", "name": "l", "resource": "memory", "constraint": "min"},
            ),
        ),
        usage=simple.usage,
        specs=validate_specs(
            pd.concat(
                [
                    _columns(first, exit_reason="Error", suspended=1.0, image="x:1"),
                    _columns(second, pod_memory_limit_bytes=2.0**30, pod_cpu_request_cores=0.5),
                ]
            )
        ),
        events=validate_events(_columns(second, pod="q", timestamp=end, kind="eviction")),
        pods=validate_pods(
            pd.DataFrame(
                {
                    "namespace": ["n", "other"],
                    "pod": ["p", "q"],
                    "workload_kind": "Deployment",
                    "workload": "w",
                    "node": "a",
                    "started": simple.meta.start,
                    "ended": [pd.NaT, end],
                    "owner": "ReplicaSet/w-1",
                }
            )
        ),
        days=validate_days(
            pd.concat(
                [
                    _columns(first, pod="p", day="2026-01-31", memory_peak_bytes=5.0, samples=288),
                    _columns(second, day="2026-02-28", kills=3, cpu_max_cores=2.5),
                ]
            )
        ),
    )


NAMED = {"namespace": "n", "workload_kind": "Deployment", "workload": "w", "container": "c"}


def _same(left: Recording, right: Recording) -> None:
    assert left.meta == right.meta
    assert left.usage.values.keys() == right.usage.values.keys()
    for name, array in left.usage.values.items():
        np.testing.assert_array_equal(array, right.usage.values[name], name)
    for name, table in left.tables.items():
        pd.testing.assert_frame_equal(table, right.tables[name], check_dtype=False)


def test_every_optional_part_comes_back_as_it_went(full: Recording, tmp_path: Path) -> None:
    """Resident memory, cache, pods, days, quotas, limit ranges, exit reasons, pod amounts."""
    save_recording(full, tmp_path / "full")
    again = load_recording(tmp_path / "full")
    _same(again, full)
    np.testing.assert_array_equal(again.usage.to_frame()["memory_cache_bytes"][:12], 8192)
    assert again.days["day"].dt.strftime("%F").tolist() == ["2026-01-31", "2026-02-28"]


def test_what_is_not_there_costs_nothing(small: Path) -> None:
    """A recording of CPU and memory alone has no array, no table and no file of the rest."""
    recording = load_recording(small)
    assert recording.usage.memory_rss_bytes is None
    assert recording.pods.empty and recording.days.empty
    assert not {"pods.parquet", "days.parquet"} & {entry.name for entry in small.iterdir()}


def test_the_optional_parts_follow_a_namespace(full: Recording) -> None:
    """Restricted to one namespace, no table, quota or array tells of the other.

    Nor does anything tell on which nodes its pods run: what these have left is not known then.
    """
    kept = full.restrict(lambda name: name == "n")
    assert all(set(table["namespace"]) <= {"n"} for table in kept.tables.values())
    assert [len(table) for table in kept.tables.values()] == [1, 0, 1, 1]
    assert len(kept.meta.quotas) == len(kept.meta.limit_ranges) == 1
    assert full.pods["node"].notna().any() and kept.pods["node"].isna().all()
    assert kept.usage.memory_cache_bytes is not None
    np.testing.assert_array_equal(kept.usage.memory_cache_bytes, 8192)


def test_the_optional_parts_follow_a_cut(full: Recording) -> None:
    """Cut to its first half hour, what came later is gone, and older days stay."""
    half = timedelta(minutes=30)
    cut = cut_recording(full, Window(full.meta.start + half, half))
    assert cut.usage.memory_rss_bytes is not None
    assert len(cut.usage.memory_rss_bytes) == 12
    assert cut.events.empty
    assert len(cut.pods) == len(cut.days) == 2
    later = full.pods.assign(started=full.meta.end - timedelta(minutes=5))
    assert cut_recording(replace(full, pods=later), Window(full.meta.start + half, half)).pods.empty


def test_parts_that_are_joined_make_up_the_whole(full: Recording) -> None:
    """Two halves give back what was cut, each pod and day once, nodes of the newest part.

    A node that only the older half had is one that went.
    """
    half = timedelta(minutes=30)
    old = cut_recording(full, Window(full.meta.start + half, half))
    new = cut_recording(full, Window(full.meta.end, half))
    old = replace(old, meta=replace(old.meta, nodes=({"name": "gone"},), quotas=()))
    start, end = old.meta.start.isoformat(), old.meta.end.isoformat()
    gone = {"name": "gone", "first_seen": start, "last_seen": end}
    whole = replace(full, meta=replace(full.meta, past_nodes=(gone,)))
    _same(join_recordings([old, new], replace(full.meta, nodes=())), whole)


def test_a_part_without_an_array_leaves_it_unobserved(full: Recording) -> None:
    """A day read before anybody asked for the page cache says nothing of it."""
    half = timedelta(minutes=30)
    old = cut_recording(full, Window(full.meta.start + half, half))
    new = cut_recording(full, Window(full.meta.end, half))
    old = replace(old, usage=replace(old.usage, memory_cache_bytes=None))
    cache = join_recordings([old, new], full.meta).usage.memory_cache_bytes
    assert cache is not None
    np.testing.assert_array_equal(cache[:12], [np.nan] * 6 + [8192] * 6)


def test_the_optional_parts_lose_their_names(full: Recording, tmp_path: Path) -> None:
    """Pseudonyms everywhere, the same ones for the same thing, numbers as they were."""
    hidden = anonymise(full, b"key")
    save_recording(hidden, tmp_path / "hidden")
    _same(load_recording(tmp_path / "hidden"), hidden)
    assert set(hidden.days["namespace"]) == {ref.namespace for ref in hidden.usage.containers}
    assert set(hidden.pods["pod"]) == set(hidden.usage.pods)
    assert set(hidden.pods["node"]) == {node["name"] for node in hidden.meta.nodes}
    assert not set(hidden.pods["owner"]) & set(full.pods["owner"])
    assert {quota["namespace"] for quota in hidden.meta.quotas} == set(hidden.days["namespace"])
    assert "labels" not in hidden.meta.nodes[0]
    assert sorted(hidden.days["kills"].dropna()) == [3]


def test_what_pods_ask_of_nodes_loses_its_names(full: Recording) -> None:
    """Taints, selectors, resources, budgets and classes are named by whoever runs the cluster."""
    mine = "acme.example/team"
    gone = {
        "name": "acme-1",
        "roles": ["master"],
        "labels": {mine: "a"},
        "first_seen": "2026-11-01",
    }
    budget = {"namespace": "acme", "name": "acme", "allowed": 1.0, "selector": {mine: "a"}}
    scope = {"name": "PriorityClass", "operator": "In", "values": ["acme-first"]}
    quota = {"namespace": "acme", "name": "acme", "resource": "requests.cpu", "scopes": [scope]}
    meta = replace(
        full.meta,
        past_nodes=(gone,),
        quotas=(quota,),
        budgets=(budget,),
        priority_classes=({"name": "acme-first", "value": 7.0},),
    )
    pods = full.pods.assign(
        priority_class="acme-first",
        tolerations=f'[{{"key":"{mine}"}}]',
        node_selector=f'{{"{mine}":"a"}}',
        other_requests=f'{{"{mine}":1}}',
    )
    hidden = anonymise(replace(full, meta=meta, pods=pods), b"key")
    assert "acme" not in str(hidden.meta) + hidden.pods.astype(str).to_csv()
    (known,), (limit,), (past,) = (
        hidden.meta.priority_classes,
        hidden.meta.budgets,
        hidden.meta.past_nodes,
    )
    assert set(hidden.pods["priority_class"]) == {known["name"]}
    assert hidden.meta.quotas[0]["scopes"] == [{**scope, "values": [known["name"]]}]
    assert (known["value"], limit["allowed"]) == (7, 1)
    assert ("roles" not in past, past["first_seen"]) == (True, "2026-11-01")


GARBLED: dict[str, tuple[dict[str, object], str]] = {
    "a number for a node": ({"nodes": [1]}, r"nodes\[0\]"),
    "text for a size": (
        {"nodes": [{"name": "n", "cpu_allocatable_cores": "4"}]},
        r"nodes\[0\]\.cpu_allocatable_cores",
    ),
    "null for a size": (
        {"nodes": [{"name": "n", "memory_allocatable_bytes": None}]},
        r"nodes\[0\]\.memory_allocatable_bytes",
    ),
    "a size below nothing": ({"nodes": [{"name": "n", "gpus": -1}]}, r"nodes\[0\]\.gpus"),
    "a nameless quota": ({"quotas": [{"namespace": "n"}]}, r"quotas\[0\]"),
    "a step beyond time": ({"step_seconds": 1e308}, "step_seconds"),
    "no step": ({"step_seconds": 0}, "step_seconds"),
    "a cluster that is a list": ({"cluster": []}, "cluster"),
    "warnings that are text": ({"warnings": "all"}, "warnings"),
    "a start that is none": ({"start": "yesterday"}, "yesterday"),
    "an end without a year": ({"end": 5}, r"\$\.end"),
}


@pytest.mark.parametrize("name", GARBLED)
def test_meta_is_checked_field_by_field(name: str, small: Path) -> None:
    """Whatever stands where something else should, the sentence names the file and the field."""
    changes, words = GARBLED[name]
    _replace(small, **changes)
    with pytest.raises(RecordingError, match=words) as caught:
        load_recording(small)
    assert str(small / "meta.json") in str(caught.value)


def test_what_is_not_known_of_a_node_or_quota_is_written_as_nothing(small: Path) -> None:
    """What is written is read again, be it that a server told nonsense."""
    recording = load_recording(small)
    node = {"name": "n", "cpu_allocatable_cores": float("nan"), "gpus": -1.0, "labels": {"a": "b"}}
    quota = {"namespace": "n", "name": "q", "resource": "pods", "hard": 1e300, "used": None}
    odd = replace(recording.meta, nodes=(node,), quotas=(quota,))
    save_recording(replace(recording, meta=odd), small)
    meta = load_recording(small).meta
    assert meta.nodes == ({"name": "n", "labels": {"a": "b"}},)
    assert meta.quotas == ({"namespace": "n", "name": "q", "resource": "pods"},)


FAR: dict[str, dict[str, object]] = {
    "a tiny step": {"step_seconds": 0.00001},
    "all of time": {"start": "0001-10-31T00:00:00+00:00", "end": "9999-11-05T00:00:00+00:00"},
    "seconds over ten years": {"start": "2016-11-02T00:00:00+00:00", "step_seconds": 1},
}


@pytest.mark.parametrize("name", FAR)
def test_an_immense_window_is_refused_before_anything_is_allocated(name: str, small: Path) -> None:
    """The sentence states the window, the step and how many steps they make."""
    _replace(small, **FAR[name])
    with pytest.raises(RecordingError, match=r"the window from .* has [\d,]+ steps of "):
        load_recording(small)


def test_a_stray_time_does_not_make_an_immense_window(small: Path) -> None:
    """Without meta.json the first and the last sample are the window; 1970 is refused."""
    (small / "meta.json").unlink()
    _table(small, lambda t: t.assign(timestamp=[T_1970, *t["timestamp"][1:]]))
    with pytest.raises(
        RecordingError, match=r"from 1970-01-01.*steps of 0:05:00.*or add meta\.json"
    ):
        load_recording(small)


T_1970 = pd.Timestamp("1970-01-02", tz="UTC")


def test_samples_far_apart_in_one_pod_cost_no_memory(small: Path) -> None:
    """Thirty pods seen once in 2002 and once now would fill 78 million cells with nothing."""
    old, new = pd.Timestamp("2002-01-01", tz="UTC"), pd.Timestamp("2026-11-02 00:30", tz="UTC")
    rows = [frame(1).assign(pod=f"p{i}", timestamp=t) for i in range(30) for t in (old, new)]
    pd.concat(rows).to_parquet(small / "usage.parquet")
    _replace(small, start="2001-12-31T23:55:00+00:00")
    with pytest.raises(RecordingError, match=r"60 samples from 2001.*0:05:00 would fill"):
        load_recording(small)


def _replace(path: Path, **changes: object) -> None:
    meta = orjson.loads((path / "meta.json").read_bytes())
    (path / "meta.json").write_bytes(orjson.dumps(meta | changes))


def _table(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(frame()).to_parquet(path / "usage.parquet")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no usage": (lambda p: (p / "usage.parquet").unlink(), "holds no usage.parquet"),
    "truncated": (
        lambda p: (p / "usage.parquet").write_bytes((p / "usage.parquet").read_bytes()[:-9]),
        "usage.parquet is broken",
    ),
    "damaged": (lambda p: (p / "usage.parquet").write_bytes(b"PAR1" * 40), "is broken"),
    "empty file": (lambda p: (p / "usage.parquet").write_bytes(b""), "is broken"),
    "damaged events": (lambda p: (p / "events.parquet").write_bytes(b"no"), "events.parquet is b"),
    "meta no JSON": (lambda p: (p / "meta.json").write_text("{"), "not readable JSON"),
    "meta a list": (lambda p: (p / "meta.json").write_text("[]"), "must hold a JSON object"),
    "meta lacks": (lambda p: (p / "meta.json").write_text("{}"), "lacks or garbles"),
    "future format": (lambda p: _replace(p, format=99), "format version 99"),
    "ends before it starts": (lambda p: _replace(p, end="2020-01-01T00:00:00Z"), "window is empty"),
    "no pod column": (lambda p: _table(p, lambda t: t.drop(columns="pod")), "lacks .* pod"),
    "no value": (
        lambda p: _table(p, lambda t: t.drop(columns=["cpu_cores", "memory_bytes"])),
        "neither cpu_cores nor memory_bytes",
    ),
    "text for numbers": (lambda p: _table(p, lambda t: t.assign(cpu_cores="x")), "not numbers"),
    "text for times": (lambda p: _table(p, lambda t: t.assign(timestamp="x")), "not times"),
    "nameless": (lambda p: _table(p, lambda t: t.assign(workload=None)), "without workload"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recording_says_what_is_broken(name: str, small: Path) -> None:
    """One sentence with the file in it, never a traceback of a library."""
    breaking, words = BROKEN[name]
    breaking(small)
    with pytest.raises(RecordingError, match=words) as caught:
        load_recording(small)
    assert str(small) in str(caught.value)


def test_what_is_no_folder_is_no_recording(tmp_path: Path) -> None:
    """Absent, or a file."""
    with pytest.raises(RecordingError, match="there is no recording"):
        load_recording(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="is a file"):
        load_recording(tmp_path / "file")


def test_foreign_folders_are_never_replaced(tmp_path: Path) -> None:
    """A folder with anything else in it is not ours to replace."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        save_recording(import_frame(frame(), cluster="c"), tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_doubled_and_finer_rows_become_one_per_step(small: Path) -> None:
    """Several rows in a step: the mean of CPU, the maximum of memory."""
    _table(small, lambda t: pd.concat([t, t.assign(cpu_cores=t["cpu_cores"] + 1, memory_bytes=0)]))
    usage = load_recording(small).usage
    np.testing.assert_allclose(usage.cpu_cores, np.arange(6) / 10 + 0.5, rtol=1e-6)
    np.testing.assert_array_equal(usage.memory_bytes, np.arange(6) * 4096)


def test_unsorted_rows_are_sorted(small: Path) -> None:
    """The order of rows means nothing."""
    _table(small, lambda t: t.sample(frac=1, random_state=1))
    np.testing.assert_allclose(load_recording(small).usage.cpu_cores, np.arange(6) / 10)


def test_meta_is_derived_where_it_is_absent(small: Path) -> None:
    """Window and step follow from the times."""
    (small / "meta.json").unlink()
    meta = load_recording(small).meta
    assert meta.step == timedelta(minutes=5)
    assert meta.start == datetime(2026, 11, 2, tzinfo=UTC)
    assert meta.end == datetime(2026, 11, 2, 0, 30, tzinfo=UTC)


def test_a_window_cuts_a_recording() -> None:
    """The last day by default; events and specs follow; outside is an error."""
    whole = load_recording(SAMPLE)
    source = RecordingSource(SAMPLE)
    day = source.read(Window(length=DAY))
    assert (day.meta.start, day.meta.end) == (whole.meta.end - DAY, whole.meta.end)
    assert day.usage.steps == 288
    assert (day.events["timestamp"] > day.meta.start).all()
    middle = source.read(Window(whole.meta.start + 2 * DAY, DAY))
    assert middle.meta.end == whole.meta.start + 2 * DAY
    with pytest.raises(RecordingError, match=r"does not touch"):
        source.read(Window(whole.meta.start - DAY, DAY))
    with pytest.raises(RecordingError, match="has steps of"):
        source.read(Window(step=timedelta(minutes=1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(datetime.fromisoformat("2026-01-01")),  # of no time zone
        lambda: Window(length=timedelta(0)),
        lambda: Window(step=timedelta(0)),
        lambda: Window(step=timedelta(seconds=1.5)),
    ],
)
def test_impossible_windows_are_refused(make: Callable[[], Window]) -> None:
    """No time zone, no length, no step."""
    with pytest.raises(UsageError):
        make()


def test_a_csv_becomes_a_recording(tmp_path: Path) -> None:
    """The columns of a usage table, the step from the times."""
    frame().to_csv(tmp_path / "usage.csv", index=False)
    recording = import_usage(tmp_path / "usage.csv")
    assert recording.meta.step == timedelta(minutes=5)
    assert recording.meta.start == datetime(2026, 11, 2, tzinfo=UTC)
    np.testing.assert_allclose(recording.usage.cpu_cores, np.arange(6) / 10)


@pytest.mark.parametrize(
    ("size", "unit"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_unix_time_is_read_in_its_unit_and_that_is_said(
    size: int, unit: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """50 samples five minutes apart from 2025-11-24 16:00 UTC on are 50 steps, in whatever unit."""
    times = (np.arange(50) * 300 + 1_764_000_000) * size
    table = pd.DataFrame({"series_id": "x", "timestamp": times, "cpu_cores": 0.1})
    table.to_csv(tmp_path / "t.csv", index=False)
    recording = import_usage(tmp_path / "t.csv")
    assert recording.meta.start == datetime(2025, 11, 24, 15, 55, tzinfo=UTC)
    assert (recording.meta.steps, recording.meta.step) == (50, timedelta(minutes=5))
    assert np.isfinite(recording.usage.cpu_cores).all()
    assert f"read as Unix {unit}" in caplog.text


@pytest.mark.parametrize("times", [[0, 300], [1_764_000_000, 1_764_000_300_000], [1e30, 2e30]])
def test_numbers_that_are_no_time_are_refused(times: list[float], tmp_path: Path) -> None:
    """Nothing is guessed: neither 1970, nor two units in one column."""
    table = pd.DataFrame({"series_id": "x", "timestamp": times, "cpu_cores": 0.1})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(RecordingError, match=r"t\.csv: the timestamps from .*2026-11-23T00:00:00Z"):
        import_usage(tmp_path / "t.csv")


def test_a_date_that_means_two_days_is_refused(tmp_path: Path) -> None:
    """01/02/2026 is in January here and in February there."""
    frame().assign(timestamp="01/02/2026 00:05").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(RecordingError, match="not a time as 2026-11-23T00:00:00Z"):
        import_usage(tmp_path / "t.csv")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Nobody can know which of the two is meant."""
    (tmp_path / "t.csv").write_text(
        "series_id,timestamp,cpu_cores,cpu_cores\na,2026-11-02T00:05:00Z,1,2\n"
    )
    with pytest.raises(RecordingError, match="cpu_cores is there twice"):
        import_usage(tmp_path / "t.csv")


def test_rows_that_contradict_each_other_are_no_mean() -> None:
    """The mean of a peak and of nothing is no peak; the same row twice contradicts nothing."""
    frame = steady(2)
    once = import_frame(frame, cluster="c").usage
    shuffled = pd.concat([frame, frame.tail(9)]).sample(frac=1, random_state=1)
    assert np.array_equal(import_frame(shuffled, cluster="c").usage.cpu_cores, once.cpu_cores)
    halves = [frame.assign(cpu_cores=np.nan), frame.assign(memory_bytes=np.nan)]
    told = import_frame(pd.concat(halves), cluster="c").usage
    assert np.array_equal(told.cpu_cores, once.cpu_cores)
    for column, value in (("cpu_cores", 5.0), ("memory_bytes", 1.0)):
        twice = pd.concat([frame, frame.tail(1).assign(**{column: value})])
        with pytest.raises(RecordingError, match=f"{column} of shop.*web-1 at .* told twice"):
            import_frame(twice, cluster="c")


def test_a_few_stray_rows_cost_no_import(caplog: pytest.LogCaptureFixture) -> None:
    """One sample of 1970, one without a time, one below zero among 300: all else is kept."""
    table = frame(300)
    table["timestamp"] = table["timestamp"].astype(object)
    table.loc[3, "timestamp"] = pd.Timestamp("1970-01-02", tz="UTC")
    table.loc[5, "timestamp"] = None
    table.loc[7, "memory_bytes"] = -1.0
    recording = import_frame(table, cluster="c")
    assert recording.meta.start == datetime(2026, 11, 2, tzinfo=UTC)
    assert np.flatnonzero(np.isnan(recording.usage.cpu_cores)).tolist() == [3, 5]
    assert "1 rows without a timestamp are left out" in caplog.text
    assert "1 rows are left out, whose times lie years apart" in caplog.text
    assert [verdict.fault for verdict in gate(recording)[1]] == ["impossible", "zero"]


def test_samples_years_apart_are_no_series() -> None:
    """A step of 36 years is refused, not worked with."""
    table = frame(2).assign(
        timestamp=[pd.Timestamp("1990-01-01", tz="UTC"), pd.Timestamp("2026-01-01", tz="UTC")]
    )
    with pytest.raises(RecordingError, match=r"usually 13149 days.* apart"):
        import_frame(table, cluster="c")


@pytest.mark.parametrize("year", [1026, 1999, 2126])
def test_a_year_in_which_nothing_was_measured_is_refused(year: int) -> None:
    """A slip of the pen in every row shifts the whole window: one sentence, no recording."""
    times = frame(4)["timestamp"].map(lambda time: time.replace(year=year))
    with pytest.raises(RecordingError, match=rf"window from {year}.* not between 2001 and 2100"):
        import_frame(frame(4).assign(timestamp=times), cluster="c")


def test_a_table_of_series_becomes_containers(tmp_path: Path) -> None:
    """series_id stands for the names; limits beside the usage become specs."""
    table = frame()[["timestamp", "cpu_cores"]].assign(series_id="vm-1", cpu_limit_cores=2.0)
    table.to_parquet(tmp_path / "trace.parquet")
    recording = import_usage(tmp_path / "trace.parquet")
    assert [ref.workload for ref in recording.usage.containers] == ["vm-1"]
    assert recording.specs.iloc[0]["cpu_limit_cores"] == 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", '"unclosed\n', "timestamp\nx\n"])
def test_a_table_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    """Whatever the file holds, the sentence names it."""
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(RecordingError, match=r"bad\.csv"):
        import_usage(tmp_path / "bad.csv")


@pytest.fixture(scope="module")
def anonymous() -> Recording:
    return anonymise(load_recording(SAMPLE), b"key")


def test_no_name_survives_anonymising(anonymous: Recording, tmp_path: Path) -> None:
    """Nothing in the files of the anonymous recording tells a name of the cluster."""
    original = load_recording(SAMPLE)
    save_recording(anonymous, tmp_path / "out")
    names = {ref.workload for ref in original.usage.containers} | set(original.usage.pods)
    names |= {str(node["name"]) for node in original.meta.nodes} | {"ghcr.io", "homelab"}
    tables = [pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    texts = [(tmp_path / "out" / "meta.json").read_text()]
    for table in tables:
        named = table.select_dtypes(exclude=["number", "datetimetz"])
        texts += [named[c].drop_duplicates().astype(str).str.cat(sep="\n") for c in named]
    for name in names:
        assert not any(name in text for text in texts if len(name) > 4), name


def test_anonymising_keeps_the_numbers(anonymous: Recording) -> None:
    """The same samples, under names that depend on the key alone."""
    original = load_recording(SAMPLE)
    assert len(anonymous.usage.containers) == len(original.usage.containers)
    assert np.nansum(anonymous.usage.cpu_cores) == pytest.approx(
        np.nansum(original.usage.cpu_cores), rel=1e-5
    )
    assert (anonymous.usage.container[1:] >= anonymous.usage.container[:-1]).all()
    again = anonymise(load_recording(SAMPLE), b"key")
    other = anonymise(load_recording(SAMPLE), b"another")
    assert again.usage.pods == anonymous.usage.pods
    assert not set(other.usage.pods) & set(anonymous.usage.pods)
    assert anonymous.specs["image"].nunique() == original.specs["image"].nunique()


def test_what_lies_before_the_window_is_summed_up_by_day(tmp_path: Path) -> None:
    """Four of six days are before it: a peak on the second one is not lost."""
    memory = np.where(np.arange(6 * 288) // 288 == 1, 900.0, 100.0) * MIB
    save_recording(import_frame(steady(6, 0.1, memory), cluster="lab"), tmp_path / "r")
    got = RecordingSource(tmp_path / "r").read(Window(length=timedelta(days=2)))
    assert got.meta.steps == 2 * 288
    peaks = got.days.set_index("day")["memory_peak_bytes"] / MIB
    assert peaks.tolist() == [100, 900, 100, 100]
    assert peaks.index[0] == pd.Timestamp(START)
    assert RecordingSource(tmp_path / "r").read(Window()).days.empty


@pytest.mark.parametrize("table", ["usage.parquet", "specs.parquet"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_what_the_system_refuses_is_no_fault_of_the_file(
    table: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be opened for want of descriptors is not called broken."""
    opened = pq.ParquetFile

    def refused(path: Path, **options: Any) -> pq.ParquetFile:
        if Path(path).name == table:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, **options)

    monkeypatch.setattr(pq, "ParquetFile", refused)
    with pytest.raises(RecordingError, match=f"{table} cannot be read just now: .*open files"):
        load_recording(SAMPLE)


def test_nodes_of_earlier_parts_that_are_gone_are_kept_with_their_lives() -> None:
    """Three days: b was there on the first, as its end tells; c for an hour of the second."""
    days = [START + timedelta(days=k) for k in range(4)]
    hour = {"first_seen": "2026-11-03T05:00:00+00:00", "last_seen": "2026-11-03T06:00:00+00:00"}
    metas = [
        Meta("lab", days[0], days[1], STEP, nodes=({"name": "a"}, {"name": "b"})),
        Meta(
            "lab",
            days[1],
            days[2],
            STEP,
            nodes=({"name": "a"},),
            past_nodes=({"name": "c", **hour},),
        ),
        Meta("lab", days[2], days[3], STEP, nodes=({"name": "a"},)),
    ]
    parts = [Recording(one, Usage.from_frame(steady(days=0.1)[:0], one)) for one in metas]
    joined = join_recordings(parts, Meta("lab", days[0], days[3], STEP)).meta
    assert [node["name"] for node in joined.nodes] == ["a"]
    b, c = joined.past_nodes
    assert (b["first_seen"], b["last_seen"]) == (days[0].isoformat(), days[1].isoformat())
    assert c == {"name": "c", **hour}
