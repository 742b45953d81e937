"""Workloads whose amounts a VerticalPodAutoscaler sets: two that set them would undo each other."""

from __future__ import annotations

from analyzer.recommend.case import Case
from analyzer.recommend.step import Outcome, Plan, Source

WATCHING = ("Off",)
"""Modes in which it only recommends."""


def why_vpa(case: Case) -> str:
    """Why the amount is left to a VerticalPodAutoscaler; empty where none sets it."""
    mode = case.facts.spec.vpa
    if mode is None or mode in WATCHING or case.policy.vpa != "hands-off":
        return ""
    return (
        f"a VerticalPodAutoscaler in mode {mode} sets it, and two that set it would undo each "
        "other; turn that one off, or leave the workload to it"
    )


def left_to_vpa(case: Case) -> Plan | None:
    """The plan that leaves an amount to a VerticalPodAutoscaler; None where none sets it."""
    return Plan(Source("hands off", _kept)) if why_vpa(case) else None


def _kept(case: Case) -> Outcome:
    return case.now, why_vpa(case)
