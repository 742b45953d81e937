"""The way of a CPU limit."""

from __future__ import annotations

from analyzer.kinds import runs_now_and_then
from analyzer.policy import round_up
from analyzer.quantity import Cpu, Quantity
from analyzer.recommend.admission import due_limit
from analyzer.recommend.bounds import HARD, followed
from analyzer.recommend.case import Case
from analyzer.recommend.past import removal_refused
from analyzer.recommend.qos import EQUAL_LIMIT, WHOLE_CORES, equal_is_wanted
from analyzer.recommend.restraint import RESTRAINTS, ROUND
from analyzer.recommend.step import Outcome, Plan, PolicyStep, Source
from analyzer.recommend.vpa import left_to_vpa


def plan_cpu_limit(case: Case) -> Plan:
    """How the CPU limit of `case` comes about."""
    policy, left = case.policy, left_to_vpa(case)
    if left is not None:
        return left
    if policy.cpu_limit == "keep" or (case.now is None and not policy.add_missing_limits):
        return Plan(Source("keep", _kept))
    if equal_is_wanted(case):
        return Plan(EQUAL_LIMIT.source, (UNSLOWED, WHOLE_CORES, *EQUAL_LIMIT.steps))
    due = (due_limit(case) or followed(case)) if policy.cpu_limit == "none" else None
    if due is not None:
        return Plan(due, HARD)
    if policy.cpu_limit == "none" and removal_refused(case):
        return Plan(Source("rejected", _refused), HARD)
    if policy.cpu_limit == "none":
        return Plan(Source("keep", _one_way), HARD) if policy.direction != "both" else _REMOVE
    if case.request is None or "cpu" in case.facts.unknown:
        return Plan(Source("keep", _without_request))
    source = Source("demand", _demand) if policy.cpu_limit == "risk" else Source("ratio", _ratio)
    return Plan(source, (ROUND, *HARD, UNSLOWED, *RESTRAINTS, *HARD))


def _kept(case: Case) -> Outcome:
    return case.now, "the policy keeps CPU limits" if case.now is not None else ""


def _one_way(case: Case) -> Outcome:
    if case.now is None:
        return None, ""
    return case.now, f"the policy is to {case.policy.direction} only, and removing is neither"


def _without_request(case: Case) -> Outcome:
    return case.now, "there is no request to go by"


def _refused(case: Case) -> Outcome:
    return case.now, removal_refused(case)


def _remove(case: Case) -> Outcome:
    if case.now is None:
        return None, ""
    return None, "the policy sets no CPU limits: a request guarantees, a limit only throttles"


def _ratio(case: Case) -> Outcome:
    ratio, request = case.policy.cpu_limit_ratio, case.request
    return (request.scale(ratio) if request else None), f"{ratio:g} x the request"


def _demand(case: Case) -> Outcome:
    return case.demand, f"at a risk of {case.policy.cpu_limit_risk:.2%}"


def unslowed(case: Case, amount: Quantity) -> Outcome:
    """No limit that a start or a run would be throttled at: probes and deadlines do not wait.

    A start that was not seen is not guessed at.
    """
    now, seen = case.now, case.facts.evidence
    if now is None or amount >= now:
        return amount, ""
    runs = runs_now_and_then(case.facts.kind)
    peak = seen.cpu.max if runs else seen.start_cpu
    if peak is None:
        return now, (
            "no start was seen, and a start may need more CPU than steady use: a lower limit could "
            "make it too slow for its probes"
        )
    least = min(now, round_up(Cpu.from_cores(peak)))
    if amount >= least:
        return amount, ""
    used = Cpu.from_cores(peak).human()
    if runs:
        return least, f"its runs use up to {used}, and a lower limit would make them take longer"
    return least, f"its start uses {used}: a lower limit would slow it down, and probes do not wait"


UNSLOWED = PolicyStep("start", unslowed)
_REMOVE = Plan(Source("remove", _remove))
