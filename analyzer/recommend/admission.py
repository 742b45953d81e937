"""What a namespace admits: LimitRanges and ResourceQuotas, as the API server applies them.

A pod that breaks either is refused when it is made, so that a rollout stands still. Amounts
therefore stay within the range, limits that must be declared are not taken away, and raises that a
quota has no room for are not made. Where a range contradicts itself nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.kinds import DAEMON_SET, DEPLOYMENT, POD, REPLICA_SET, STATEFUL_SET
from analyzer.models.demand import RESOURCES, Resource
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend.case import Admission, Case, Facts, Importance, Room
from analyzer.recommend.precedence import precedence
from analyzer.recommend.recommendation import Recommendation
from analyzer.recommend.step import Outcome, PolicyStep, Source
from analyzer.workload import WorkloadRef

LIMIT_RANGE = "limit range"
QUOTA = "quota"
_WITHOUT_DEADLINE = (DEPLOYMENT.name, STATEFUL_SET.name, DAEMON_SET.name, REPLICA_SET.name)
"""Kinds whose pods the API server lets have no `activeDeadlineSeconds`."""
_BY_DEADLINE = ("Terminating", "NotTerminating")
"""Scopes of a quota that look at it."""
_CONTAINER = "Container"
_RATIO = "maxLimitRequestRatio"
_POD_RATIO = POD.name, _RATIO
"""Of a pod it bounds the sum of limits: containers that each keep to it keep their pod to it."""
_COUNTED: Mapping[str, TargetName] = {
    "cpu": "cpu_request",
    "requests.cpu": "cpu_request",
    "limits.cpu": "cpu_limit",
    "memory": "memory_request",
    "requests.memory": "memory_request",
    "limits.memory": "memory_limit",
}
"""What a quota of each name counts."""


def find_admissions(
    limit_ranges: Sequence[Mapping[str, Any]], quotas: Sequence[Mapping[str, Any]]
) -> dict[str, dict[Resource, Admission]]:
    """What each namespace asks of containers, by resource; rows are those of `Meta`.

    Several ranges of one namespace hold together, as the API server applies all of them.
    """
    ranges: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    wanted: dict[tuple[str, str], list[_Wanted]] = {}
    for row in quotas:
        counts = str(row.get("resource"))
        of = counts.removeprefix("limits.")
        if of != counts:
            reason = f"the quota {row['name']} counts limits, and refuses pods without"
            one = _Wanted(QUOTA, reason, each=not row.get("scopes"))
            wanted.setdefault((str(row["namespace"]), of), []).append(one)
    for row in filter(is_complete, limit_ranges):
        key = str(row["namespace"]), str(row["resource"])
        if row.get("type") == _CONTAINER or (row.get("type"), row["constraint"]) == _POD_RATIO:
            ranges.setdefault(key, []).append(row)
        if row.get("type") == POD.name and row["constraint"] in ("max", _RATIO):
            reason = f"the LimitRange {row['name']} refuses pods without any"
            wanted.setdefault(key, []).append(_Wanted(LIMIT_RANGE, reason, each=False))
    found: dict[str, dict[Resource, Admission]] = {}
    for namespace, name in sorted({*ranges, *wanted}):
        if name in RESOURCES:
            key = namespace, name
            admission = _admission(name, ranges.get(key, ()), wanted.get(key, ()))
            found.setdefault(namespace, {})[name] = admission
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Who wants a limit declared, and why: of each container, or of some of them."""

    code: str
    reason: str
    each: bool = True


def is_complete(row: Mapping[str, Any]) -> bool:
    """Whether a row of a LimitRange says what it constrains, how, and to which value."""
    return all(row.get(name) is not None for name in ("resource", "constraint", "value"))


def _admission(
    resource: Resource, rows: Sequence[Mapping[str, Any]], wanted: Sequence[_Wanted]
) -> Admission:
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(str(row["constraint"]), []).append(float(row["value"]))
    name = ", ".join(sorted({str(row["name"]) for row in rows}))
    least = _amount(resource, max(values["min"])) if "min" in values else None
    most = _amount(resource, min(values["max"])) if "max" in values else None
    ratio = min(values[_RATIO]) if _RATIO in values else None
    of_containers = any((r["type"], r["constraint"]) == (_CONTAINER, _RATIO) for r in rows)
    default = _amount(resource, min(values["default"])) if "default" in values else most
    due = next(iter(sorted(wanted, key=lambda one: not one.each)), None)
    if default is not None:
        reason = f"without one the LimitRange {name} would set it to {default.human()}"
        due = _Wanted(LIMIT_RANGE, reason)
    elif of_containers:
        due = _Wanted(LIMIT_RANGE, f"the LimitRange {name} refuses pods without")
    problem = ""
    if least is not None and most is not None and least > most:
        problem = f"its min of {least.human()} is above its max of {most.human()}"
    elif ratio is not None and ratio < 1:
        problem = f"its maxLimitRequestRatio of {ratio:g} allows no limit at all"
    if problem:
        problem = f"the LimitRange {name} contradicts itself: {problem}"
    told = None if due is None else (due.code, due.reason)
    each = due is not None and due.each
    return Admission(name, least, most, ratio, default, told, each, problem)


def _amount(resource: Resource, value: float) -> Quantity:
    """A constraint as an amount; rows hold cores or bytes."""
    return Cpu(round(value * 1000)) if resource == "cpu" else Memory(round(value))


# --- one amount -------------------------------------------------------------------------------


def within_range(case: Case, amount: Quantity) -> Outcome:
    """Between the min and the max of the namespace's LimitRanges."""
    admission, now = case.admission, case.now
    if admission is None:
        return amount, ""
    if admission.least is not None and amount < admission.least:
        return admission.least, f"the LimitRange {admission.name} admits no less"
    if admission.most is None or amount <= admission.most:
        return amount, ""
    peak = case.facts.evidence.memory.max or 0.0
    kills = case.target == "memory_limit" and peak >= admission.most.units
    if kills and now is not None and now > admission.most:
        return now, (
            f"the LimitRange {admission.name} admits {admission.most.human()} at most, which it "
            "has used already: that would kill"
        )
    return admission.most, f"the LimitRange {admission.name} admits no more"


def within_ratio(case: Case, amount: Quantity) -> Outcome:
    """A request so near to its limit as the namespace's LimitRanges want it."""
    admission, limit = case.admission, case.limit
    if admission is None or admission.ratio is None or limit is None:
        return amount, ""
    least = limit.scale(1 / admission.ratio)
    if amount >= least:
        return amount, ""
    return least, (
        f"the LimitRange {admission.name} admits limits of {admission.ratio:g} x the request at "
        f"most, and the limit is {limit.human()}"
    )


WITHIN_RATIO = PolicyStep(LIMIT_RANGE, within_ratio)


def due_limit(case: Case) -> Source | None:
    """Where a limit comes from that the namespace wants declared; None where it need not be."""
    admission = case.admission
    if admission is None or admission.due is None or case.now is None:
        return None
    code, reason = admission.due
    return Source(code, lambda of: (of.now, reason))


def refusal(facts: Facts, amounts: Resources) -> str:
    """Why the namespace would refuse a container of these `amounts`; empty where it takes it."""
    for resource, admission in facts.admissions.items():
        request, limit = _pair(amounts.effective(), resource)
        limit = admission.default if limit is None else limit
        said = admission.problem or _broken(admission, request, limit)
        if said:
            return said
    return ""


def _pair(amounts: Resources, resource: Resource) -> tuple[Quantity | None, Quantity | None]:
    if resource == "cpu":
        return amounts.cpu_request, amounts.cpu_limit
    return amounts.memory_request, amounts.memory_limit


def _broken(admission: Admission, request: Quantity | None, limit: Quantity | None) -> str:
    """What of an admission a container breaks, its default limit included."""
    who = f"the LimitRange {admission.name}"
    if limit is None and admission.due is not None and admission.each:
        return admission.due[1]
    for amount in (request, limit):
        if amount is None:
            continue
        if admission.least is not None and amount < admission.least:
            return f"{who} admits no less than {admission.least.human()}, not {amount.human()}"
        if admission.most is not None and amount > admission.most:
            return f"{who} admits no more than {admission.most.human()}, not {amount.human()}"
    if request is not None and limit is not None:
        if request > limit:
            return f"{who} sets a limit of {limit.human()}, below the request"
        if admission.ratio is not None and limit > request.scale(admission.ratio):
            return f"{who} admits limits of {admission.ratio:g} x the request at most"
    return ""


# --- the whole namespace ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What of one quota is used, now and once all that is proposed is in force.

    Amounts are cores or bytes; `resource` is spelt as in the quota, such as ``requests.cpu``.
    """

    namespace: str
    name: str
    resource: str
    hard: float
    used: float
    after: float


def quota_uses(
    recommendations: Iterable[Recommendation],
    quotas: Sequence[Mapping[str, Any]],
    classes: Mapping[WorkloadRef, Importance],
    ends: Mapping[WorkloadRef, bool] = {},
) -> list[QuotaUse]:
    """What each quota of CPU or memory holds before and after, in the order of `quotas`.

    Pods that are not known here (of containers that were skipped) are in what is used. `ends` says
    of a workload whether its pods have a deadline of their own.
    """
    by_namespace: dict[str, list[Recommendation]] = {}
    for found in recommendations:
        by_namespace.setdefault(found.ref.namespace, []).append(found)
    uses = []
    for row in quotas:
        target, hard = _COUNTED.get(str(row.get("resource"))), row.get("hard")
        if target is None or hard is None:
            continue
        known = by_namespace.get(str(row["namespace"]), [])
        members = [r for r in known if counts(row, r, classes, ends)]
        scale = 1000 if target.startswith("cpu") else 1
        used = row.get("used")
        if used is None:
            used = sum(_units(r.current, target) * r.replicas for r in members) / scale
        after = float(used) + sum(r.change(target) for r in members) / scale
        names = str(row["namespace"]), str(row["name"]), str(row["resource"])
        uses.append(QuotaUse(*names, float(hard), float(used), after))
    return uses


def counts(
    quota: Mapping[str, Any],
    one: Recommendation,
    classes: Mapping[WorkloadRef, Importance],
    ends: Mapping[WorkloadRef, bool] = {},
) -> bool:
    """Whether a quota counts the pods of a container, as far as anybody tells; else it does.

    Only pods of Jobs may have a deadline of their own, which the scope Terminating looks at, and
    which the deadline of their Job is not. Where
    the PriorityClass of any pod is told, one that none is told of has none.
    """
    known = classes.get(one.ref.workload_ref, Importance())
    ending = False if one.ref.kind in _WITHOUT_DEADLINE else ends.get(one.ref.workload_ref)
    for scope in quota.get("scopes") or ():
        name, operator, values = scope["name"], scope["operator"], scope["values"]
        if name in _BY_DEADLINE and ending == (name != "Terminating"):
            return False
        if name == "PriorityClass" and classes and not _holds(operator, values, known.name):
            return False
    return True


def _holds(operator: str, values: Sequence[str], name: str) -> bool:
    """Whether a pod of a PriorityClass is one that an operator of Kubernetes selects."""
    if operator == "In":
        return name in values
    if operator == "NotIn":
        return name not in values
    return bool(name) == (operator == "Exists")


def without_room(
    found: Mapping[int, Recommendation],
    facts: Mapping[int, Facts],
    quotas: Sequence[Mapping[str, Any]],
    classes: Mapping[WorkloadRef, Importance],
    ends: Mapping[WorkloadRef, bool] = {},
) -> dict[int, tuple[Room, ...]]:
    """The raises that their namespace's quota has no room for, as rooms of what holds now.

    Raises come by `precedence`, and of equals the smallest first: so the most containers get what
    they need. What others of the namespace give back is free.
    """
    members: dict[str, list[int]] = {}
    for index, one in found.items():
        members.setdefault(one.ref.namespace, []).append(index)
    rooms: dict[int, tuple[Room, ...]] = {}
    for row in quotas:
        inside = [
            i
            for i in members.get(str(row["namespace"]), ())
            if counts(row, found[i], classes, ends)
        ]
        uses = quota_uses([found[i] for i in inside], [row], classes, ends)
        use = uses[0] if uses else None
        if use is None or use.after <= use.hard * (1 + 1e-9):
            continue
        target = _COUNTED[use.resource]
        resource: Resource = "cpu" if target.startswith("cpu") else "memory"
        raises = [i for i in inside if found[i].change(target) > 0]
        raises.sort(key=lambda i: (*precedence([facts[i]], [resource]), found[i].change(target), i))
        scale = 1000 if resource == "cpu" else 1
        free = use.hard - use.after + sum(found[i].change(target) for i in raises) / scale
        for index in raises:
            free -= found[index].change(target) / scale
            if free < 0:
                free += found[index].change(target) / scale
                rooms[index] = (*rooms.get(index, ()), *_held(found[index], target, use))
    return rooms


def _held(of: Recommendation, target: TargetName, use: QuotaUse) -> Iterator[Room]:
    shown = (
        f"{use.hard:g} cores" if target.startswith("cpu") else Memory.from_bytes(use.hard).human()
    )
    now = of.current.amount(target)
    reason = f"the quota {use.name} has {shown} of {use.resource}, and no room for a raise"
    yield Room(target, now, reason, QUOTA)
    if target.endswith("limit") and now is not None:
        request: TargetName = "cpu_request" if target == "cpu_limit" else "memory_request"
        yield Room(request, now, f"{reason}; no request may lie above the limit", QUOTA)


def _units(resources: Resources, target: TargetName) -> int:
    amount = resources.amount(target)
    return 0 if amount is None else amount.units
