"""From demand to requests and limits: every rule of the policy, with hand-worked amounts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from analyzer.models.demand import RESOURCES, RISKS
from analyzer.policy import Policies, Policy
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Bound, Recommendation, TargetName, recommend
from analyzer.recommend.past import wanted_amounts
from tests.samples import MIB, START, demand, histories, meta, names, ref, resources, steady

NOW = {
    "cpu_request_cores": 1.0,
    "cpu_limit_cores": 2.0,
    "memory_request_bytes": 1024 * MIB,
    "memory_limit_bytes": 2048 * MIB,
}


RESTART = {**names(), "timestamp": START + timedelta(days=3), "kind": "restart"}


def one(
    policy: Policy | None = None,
    *,
    cpu: float = 0.1,
    memory: float = 100 * MIB,
    rare_memory: float | None = None,
    **spec: Any,
) -> Recommendation:
    """The recommendation for a container that is set up as `NOW`, changed by `spec`.

    It was restarted once, so that its limit may be lowered.
    """
    of = histories(specs=[{**names(), **NOW, **spec}], events=[RESTART])
    stated = demand(of, cpu, memory, rare_memory=rare_memory)
    (found,), skipped = recommend(of, stated, Policies(policy or Policy()))
    assert not skipped
    return found


def step(recommendation: Recommendation, target: str, name: str) -> str:
    """The reason of a step of the trail, empty where there is no such step."""
    return next((s.reason for s in recommendation.trail[target] if s.name == name), "")


def test_requests_follow_demand_and_limits_stay_above_the_peak() -> None:
    """0.1 cores and 100Mi of demand; the limit is 1.2 x the peak of 100Mi, the CPU limit goes."""
    assert one().proposed == resources("100m", "100Mi", None, "120Mi")


def test_demand_below_the_floor_gets_the_floor() -> None:
    """Nothing is ever recommended below the policy's floors."""
    found = one(cpu=0.0001, memory=MIB)
    assert found.proposed.cpu_request == Cpu(5)
    assert str(found.proposed.memory_request) == "16Mi"
    assert step(found, "memory_request", "floor")


def test_a_ceiling_holds() -> None:
    """Demand above the ceiling gets the ceiling, rounded or not, and the trail says so."""
    found = one(Policy(cpu_ceiling=Cpu(501)), cpu=0.9)
    assert found.proposed.cpu_request == Cpu(501)
    assert step(found, "cpu_request", "ceiling")


def test_no_ceiling_puts_a_limit_below_the_highest_peak() -> None:
    """100Mi were used: a ceiling of 10Mi holds for the request, and kills nothing by the limit."""
    found = one(Policy(memory_floor=Memory(4 * MIB), memory_ceiling=Memory(10 * MIB)))
    assert str(found.proposed.memory_request) == "10Mi"
    assert str(found.proposed.memory_limit) == "120Mi"


def test_a_small_difference_keeps_what_is_there() -> None:
    """0.93 cores against 1 core declared is not worth a restart."""
    found = one(cpu=0.93)
    assert found.proposed.cpu_request == Cpu(1000)
    assert "too small" in step(found, "cpu_request", "small")


def test_a_small_container_gets_what_it_needs() -> None:
    """4Mi more is little, but 20Mi are less than the 24Mi it uses."""
    small: dict[str, Any] = {"memory_request_bytes": 20 * MIB, "memory_limit_bytes": None}
    assert str(one(memory=24 * MIB, **small).proposed.memory_request) == "24Mi"


def test_a_request_that_covers_what_was_seen_is_not_raised() -> None:
    """Cheap margin is no reason to restart what fits: 1Gi requested, 100Mi seen, 2Gi of demand."""
    found = one(memory=2048 * MIB, cpu=2.0)
    assert str(found.proposed.memory_request) == "1Gi"
    assert found.proposed.cpu_request == Cpu(1000)
    assert "covers the highest peak" in step(found, "memory_request", "covered")


def test_predicted_usage_is_demand_at_even_chance() -> None:
    """Cores exceeded in 5 % of the time, and memory that every second week exceeds.

    What the model cannot tell is predicted by nobody.
    """
    of = histories(specs=[{**names(), **NOW}], events=[RESTART])
    levels = {"cpu": 1.0 - RISKS, "memory": (2.0 - RISKS) * 100 * MIB}
    stated = replace(demand(of), levels={r: np.tile(levels[r], (len(of), 1)) for r in RESOURCES})
    (found,), _ = recommend(of, stated, Policies())
    assert found.predicted == pytest.approx({"cpu": 0.95, "memory": 150 * MIB})
    (found,), _ = recommend(of, demand(of, reasons={"memory": "too few"}), Policies())
    assert set(found.predicted) == {"cpu"}


def test_nobody_states_a_risk_where_usage_was_cut_off() -> None:
    """What a throttled container used says nothing about what it wanted."""
    waits = [
        {
            **names(),
            "timestamp": START + timedelta(minutes=5 * k),
            "kind": "throttled",
            "value": 0.5,
        }
        for k in range(1, 301)
    ]
    of = histories(specs=[{**names(), **NOW}], events=waits)
    (found,), _ = recommend(of, demand(of, rare_memory=900 * MIB), Policies())
    assert set(found.stated_risk) == {"memory_request", "memory_limit"}
    assert set(found.predicted) == {"memory"}
    assert found.confidence == 0.5


@pytest.mark.parametrize("direction", ["raise", "lower"])
def test_one_way_policies_leave_cpu_limits(direction: Literal["raise", "lower"]) -> None:
    """Removing a limit neither raises nor lowers it."""
    assert one(Policy(direction=direction)).proposed.cpu_limit == Cpu(2000)


def test_leaving_the_guaranteed_class_is_said() -> None:
    """Requests below equal limits change how the node treats the pod."""
    equal: dict[str, Any] = {"cpu_limit_cores": 1.0, "memory_limit_bytes": 1024 * MIB}
    assert any("Guaranteed" in note for note in one(**equal).notes)
    assert not any("Guaranteed" in note for note in one().notes)


def test_raise_only_never_lowers_but_raises() -> None:
    """For critical workloads."""
    policy = Policy(direction="raise")
    assert one(policy).proposed.cpu_request == Cpu(1000)
    assert one(policy, cpu=1.5, cpu_request_cores=0.05).proposed.cpu_request == Cpu(1500)


def test_lower_only_never_raises() -> None:
    """Somebody wants savings alone."""
    assert one(Policy(direction="lower"), cpu=1.5).proposed.cpu_request == Cpu(1000)


def test_a_gradual_decrease_takes_several_runs() -> None:
    """At most a quarter of 1 core in one run leaves 750m."""
    found = one(Policy(max_decrease=0.25))
    assert found.proposed.cpu_request == Cpu(750)
    assert step(found, "cpu_request", "gradual")


def test_the_limit_never_falls_below_the_request() -> None:
    """Kubernetes rejects a request above its limit."""
    found = one(memory=3000 * MIB)
    limit, request = found.proposed.memory_limit, found.proposed.memory_request
    assert limit is not None and request is not None and limit >= request


def test_a_memory_limit_is_not_lowered_for_its_own_sake() -> None:
    """Requests fit as they are: lowering the limit would restart the pod and free nothing."""
    found = one(cpu=1.0, memory=1024 * MIB, cpu_limit_cores=None)
    assert not found.changed
    assert "frees nothing" in [s.reason for s in found.trail["memory_limit"]][-1]


def test_a_limit_that_has_held_is_not_raised_for_what_was_never_seen() -> None:
    """The model allows for 3Gi, but 2Gi left room above every peak and never killed."""
    kept = one(memory=1024 * MIB, cpu=1.0, rare_memory=3072 * MIB, cpu_limit_cores=None)
    assert not kept.changed
    assert "it has held" in step(kept, "memory_limit", "held")
    tight: dict[str, Any] = {"memory_limit_bytes": 102 * MIB, "memory_request_bytes": 100 * MIB}
    assert str(one(rare_memory=300 * MIB, **tight).proposed.memory_limit) == "102Mi"


def test_a_limit_that_grows_tight_or_strains_is_raised() -> None:
    """100Mi of 102Mi: growth is not waited for, nor is pressure, nor are two days a proof.

    Growth gets the headroom above what is expected of it, and no room for jumps: 1.2 x 100Mi; and
    at 0.7 % a week 2 % more, which lasts for three weeks longer and is 124Mi to a person. Where
    nothing strains, twice the limit is as far as it goes.
    """
    tight = {**names(), **NOW, "memory_limit_bytes": 102 * MIB, "memory_request_bytes": 100 * MIB}
    strained = [
        {
            **names(),
            "timestamp": START + timedelta(hours=k),
            "kind": "memory_pressure",
            "value": 0.2,
        }
        for k in range(24)
    ]
    of = histories(specs=[tight], events=strained)
    (found,), _ = recommend(of, demand(of, rare_memory=300 * MIB), Policies())
    assert str(found.proposed.memory_limit) == "304Mi"
    of = histories(specs=[tight])
    growing = replace(demand(of, rare_memory=300 * MIB), growth={"memory": np.array([0.001])})
    (found,), _ = recommend(of, growing, Policies())
    assert str(found.proposed.memory_limit) == "124Mi"
    of = histories(steady(days=2), specs=[tight], window=meta(days=2))
    (found,), _ = recommend(of, demand(of, rare_memory=300 * MIB), Policies())
    assert str(found.proposed.memory_limit) == "208Mi"


def test_a_leak_raises_no_limit_that_held() -> None:
    """It is restarted before it dies: a higher limit would only delay that."""
    of = histories(specs=[{**names(), **NOW, "memory_limit_bytes": 110 * MIB}])
    leaking = replace(demand(of, rare_memory=300 * MIB), findings={"memory": ("leak",)})
    (found,), _ = recommend(of, leaking, Policies())
    assert str(found.proposed.memory_limit) == "110Mi"


def test_a_limit_is_not_lowered_before_a_start_was_seen() -> None:
    """The change restarts the container, and nobody knows what it needs while it starts."""
    of = histories(specs=[{**names(), **NOW}])
    (found,), _ = recommend(of, demand(of), Policies())
    assert str(found.proposed.memory_request) == "100Mi"
    assert str(found.proposed.memory_limit) == "2Gi"
    assert "no start was seen" in step(found, "memory_limit", "start")


@pytest.mark.parametrize("path", ["demand", "kill", "ratio", "floor", "qos"])
def test_nothing_is_proposed_above_the_largest_node(path: str) -> None:
    """Whatever asks for it: 4 cores and 8Gi are all there is."""
    node = {"name": "n1", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 8192 * MIB}
    policy = {
        "ratio": Policy(cpu_limit="ratio", memory_limit="request"),
        "floor": Policy(cpu_floor=Cpu(9000), memory_floor=Memory(9999 * MIB)),
        "qos": Policy(keep_qos=True),
    }.get(path, Policy())
    now = {"cpu_request_cores": 2.0, "memory_request_bytes": 7680 * MIB}
    limits = {"cpu_limit_cores": 2.0, "memory_limit_bytes": 7680 * MIB}
    events = [kill(3, 7680)] if path == "kill" else [RESTART]
    usage = steady(cpu=2.0, memory=7600 * MIB)
    of = histories(usage, [{**names(), **NOW, **now, **limits}], events, meta(nodes=(node,)))
    (found,), _ = recommend(of, demand(of, 6.0, 9000 * MIB, rare_memory=2**34), Policies(policy))
    for target in TARGETS:
        amount = found.proposed.amount(target)
        most = Cpu(4000) if target.startswith("cpu") else Memory(8192 * MIB)
        assert amount is None or amount <= most
    if path == "kill":
        assert str(found.proposed.memory_limit) == "8Gi"


def test_a_kept_limit_stays_and_bounds_its_request() -> None:
    """`keep` means keep: a request that wants more than the limit gets the limit."""
    policy = Policy(memory_limit="keep", cpu_limit="keep", memory_floor=Memory(4096 * MIB))
    found = one(policy, cpu=3.0, memory=3072 * MIB, cpu_request_cores=0.05)
    assert found.proposed == resources("2", "2Gi", "2", "2Gi")
    assert "the policy keeps the limit" in step(found, "memory_request", "limit")


def test_no_step_undoes_a_floor() -> None:
    """What is there covers the peak and is near to demand, and is still below the floor."""
    policy = Policy(cpu_floor=Cpu(1500), memory_floor=Memory(3072 * MIB))
    found = one(policy, cpu=0.98, memory=1000 * MIB)
    assert str(found.proposed.cpu_request) == "1500m"
    assert str(found.proposed.memory_request) == "3Gi"
    assert str(found.proposed.memory_limit) == "3Gi"


def test_the_containers_of_a_pod_share_its_node() -> None:
    """Both would take the whole node of 4 cores; 1 core each is there already, so 2 are left."""
    node = {"name": "n1", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 8192 * MIB}
    frame = steady(cpu=3.5)
    of = histories(
        pd.concat([frame, frame.assign(container="log")]),
        [{**names(), **NOW}, {**names("log"), **NOW}],
        window=meta(nodes=(node,)),
    )
    found, _ = recommend(of, demand(of, 4.0), Policies())
    assert [str(r.proposed.cpu_request) for r in found] == ["2", "2"]
    assert "2 containers of the pod would together ask for 8" in step(
        found[0], "cpu_request", "pod"
    )


def test_what_the_settings_ask_for_is_a_bound() -> None:
    """A heap of 640Mi is not seen in two weeks of 100Mi, and has to fit all the same."""
    of = histories(specs=[{**names(), **NOW}], events=[RESTART])
    both: tuple[TargetName, ...] = ("memory_request", "memory_limit")
    heap = tuple(Bound(target, Memory(800 * MIB), "its Java heap is 640Mi") for target in both)
    (found,), _ = recommend(of, demand(of), Policies(), bounds={ref(): heap})
    assert found.proposed == resources("100m", "800Mi", None, "800Mi")
    assert step(found, "memory_request", "at least") == "its Java heap is 640Mi"


def test_the_stated_risk_is_that_of_the_amount_proposed() -> None:
    """2Gi is half way from 3Gi, exceeded with 3 %, to 1Gi, with 5 %: sqrt(3 % x 5 %) = 3.87 %."""
    kept = one(memory=1024 * MIB, cpu=1.0, rare_memory=3072 * MIB, cpu_limit_cores=None)
    assert kept.stated_risk["memory_limit"] == pytest.approx(0.0387, abs=1e-4)
    assert "cpu_limit" not in kept.stated_risk
    assert "cpu_request" not in kept.stated_risk  # the same at every risk: none is stated


def test_no_limit_is_added_where_none_is_declared() -> None:
    """A new limit can only kill; it comes on demand alone."""
    bare: dict[str, Any] = {"memory_limit_bytes": None, "cpu_limit_cores": None}
    assert one(**bare).proposed.memory_limit is None
    assert "can only kill" in step(one(**bare), "memory_limit", "keep")
    assert str(one(Policy(add_missing_limits=True), **bare).proposed.memory_limit) == "120Mi"


def test_where_nothing_is_declared_requests_are() -> None:
    """A container without any resources gets requests."""
    nothing: dict[str, Any] = dict.fromkeys(NOW)
    found = one(**nothing)
    assert found.current == Resources()
    assert found.proposed == resources("100m", "100Mi")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(cpu_limit="keep"), "2"),
        (Policy(cpu_limit="ratio", cpu_limit_ratio=3), "300m"),
        (Policy(cpu_limit="risk"), "100m"),
        (Policy(cpu_limit="none"), "None"),
    ],
)
def test_cpu_limits_by_policy(policy: Policy, expected: str) -> None:
    """None, kept, a multiple of the request, or by risk."""
    assert str(one(policy).proposed.cpu_limit) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(memory_limit="keep"), "2Gi"),
        (Policy(memory_limit="request"), "120Mi"),
        (Policy(memory_limit="none"), "None"),
    ],
)
def test_memory_limits_by_policy(policy: Policy, expected: str) -> None:
    """Kept, equal to a request with room above the peak, or none."""
    assert str(one(policy).proposed.memory_limit) == expected


def test_guaranteed_pods_stay_guaranteed_on_demand() -> None:
    """With keep_qos, a request that equals its limit goes on doing so."""
    equal: dict[str, Any] = {"cpu_limit_cores": 1.0, "memory_limit_bytes": 1024 * MIB}
    found = one(Policy(keep_qos=True), **equal).proposed
    assert found == resources("100m", "120Mi", "100m", "120Mi")


def test_a_resource_an_hpa_scales_on_is_left_alone() -> None:
    """A new request would move the scale point; the other resource is still right-sized."""
    hpa = '{"name": "web", "min": 2, "max": 5, "metrics": [{"resource": "cpu", "value": 80}]}'
    found = one(hpa=hpa)
    assert found.proposed.cpu_request == Cpu(1000)
    assert "HPA web scales on CPU at 80 %" in step(found, "cpu_request", "hands off")
    assert str(found.proposed.memory_request) == "100Mi"


def test_a_short_history_lowers_nothing() -> None:
    """Two days may have missed the weekly peak, but a need that was seen is real."""
    of = histories(steady(days=2), specs=[{**names(), **NOW}], window=meta(days=2))
    (lower,), _ = recommend(of, demand(of), Policies())
    tight = {**names(), **NOW, "cpu_request_cores": 0.05}
    of = histories(steady(days=2), specs=[tight], window=meta(days=2))
    (higher,), _ = recommend(of, demand(of, cpu=2.0), Policies())
    assert lower.proposed.cpu_request == Cpu(1000)
    assert "only 2.0 days" in step(lower, "cpu_request", "few days")
    assert higher.proposed.cpu_request == Cpu(2000)


def test_a_handful_of_samples_is_no_history() -> None:
    """An init container seen for 45 minutes in all is skipped, with the count."""
    of = histories(steady(days=9 / 288), specs=[{**names(), **NOW}])
    found, (skipped,) = recommend(of, demand(of), Policies())
    assert not found
    assert skipped.reason == "only 9 samples were seen; at least 10 are needed"


def kill(day: float, limit: int) -> dict[str, Any]:
    """An OOM kill of `web-1` at so many mebibytes."""
    at = START + timedelta(days=day)
    return {**names(), "pod": "web-1", "timestamp": at, "kind": "oom_kill", "value": limit * MIB}


def test_after_an_oom_kill_the_limit_is_above_the_one_that_was_hit() -> None:
    """It died at 512Mi: 1.2 x 512Mi = 614.4Mi, rounded up 640Mi."""
    small: dict[str, Any] = {"memory_request_bytes": 256 * MIB, "memory_limit_bytes": 512 * MIB}
    of = histories(steady(memory=500 * MIB), [{**names(), **NOW, **small}], [kill(3, 512)])
    (found,), _ = recommend(of, demand(of), Policies())
    assert str(found.proposed.memory_limit) == "640Mi"
    assert found.evidence.oom_kills == 1
    assert found.notes == ("OOM-killed once at 512Mi; its need is above that limit",)


def test_a_kill_far_below_the_limit_changes_no_limit() -> None:
    """100Mi of 512Mi were used: the node ran out, and a lower request would make it worse."""
    small: dict[str, Any] = {"memory_request_bytes": 256 * MIB, "memory_limit_bytes": 512 * MIB}
    of = histories(specs=[{**names(), **NOW, **small}], events=[kill(3, 512)])
    (found,), _ = recommend(of, demand(of), Policies())
    assert str(found.proposed.memory_limit) == "512Mi"
    assert str(found.proposed.memory_request) == "256Mi"
    assert found.confidence == 1.0
    (note,) = found.notes
    assert note.startswith("OOM-killed once at 512Mi while usage was far below the limit")


def test_a_limit_is_raised_by_however_little_where_it_killed() -> None:
    """20Mi killed: 24Mi is a step too small for a request, but not here."""
    tiny: dict[str, Any] = {"memory_request_bytes": 16 * MIB, "memory_limit_bytes": 20 * MIB}
    of = histories(steady(memory=19 * MIB), [{**names(), **NOW, **tiny}], [kill(1, 20)])
    (found,), _ = recommend(of, demand(of, memory=19 * MIB), Policies())
    assert str(found.proposed.memory_limit) == "24Mi"


def test_a_throttled_container_keeps_its_cpu_request() -> None:
    """What it used was what it was given: 0.1 cores seen say nothing about 1 core requested."""
    waits = [
        {
            **names(),
            "timestamp": START + timedelta(minutes=5 * k),
            "kind": "throttled",
            "value": 0.5,
        }
        for k in range(1, 301)
    ]
    of = histories(specs=[{**names(), **NOW}], events=waits)
    (found,), _ = recommend(of, demand(of), Policies())
    assert found.proposed.cpu_request == Cpu(1000)
    assert "throttled" in step(found, "cpu_request", "throttled")


def test_no_request_exceeds_the_largest_node() -> None:
    """A pod that fits nowhere would never start."""
    node = {"name": "n1", "cpu_allocatable_cores": 4.0, "memory_allocatable_bytes": 8192 * MIB}
    tight = {**names(), **NOW, "cpu_request_cores": 0.05}
    of = histories(specs=[tight], window=meta(nodes=(node,)))
    (found,), _ = recommend(of, demand(of, cpu=6.0), Policies())
    assert found.proposed.cpu_request == Cpu(4000)
    assert step(found, "cpu_request", "node")


@pytest.mark.parametrize("size", [0.0, 0.01])
def test_nodes_that_usage_disproves_lower_nothing(size: float) -> None:
    """Only nodes are known that are smaller than what was used: it runs elsewhere, and fits there.

    With a hundredth of a core and 10Mi, or with nothing at all, 100Mi were used, and 120Mi is due.
    """
    node = {
        "name": "n1", "cpu_allocatable_cores": size, "memory_allocatable_bytes": size * 1000 * MIB
    }  # fmt: skip
    of = histories(specs=[{**names(), **NOW}], events=[RESTART], window=meta(nodes=(node,)))
    (found,), _ = recommend(of, demand(of), Policies())
    elsewhere = histories(specs=[{**names(), **NOW}], events=[RESTART])
    (known,), _ = recommend(elsewhere, demand(elsewhere), Policies())
    assert found.proposed == known.proposed
    assert found.proposed.memory_request == Memory(100 * MIB)


def test_a_limit_range_of_nought_is_no_bound() -> None:
    """It admits nothing at all, so nothing that it says can be meant."""
    rows = [
        {"namespace": "shop", "name": "none", "type": "Container", "constraint": "max",
         "resource": resource, "value": 0.0}
        for resource in ("cpu", "memory")
    ]  # fmt: skip
    of = histories(specs=[{**names(), **NOW}], window=replace(meta(), limit_ranges=tuple(rows)))
    (found,), _ = recommend(of, demand(of), Policies())
    assert all((amount := found.proposed.amount(t)) is None or amount.units > 0 for t in TARGETS)


def test_what_one_resource_hides_the_other_still_gets() -> None:
    """CPU without samples is kept; memory is recommended."""
    of = histories(specs=[{**names(), **NOW}])
    (found,), _ = recommend(of, demand(of, reasons={"cpu": "no CPU samples"}), Policies())
    assert found.proposed.cpu_request == Cpu(1000)
    assert step(found, "cpu_request", "unknown") == "no CPU samples"
    assert str(found.proposed.memory_request) == "100Mi"


def test_every_container_comes_out_with_a_reason_where_skipped() -> None:
    """In = recommended + skipped: unknown to the model, switched off, never observed."""
    frame = steady()
    three = [names(), names("off"), names("ghost")]
    specs: list[dict[str, Any]] = [
        {**three[0], **NOW},
        {**three[1], "annotations": '{"rightsize_io_direction": "off"}'},
    ]
    of = histories(
        pd.concat([frame, frame.assign(container="off")]),
        specs=[*specs, {**three[2]}],
    )
    found, skipped = recommend(of, demand(of), Policies())
    assert [r.ref.container for r in found] == ["app"]
    assert {s.ref.container: s.reason for s in skipped} == {
        "off": "the policy switches it off",
        "ghost": "no usage was observed in the window",
    }
    unknown = demand(of, reasons={"cpu": "too short", "memory": "too short"})
    found, skipped = recommend(of, unknown, Policies())
    assert not found and len(skipped) == 3


def test_an_unusable_annotation_skips_its_container_only() -> None:
    """A stranger's typo neither stops the run nor is passed over."""
    of = histories(specs=[{**names(), "annotations": '{"rightsize_io_cpu_floor": "lots"}'}])
    found, skipped = recommend(of, demand(of), Policies())
    assert not found
    assert "annotation of shop/Deployment/web/app" in skipped[0].reason


def test_a_changed_amount_always_explains_itself() -> None:
    """Every target that changes has a trail that ends at it."""
    found = one()
    for target in ("cpu_request", "cpu_limit", "memory_request", "memory_limit"):
        assert found.trail[target]


TIME = np.arange(14 * 288) / 288


def test_no_pod_lies_above_its_request_all_the_time_without_a_word() -> None:
    """One of four pods uses 0.9 cores always: 1 core stays, though few samples are so high."""
    frames = [steady(cpu=0.02).assign(pod=f"web-{k}") for k in range(3)]
    of = histories(pd.concat([*frames, steady(cpu=0.9).assign(pod="web-3")]), [{**names(), **NOW}])
    (found,), _ = recommend(of, demand(of, cpu=0.03), Policies())
    assert str(found.proposed.cpu_request) == "900m"
    assert found.notes[0].startswith("pods differ: 1 of 4 need 45 x the median pod's CPU")
    starved = {**NOW, "cpu_request_cores": 0.05}
    of = histories(of.samples(0).assign(**names()), [{**names(), **starved}])
    (found,), _ = recommend(of, demand(of, cpu=0.03), Policies())
    assert str(found.proposed.cpu_request) == "50m"
    assert "above the request of 50m" in found.notes[0]


def test_like_pods_are_served_by_the_worst_of_them() -> None:
    """Two pods at 0.2, one at 0.3: that is no reason to split, and none to starve one."""
    frames = [steady(cpu=cpu).assign(pod=f"web-{cpu}") for cpu in (0.2, 0.2001, 0.3)]
    of = histories(pd.concat(frames), [{**names(), **NOW}])
    (found,), _ = recommend(of, demand(of, cpu=0.2), Policies())
    assert str(found.proposed.cpu_request) == "300m"
    assert not found.notes


def test_a_busy_hour_is_said_first_and_raises_the_request_where_the_policy_says() -> None:
    """3 cores each Sunday from 02:00: 0.6 % of the time, and all of its work."""
    busy = (TIME % 7 >= 6 + 2 / 24) & (TIME % 7 < 6 + 3 / 24)
    of = histories(steady(cpu=np.where(busy, 3.0, 0.02)), [{**names(), **NOW}])
    (quiet,), _ = recommend(of, demand(of, cpu=0.02), Policies(Policy(busy_hour_floor=0)))
    (half,), _ = recommend(of, demand(of, cpu=0.02), Policies(Policy(busy_hour_floor=0.5)))
    assert str(quiet.proposed.cpu_request) == "20m"
    assert quiet.notes[0].startswith(
        "busy every Sunday from 02:00 UTC for an hour: 3 of CPU, 150 x"
    )
    assert str(half.proposed.cpu_request) == "1500m"


def test_a_level_that_is_lower_since_days_lowers_nothing_yet() -> None:
    """From 800Mi to 400Mi: the request follows when that has lasted for a week."""
    now = {**names(), **NOW}
    for changed, amount in ((10, "800Mi"), (6, "400Mi")):
        of = histories(steady(memory=np.where(changed > TIME, 800.0, 400.0) * MIB), [now])
        days = np.array([14.0 - changed])
        shifted = replace(demand(of, memory=400 * MIB), recent={"memory": days})
        (found,), _ = recommend(of, shifted, Policies())
        assert str(found.proposed.memory_request) == amount
        assert any("before, it peaked at 800Mi" in note for note in found.notes)


def test_page_cache_beyond_the_policys_share_asks_for_nothing() -> None:
    """400Mi of which 100Mi are resident: half of the 300Mi cache counts, so 250Mi."""
    of = histories(
        steady(memory=400 * MIB, memory_rss_bytes=100.0 * MIB),
        [{**names(), **NOW}],
        [RESTART],
    )
    (found,), _ = recommend(of, demand(of, memory=400 * MIB), Policies())
    assert str(found.proposed.memory_request) == "256Mi"
    assert str(found.proposed.memory_limit) == "304Mi"


def test_page_cache_is_left_out_of_what_the_limit_can_hold() -> None:
    """3Gi feared under a limit of 2Gi: 62.5 % of 2Gi count, to 400Mi of which 100 are resident."""
    of = histories(
        steady(memory=400 * MIB, memory_rss_bytes=100.0 * MIB), [{**names(), **NOW}], [RESTART]
    )
    feared = demand(of, memory=3072 * MIB)
    (wanted,) = wanted_amounts(of, feared, Policies()).values()
    assert wanted.memory_request == Memory.parse("1280Mi")
    (found,), _ = recommend(of, feared, Policies())
    assert "held" in [step.name for step in found.trail["memory_request"]]
    stripped = of.without_samples()
    (earlier,) = wanted_amounts(stripped, feared, Policies(), of).values()
    assert earlier.memory_request == wanted.memory_request


def test_what_reviews_wanted_is_without_page_cache_too() -> None:
    """Or what was wanted with it would keep the request from falling for good.

    Where it was killed all of it counts, and so it does where nothing tells the cache.
    """
    now, told = [{**names(), **NOW}], {"memory_rss_bytes": 100.0 * MIB}
    for more, events, amount in (
        (told, [RESTART], "256Mi"),
        (told, [kill(2, 400)], "400Mi"),
        ({}, [RESTART], "400Mi"),
    ):
        of = histories(steady(memory=400 * MIB, **more), now, events)
        (wanted,) = wanted_amounts(of, demand(of, memory=400 * MIB), Policies()).values()
        assert str(wanted.memory_request) == amount


def test_a_peak_that_stands_alone_gets_room_where_a_plateau_does_not() -> None:
    """98Mi of 102Mi: always there, it has filled what it got; once a day, it is a need."""
    tight = {**names(), **NOW, "memory_limit_bytes": 102 * MIB, "memory_request_bytes": 90 * MIB}
    spikes = np.where(TIME % 1 < 0.01, 98.0, 40.0) * MIB
    for memory, limit in ((98 * MIB, "102Mi"), (spikes, "120Mi")):
        of = histories(steady(memory=memory), [tight])
        (found,), _ = recommend(of, demand(of, memory=98 * MIB), Policies())
        assert str(found.proposed.memory_limit) == limit


def test_what_fills_every_limit_is_raised_no_further() -> None:
    """Killed at 200Mi, 240Mi and 264Mi: the next limit would be filled as well."""
    now = {"memory_request_bytes": 100 * MIB, "memory_limit_bytes": 264 * MIB}
    kills = [kill(2, 200), kill(6, 240), kill(10, 264)]
    of = histories(steady(memory=260 * MIB), [{**names(), **NOW, **now}], kills)
    (found,), _ = recommend(of, demand(of, memory=300 * MIB, rare_memory=900 * MIB), Policies())
    assert str(found.proposed.memory_limit) == "264Mi"
    assert "give it a bound of its own" in found.notes[0]


def test_no_request_falls_below_a_limit_that_killed_repeatedly() -> None:
    """Twice at 512Mi: it used as much, so 1Gi falls to 512Mi and no further."""
    of = histories(steady(memory=500 * MIB), [{**names(), **NOW}], [kill(2, 512), kill(3, 512)])
    (found,), _ = recommend(of, demand(of, memory=100 * MIB), Policies())
    assert str(found.proposed.memory_request) == "512Mi"
    assert "killed repeatedly at 512Mi" in step(found, "memory_request", "killed")


def test_a_ceiling_holds_for_a_limit_that_leaves_room_above_the_peak() -> None:
    """The model allows for 3000Mi; 500Mi are five times the peak of 100Mi, so the ceiling holds."""
    found = one(Policy(memory_ceiling=Memory(500 * MIB)), rare_memory=3000 * MIB)
    assert str(found.proposed.memory_limit) == "500Mi"
    assert step(found, "memory_limit", "ceiling")


def test_request_equals_limit_is_for_memory_alone() -> None:
    """The policy says so of memory; CPU keeps its limit of 2 above a request of 100m."""
    found = one(Policy(memory_limit="request", cpu_limit="keep"))
    assert found.proposed == resources("100m", "120Mi", "2", "120Mi")
