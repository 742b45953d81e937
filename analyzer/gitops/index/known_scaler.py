"""What a repository and a cluster say of the autoscaler of one workload, held together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analyzer.gitops.index.scaler import SCALED_OBJECT, Scaler, Target
from analyzer.spec import Hpa, Spot, Utilisation


def known_hpa(running: Hpa | None, scalers: Sequence[Scaler]) -> Hpa | None:
    """The autoscaler that runs, with where each of its targets stands among `scalers`.

    Where the metrics tell of none, the one that the repository states is believed to run.
    """
    if not scalers:
        missing = "no autoscaler of it was found in the repository"
        return running and replace(
            running, targets=tuple(replace(t, problem=missing) for t in running.targets)
        )
    one, problem = scalers[0], ""
    if len({(t.file, t.address) for s in scalers for t in s.targets}) > len(one.targets):
        problem = f"the repository states {len(scalers)} autoscalers of it"
    stated = tuple(_utilisation(one, target, problem) for target in one.targets)
    if running is None:
        own = tuple(u for u in stated if u is not None)
        return Hpa(one.hpa, one.least, one.most, own) if own else None
    targets = tuple(
        found
        for resource in dict.fromkeys(t.resource for t in running.targets)
        for found in _placed(
            [t for t in running.targets if t.resource == resource],
            [u for u in stated if u is not None and u.resource == resource],
        )
    )
    least = one.least if running.min_replicas is None else running.min_replicas
    most = one.most if running.max_replicas is None else running.max_replicas
    return replace(running, min_replicas=least, max_replicas=most, targets=targets)


def _utilisation(scaler: Scaler, target: Target, problem: str) -> Utilisation | None:
    leaf = target.leaf
    if leaf.percent is None:
        return None
    problem = problem or target.problem
    spot = Spot(
        scaler.api_version,
        scaler.kind,
        scaler.name,
        "".join(f"/{key}" for key in leaf.path),
        scaler.kind == SCALED_OBJECT,
    )
    place = "" if problem else target.where
    return Utilisation(leaf.resource, leaf.percent, leaf.container, place, problem, spot)


def _placed(running: Sequence[Utilisation], stated: Sequence[Utilisation]) -> Sequence[Utilisation]:
    """The targets of one resource that run, with the places of those in Git that are the same.

    Metrics tell neither a target of one container from one of the whole pod, nor two of the same
    resource from one: where they agree with Git, Git has the better word.
    """
    if {t.percent for t in running} <= {u.percent for u in stated}:
        return stated
    why = "its target is not among those that the repository states"
    if stated:
        shown = ", ".join(f"{u.percent:g} % ({u.place or u.problem})" for u in stated)
        why = f"the repository states {shown}, and another one runs"
    return [replace(target, problem=why) for target in running]
