"""The cache never returns anything but what was stored, whatever happens to it."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.errors import SourceError
from analyzer.sources import PrometheusSettings, PrometheusSource, Window, load_recording
from analyzer.sources.cache import Cache, closed_days, uncovered
from analyzer.sources.days import has_arrived, summarise_day
from analyzer.sources.prometheus.ragged import Grid
from analyzer.sources.recording.joining import join_recordings
from analyzer.sources.recording.recording import cut_recording
from analyzer.tables import NAMES, validate_days, validate_events, validate_pods
from analyzer.usage import Recording
from tests.sources.conftest import ROOT
from tests.sources.smallcluster import END

DAY = timedelta(days=1)
STEP = timedelta(minutes=5)
FIRST = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def day() -> Recording:
    return cut_recording(
        load_recording(ROOT / "sample-data" / "recording"), Window(FIRST + DAY, DAY)
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", ("server", "query"))


def same(left: Recording | None, right: Recording) -> bool:
    return (
        left is not None
        and left.usage.pods == right.usage.pods
        and np.array_equal(left.usage.cpu_cores, right.usage.cpu_cores, equal_nan=True)
        and np.array_equal(left.usage.memory_bytes, right.usage.memory_bytes, equal_nan=True)
    )


def test_what_is_stored_is_loaded(cache: Cache, day: Recording) -> None:
    """Once stored, a day stays; storing again changes nothing."""
    assert cache.load(FIRST) is None
    assert cache.store(FIRST, day)
    written = (cache.home / "2026-11-20" / "seal.json").stat().st_mtime_ns
    assert same(cache.load(FIRST), day)
    assert cache.store(FIRST, day)
    assert (cache.home / "2026-11-20" / "seal.json").stat().st_mtime_ns == written


def test_another_question_has_another_answer(cache: Cache, day: Recording) -> None:
    """A changed query, tenant or step never meets the days of the old one."""
    cache.store(FIRST, day)
    assert Cache(cache.folder, ("server", "another query")).load(FIRST) is None


@pytest.mark.parametrize("name", ["usage.parquet", "specs.parquet", "meta.json", "seal.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_seen_and_cleared(cache: Cache, day: Recording, name: str, damage: str) -> None:
    """One changed byte, a lost tail or a lost file: the day is gone, and can be stored anew."""
    cache.store(FIRST, day)
    file = cache.home / "2026-11-20" / name
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "truncate":
        file.write_bytes(data[:-7])
    else:
        file.unlink()
    assert cache.load(FIRST) is None
    assert cache.store(FIRST, day)
    assert same(cache.load(FIRST), day)


def test_a_shortage_is_no_damage(cache: Cache, day: Recording) -> None:
    """Without a file descriptor left the day cannot be read; it stays, and is read afterwards."""
    cache.store(FIRST, day)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(SourceError, match=r"2026-11-20 cannot be read just now.*and is kept"):
            cache.load(FIRST)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert same(cache.load(FIRST), day)


@pytest.mark.parametrize(
    "shortage",
    [OSError(5, "Input/output error"), MemoryError(), pa.ArrowMemoryError("malloc of 64 failed")],
)
def test_a_shortage_behind_a_whole_seal_is_no_damage(
    cache: Cache, day: Recording, monkeypatch: pytest.MonkeyPatch, shortage: Exception
) -> None:
    """Bytes that are proven whole and still cannot be decoded speak of the machine, not of them."""
    cache.store(FIRST, day)

    def fail(*_: object, **__: object) -> None:
        raise shortage

    with monkeypatch.context() as patched:
        patched.setattr(pq, "ParquetFile", fail)
        with pytest.raises(SourceError, match="and is kept"):
            cache.load(FIRST)
    assert same(cache.load(FIRST), day)


def test_a_seal_binds_identity_day_and_content(cache: Cache, day: Recording) -> None:
    """A day that was copied to another date, or to another cluster, is not that day."""
    cache.store(FIRST, day)
    stored = cache.home / "2026-11-20"
    shutil.copytree(stored, cache.home / "2026-11-21")
    other = replace(cache, identity=("another",))
    shutil.copytree(stored, other.home / "2026-11-20")
    assert cache.load(FIRST + DAY) is None
    assert other.load(FIRST) is None
    assert same(cache.load(FIRST), day)


def test_two_runs_at_once_store_one_day(cache: Cache, day: Recording) -> None:
    """Of many writers one wins, and readers meet nothing or all of it."""

    def store_and_load(number: int) -> bool:
        cache.store(FIRST, day)
        return same(cache.load(FIRST), day)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(store_and_load, range(12)))
    assert {entry.name for entry in cache.home.iterdir()} == {"2026-11-20", "identity.json"}


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, day: Recording) -> None:
    """A run goes on without its cache; here a file stands where the folder should be."""
    (tmp_path / "cache").write_text("in the way")
    cache = Cache(tmp_path / "cache", ("x",))
    assert not cache.store(FIRST, day)
    assert cache.load(FIRST) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_failure(tmp_path: Path, day: Recording) -> None:
    """When nothing more can be written the day is not there, and nothing is left behind."""
    script = """
        import resource, sys
        from datetime import timedelta
        from pathlib import Path
        from analyzer.sources import Window, load_recording
        from analyzer.sources.cache import Cache
        from analyzer.sources.recording.recording import cut_recording
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        whole = load_recording(Path(sys.argv[1]))
        day = cut_recording(whole, Window(length=timedelta(days=1)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        cache = Cache(Path(sys.argv[2]), ("x",))
        assert not cache.store(day.meta.start, day)
        assert cache.load(day.meta.start) is None
        assert {entry.name for entry in cache.home.iterdir()} <= {"identity.json"}
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    sample = ROOT / "sample-data" / "recording"
    subprocess.run([*command, str(sample), str(tmp_path)], check=True, cwd=ROOT)


def test_what_killed_runs_left_is_cleared_when_old(cache: Cache, day: Recording) -> None:
    """Young leftovers may belong to a run that still writes."""
    cache.home.mkdir(parents=True)
    for name, age in (("old", 2 * 86_400), ("young", 60)):
        left = cache.home / f".writing-{name}"
        left.mkdir()
        moment = left.stat().st_mtime - age
        os.utime(left, (moment, moment))
    cache.store(FIRST, day)
    names = {entry.name for entry in cache.home.iterdir()}
    assert names == {".writing-young", "2026-11-20", "identity.json"}


def test_a_run_killed_fifty_times_loses_nothing(small_server: str, tmp_path: Path) -> None:
    """Killed at random moments, the cache holds whole days or none, and the next run is right."""
    script = """
        import os, random, signal, sys, time
        from datetime import datetime, timedelta
        from pathlib import Path
        from analyzer.sources import PrometheusSettings, PrometheusSource, Window
        url, folder, end = sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
        source = PrometheusSource(url, PrometheusSettings(cache=folder))
        window = Window(end, timedelta(days=2))
        random.seed(5)
        killed = 0
        for turn in range(50):
            for day in folder.glob("*/*-*"):
                if turn % 5 == 0 and not day.name.startswith("."):
                    day.rename(day.with_name(".writing-" + str(turn) + day.name))
            child = os.fork()
            if not child:
                source.read(window)
                os._exit(0)
            time.sleep(random.uniform(0, 0.35))
            os.kill(child, signal.SIGKILL)
            killed += os.waitpid(child, 0)[1] == signal.SIGKILL
        print(killed)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    words = [small_server, str(tmp_path), END.isoformat()]
    done = subprocess.run([*command, *words], check=True, capture_output=True, text=True, cwd=ROOT)
    assert int(done.stdout) > 10
    window = Window(END, timedelta(days=2))
    plain = PrometheusSource(small_server).read(window)
    settings = PrometheusSettings(cache=tmp_path)
    for _ in range(2):
        assert same(PrometheusSource(small_server, settings).read(window), plain)


def test_only_whole_and_settled_days_are_closed() -> None:
    """Neither the day that runs, nor one cut by the window, nor one that ended just now."""
    grid = Grid(FIRST - timedelta(hours=3), STEP, 3 * 288)
    end = FIRST + 2 * DAY + timedelta(hours=21)
    assert [d for d, _, _ in closed_days(grid, end)] == [FIRST, FIRST + DAY]
    just_after = FIRST + 2 * DAY + timedelta(minutes=5)
    assert [d for d, _, _ in closed_days(grid, just_after)] == [FIRST]
    assert next(closed_days(grid, end)) == (FIRST, 36, 36 + 288)
    odd = Grid(FIRST, timedelta(minutes=7), 1000)
    assert not list(closed_days(odd, end))


def test_what_is_not_covered_is_asked() -> None:
    """The spans between known days, at both ends too."""
    grid = Grid(FIRST, STEP, 100)
    assert uncovered(grid, []) == [(0, 100)]
    assert uncovered(grid, [(10, 20), (20, 30), (50, 60)]) == [(0, 10), (30, 50), (60, 100)]
    assert uncovered(grid, [(0, 100)]) == []


def test_a_pod_that_no_later_day_knows_is_over(day: Recording) -> None:
    """It ran to the end of its day, so nothing else says that it has ended; the newest may run."""
    later = replace(day, meta=replace(day.meta, start=day.meta.end, end=day.meta.end + DAY))
    names = {"namespace": "n", "workload_kind": "Deployment", "workload": "w"}
    tables = [pd.DataFrame([names | {"pod": p} for p in pods]) for pods in (["a", "b"], ["b"])]
    parts = [
        replace(part, pods=validate_pods(table))
        for part, table in zip((day, later), tables, strict=True)
    ]
    meta = replace(day.meta, end=later.meta.end)
    joined = join_recordings(parts, meta).pods.set_index("pod")["ended"]
    assert joined["a"] == day.meta.end
    assert pd.isna(joined["b"])


def test_a_summary_is_a_row_a_container(day: Recording) -> None:
    """Samples, quantiles and peaks as numpy tells them, of all pods together, and of that day."""
    table = summarise_day(day)
    assert set(table["day"]) == {pd.Timestamp(FIRST)}
    assert table["pod"].isna().all()
    assert len(table) == len(table.drop_duplicates(NAMES))
    usage = day.usage
    row = table.iloc[0]
    name = tuple(row[column] for column in NAMES)
    index = next(
        i
        for i, ref in enumerate(usage.containers)
        if (ref.namespace, ref.kind, ref.workload, ref.container) == name
    )
    cpu, memory = usage.cpu_cores[usage.span(index)], usage.memory_bytes[usage.span(index)]
    assert row["samples"] == np.isfinite(cpu).sum()
    assert row["cpu_max_cores"] == np.nanmax(cpu)
    assert row["cpu_p95_cores"] == np.nanquantile(cpu, 0.95, method="inverted_cdf")
    assert row["memory_peak_bytes"] == np.nanmax(memory)


def test_a_summary_holds_no_fault(day: Recording) -> None:
    """A wrapped sample of today is no peak in a year's time."""
    memory = day.usage.memory_bytes.copy()
    memory[5] = 2.0**64
    faulty = replace(day, usage=replace(day.usage, memory_bytes=memory))
    assert summarise_day(faulty)["memory_peak_bytes"].max() < 2.0**40


def test_summaries_outlive_their_days(cache: Cache, day: Recording) -> None:
    """Raw days may be deleted; summaries stay for a year, and are those before the window."""
    cache.store(FIRST, day)
    cache.summarise(FIRST, day)
    shutil.rmtree(cache.home)
    expected = summarise_day(day)
    pd.testing.assert_frame_equal(cache.summaries(FIRST + DAY), expected, check_dtype=False)
    assert cache.summaries(FIRST).empty
    assert len(cache.summaries(FIRST + 366 * DAY)) == len(expected)
    assert cache.summaries(FIRST + 367 * DAY).empty
    assert not list(cache.summary_home.glob("*.parquet"))


def other_way(cache: Cache, way: str) -> Cache:
    """The same cluster, asked in another way."""
    return Cache(cache.folder, ("cluster", way), ("cluster",))


def test_old_days_go_and_their_summaries_stay(cache: Cache, day: Recording) -> None:
    """However they were asked for; days of another cluster and newer ones stay whole."""
    ours, before = other_way(cache, "one"), other_way(cache, "another")
    others = Cache(cache.folder, ("other", "one"), ("other",))
    for each in (ours, before, others):
        assert each.store(FIRST, day)
    assert before.store(FIRST + DAY, day)
    ours.prune(FIRST + DAY)
    assert ours.load(FIRST) is before.load(FIRST) is None
    assert same(others.load(FIRST), day)
    assert same(before.load(FIRST + DAY), day)
    assert set(ours.summaries(FIRST + DAY)["day"]) == {pd.Timestamp(FIRST)}


def test_a_day_that_cannot_be_summed_up_stays(
    cache: Cache, day: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost that is known nowhere else."""
    cache.store(FIRST, day)
    path = cache.home / "2026-11-20"
    (path / "usage.parquet").write_bytes(b"damaged")
    cache.prune(FIRST + DAY)
    assert path.is_dir()
    assert "stays, it cannot be summed up" in caplog.text


def test_days_of_earlier_versions_are_named(cache: Cache, day: Recording) -> None:
    """They do not say of which cluster they are; a folder that is read again does from then on."""
    earlier = other_way(cache, "earlier")
    for each in (cache, earlier):
        each.store(FIRST, day)
        (each.home / "identity.json").unlink()
    assert cache.untold() == [earlier.home]
    earlier.prune(FIRST)
    assert cache.untold() == []


def test_what_a_look_back_told_is_kept_once(cache: Cache) -> None:
    """A day with a summary needs no second look, and keeps the one it has."""
    row = dict(zip(NAMES, ("n", "Deployment", "w", "c"), strict=True))
    look = validate_days(pd.DataFrame([{**row, "day": FIRST, "memory_peak_bytes": 5.0}]))
    assert not cache.knows(FIRST)
    cache.keep_look(look)
    assert cache.knows(FIRST)
    cache.keep_look(look.assign(memory_peak_bytes=7.0))
    assert cache.summaries(FIRST + DAY)["memory_peak_bytes"].tolist() == [5.0]


def test_a_summary_tells_the_peak_of_starts(day: Recording) -> None:
    """The first ten minutes of a pod and of a restart, apart from the steady state."""
    usage = day.usage
    series = int(np.flatnonzero(np.diff(usage.offset) == 288)[0])
    ref, pod = usage.containers[usage.container[series]], usage.pods[series]
    memory = usage.memory_bytes.copy()
    where = slice(usage.offset[series], usage.offset[series + 1])
    memory[where] = 100.0
    memory[where][[100, 101, 110]] = 700.0, 900.0, 950.0
    names = dict(zip(NAMES, (ref.namespace, ref.kind, ref.workload, ref.container), strict=True))
    moment = usage.start + 100 * usage.step + timedelta(seconds=30)
    event = {**names, "pod": pod, "timestamp": moment, "kind": "restart"}
    started = replace(
        day,
        usage=replace(usage, memory_bytes=memory),
        events=validate_events(pd.DataFrame([event])),
        pods=validate_pods(pd.DataFrame(columns=["namespace", "pod"])),
    )
    table = summarise_day(started).set_index(NAMES)
    assert table.loc[tuple(names.values()), "start_peak_bytes"] == 900.0
    assert table["start_peak_bytes"].notna().sum() == 1


def test_a_summary_is_the_cluster_s_however_it_was_asked(cache: Cache, day: Recording) -> None:
    """Another step or query of the same cluster finds it, another cluster does not."""
    one = replace(cache, identity=("cluster", "5m"), cluster=("cluster",))
    one.summarise(FIRST, day)
    assert len(replace(one, identity=("cluster", "1m")).summaries(FIRST + DAY))
    assert replace(one, cluster=("another",)).summaries(FIRST + DAY).empty


def test_a_damaged_summary_is_set_aside_until_its_day_is_known_again(
    cache: Cache, day: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """A decrease may rest on it, so every run without it is told; its day is asked for anew."""
    cache.summarise(FIRST, day)
    (file,) = cache.summary_home.glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert cache.summaries(FIRST + DAY).empty
    assert "cannot be read" in caplog.text
    assert not cache.knows(FIRST)
    for _ in range(2):  # of each later run as well
        assert cache.unsummed(FIRST + DAY) == [file.with_suffix(".damaged")]
    assert cache.unsummed(FIRST) == []  # a window that begins before rests on the day itself
    cache.summarise(FIRST, day)
    assert cache.unsummed(FIRST + DAY) == []
    assert [path.name for path in cache.summary_home.iterdir()] == [file.name]


def test_a_run_without_a_damaged_summary_is_partial(small_server: str, tmp_path: Path) -> None:
    """It is named for as long as neither the server nor the cache knows the day again."""
    source = PrometheusSource(small_server, PrometheusSettings(cache=tmp_path))
    window = Window(END, timedelta(days=1))
    assert not source.read(window).meta.warnings
    (home,) = tmp_path.glob("days-*")
    (home / f"{END - timedelta(days=200):%Y-%m-%d}.parquet").write_bytes(b"no table")
    for _ in range(2):
        (told,) = source.read(window).meta.warnings
        assert "is damaged" in told and ".damaged" in told
    (home / f"{END - timedelta(days=200):%Y-%m-%d}.damaged").unlink()
    assert not source.read(window).meta.warnings


@pytest.mark.parametrize("refused", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_a_shortage_is_no_damage_of_a_summary(
    cache: Cache, day: Recording, monkeypatch: pytest.MonkeyPatch, refused: Exception
) -> None:
    """Without it a run would rest on less than it claims, and end well."""
    cache.summarise(FIRST, day)

    def refuse(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr("analyzer.sources.cache.read_parquet", refuse)
    with pytest.raises((SourceError, MemoryError)):
        cache.summaries(FIRST + DAY)


def test_a_day_is_closed_by_what_arrived(day: Recording) -> None:
    """A thin last hour may still grow for three days; a day without a sample never arrived."""
    soon, later = FIRST + DAY + timedelta(hours=1), FIRST + 4 * DAY
    assert has_arrived(day, soon)
    late = replace(day, usage=day.usage.between(0, 276))
    late = replace(late, usage=replace(late.usage, steps=288))
    assert not has_arrived(late, soon)
    assert has_arrived(late, later)
    nothing = replace(day, usage=replace(day.usage.between(0, 0), start=FIRST, steps=288))
    assert not has_arrived(nothing, later)


def test_one_cluster_behind_two_addresses_has_one_past(small_server: str, tmp_path: Path) -> None:
    """Known by when its namespace kube-system was made; the days are each address's own."""
    window = Window(END, timedelta(days=2))
    for url in (small_server, small_server.replace("127.0.0.1", "localhost")):
        PrometheusSource(url, PrometheusSettings(cache=tmp_path)).read(window)
    names = sorted(entry.name.startswith("days-") for entry in tmp_path.iterdir())
    assert names == [False, False, True]
