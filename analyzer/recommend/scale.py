"""Autoscalers on utilisation: a request and the target that is a share of it, moved together.

A HorizontalPodAutoscaler adds a pod where usage passes a share of what the pod requests (Kubernetes
documentation, "Horizontal Pod Autoscaling", algorithm details). That product, the scale point, is
what its owner has tuned. Where the request changes and the target with it, the point stays, as many
pods run under the same load as before, and what a pod was seen to use is what it will use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from analyzer.history import Histories
from analyzer.models.demand import RESOURCES, Resource
from analyzer.quantity import Cpu, Memory, Quantity, Resources, TargetName
from analyzer.recommend.case import Bound, Case, Facts
from analyzer.recommend.recommendation import Companion, Recommendation
from analyzer.spec import Hpa, Utilisation
from analyzer.workload import ContainerRef, WorkloadRef

SCALE_POINT = "scale point"
MOST_SHIFT = 0.02
"""Targets are whole percents. One that would move the scale point by more than this is refused."""
MOST_PERCENT = 100
"""A pod uses up to its scale point before another one is added, and its request has to hold that.
Who has set a higher target already keeps to that one."""

NAMES: Mapping[Resource, str] = {"cpu": "CPU", "memory": "memory"}
_REQUESTS: Mapping[Resource, TargetName] = {"cpu": "cpu_request", "memory": "memory_request"}


def why_scaled(case: Case) -> str:
    """Why a request is left to the autoscaler that scales on it; empty where it is not."""
    facts, hpa = case.facts, case.facts.spec.hpa
    if case.policy.hpa == "together":
        return facts.held.get(case.resource, "")
    target = hpa.target_of(case.resource, facts.container) if hpa is not None else None
    if hpa is None or target is None or hpa.is_fixed or case.policy.hpa == "ignore":
        return ""
    if case.now is None:
        return without_request(hpa, target, "")
    return f"{scales(hpa, target)}, so a new request would move its scale point"


def scales(hpa: Hpa, target: Utilisation) -> str:
    """What an autoscaler goes by, in words."""
    keda = hpa.name.removeprefix("keda-hpa-")
    whose = f" (of KEDA's ScaledObject {keda})" if keda != hpa.name else ""
    of = f" of container {target.container}" if target.container else ""
    name = next((NAMES[r] for r in RESOURCES if r == target.resource), target.resource)
    return f"the HPA {hpa.name}{whose} scales on {name}{of} at {target.percent:g} % of the request"


def without_request(hpa: Hpa, target: Utilisation, container: str) -> str:
    """What to say of an autoscaler that has nothing to take a share of."""
    whose = f"container {container} requests" if container else "it requests"
    return (
        f"{scales(hpa, target)}, and {whose} none: it cannot scale until one is declared, and what "
        "it would do then is for its owner to decide"
    )


@dataclass
class Scaled:
    """What autoscalers ask of a set of recommendations, by the positions of containers."""

    held: dict[int, dict[Resource, str]] = field(default_factory=dict)
    """Requests that stay, with the reason."""
    bounds: dict[int, tuple[Bound, ...]] = field(default_factory=dict)
    """Requests that have to be larger than proposed."""
    companions: dict[int, tuple[Companion, ...]] = field(default_factory=dict)
    """The targets that change with what is proposed."""


def scale_points(
    histories: Histories, found: Mapping[int, Recommendation], facts: Mapping[int, Facts]
) -> Scaled:
    """What autoscalers say to the requests that are proposed where both are to move together."""
    result = Scaled()
    for ref, members in _workloads(histories, facts).items():
        hpa = histories.spec(members[0]).hpa
        for target in hpa.targets if hpa is not None else ():
            for resource in RESOURCES:
                if hpa is not None and target.resource == resource:
                    pod = _Pod(ref, hpa, target, resource, members)
                    pod.judge(histories, found, facts, result)
    return result


def _workloads(histories: Histories, facts: Mapping[int, Facts]) -> dict[WorkloadRef, list[int]]:
    """The containers that run at the same time, of workloads whose targets are to move along."""
    asked = {
        histories.containers[index].workload_ref
        for index, one in facts.items()
        if one.policy.hpa == "together" and one.spec.hpa is not None
    }
    found: dict[WorkloadRef, list[int]] = {}
    for index, ref in enumerate(histories.containers) if asked else ():
        gone = ref in histories.gone or histories.spec(index).container_type == "init"
        if ref.workload_ref in asked and not gone:
            found.setdefault(ref.workload_ref, []).append(index)
    return found


@dataclass(frozen=True, slots=True)
class _Pod:
    """The containers of a workload, and one target that is a share of what some of them request."""

    ref: WorkloadRef
    hpa: Hpa
    target: Utilisation
    resource: Resource
    members: Sequence[int]

    def judge(
        self,
        histories: Histories,
        found: Mapping[int, Recommendation],
        facts: Mapping[int, Facts],
        result: Scaled,
    ) -> None:
        """Add to `result` what the target says to what is proposed."""
        name = _REQUESTS[self.resource]
        counted = [i for i in self.members if self.target.counts(histories.containers[i].container)]
        now = {i: histories.spec(i).resources.effective().amount(name) for i in counted}
        new = {
            i: one.proposed.effective().amount(name) if (one := found.get(i)) else now[i]
            for i in counted
        }
        changed = [i for i in counted if new[i] != now[i] and facts[i].policy.hpa == "together"]
        if not changed:
            return
        refs = [histories.containers[i] for i in changed]
        problem = self._problem(histories, now, new)
        before, after = (sum(a.units for a in of.values() if a) for of in (now, new))
        exact = Fraction(self.target.percent) * before / max(after, 1)
        asked = any(b.code == SCALE_POINT and b.target == name for b in facts[changed[0]].bounds)
        if not problem and exact > self._most and not asked:
            self._hold_up(changed, new, exact / Fraction(self._most), result)
            return
        percent = max(1, min(round(exact), round(self._most)))
        problem = problem or self._shifted(percent, before, after)
        for i in changed:
            if problem:
                result.held.setdefault(i, {})[self.resource] = problem
            else:
                companion = self._companion(percent, refs, (before, after))
                result.companions[i] = (*result.companions.get(i, ()), companion)

    @property
    def _most(self) -> float:
        return max(MOST_PERCENT, self.target.percent)

    def _problem(
        self,
        histories: Histories,
        now: Mapping[int, Quantity | None],
        new: Mapping[int, Quantity | None],
    ) -> str:
        """Why the target cannot move along; empty where it can."""
        said = scales(self.hpa, self.target)
        for i, amount in now.items():
            if amount is None or new[i] is None:
                name = histories.containers[i].container
                return without_request(self.hpa, self.target, name)
        pod: Resources = histories.spec(self.members[0]).pod_resources
        if pod.amount(_REQUESTS[self.resource]) is not None:
            return f"{said}, which its pod declares as a whole"
        twice = [t for t in self.hpa.targets if t.resource == self.resource]
        if sum(t.container == self.target.container for t in twice) > 1:
            return f"{said} and at others: which one counts is not told"
        if not self.target.place:
            why = self.target.problem or "no repository was looked at for it (--repo)"
            return f"{said}, and both are to move together: {why}"
        return ""

    def _hold_up(
        self,
        changed: Sequence[int],
        new: Mapping[int, Quantity | None],
        factor: Fraction,
        result: Scaled,
    ) -> None:
        """Let the requests together hold the scale point, each in proportion to what it was."""
        for i in changed:
            amount = new[i]
            if amount is not None:
                least = type(amount)(math.ceil(amount.units * factor))
                reason = (
                    f"{scales(self.hpa, self.target)}: a pod uses up to that before another one is "
                    "added, and the request has to hold it"
                )
                bound = Bound(_REQUESTS[self.resource], least, reason, SCALE_POINT)
                result.bounds[i] = (*result.bounds.get(i, ()), bound)

    def _shifted(self, percent: int, before: int, after: int) -> str:
        """Why a target of so many percent is refused; empty where it is not."""
        said = scales(self.hpa, self.target)
        shift = percent * after / (self.target.percent * before) - 1
        if abs(shift) > MOST_SHIFT:
            return (
                f"{said}, and the nearest target it could have, {percent} %, would move its scale "
                f"point by {shift:+.1%}: more than {MOST_SHIFT:.0%} is refused"
            )
        return ""

    def _companion(
        self, percent: int, refs: Sequence[ContainerRef], sums: tuple[int, int]
    ) -> Companion:
        kind = Cpu if self.resource == "cpu" else Memory
        before, after = sums
        points = [
            kind(round(share * of / 100)).human()
            for share, of in ((self.target.percent, before), (percent, after))
        ]
        now = points[0] if points[0] == points[1] else f"{points[0]} (then {points[1]})"
        of = f" of container {self.target.container}" if self.target.container else ""
        return Companion(
            kind="scale target",
            name=self.hpa.name,
            resource=self.resource,
            before=f"{self.target.percent:g}",
            after=f"{percent}",
            reason=(
                f"the target of the HPA {self.hpa.name} for {NAMES[self.resource]}{of} goes from "
                f"{self.target.percent:g} % to {percent} % with it: another pod is still added at "
                f"{now} a pod, so that as many run under the same load"
            ),
            container=self.target.container,
            along=tuple(sorted(str(ref) for ref in refs)),
            place=self.target.place,
            spot=self.target.spot,
        )


def moved_points(facts: Facts, proposed: Resources) -> Iterator[str]:
    """Where a request moves its scale point, as its autoscaler is ignored or can scale nothing."""
    hpa = facts.spec.hpa
    for resource, name in _REQUESTS.items():
        now, new = facts.current.amount(name), proposed.amount(name)
        target = hpa.target_of(resource, facts.container) if hpa is not None else None
        if hpa is None or target is None or facts.policy.hpa == "together":
            continue
        if now is None or new is None or now == new:
            continue
        points = " to ".join(a.scale(target.percent / 100).human() for a in (now, new))
        same = target.percent * now.units / max(new.units, 1)
        yield (
            f"the HPA {hpa.name} scales at {target.percent:g} % of the request: its point moves "
            f"from {points} a pod, {_pods(hpa, facts.spec.replicas, now.units / new.units)}; a "
            f"target of {same:.0f} % would keep it"
        )


def _pods(hpa: Hpa, replicas: int | None, factor: float) -> str:
    """How many pods run under the same load where the scale point moves so far."""
    fewer = factor < 1
    if hpa.is_fixed:
        return f"which counts once it may run other than {hpa.min_replicas} pods"
    if replicas is None:
        return f"and it will run {'fewer' if fewer else 'more'} pods under the same load"
    wanted = -(-replicas * factor // 1)
    least, most = hpa.min_replicas or 1, hpa.max_replicas or max(replicas, int(wanted))
    then = int(min(max(wanted, least), most))
    if then == replicas:
        ends = "fewest" if fewer else "most"
        return f"and it stays at {replicas} pods, the {ends} it may run or nearly so"
    load = replicas / then
    more = ", each with {:.1f} x the load: the raise only removes replicas" if fewer else ""
    return (
        f"and it will run {'fewer' if fewer else 'more'} pods under the same load, about {then} "
        f"instead of {replicas}{more.format(load)}"
    )
