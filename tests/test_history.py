"""Histories: joined per container, cut in time, and nothing lost on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from analyzer.errors import RecordingError
from analyzer.history import build_histories, check_ledger
from analyzer.quantity import Memory
from analyzer.tables import validate_days, validate_events, validate_pods, validate_specs
from analyzer.usage import Recording, Usage
from tests.samples import MIB, START, histories, meta, names, ref, steady


def test_a_container_known_but_never_seen_is_skipped_with_a_reason() -> None:
    """Specs without a sample come out as skipped, not silently."""
    of = histories(specs=[names(), names(workload="idle")])
    assert [s.ref for s in of.skipped] == [ref(workload="idle")]
    assert of.skipped[0].reason == "no usage was observed in the window"


def test_the_settings_seen_last_hold_now() -> None:
    """Of two periods, the later one is the spec."""
    periods = [
        {**names(), "memory_request_bytes": 2 * MIB, "last_seen": START + timedelta(days=9)},
        {**names(), "memory_request_bytes": 1 * MIB, "last_seen": START + timedelta(days=3)},
    ]
    of = histories(specs=periods)
    assert of.spec(0).resources.memory_request == Memory(2 * MIB)
    assert len(of.specs[0]) == 2


def test_days_count_back_from_the_end() -> None:
    """2.5 days are three columns; the last one is whole, the first one half."""
    daily = histories(steady(2.5), window=meta(2.5)).daily
    assert daily.samples.tolist() == [[144, 288, 288]]


def test_daily_summaries_take_the_highest_pod() -> None:
    """Memory is the peak of any pod, CPU is over all samples of all pods."""
    two = pd.concat(
        [steady(1, cpu=0.1, memory=MIB), steady(1, cpu=0.3, memory=5 * MIB).assign(pod="web-2")]
    )
    daily = histories(two, window=meta(1)).daily
    assert daily.memory_peak[0, 0] == 5 * MIB
    assert daily.cpu_mean[0, 0] == pytest.approx(0.2)
    assert daily.cpu_peak[0, 0] == pytest.approx(0.3)
    assert daily.samples[0, 0] == 576


def test_days_of_pods_that_come_and_go_are_as_counted_sample_by_sample() -> None:
    """Each day by itself, over whichever pods had samples in it, missing ones left out."""
    rng = np.random.default_rng(7)
    cpu, memory = rng.gamma(1, 0.1, (3, 4 * 288)), rng.uniform(1, 9, (3, 4 * 288)) * MIB
    pods = []
    for pod, part in enumerate([slice(0, 900), slice(400, 1152), slice(300, 310)]):
        whole = steady(4, cpu=cpu[pod], memory=memory[pod]).assign(pod=f"web-{pod}")
        gone = rng.random(len(whole)) < 0.2
        pods.append(whole.assign(cpu_cores=whole["cpu_cores"].where(~gone)).iloc[part])
    table = pd.concat(pods)
    daily = histories(table, window=meta(4)).daily
    age = (pd.Timestamp(START + timedelta(days=4)) - table["timestamp"]).dt.days
    for day in range(4):
        of_day = table[age == 3 - day]
        seen = np.sort(of_day["cpu_cores"].dropna().to_numpy(dtype=np.float32))
        assert daily.samples[0, day] == len(seen)
        assert daily.cpu_peak[0, day] == seen[-1]
        assert daily.cpu_p95[0, day] == seen[int(np.ceil(0.95 * len(seen))) - 1]
        assert daily.cpu_mean[0, day] == pytest.approx(seen.mean(), rel=1e-5)
        assert daily.memory_peak[0, day] == np.float32(of_day["memory_bytes"].max())


def test_a_cut_at_days_reuses_the_summaries() -> None:
    """Cut where days end, summaries are those of the long window; elsewhere they are redone."""
    rng = np.random.default_rng(2)
    of = histories(steady(6, memory=rng.uniform(1, 9, 6 * 288) * MIB), window=meta(6))
    aligned, shifted = of.between(288, 4 * 288), of.between(100, 1000)
    np.testing.assert_array_equal(aligned.daily.memory_peak, of.daily.memory_peak[:, 1:4])
    assert aligned.found and not shifted.found
    assert shifted.daily.memory_peak.shape == (1, 4)


def test_every_container_stays_listed_in_a_cut() -> None:
    """One that came later has no samples before; indices stay the same."""
    late = steady(2).assign(workload="late")
    late["timestamp"] += timedelta(days=10)
    of = histories(pd.concat([steady(), late]))
    cut = of.between(0, 5 * 288)
    assert cut.containers == of.containers
    assert cut.daily.samples.sum(axis=1).tolist() == [0, 5 * 288]


def test_the_ledger_notices_a_loss() -> None:
    """Containers in = recommended + skipped, each once."""
    check_ledger([ref(), ref("b")], [ref()], [ref("b")])
    with pytest.raises(AssertionError, match="2 containers came in, 1 came out"):
        check_ledger([ref(), ref("b")], [ref()], [])
    with pytest.raises(AssertionError, match="some twice"):
        check_ledger([ref()], [ref()], [ref()])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"name": "h", "metrics": [{"resource": "cpu"}]}', "missing required field `value`"),
        ('{"metrics": [{"resource": "cpu", "value": "x"}]}', r"\$\.metrics\[0\]\.value"),
        ('{"metrics": [1]}', r"\$\.metrics\[0\]"),
        ('{"metrics": null}', r"\$\.metrics"),
        ("[]", "Expected `object`"),
        ("{", "truncated"),
    ],
)
def test_a_garbled_hpa_names_the_container_and_the_field(text: str, words: str) -> None:
    """What a recording says of an HPA is checked before anything is made of it."""
    with pytest.raises(RecordingError, match=f"column hpa of shop/Deployment/web/app: .*{words}"):
        histories(specs=[{**names(), "hpa": text}])


def test_what_was_not_yet_known_is_not_known_at_a_review() -> None:
    """Settings, pods and summaries of after the review are gone; an end to come is not known."""
    window = meta()
    review = START + timedelta(days=7)
    later, earlier = review + timedelta(days=1), review - timedelta(days=1)
    pods = [
        {"namespace": "shop", "pod": "old", "started": earlier, "ended": later},
        {"namespace": "shop", "pod": "new", "started": later},
    ]
    days = [{**names(), "day": day, "kills": 1} for day in (earlier, later)]
    then = build_histories(
        Recording(
            window,
            Usage.from_frame(steady(), window),
            validate_specs(
                pd.DataFrame(
                    [
                        {**names(), "image": "a:1", "first_seen": START, "last_seen": earlier},
                        {**names(), "image": "a:2", "first_seen": later, "last_seen": window.end},
                    ]
                )
            ),
            pods=validate_pods(pd.DataFrame(pods)),
            days=validate_days(pd.DataFrame(days)),
        )
    ).between(0, 7 * 288)
    assert [spec.image for spec in then.specs[0]] == ["a:1"]
    assert then.pods["pod"].tolist() == ["old"]
    assert then.pods["ended"].isna().all()
    assert then.days["day"].tolist() == [pd.Timestamp(earlier)]


def test_events_outside_the_window_are_nobody_s() -> None:
    """A kill of 1970, or of a clock that is years ahead, says nothing about this window."""
    window = meta(8)
    moments = [datetime(1970, 1, 1, tzinfo=UTC), window.start + timedelta(days=1), window.end]
    moments.append(datetime(2100, 1, 1, tzinfo=UTC))
    kills = [
        {**names(), "pod": "web-1", "timestamp": at, "kind": "oom_kill", "value": 1.0}
        for at in moments
    ]
    usage = Usage.from_frame(steady(8), window)
    found = build_histories(Recording(window, usage, events=validate_events(pd.DataFrame(kills))))
    assert list(found.events["timestamp"]) == [pd.Timestamp(at) for at in moments[1:3]]
