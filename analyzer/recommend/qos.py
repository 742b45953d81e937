"""Requests that equal their limits, where the policy or the pod's QoS class wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.history import Histories
from analyzer.quantity import TARGETS, Cpu, Quantity, Resources
from analyzer.recommend.bounds import HARD
from analyzer.recommend.case import Case
from analyzer.recommend.recommendation import Recommendation
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source
from analyzer.workload import WorkloadRef

NOTHING = Resources()
_REASON = "request = limit, as the policy wants it"


GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"


def qos_class(containers: Sequence[Resources], whole: Resources = NOTHING) -> str:
    """The QoS class of a pod, by all its containers, those that only start it included.

    After Kubernetes' `GetPodQOS`, which takes an amount of nought for none.

    Where the pod declares anything as a whole, that alone decides.
    """
    deciding = [one.effective() for one in ([whole] if whole != NOTHING else containers)]
    if not any(one.amount(target) for one in deciding for target in TARGETS):
        return BEST_EFFORT
    equal = all(
        one.cpu_limit
        and one.memory_limit
        and (one.cpu_limit, one.memory_limit) == (one.cpu_request, one.memory_request)
        for one in deciding
    )
    return GUARANTEED if equal else BURSTABLE


def changed_classes(histories: Histories, found: Mapping[int, Recommendation]) -> dict[int, str]:
    """A note for each container whose change takes its pod into another QoS class."""
    proposed = {one.ref: one.proposed for one in found.values()}
    specs = [histories.spec(index) for index in range(len(histories))]
    every = [*zip(histories.containers, specs, strict=True), *histories.silent.items()]
    before: dict[WorkloadRef, list[Resources]] = {}
    after: dict[WorkloadRef, list[Resources]] = {}
    wholes = {ref.workload_ref: spec.pod_resources for ref, spec in every}
    for ref, spec in every:
        if ref not in histories.gone:
            before.setdefault(ref.workload_ref, []).append(spec.resources)
            after.setdefault(ref.workload_ref, []).append(proposed.get(ref, spec.resources))
    notes = {}
    for index, one in found.items():
        owner = one.ref.workload_ref
        old, new = (qos_class(of.get(owner, ()), wholes[owner]) for of in (before, after))
        own = old == GUARANTEED and are_whole(one.current.cpu_request)
        shared = own and not (new == GUARANTEED and are_whole(one.proposed.cpu_request))
        if one.changed and old != new:
            notes[index] = _moved(old, new) + (f"; {_SHARED}" if shared else "")
        elif one.changed and shared:
            notes[index] = f"{_SHARED}; whole_cores: true keeps them whole"
    return notes


_SHARED = "where a node's CPU manager is static, it loses the whole cores that it has to itself"


def are_whole(amount: Quantity | None) -> bool:
    """Whether an amount of CPU is one or more whole cores, which one container can have alone."""
    return amount is not None and amount.units >= 1000 and amount.units % 1000 == 0


def _moved(old: str, new: str) -> str:
    if old == GUARANTEED:
        return f"its pod leaves the Guaranteed QoS class for {new}; keep_qos: true keeps it there"
    return f"its pod goes from the QoS class {old} to {new}"


def equal_is_wanted(case: Case) -> bool:
    """Whether request and limit of the resource are equal now, and are to stay so."""
    current = case.facts.current
    if case.resource == "cpu":
        pair: tuple[Quantity | None, Quantity | None] = (current.cpu_request, current.cpu_limit)
    else:
        pair = (current.memory_request, current.memory_limit)
    return case.policy.keep_qos and pair[0] is not None and pair[0] == pair[1]


def whole_cores(case: Case, amount: Quantity) -> Outcome:
    """Whole cores where the container may have cores of its own, and has them now."""
    wanted = case.policy.whole_cores and case.resource == "cpu" and equal_is_wanted(case)
    if not wanted or not are_whole(case.now) or are_whole(amount):
        return amount, ""
    whole = Cpu(-(-amount.units // 1000) * 1000)
    return whole, "a CPU manager that is static gives whole cores alone to one container"


def whole_or_now(case: Case, amount: Quantity) -> Outcome:
    """As many whole cores as there is room for, where that is no less than now."""
    whole = Cpu(amount.units // 1000 * 1000)
    wanted, _ = whole_cores(case, amount)
    if wanted == amount or case.now is None or whole < case.now:
        return amount, ""
    return whole, "there is no room for another whole core"


WHOLE_CORES = PolicyStep("whole cores", whole_cores)
NO_PART_OF_A_CORE = PolicyStep("whole cores", whole_or_now)


def steps_to_equal(case: Case) -> tuple[PolicyStep, ...]:
    """What brings a request to its limit where both are to be equal; nothing where not."""
    both = case.resource == "memory" and case.policy.memory_limit == "request"
    if case.limit is None or not (both or equal_is_wanted(case)):
        return ()
    return (PolicyStep("qos", _equal_request), *HARD)


def _equal_request(case: Case, amount: Quantity) -> Outcome:
    return (amount, "") if amount == case.limit else (case.limit, _REASON)


def _as_request(case: Case) -> Outcome:
    return case.request, _REASON if case.request is not None else ""


EQUAL_LIMIT = Plan(Source("qos", _as_request), HARD)
