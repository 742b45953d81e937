"""Landing recommendations in Git: the places, the edits, their proofs, and what to review."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.check import OK, WARNING, Check
from analyzer.config import Config
from analyzer.errors import UsageError
from analyzer.forge.forges import access_of
from analyzer.gitops.index.place import Finding
from analyzer.gitops.index.repository_index import index_repository
from analyzer.gitops.index.trace import LiveContainer, Trace, trace
from analyzer.gitops.land.changes import (
    ATTRIBUTES,
    Advice,
    ChangePlan,
    DesiredChange,
    Edited,
    Outcome,
    plan_changes,
)
from analyzer.gitops.land.doctor import examine_repository
from analyzer.gitops.land.proposal import Evidence as ProposalEvidence
from analyzer.gitops.land.proposal import Grouping, Proposal, mails, proposals
from analyzer.gitops.land.worktree import clone
from analyzer.gitops.reach.repository import expect_folder
from analyzer.gitops.reach.runtimes import Hold
from analyzer.gitops.render.program import Tools, find_tools
from analyzer.kinds import kind_of
from analyzer.models.demand import Resource, Step
from analyzer.plots.text import level_text
from analyzer.quantity import Resources
from analyzer.recommend import Recommendation
from analyzer.report import Change, Landing, Report
from analyzer.sources.kubernetes import ClusterError, find_way, owners
from analyzer.workload import ContainerRef
from analyzer.writers.manifest import changed_targets

_NAMES: Mapping[Resource, str] = {"cpu": "CPU", "memory": "memory"}
_MOVES = frozenset({"shift", "growth", "leak"})
"""The steps of a trail that say that usage has not stayed at one level."""

_ADDRESS = re.compile(r"[a-z+]+://|[\w.-]+@[\w.-]+:")
"""What git would clone: a URL, or user@host:path."""


def land(report: Report, config: Config) -> Report:
    """Find the place of every change in the repository, edit it there and prove the edit."""
    report = ask_cluster(report, config)
    return with_plan(report, plan_landing(report, config))


def ask_cluster(report: Report, config: Config) -> Report:
    """`report` with what the cluster says of its workloads' owners, where the settings allow it.

    The cluster's word counts more than that of the metrics, which may be older. What it does not
    say becomes a warning, and the report counts as partial.
    """
    if not config.kubernetes.ask:
        return report
    try:
        way = find_way(config.kubernetes.context, config.kubernetes.kubeconfig)
    except ClusterError as err:
        return replace(report, warnings=(*report.warnings, str(err)))
    answer = owners(way, config.namespaces)

    def labelled(r: Recommendation) -> Recommendation:
        said = answer.labels.get((r.ref.namespace, r.ref.kind, r.ref.workload))
        return replace(r, labels={**r.labels, **said}) if said else r

    return replace(
        report,
        recommendations=tuple(map(labelled, report.recommendations)),
        warnings=(*report.warnings, *answer.problems),
    )


def with_plan(
    report: Report,
    plan: ChangePlan,
    grouping: Grouping = "application",
    split_directions: bool = False,
) -> Report:
    """`report` with what `plan` found and the changes it makes, grouped for review."""
    report = _with_holds(report, plan)
    found = propose(report, plan, grouping, split_directions)
    commits = mails(found, plan)
    changes = tuple(
        _change(proposal, name, commit)
        for proposal, (name, commit) in zip(found, commits.items(), strict=True)
    )
    landings = tuple(_landing(outcome) for outcome in plan.outcomes)
    report = replace(report, landings=landings, changes=changes, together="")
    whole = plan.diff()
    return report if report.diff == whole else replace(report, together=whole)


def _change(proposal: Proposal, name: str, commit: str) -> Change:
    """A proposal as the report holds it: its edit once, in its commit."""
    change = Change(name, proposal.branch, proposal.title, proposal.body, commit)
    alone = proposal.diff()
    return change if change.diff == alone else replace(change, alone=alone)


def propose(
    report: Report, plan: ChangePlan, grouping: Grouping, split_directions: bool
) -> list[Proposal]:
    """The edits of `plan` as proposals, with the evidence that `report` has for them."""
    evidence = {r.ref: _evidence(r) for r in report.changed}
    return proposals(
        plan,
        grouping=grouping,
        split_directions=split_directions,
        evidence=evidence,
        record=report.verdict,
    )


def plan_landing(report: Report, config: Config) -> ChangePlan:
    """Plan the edits of the configured repository, in memory."""
    with planned(report, config) as plan:
        return plan


@contextmanager
def planned(report: Report, config: Config) -> Iterator[ChangePlan]:
    """As `plan_landing`, with the checkout there until the block ends."""
    with checkout(config) as root:
        yield plan_changes(
            root,
            [_desired(r) for r in report.changed],
            tools=tools_of(config),
            entry=config.git.entry,
            live=[*(r.ref for r in report.recommendations), *(s.ref for s in report.skipped)],
        )


def tools_of(config: Config) -> Tools:
    """The programs and charts for rendering: those on PATH, and the configured folder."""
    return find_tools([Path(config.git.charts)] if config.git.charts else [])


def check_repository(config: Config) -> None:
    """Raise at once for a repository that is not given or not there; an address is believed.

    Reading usage can take an hour, which is late to learn of a mistyped folder.
    """
    repo = config.git.repo
    if repo is None:
        raise UsageError("no repository is given; name its checkout or its address with --repo")
    if not _ADDRESS.match(repo):
        expect_folder(Path(repo))


@contextmanager
def checkout(config: Config) -> Iterator[Path]:
    """The configured repository: a folder as it is, an address as a clone that is then gone."""
    check_repository(config)
    repo = str(config.git.repo)
    if not _ADDRESS.match(repo):
        yield Path(repo)
        return
    access = access_of(
        config.forge,
        repo,
        dict(os.environ),
        ssh_key=config.git.ssh_key,
        known_hosts=config.git.known_hosts,
    )
    with TemporaryDirectory(prefix="rightsize-") as folder:
        with access.variables() as variables:
            root = clone(repo, config.git.revision, Path(folder) / "repository", variables)
        yield root


def trace_all(report: Report, config: Config) -> tuple[list[Trace], tuple[Finding, ...]]:
    """The place of every container of the report, changed or not, and what looks wrong there."""
    live = [
        LiveContainer(r.ref, r.labels, r.container_type, r.current) for r in report.recommendations
    ]
    with checkout(config) as root:
        index = index_repository(root, entry=config.git.entry, tools=tools_of(config))
        return trace(live, index), tuple(index.findings)


def examine_git(config: Config) -> list[Check]:
    """What is wrong with the configured repository, and with the way to ask the cluster."""
    with checkout(config) as root:
        checks = examine_repository(root, entry=config.git.entry, tools=tools_of(config))
    if not config.kubernetes.ask:
        return checks
    try:
        answer = owners(
            find_way(config.kubernetes.context, config.kubernetes.kubeconfig), config.namespaces
        )
    except ClusterError as err:
        return [*checks, Check("cluster", WARNING, str(err), "labels come from the metrics alone")]
    told = f"{len(answer.labels)} workloads tell their owner"
    problems = [
        Check("cluster", WARNING, problem, "grant the right to list them")
        for problem in answer.problems
    ]
    return [*checks, Check("cluster", OK, told), *problems]


def _desired(recommendation: Recommendation) -> DesiredChange:
    """What has to be written: the targets that change, and no others."""
    targets = changed_targets(recommendation)
    new = {target: getattr(recommendation.proposed, target) for target in targets}
    field_of = {target: name for name, target in ATTRIBUTES.items()}
    return DesiredChange(
        ref=recommendation.ref,
        current=recommendation.current,
        proposed=Resources(**new),
        labels=recommendation.labels,
        container_type=recommendation.container_type,
        remove=frozenset(field_of[target] for target, amount in new.items() if amount is None),
    )


def _evidence(recommendation: Recommendation) -> ProposalEvidence:
    seen = recommendation.evidence
    numbers = {
        f"{name} {point}": level_text(resource, value)
        for resource, name in _NAMES.items()
        for point in ("p50", "p95", "p99", "max")
        if (value := getattr(getattr(seen, resource), point)) is not None
    }
    numbers |= {
        "OOM kills": str(seen.oom_kills),
        "throttled": f"{seen.throttled:.0%}",
        "days": f"{seen.days:.1f}",
        "observed": f"{seen.coverage:.0%}",
    }
    return ProposalEvidence(
        numbers=numbers,
        risk=_risk_text(recommendation),
        notes=(*_movements(recommendation), *recommendation.notes),
        queries=_queries(recommendation.ref),
    )


def _movements(recommendation: Recommendation) -> tuple[str, ...]:
    """What moved in the window: without it, a request far from the percentiles looks wrong."""
    return tuple(
        f"{name}: {step.reason}"
        for resource, name in _NAMES.items()
        for step in recommendation.trail.get(f"{resource}_request", ())
        if step.name in _MOVES
    )


def _queries(ref: ContainerRef) -> tuple[str, ...]:
    """PromQL that shows what the container used, by the names that cAdvisor's metrics have."""
    kind = kind_of(ref.kind)
    pods = re.escape(ref.workload).replace(r"\-", "-") + (".*" if kind is None else kind.pod_ending)
    chosen = ", ".join(
        f"{label}{operator}{json.dumps(value)}"
        for label, operator, value in (
            ("namespace", "=", ref.namespace),
            ("pod", "=~", pods),
            ("container", "=", ref.container),
        )
    )
    return (
        f"max(rate(container_cpu_usage_seconds_total{{{chosen}}}[5m]))",
        f"max(container_memory_working_set_bytes{{{chosen}}})",
    )


def _risk_text(recommendation: Recommendation) -> str:
    words = {
        "cpu_request": "CPU above its request {:.1%} of the time",
        "memory_request": "{:.1%} chance of memory above its request until the next review",
        "memory_limit": "{:.1%} chance of an OOM kill until then",
    }
    stated = recommendation.stated_risk
    parts = [text.format(stated[target]) for target, text in words.items() if target in stated]
    return f"stated risk: {', '.join(parts)}" if parts else ""


def _held_text(one: Hold) -> str:
    name = one.target.replace("_", " ")
    return f"{name} {one.kept} and not {one.wanted}: {one.reason}"


def _with_holds(report: Report, plan: ChangePlan) -> Report:
    """The recommendations as they land: what a container's own settings held is what is proposed.

    So every output says the same, those that never look at the repository included.
    """
    held = {outcome.ref: outcome.held for outcome in plan.outcomes if outcome.held}
    if not held:
        return report
    recommendations = tuple(
        _kept(r, held[r.ref]) if r.ref in held else r for r in report.recommendations
    )
    return replace(report, recommendations=recommendations)


def _kept(recommendation: Recommendation, held: Sequence[Hold]) -> Recommendation:
    """The recommendation with its memory held, the step in its trail, and no risk stated for it."""
    kept = {one.target: one.kept for one in held}
    new, trail = recommendation.proposed, dict(recommendation.trail)
    for one in held:
        step = Step("keep", one.wanted.human(), one.kept.human(), one.reason)
        trail[one.target] = (*trail.get(one.target, ()), step)
    return replace(
        recommendation,
        proposed=replace(
            new,
            memory_request=kept.get("memory_request", new.memory_request),
            memory_limit=kept.get("memory_limit", new.memory_limit),
        ),
        trail=trail,
        stated_risk={t: risk for t, risk in recommendation.stated_risk.items() if t not in kept},
        notes=(*recommendation.notes, *dict.fromkeys(one.reason for one in held)),
    )


def _landing(outcome: Outcome) -> Landing:
    place = outcome.place
    landing = Landing(str(outcome.ref), "unchanged", outcome.trace.reason)
    if place is not None:
        landing = replace(
            landing,
            application=str(place.owner),
            file=place.file,
            document=place.address.document,
            path=place.path,
            confidence=outcome.trace.confidence or "",
        )
    landing = replace(landing, held=tuple(map(_held_text, outcome.held)))
    if isinstance(outcome, Edited):
        return replace(landing, status="edited", proven=outcome.proof)
    if isinstance(outcome, Advice):
        return replace(landing, status="advice", reason=outcome.reason)
    return landing
