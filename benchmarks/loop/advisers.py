"""Who advises at each review: the policy that ships, its peers, foresight, and nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np

from analyzer.history import Histories, build_histories
from analyzer.ledger import decided, no_ledger
from analyzer.models import model_named
from analyzer.pipeline.method import Method
from analyzer.pipeline.review import review
from analyzer.policy import Amount, round_up
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.report import Report
from analyzer.workload import ContainerRef
from benchmarks.loop.simulate import MIB, Adviser, Proposal, Seen

HORIZON = timedelta(days=7)
WORTH = 0.1
"""Peers and foresight change what differs by more than this share."""
LIMIT_OVER_NEED = 1.2
_SETTINGS = Method(backtest=False)


def rightsize(seen: Seen) -> Mapping[ContainerRef, Proposal]:
    """The policy that ships, without any memory of what it said before."""
    return advise(build_histories(seen.recording), _SETTINGS)


class Remembering:
    """The policy that ships, with a ledger of its own."""

    def __init__(self, *, rejected: bool = False) -> None:
        self.ledger = no_ledger()
        self.rejected = rejected
        """Whether everything that is proposed is refused, and the ledger told so."""

    def __call__(self, seen: Seen) -> Mapping[ContainerRef, Proposal]:
        """What this review changes; it is written down."""
        histories = build_histories(seen.recording)
        found = review(histories, _SETTINGS, ledger=self.ledger)
        self.ledger = self.ledger.plus(found.rows)
        for r in found.report.changed if self.rejected else ():
            refusal = decided(r.ref, "rejected", histories.meta.end, "closed", r.proposed)
            self.ledger = self.ledger.plus(refusal)
        return _proposals(found.report)


def advise(histories: Histories, method: Method) -> dict[ContainerRef, Proposal]:
    """What a run with `method` would change."""
    return _proposals(review(histories, method).report)


def _proposals(report: Report) -> dict[ContainerRef, Proposal]:
    return {
        r.ref: Proposal(
            r.proposed, r.stated_risk.get("memory_limit", 0.0 if r.evidence.oom_kills else 0.01)
        )
        for r in report.changed
    }


def krr(seen: Seen) -> Mapping[ContainerRef, Proposal]:
    """KRR: memory limit = memory request, no CPU limit."""
    return _peer(seen, "krr")


def vpa(seen: Seen) -> Mapping[ContainerRef, Proposal]:
    """The VPA: limits follow the requests in proportion."""
    return _peer(seen, "vpa")


def _peer(seen: Seen, name: str) -> dict[ContainerRef, Proposal]:
    histories = build_histories(seen.recording)
    demand = model_named(name).fit(histories, HORIZON)
    result = {}
    for index, ref in enumerate(histories.containers):
        now = histories.spec(index).resources.effective()
        cpu, memory = demand.levels["cpu"][index, 0], demand.levels["memory"][index, 0]
        if np.isnan(cpu) or np.isnan(memory):  # too little was seen
            continue
        request, bytes_ = Cpu.from_cores(float(cpu)), Memory.from_bytes(float(memory))
        limit: Memory | None = bytes_
        cpu_limit: Cpu | None = None
        if name == "vpa":
            limit = _follow(now.memory_request, now.memory_limit, bytes_)
            cpu_limit = _follow(now.cpu_request, now.cpu_limit, request)
        new = Resources(request, cpu_limit, bytes_, limit)
        if _differs(now, new):
            result[ref] = Proposal(new)
    return result


def _follow(request: Amount | None, limit: Amount | None, new: Amount) -> Amount | None:
    if limit is None or request is None:
        return limit
    return new.scale(limit.units / request.units)


def foresight(seen: Seen) -> Mapping[ContainerRef, Proposal]:
    """What the coming week needs, changed under the same threshold: no adviser can know it."""
    histories = build_histories(seen.recording)
    result = {}
    for ref, (cores, mib) in seen.ahead.items():
        if ref not in histories.position:
            continue
        now = histories.spec(histories.position[ref]).resources.effective()
        memory = round_up(Memory.from_bytes(mib * MIB))
        limit = None if now.memory_limit is None else memory.scale(LIMIT_OVER_NEED)
        new = Resources(round_up(Cpu.from_cores(cores)), None, memory, limit)
        if cores and _differs(now, new):
            result[ref] = Proposal(new)
    return result


def keep(seen: Seen) -> Mapping[ContainerRef, Proposal]:
    """Nothing is ever changed."""
    return {}


def _differs(now: Resources, new: Resources) -> bool:
    pairs = ((now.cpu_request, new.cpu_request), (now.memory_request, new.memory_request))
    return any(
        b is not None and (a is None or abs(b.units / max(a.units, 1) - 1) > WORTH)
        for a, b in pairs
    )


ADVISERS: dict[str, Callable[[], Adviser]] = {
    "rightsize": Remembering,
    "memoryless": lambda: rightsize,
    "krr": lambda: krr,
    "vpa": lambda: vpa,
    "foresight": lambda: foresight,
    "keep": lambda: keep,
}
"""Makers of advisers: one that remembers begins anew with each world."""
