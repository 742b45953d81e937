"""Recordings come back as they went, and broken ones say what is broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
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
from analyzer.usage import Recording
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
    "negative": (lambda p: _table(p, lambda t: t.assign(cpu_cores=-1.0)), "negative, infinite"),
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
        lambda: Window(datetime(2026, 1, 1)),  # noqa: DTZ001
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
