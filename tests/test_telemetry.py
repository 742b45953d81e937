"""The gate: what cannot be usage is not observed, it says so, and all else stays as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.history import build_histories
from analyzer.pipeline.review import analyze
from analyzer.policy import round_up
from analyzer.quantity import Cpu, Memory
from analyzer.report import Report
from analyzer.tables import validate_events, validate_specs
from analyzer.telemetry import Verdict, gate
from analyzer.usage import Meta, Recording, Usage
from tests.samples import MIB, START, names, ref, steady

NODE = {"name": "a", "cpu_allocatable_cores": 16.0, "memory_allocatable_bytes": 64.0 * 1024**3}
DAYS = 2
STEPS = DAYS * 288


def recording(
    cpu: Any = 0.1,
    memory: Any = 100.0 * MIB,
    nodes: tuple[dict[str, Any], ...] = (NODE,),
    specs: list[dict[str, Any]] | None = None,
    **columns: Any,
) -> Recording:
    """Two days of one container, as the arrays say."""
    meta = Meta("lab", START, START + timedelta(days=DAYS), timedelta(minutes=5), nodes=nodes)
    usage = Usage.from_frame(steady(DAYS, cpu, memory, **columns), meta)
    if specs is None:
        return Recording(meta, usage)
    return Recording(meta, usage, validate_specs(pd.DataFrame(specs)))


def moving(level: float = 100 * MIB) -> npt.NDArray[np.float64]:
    """Memory that is never twice the same."""
    return level * (1 + 0.1 * np.sin(np.arange(STEPS)))


def judged(of: Recording) -> tuple[Usage, list[tuple[str, str, int]]]:
    """What is left, and resource, fault and samples of each verdict."""
    kept, verdicts = gate(of)
    return kept.usage, [(v.resource, v.fault, v.samples) for v in verdicts]


def test_healthy_usage_passes_untouched() -> None:
    """Nothing is copied and nobody is accused."""
    of = recording(0.1 * np.ones(STEPS), moving())
    kept, verdicts = gate(of)
    assert verdicts == ()
    assert kept.usage is of.usage


def test_a_working_set_of_nothing_is_not_observed() -> None:
    """No running container uses 0 bytes; its CPU is another counter, and stays."""
    memory = np.where(np.arange(STEPS) < 100, 0.0, 100.0 * MIB)
    usage, found = judged(recording(memory=memory))
    assert found == [("memory", "zero", 100)]
    assert np.flatnonzero(np.isnan(usage.memory_bytes)).tolist() == list(range(100))
    assert not np.isnan(usage.cpu_cores).any()


def test_a_counter_that_stands_still_beside_moving_memory_is_not_observed() -> None:
    """A day and a half of exactly 0 cores while 3 GiB move are a fault of the metric."""
    cpu = np.where(np.arange(STEPS) < 144, 1.5, 0.0)
    usage, found = judged(recording(cpu, moving(3 * 1024 * MIB)))
    assert found == [("cpu", "frozen", STEPS - 144)]
    np.testing.assert_array_equal(usage.cpu_cores[:144], np.float32(1.5))
    assert np.isnan(usage.cpu_cores[144:]).all()


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        (np.zeros(STEPS), np.full(STEPS, 100.0 * MIB)),
        (np.where(np.arange(STEPS) % 288 < 3, 2.0, 0.0), np.full(STEPS, 100.0 * MIB)),
        (np.where(np.arange(STEPS) % 12 < 2, 2.0, 0.0), moving()),
        (np.zeros(STEPS), np.full(STEPS, np.nan)),
        (np.full(STEPS, 1e-6), moving()),
    ],
    ids=["asleep", "a nightly burst", "ten bursts a day", "memory unknown", "hardly anything"],
)
def test_true_idleness_is_believed(cpu: Any, memory: Any) -> None:
    """A process that sleeps uses exactly nothing, and its memory does not move either."""
    usage, found = judged(recording(cpu, memory))
    assert found == []
    np.testing.assert_array_equal(usage.cpu_cores, cpu.astype(np.float32))


def test_nothing_at_all_is_no_usage() -> None:
    """Where memory reads 0 the kubelet looks into a wrong cgroup: its 0 cores say nothing."""
    _, found = judged(recording(0.0, 0.0))
    assert found == [("cpu", "frozen", STEPS), ("memory", "zero", STEPS)]


@pytest.mark.parametrize("wrapped", [2.0**64, 2.0**63, 1e300, 97 * 1024.0**3])
def test_memory_that_no_node_has_is_not_observed(wrapped: float) -> None:
    """One wrapped sample among many: it alone goes. 96 GiB are half more than the node gives."""
    memory = np.full(STEPS, 200.0 * MIB)
    memory[50] = wrapped
    usage, found = judged(recording(memory=memory))
    assert [(r, n) for r, _, n in found] == [("memory", 1)]
    assert np.flatnonzero(np.isnan(usage.memory_bytes)).tolist() == [50]


def test_a_counter_that_jumps_costs_the_steps_beside_it_too() -> None:
    """The rates before and after share scrapes with the jump: 180 cores, and 3 that may be."""
    cpu = np.full(STEPS, 0.1)
    cpu[50:53] = 3.0, 5.77e6, 180.0
    usage, found = judged(recording(cpu))
    assert found == [("cpu", "above node", 4)]
    assert np.flatnonzero(np.isnan(usage.cpu_cores)).tolist() == [50, 51, 52, 53]


def test_without_nodes_only_the_impossible_is_refused() -> None:
    """1000 cores exist in this world, 3000 in one machine do not."""
    cpu = np.full(STEPS, 1000.0)
    assert judged(recording(cpu, nodes=()))[1] == []
    cpu[9] = 3000.0
    assert judged(recording(cpu, nodes=()))[1] == [("cpu", "above node", 3)]
    verdict = gate(recording(cpu, nodes=()))[1][0]
    assert "up to 3e+03 cores, are more than any machine has (2.05e+03 cores)" in verdict.reason


def test_a_request_tells_of_a_node_that_is_not_shown() -> None:
    """Nodes come and go; what was granted 30 cores ran somewhere that had them."""
    specs = [{**names(), "cpu_request_cores": 30.0}]
    assert judged(recording(28.0, specs=specs))[1] == []
    assert judged(recording(28.0))[1] == [("cpu", "above node", STEPS)]


LIMITS = {"cpu_limit_cores": 1.0, "memory_limit_bytes": 512.0 * MIB, "first_seen": START}


def test_more_than_the_own_limit_is_not_observed() -> None:
    """The kernel enforces limits: twice the cores and a tenth more memory cannot be."""
    cpu, memory = np.full(STEPS, 0.9), np.full(STEPS, 500.0 * MIB)
    cpu[100], memory[200] = 2.5, 600.0 * MIB
    usage, found = judged(recording(cpu, memory, specs=[{**names(), **LIMITS}]))
    assert found == [("cpu", "above limit", 3), ("memory", "above limit", 1)]
    assert np.isnan(usage.memory_bytes[200])
    reasons = [v.reason for v in gate(recording(cpu, memory, specs=[{**names(), **LIMITS}]))[1]]
    assert reasons[1] == (
        "1 of 576 memory samples, up to 600Mi, are more than its own limit lets through (512Mi); "
        "that counts as not observed"
    )


@pytest.mark.parametrize(
    "specs",
    [
        [{**names(), **LIMITS, "first_seen": START + timedelta(days=1)}],
        [{**names(), **LIMITS, "first_seen": None}],
        [{**names(), **LIMITS}, {**names(), "first_seen": START}],
        [{**names(), **LIMITS}, {**names(), **LIMITS, "memory_limit_bytes": 1024.0 * MIB}],
        [{**names(workload="other"), **LIMITS}],
    ],
    ids=["later", "since when is unknown", "none for a time", "a higher one", "another's"],
)
def test_a_limit_binds_only_while_it_is_known_to(specs: list[dict[str, Any]]) -> None:
    """What may have been allowed is believed."""
    memory = np.full(STEPS, 500.0 * MIB)
    memory[200] = 600.0 * MIB
    assert judged(recording(memory=memory, specs=specs))[1] == []


def test_what_is_below_nothing_or_endless_is_not_observed() -> None:
    """Counted together; beside infinite CPU the rates go too."""
    cpu, memory = np.full(STEPS, 0.1), np.full(STEPS, 100.0 * MIB)
    cpu[3], cpu[100] = -0.5, np.inf
    memory[7], memory[8] = -1.0, np.inf
    usage, found = judged(recording(cpu, memory))
    assert found == [
        ("cpu", "above node", 2), ("cpu", "impossible", 2), ("memory", "impossible", 2)
    ]  # fmt: skip
    assert np.flatnonzero(np.isnan(usage.cpu_cores)).tolist() == [3, 99, 100, 101]


def test_the_gate_is_passed_once() -> None:
    """What it lets through it lets through again, and tells nothing twice."""
    memory = np.where(np.arange(STEPS) < 100, 0.0, 2.0**64)
    once, _ = gate(recording(np.where(np.arange(STEPS) % 50, 0, 1e7), memory))
    again, verdicts = gate(once)
    assert verdicts == ()
    assert again.usage is once.usage


def test_events_of_the_future_and_amounts_that_are_none_are_left_out() -> None:
    """A clock that is ahead kills nobody in advance; an endless request is not known, and told."""
    end = START + timedelta(days=DAYS)
    event = {**names(), "pod": "web-1", "kind": "oom_kill", "value": -5.0}
    of = replace(
        recording(specs=[{**names(), "memory_request_bytes": 1e30, "cpu_request_cores": 1.0}]),
        events=validate_events(
            pd.DataFrame([{**event, "timestamp": t} for t in (end, end + timedelta(days=400))])
        ),
    )
    kept, _ = gate(of)
    assert kept.events["timestamp"].tolist() == [end]
    assert kept.events["value"].isna().all()
    assert kept.specs["memory_request_bytes"].isna().all()
    assert kept.specs["cpu_request_cores"].tolist() == [1.0]
    assert [text.partition(";")[0] for text in kept.meta.warnings] == [
        "1 amounts in the specs table are negative, infinite or absurd",
        "2 amounts in the events table are negative, infinite or absurd",
    ]


def test_a_resource_without_anything_to_go_by_is_kept_and_says_why() -> None:
    """Memory that always read zero keeps what is declared; CPU is sized all the same."""
    declared = {"memory_request_bytes": 1024.0 * MIB, "memory_limit_bytes": 2048.0 * MIB}
    specs = [{**names(), **declared, "cpu_request_cores": 4.0}]
    table = steady(14, 0.3, 0.0)
    meta = Meta("lab", START, START + timedelta(days=14), timedelta(minutes=5), nodes=(NODE,))
    report = analyze(
        Recording(meta, Usage.from_frame(table, meta), validate_specs(pd.DataFrame(specs)))
    )
    (found,) = report.recommendations
    assert found.proposed.memory_request == Memory.parse("1Gi")
    assert found.proposed.memory_limit == Memory.parse("2Gi")
    assert found.proposed.cpu_request is not None and found.proposed.cpu_request < Cpu.parse("2")
    assert "read exactly 0 bytes" in found.trail["memory_request"][-1].reason
    assert found.notes[-1].startswith("4032 of 4032 memory samples read exactly 0 bytes")
    assert report.verdicts == (
        Verdict(ref(), "memory", "zero", 4032, 4032, report.verdicts[0].reason),
    )


def test_a_container_without_anything_to_go_by_is_skipped_for_that() -> None:
    """Not "no usage was observed": it was, and cannot be believed."""
    of = build_histories(recording(0.0, 0.0))
    assert len(of) == 0
    assert "read exactly 0 bytes" in of.skipped[0].reason
    assert "stood still for 2.0 days" in of.skipped[0].reason


def test_kills_before_any_sample_are_the_reason() -> None:
    """A crash loop that dies before it is scraped is no riddle to whoever reads the report."""
    other = names(workload="flash")
    events = [
        {**other, "pod": "p", "timestamp": START + timedelta(hours=k), "kind": "oom_kill",
         "value": 64.0 * MIB}
        for k in range(1, 4)
    ]  # fmt: skip
    of = replace(recording(specs=[names(), other]), events=validate_events(pd.DataFrame(events)))
    (skipped,) = build_histories(of).skipped
    assert skipped.reason.startswith("it was OOM-killed 3 times at 64Mi before any usage")


COARSE = timedelta(minutes=30)
LENGTH = 14 * 48
APPS = 12


def healthy() -> dict[str, npt.NDArray[np.float64]]:
    """CPU and memory of a dozen lively containers over a fortnight, one row each."""
    rng = np.random.default_rng(5)
    clock = np.arange(LENGTH)
    day = 1 + 0.3 * np.sin(2 * np.pi * clock / 48 + np.arange(APPS)[:, None])
    noise = np.exp(rng.normal(0, 0.1, (2, APPS, LENGTH)))
    sizes = 1.6 ** (np.arange(APPS) % 6)[:, None]
    return {"cpu_cores": 0.05 * sizes * day * noise[0],
            "memory_bytes": 80 * MIB * sizes * (0.8 + 0.2 * day) * noise[1]}  # fmt: skip


def amounts(arrays: dict[str, npt.NDArray[np.float64]]) -> Report:
    """What is proposed for such a dozen, each declared too large by far."""
    meta = Meta("lab", START, START + LENGTH * COARSE, COARSE, nodes=(NODE,))
    times: list[datetime] = [START + (k + 1) * COARSE for k in range(LENGTH)]
    frames, specs = [], []
    for app in range(APPS):
        of = names(workload=f"app{app:02d}")
        values = {name: table[app] for name, table in arrays.items()}
        frames.append(pd.DataFrame({**of, "pod": f"app{app:02d}-1", "timestamp": times, **values}))
        specs.append({**of, "cpu_request_cores": 4.0, "memory_request_bytes": 8192.0 * MIB})
    usage = Usage.from_frame(pd.concat(frames), meta)
    return analyze(Recording(meta, usage, validate_specs(pd.DataFrame(specs))))


BEFORE = {r.ref: r.proposed for r in amounts(healthy()).recommendations}

spans = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
faults = st.one_of(
    st.tuples(st.just("zero memory"), spans),
    st.tuples(st.just("frozen"), spans),
    st.tuples(st.just("wrapped"), st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=9)),
    st.tuples(st.just("jump"), st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=9)),
    st.tuples(st.just("negative"), st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=9)),
)


def inject(fault: str, where: Any, cpu: Any, memory: Any) -> None:
    """Do to one container what a faulty exporter does."""
    if fault in ("zero memory", "frozen"):
        begin, length = where
        (memory if fault == "zero memory" else cpu)[begin : begin + length] = 0
    elif fault == "wrapped":
        memory[where] = 2.0**64
    elif fault == "jump":
        cpu[where] = 5.77e6
    else:
        cpu[where], memory[where] = -1.0, -4096.0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, APPS - 1), st.lists(faults, min_size=1, max_size=3))
def test_a_fault_in_one_container_moves_no_other(
    struck: int, injected: list[tuple[str, Any]]
) -> None:
    """At most one rounding step for the others; the struck one gets no more than when healthy.

    Its own requests rest on the healthy samples that are left: with few of them margins widen, at
    most up to what is declared, and with none nothing changes.
    """
    arrays = healthy()
    for fault, where in injected:
        inject(fault, where, arrays["cpu_cores"][struck], arrays["memory_bytes"][struck])
    after = {r.ref: r.proposed for r in amounts(arrays).recommendations}
    own = ref(workload=f"app{struck:02d}")
    for other, before in BEFORE.items():
        if other == own:
            continue
        for target in ("cpu_request", "memory_request"):
            old, new = getattr(before, target), getattr(after[other], target)
            low, high = sorted([old, new])
            assert high <= round_up(type(low)(low.units + 1)), (other, target, old, new)
    if own in after:
        requests = {
            "cpu_request": (BEFORE[own].cpu_request, Cpu.parse("4")),
            "memory_request": (BEFORE[own].memory_request, Memory.parse("8Gi")),
        }
        for target, (healthy_amount, declared) in requests.items():
            assert healthy_amount is not None
            assert healthy_amount.scale(0.5) <= getattr(after[own], target) <= declared
