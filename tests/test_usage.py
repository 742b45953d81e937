"""Usage tables and their ragged form."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import RecordingError
from analyzer.tables import validate_events, validate_pods, validate_specs, validate_usage
from analyzer.usage import Meta, Recording, Usage, concat

START = datetime(2026, 11, 2, tzinfo=UTC)
META = Meta("c", START, START + timedelta(hours=1), timedelta(minutes=5))


def table(rows: list[tuple[str, str, int, float, float]]) -> pd.DataFrame:
    """Rows of (container, pod, minute, cpu, memory) as a usage table."""
    return pd.DataFrame(
        [
            {
                "namespace": "n",
                "workload_kind": "Deployment",
                "workload": "w",
                "container": container,
                "pod": pod,
                "timestamp": START + timedelta(minutes=minute),
                "cpu_cores": cpu,
                "memory_bytes": memory,
            }
            for container, pod, minute, cpu, memory in rows
        ]
    )


def test_a_sample_belongs_to_the_step_that_ends_at_it() -> None:
    """A sample at t covers (t - step, t]: minute 5 is step 0, minute 6 is step 1."""
    usage = Usage.from_frame(table([("a", "p", 5, 1, 10), ("a", "p", 6, 2, 20)]), META)
    assert usage.first.tolist() == [0]
    assert usage.cpu_cores.tolist() == [1, 2]


def test_samples_outside_the_window_are_left_out() -> None:
    """The window is open at its start and closed at its end."""
    rows = [("a", "p", minute, 1.0, 1.0) for minute in (0, 5, 60, 65)]
    usage = Usage.from_frame(table(rows), META)
    assert usage.sample_steps(0)[~np.isnan(usage.cpu_cores)].tolist() == [0, 11]


def test_several_samples_in_a_step_become_mean_cpu_and_peak_memory() -> None:
    """Finer data loses no peak of memory, and CPU stays a mean; NaN counts for neither."""
    rows = [("a", "p", 1, 1.0, 10.0), ("a", "p", 2, 3.0, 30.0), ("a", "p", 3, np.nan, np.nan)]
    usage = Usage.from_frame(table(rows), META)
    assert usage.cpu_cores.tolist() == [2.0]
    assert usage.memory_bytes.tolist() == [30.0]


def test_gaps_are_nan_and_pods_are_kept_apart() -> None:
    """Between two samples of one pod lies "not observed"; another pod has its own stretch."""
    rows = [("a", "p", 5, 1.0, 1.0), ("a", "p", 15, 2.0, 2.0), ("a", "q", 10, 5.0, 5.0)]
    usage = Usage.from_frame(table(rows), META)
    assert usage.pods == ("p", "q")
    assert np.array_equal(usage.cpu_cores, [1, np.nan, 2, 5], equal_nan=True)
    assert usage.sample_steps(0).tolist() == [0, 1, 2, 1]
    assert usage.seen_steps(0, ~np.isnan(usage.cpu_cores)).tolist() == [0, 1, 2]
    assert usage.seen_steps(0, usage.cpu_cores == 2).tolist() == [2]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are copied three at a time here, so that small tables have several pieces too."""
    monkeypatch.setattr("analyzer.usage._PIECE", 3)


samples = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("pqr"), st.integers(1, 12), st.integers(0, 9)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:3],
)


@given(samples)
def test_table_and_ragged_form_hold_the_same(rows: list[tuple[str, str, int, int]]) -> None:
    """Going to arrays and back changes nothing but the order."""
    frame = table([(c, p, 5 * m, float(v), float(v)) for c, p, m, v in rows])
    back = Usage.from_frame(frame, META).to_frame()
    found = {
        (r.container, r.pod, r.timestamp, r.cpu_cores, r.memory_bytes) for r in back.itertuples()
    }
    expected = {
        (r.container, r.pod, r.timestamp, r.cpu_cores, r.memory_bytes) for r in frame.itertuples()
    }
    assert found == expected
    assert len(back) == len(frame)


@given(samples, st.integers(0, 12), st.integers(0, 12))
def test_between_keeps_just_the_samples_of_those_steps(
    rows: list[tuple[str, str, int, int]], begin: int, stop: int
) -> None:
    """A part of a window holds the same samples as the table filtered by time."""
    usage = Usage.from_frame(table([(c, p, 5 * m, float(v), 1.0) for c, p, m, v in rows]), META)
    stop = max(begin, stop)
    part = usage.between(begin, stop)
    whole = usage.to_frame()
    low, high = (START + k * META.step for k in (begin, stop))
    expected = whole[(whole["timestamp"] > low) & (whole["timestamp"] <= high)]
    found = part.to_frame()
    assert found["timestamp"].tolist() == expected["timestamp"].tolist()
    assert found["cpu_cores"].tolist() == expected["cpu_cores"].tolist()
    assert part.containers == usage.containers


@settings(max_examples=25)
@given(samples, st.integers(0, 2), st.integers(1, 3))
def test_a_part_is_some_containers_and_copies_no_sample(
    rows: list[tuple[str, str, int, int]], low: int, length: int
) -> None:
    """Neighbours, with the samples that they have in the whole; beyond the end there are none."""
    usage = Usage.from_frame(table([(c, p, 5 * m, float(v), 1.0) for c, p, m, v in rows]), META)
    part = usage.part(slice(low, low + length))
    assert part.containers == usage.containers[low : low + length]
    whole = usage.to_frame()
    kept = whole["container"].isin([ref.container for ref in part.containers])
    for name in ("container", "pod", "timestamp", "cpu_cores"):
        assert part.to_frame()[name].tolist() == whole[kept][name].tolist()
    assert not len(part.cpu_cores) or np.shares_memory(part.cpu_cores, usage.cpu_cores)


@given(samples)
def test_joining_parts_gives_what_was_split(rows: list[tuple[str, str, int, int]]) -> None:
    """Read namespace by namespace or at once: the same arrays."""
    frame = table([(c, p, 5 * m, float(v), 1.0) for c, p, m, v in rows])
    whole = Usage.from_frame(frame, META)
    parts = [Usage.from_frame(part, META) for _, part in frame.groupby("pod", sort=False)]
    joined = concat(parts)
    pd.testing.assert_frame_equal(joined.to_frame(), whole.to_frame())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "pod"}, "lacks the column"),
        ({"memory_bytes": "much"}, "not numeric"),
        ({"timestamp": "yesterday-ish"}, "not a time"),
        ({"timestamp": None}, "without a timestamp"),
        ({"namespace": None}, "without namespace"),
    ],
)
def test_a_broken_usage_table_is_refused(change: dict[str, Any], message: str) -> None:
    """One sentence says which column is wrong and how."""
    frame = table([("a", "p", 5, 1.0, 1.0)])
    frame = (
        frame.drop(columns=[str(change["drop"])]) if "drop" in change else frame.assign(**change)
    )
    with pytest.raises(RecordingError, match=message):
        validate_usage(frame)


def test_unknown_kinds_in_the_other_tables_are_refused() -> None:
    """Specs and events know their words."""
    names = {"namespace": ["n"], "workload_kind": ["D"], "workload": ["w"], "container": ["c"]}
    with pytest.raises(RecordingError, match="expected one of app, init, sidecar"):
        validate_specs(pd.DataFrame({**names, "container_type": ["main"]}))
    with pytest.raises(RecordingError, match="expected one of oom_kill"):
        validate_events(pd.DataFrame({**names, "timestamp": [START], "kind": ["boom"]}))


def test_a_window_must_have_room_and_be_in_utc() -> None:
    """An empty window or local time is refused."""
    with pytest.raises(RecordingError, match="empty"):
        Meta("c", START, START, timedelta(minutes=5))
    with pytest.raises(RecordingError, match="UTC"):
        Meta("c", datetime.fromisoformat("2026-01-01"), START, timedelta(minutes=5))


def test_restricting_a_recording_keeps_the_columns_of_empty_tables() -> None:
    """What has no row has its columns all the same, whatever is wanted."""
    usage = Usage.from_frame(table([("a", "p", 5, 1, 10)]), META)
    whole = Recording(META, usage)
    for wanted in (True, False):
        # Called within the turn.
        kept = whole.restrict(lambda namespace: (namespace == "n") == wanted)  # noqa: B023
        for name, each in whole.tables.items():
            assert list(kept.tables[name].columns) == list(each.columns)


def test_a_pod_without_a_known_workload_is_a_pod_all_the_same() -> None:
    """Who owns it may never have been told; a pods table without its name is no table."""
    rows = {"namespace": ["n", "n"], "pod": ["a", "b"], "workload_kind": [None, "Deployment"]}
    table = validate_pods(pd.DataFrame({**rows, "workload": [None, "w"]}))
    assert table["workload_kind"].isna().tolist() == [True, False]
    assert len(validate_pods(pd.concat([table, table]))) == 2
    with pytest.raises(RecordingError, match="rows without pod"):
        validate_pods(pd.DataFrame({"namespace": ["n"], "pod": [None]}))
