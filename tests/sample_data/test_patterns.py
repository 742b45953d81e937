"""Every pattern has the property that its name promises, seen in the recording alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

NAMES = ["namespace", "workload_kind", "workload", "container"]
DAY = 288


def containers(usage: pd.DataFrame, pattern: str) -> list[pd.DataFrame]:
    """The samples of each container with a pattern: at least two."""
    found = [group for _, group in usage[usage["pattern"] == pattern].groupby(NAMES)]
    assert len(found) >= 2
    return found


def daily_peak(samples: pd.DataFrame) -> pd.Series:
    """The highest memory of each day."""
    return samples.groupby(samples["step"] // DAY)["memory_bytes"].max()


def events_of(events: pd.DataFrame, samples: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The events of one kind of the container that `samples` are of."""
    same = (events[NAMES] == samples[NAMES].iloc[0]).all(axis=1)
    return events[same & (events["kind"] == kind)]


def test_every_pattern_occurs_at_least_twice(truth: pd.DataFrame) -> None:
    """The table of patterns is complete, and none is a single case."""
    from homelab.catalog import PATTERNS

    counts = truth["pattern"].value_counts()
    assert set(counts.index) == set(PATTERNS)
    assert counts.min() >= 2


def test_steady_stays_where_it_is(usage: pd.DataFrame) -> None:
    """The last week's peak is within a tenth of the week's before it, for steady and churned."""
    for samples in containers(usage, "steady") + containers(usage, "churned"):
        peaks = daily_peak(samples)
        assert peaks[14:].max() == pytest.approx(peaks[7:14].max(), rel=0.10)


def test_daily_is_higher_in_the_evening(usage: pd.DataFrame) -> None:
    """Mean CPU from 19 to 22 is at least twice that from 3 to 6, the same for autoscaled load."""
    for samples in containers(usage, "daily"):
        by_hour = samples.groupby(samples["timestamp"].dt.hour)["cpu_cores"].mean()
        assert by_hour[19:21].mean() > 2 * by_hour[3:5].mean()


def test_weekly_rests_at_the_weekend(usage: pd.DataFrame) -> None:
    """Mean CPU on weekdays is at least twice that of weekends, and memory is higher."""
    for samples in containers(usage, "weekly"):
        weekend = samples["timestamp"].dt.day_of_week >= 5
        means = samples.groupby(weekend)[["cpu_cores", "memory_bytes"]].mean()
        assert means["cpu_cores"][False] > 2 * means["cpu_cores"][True]
        assert means["memory_bytes"][False] > 1.05 * means["memory_bytes"][True]


def test_weekly_peaks_fall_on_sunday(usage: pd.DataFrame) -> None:
    """Each week's highest memory and CPU hour lie on Sunday, far above the other days."""
    for samples in containers(usage, "weekly_peak"):
        sunday = samples["timestamp"].dt.day_of_week == 6
        week = samples["step"] // (7 * DAY)
        peaks = samples.groupby([week, sunday])["memory_bytes"].max().unstack()
        assert (peaks[True] > 1.5 * peaks[False]).all()


def test_bursty_has_a_heavy_tail(usage: pd.DataFrame) -> None:
    """One sample in 200 is above six medians, and the highest above twenty."""
    for samples in containers(usage, "bursty"):
        cpu = samples["cpu_cores"]
        assert cpu.quantile(0.995) > 6 * cpu.median()
        assert cpu.max() > 20 * cpu.median()


def test_growing_gains_about_the_same_each_week(usage: pd.DataFrame) -> None:
    """Weekly mean memory rises by 10 to 25 % of the first week's, twice."""
    for samples in containers(usage, "growing"):
        means = samples.groupby(samples["step"] // (7 * DAY))["memory_bytes"].mean()
        gains = np.diff(means) / means[0]
        assert ((gains > 0.10) & (gains < 0.25)).all()


def test_leaking_climbs_and_falls_at_restarts(usage: pd.DataFrame, events: pd.DataFrame) -> None:
    """After a restart memory is below what it was before, twice at least by 30 %."""
    for samples in containers(usage, "leaking"):
        memory = samples.groupby("timestamp")["memory_bytes"].max()
        restarts = events_of(events, samples, "restart")["timestamp"]
        falls = []
        for moment in restarts:
            before, after = memory[:moment].iloc[-12:], memory[moment:].iloc[1:13]
            falls.append(after.mean() / before.mean())
        assert max(falls) < 1
        assert sorted(falls)[1] < 0.7


@pytest.mark.parametrize("pattern", ["level_shift", "level_shift_silent"])
def test_levels_shift_once(usage: pd.DataFrame, events: pd.DataFrame, pattern: str) -> None:
    """Memory before and after differ by a third at least; an image changes then, or does not."""
    for samples in containers(usage, pattern):
        peaks = daily_peak(samples)
        change = abs(np.log(peaks[14:].median() / peaks[:9].median()))
        assert change > np.log(4 / 3)
        images = events_of(events, samples, "image_change")
        assert len(images) == (1 if pattern == "level_shift" else 0)


def test_killed_containers_hit_their_limit_and_no_other_does(
    usage: pd.DataFrame, events: pd.DataFrame, specs: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Kills come with the limit as value and usage at it, and the true need lies above."""
    killed = containers(usage, "oom_killed")
    limits = specs.drop_duplicates(NAMES).set_index(NAMES)["memory_limit_bytes"]
    needs = truth.set_index(NAMES)["memory_peak_bytes"]
    for samples in killed:
        key = tuple(samples[NAMES].iloc[0])
        kills = events_of(events, samples, "oom_kill")
        assert len(kills) > 10
        assert (kills["value"] == limits[key]).all()
        at = samples.set_index("timestamp")["memory_bytes"][kills["timestamp"]]
        assert (at > 0.999 * limits[key]).all()
        assert samples["memory_bytes"].max() <= limits[key]
        assert needs[key] > 1.1 * limits[key]
    assert (events["kind"] == "oom_kill").sum() == sum(
        len(events_of(events, samples, "oom_kill")) for samples in killed
    )


def test_throttled_containers_run_at_their_limit(
    usage: pd.DataFrame, events: pd.DataFrame, specs: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Hundreds of throttled steps, usage that never passes the limit, a need that does."""
    limits = specs.drop_duplicates(NAMES).set_index(NAMES)["cpu_limit_cores"]
    needs = truth.set_index(NAMES)["cpu_p99_cores"]
    for samples in containers(usage, "throttled"):
        key = tuple(samples[NAMES].iloc[0])
        shares = events_of(events, samples, "throttled")["value"]
        assert len(shares) > 500
        assert shares.between(0.05, 0.95).all()
        assert samples["cpu_cores"].max() <= limits[key]
        assert needs[key] > 1.5 * limits[key]


def test_idle_uses_next_to_nothing(usage: pd.DataFrame) -> None:
    """Five millicores are never reached in 99 % of the time."""
    for samples in containers(usage, "idle"):
        assert samples["cpu_cores"].quantile(0.99) < 0.005


def test_young_containers_have_two_days(usage: pd.DataFrame) -> None:
    """Nothing is known of them before the last two days."""
    for samples in containers(usage, "young"):
        assert samples["step"].min() == 19 * DAY
        assert len(samples) == 2 * DAY


def test_churned_workloads_go_through_many_pods(usage: pd.DataFrame) -> None:
    """At least six pods of as many ReplicaSets, one at a time."""
    for samples in containers(usage, "churned"):
        assert samples["pod"].nunique() >= 6
        assert samples["pod"].str.rpartition("-")[0].nunique() == samples["pod"].nunique()
        assert not samples["step"].duplicated().any()


def test_restarted_containers_stay_in_their_pod(usage: pd.DataFrame, events: pd.DataFrame) -> None:
    """One pod, many restarts, no kill."""
    for samples in containers(usage, "restarted"):
        assert samples["pod"].nunique() == 1
        assert len(events_of(events, samples, "restart")) >= 6
        assert events_of(events, samples, "oom_kill").empty


def test_autoscaled_workloads_have_more_pods_in_the_evening(usage: pd.DataFrame) -> None:
    """Pods follow the load, and the load of one pod stays below what would add another."""
    for samples in containers(usage, "hpa"):
        pods = samples.groupby("timestamp")["pod"].nunique()
        by_hour = pods.groupby(pd.DatetimeIndex(pods.index).hour).mean()
        assert by_hour.max() > 1.5 * by_hour.min()
        total = samples.groupby("timestamp")["cpu_cores"].sum()
        assert np.corrcoef(pods, total)[0, 1] > 0.6


def test_java_heaps_rise_and_stay(usage: pd.DataFrame) -> None:
    """A day after its start a pod's memory is within 3 % of its maximum for good."""
    for samples in containers(usage, "java_heap"):
        for _, pod in samples.groupby("pod"):
            grown = pod["memory_bytes"][pod["step"] > pod["step"].min() + DAY]
            assert grown.empty or grown.quantile(0.05) > 0.95 * grown.max()


def test_vanished_workloads_leave_history_alone(usage: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Their last sample lies in the window's middle, and next week they need nothing."""
    for samples in containers(usage, "vanished"):
        assert 5 * DAY < samples["step"].max() < 16 * DAY
    gone = truth[truth["pattern"] == "vanished"]
    assert gone["memory_peak_bytes"].isna().all()


def test_batch_runs_are_short(usage: pd.DataFrame) -> None:
    """Every run ends within an hour and a half, in a pod of its own."""
    for samples in containers(usage, "batch"):
        assert samples["workload_kind"].eq("CronJob").all()
        assert samples.groupby("pod").size().max() <= 18


def test_nothing_is_seen_in_the_outage(usage: pd.DataFrame) -> None:
    """Five hours are missing everywhere, and three more on one node."""
    steps = pd.Index(range(21 * DAY))
    missing = steps.difference(pd.Index(usage["step"].unique()))
    assert list(missing) == list(range(8 * DAY + 13, 8 * DAY + 73))
    pods = usage.groupby("step")["pod"].nunique()
    assert pods.loc[16 * DAY + 130 : 16 * DAY + 160].max() < pods.loc[16 * DAY + 100] - 10


def test_memory_comes_in_pages_and_cpu_in_tenths_of_millicores(usage: pd.DataFrame) -> None:
    """As the kernel counts, and coarse enough to pack well."""
    assert (usage["memory_bytes"] % 4096 == 0).all()
    tenths = usage["cpu_cores"].astype(float) * 1e4
    assert np.allclose(tenths, tenths.round(), atol=1e-2)


def test_pods_of_one_workload_differ(usage: pd.DataFrame) -> None:
    """Nodes make different demands on a DaemonSet: its largest pod needs a third more."""
    for name in ("node-exporter", "vector-agent", "cilium"):
        peaks = usage[usage["workload"] == name].groupby("pod")["memory_bytes"].median()
        assert peaks.max() > 1.33 * peaks.min()


def test_the_analyzer_never_names_the_truth() -> None:
    """Only checks and reports may read what next week brings."""
    analyzer = Path(__file__).resolve().parents[2] / "analyzer"
    assert not [p for p in analyzer.rglob("*.py") if "truth.csv" in p.read_text("utf-8")]
