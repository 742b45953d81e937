"""Landing recommendations in Git: the places, the edits, their proofs, and what to review."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.beforehand import (
    Beforehand,
    ClusterLabels,
    ask_cluster,
    cluster_answer,
    labelled,
)
from analyzer.check import OK, WARNING, Check
from analyzer.config import Config
from analyzer.cores import usable_cores
from analyzer.errors import UsageError
from analyzer.fitness import Judgement, judge
from analyzer.forge.forges import access_of
from analyzer.forge.remote import Access
from analyzer.forge.settings import ForgeSettings, Stage
from analyzer.forge.verdict import harm_text
from analyzer.gitops.index.known_scaler import known_hpa
from analyzer.gitops.index.place import Expectation, Finding, shown_path
from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, Trace, trace
from analyzer.gitops.land.changes import plan_on
from analyzer.gitops.land.companion import why_kept
from analyzer.gitops.land.doctor import examine_repository
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Outcome
from analyzer.gitops.land.owners import CodeOwners, code_owners, team_of
from analyzer.gitops.land.proposal import Evidence as ProposalEvidence
from analyzer.gitops.land.proposal import Grouping, Proposal, Review, apart, mails, proposals
from analyzer.gitops.land.stand_in import snapshot
from analyzer.gitops.land.worktree import clone, parting_of
from analyzer.gitops.reach.repository import expect_folder
from analyzer.gitops.reach.runtimes import Floor
from analyzer.gitops.render.program import Tools, find_tools
from analyzer.gitops.text.resources import ROWS
from analyzer.history import Histories
from analyzer.kinds import kind_of
from analyzer.ledger.outcome import Outcome as ChangeOutcome
from analyzer.models.demand import Resource
from analyzer.plots.text import level_text
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.reason import reasons
from analyzer.recommend import Bound, Recommendation
from analyzer.recommend.case import RuntimeSetting
from analyzer.report import Change, LandedBeside, Landing, Report
from analyzer.sources.kubernetes import (
    ClusterError,
    find_way,
    owners,
)
from analyzer.spec import Hpa, Spec
from analyzer.surroundings import surround
from analyzer.workload import ContainerRef
from analyzer.writers.manifest import changed_targets

_NAMES: Mapping[Resource, str] = {"cpu": "CPU", "memory": "memory"}
_MOVES = frozenset({"shift", "growth", "leak"})
"""The steps of a trail that say that usage has not stayed at one level."""

_ADDRESS = re.compile(r"[a-z+]+://|[\w.-]+@[\w.-]+:")
"""What git would clone: a URL, or user@host:path."""


def look_ahead(
    histories: Histories, config: Config, index: RepositoryIndex | None = None
) -> Beforehand:
    """Ask the cluster and the repository, as far as the settings name them, before recommending."""
    if config.git.repo is None:
        return ask_cluster(histories, config)
    if index is None:
        with checkout(config) as root:
            index = index_of(root, config)
    said, told = cluster_answer(config)
    scheduling = {**index.scheduling, **said.scheduling}
    histories, notes = surround(
        _scaled(labelled(histories, said), index),
        replace(told, repository=index.rules, scheduling=scheduling),
    )
    return Beforehand(histories, _bounds(histories, index), said.missed, tuple(notes))


def _scaled(histories: Histories, index: RepositoryIndex) -> Histories:
    """The histories with the autoscalers that the repository declares."""
    if not index.vpas and not index.scalers and not any(map(_hpa_of, histories.specs)):
        return histories
    pairs = zip(histories.containers, histories.specs, strict=True)
    return replace(histories, specs=tuple(_autoscaled(ref, told, index) for ref, told in pairs))


def _hpa_of(periods: tuple[Spec, ...]) -> Hpa | None:
    return periods[-1].hpa if periods else None


def _autoscaled(
    ref: ContainerRef, periods: tuple[Spec, ...], index: RepositoryIndex
) -> tuple[Spec, ...]:
    """The settings of a container with what the repository says of its autoscalers."""
    workload = (ref.namespace, ref.kind, ref.workload)
    *earlier, now = periods or (Spec(),)
    vpa = now.vpa if now.vpa is not None else index.vpas.get(workload)
    hpa = known_hpa(now.hpa, index.scalers_of.get(workload, ()))
    told = (vpa, hpa) == (now.vpa, now.hpa)
    return periods if told else (*earlier, replace(now, vpa=vpa, hpa=hpa))


def _bounds(histories: Histories, index: RepositoryIndex) -> dict[ContainerRef, tuple[Bound, ...]]:
    """What the settings beside each container's place ask of its memory."""
    specs = [histories.spec(position) for position in range(len(histories))]
    live = [
        LiveContainer(ref, spec.labels, spec.container_type, spec.resources)
        for ref, spec in zip(histories.containers, specs, strict=True)
    ]
    found: dict[ContainerRef, tuple[Bound, ...]] = {}
    for spec, traced in zip(specs, trace(live, index), strict=True):
        floors = traced.expectation.floors if traced.expectation is not None else ()
        settings = _settings(traced.expectation, index)
        bounds = tuple(bounds_of(floors, spec.resources, settings))
        if bounds:
            found[traced.ref] = bounds
    return found


def _settings(mine: Expectation | None, index: RepositoryIndex) -> dict[str, RuntimeSetting]:
    """The runtime settings of a container that stand in Git, by what floors call them."""
    return {
        each.what: RuntimeSetting(
            each.name, each.amount, each.size, each.where, why_kept(each, mine, index)
        )
        for each in (mine.settings if mine is not None else ())
        if mine is not None
    }


def bounds_of(
    floors: Sequence[Floor],
    current: Resources,
    settings: Mapping[str, RuntimeSetting] | None = None,
) -> Iterator[Bound]:
    """What `floors` ask of a container that declares `current`.

    `settings` are those of them that may change with the limit, by what they are called.
    """
    now = current.effective()
    for floor in floors:
        setting = None if floor.source else (settings or {}).get(floor.what)
        request = floor.least_request(now.memory_request)
        limit = floor.least_limit(now.memory_limit)
        if request is not None:
            yield Bound("memory_request", request, floor.reason, setting=setting)
        if limit is not None:
            yield Bound(
                "memory_limit",
                limit,
                floor.reason,
                heap_percent=floor.percent,
                setting=setting,
                follows=floor.size is None,
            )
        if floor.lowers:
            nothing = Memory(0) if floor.of == "memory_limit" else Cpu(0)
            yield Bound(floor.of, nothing, floor.reason, follows=True)


def index_of(root: Path, config: Config) -> RepositoryIndex:
    """What the configured repository, checked out at `root`, declares."""
    return index_repository(root, entry=config.git.entry, tools=tools_of(config))


@dataclass(frozen=True)
class Grouped:
    """How changes are grouped for review; `team_label` is that of workloads that names a team."""

    by: Grouping = "application"
    split_directions: bool = False
    team_label: str = "team"
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, settings: ForgeSettings) -> Grouped:
        """As the settings of the forge have it."""
        return cls(settings.group, settings.split_directions, settings.team_label, settings.stages)


def with_plan(report: Report, plan: ChangePlan, how: Grouped | None = None) -> Report:
    """`report` with what `plan` found and the changes it makes, grouped for review."""
    found = propose(report, plan, how or Grouped())
    commits = mails(found, plan)
    changes = tuple(
        _change(proposal, name, commit, alone)
        for proposal, (name, commit), alone in zip(
            found, commits.items(), apart(found), strict=True
        )
    )
    landings = tuple(_landing(outcome) for outcome in plan.outcomes)
    report = replace(report, landings=landings, changes=changes, together="")
    whole = plan.diff()
    return report if report.diff == whole else replace(report, together=whole)


def _change(proposal: Proposal, name: str, commit: str, alone: bool) -> Change:
    """A proposal as the report holds it: its edit once, in its commit, which may stand alone."""
    change = Change(name, proposal.branch, proposal.title, proposal.body, commit)
    return change if alone else replace(change, alone=proposal.diff())


def propose(report: Report, plan: ChangePlan, how: Grouped) -> list[Proposal]:
    """The edits of `plan` as proposals, with the evidence that `report` has for them.

    A team is the one that the label of a workload names, else the owner of the file.
    """
    owners = code_owners(plan.index.root) if how.by == "team" else CodeOwners()
    harm = {one.ref: _harm_text(one) for one in report.outcomes if one.harmed}
    evidence = {r.ref: replace(_evidence(r), harm=harm.get(r.ref, "")) for r in report.changed}
    return proposals(
        plan,
        grouping=how.by,
        split_directions=how.split_directions,
        review=Review(evidence, report.verdict),
        team=lambda one: team_of(how.team_label, one.change.labels, owners.of(one.place.file)),
        stage=lambda one: _stage_of(one, how.stages),
    )


def _harm_text(outcome: ChangeOutcome) -> str:
    """What followed a merged change, to be read behind the container's name."""
    return f"was {harm_text(outcome)} its change of {outcome.merged:%-d %b}"


def _stage_of(edited: Edited, stages: Sequence[Stage]) -> str:
    """The name of the first stage that takes what is edited; empty where none does."""
    ref, file = edited.ref, edited.place.file
    found = (s.name for s in stages if s.holds(ref.cluster, ref.namespace, file))
    return next(found, "")


def plan_landing(report: Report, config: Config, said: ClusterLabels | None = None) -> ChangePlan:
    """Plan the edits of the configured repository, in memory."""
    with planned(report, config, said) as plan:
        return plan


@contextmanager
def planned(
    report: Report, config: Config, said: ClusterLabels | None = None
) -> Iterator[ChangePlan]:
    """As `plan_landing`, with the checkout there until the block ends.

    `said` is what the cluster says now, for a report of another day.
    """
    with checkout(config) as root:
        yield plan_on_index(report, config, index_of(root, config), said)


def plan_on_index(
    report: Report, config: Config, index: RepositoryIndex, said: ClusterLabels | None = None
) -> ChangePlan:
    """As `plan_landing`, in a checkout that has been looked through already."""
    labels = said or ClusterLabels()
    return plan_on(
        index,
        [_desired(r, labels) for r in report.changed],
        tools=tools_of(config),
        live=report.refs,
        post_renderers=config.git.post_renderers,
    )


def tools_of(config: Config) -> Tools:
    """The programs and charts for rendering: those on PATH, and the configured folder."""
    tools = find_tools([Path(config.git.charts)] if config.git.charts else [])
    return replace(tools, at_once=usable_cores())


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
    access = access_to(repo, config, dict(os.environ))
    with TemporaryDirectory(prefix="rightsize-") as name:
        folder = Path(name) / "repository"
        with access.variables() as variables:
            clone(repo, config.git.revision, folder, variables, access.time_limit)
        yield folder


def access_to(url: str, config: Config, environment: Mapping[str, str]) -> Access:
    """How git gets to `url`, and how long it may take, as the settings have it."""
    found = access_of(
        config.forge,
        url,
        environment,
        ssh_key=config.git.ssh_key,
        known_hosts=config.git.known_hosts,
    )
    return replace(found, time_limit=config.git.time_limit.total_seconds())


def trace_all(
    report: Report, config: Config, said: ClusterLabels | None = None
) -> tuple[list[Trace], tuple[Finding, ...]]:
    """The place of every container of the report, skipped ones too, and what looks wrong there."""
    live = live_of(report, said)
    with checkout(config) as root:
        index = index_of(root, config)
        return trace(live, index), tuple(index.findings)


def live_of(report: Report, said: ClusterLabels | None = None) -> list[LiveContainer]:
    """Every container of the report as the cluster shows it, skipped ones too."""
    labels = said or ClusterLabels()
    live = [
        LiveContainer(r.ref, {**r.labels, **labels.of(r.ref)}, r.container_type, r.current)
        for r in report.recommendations
    ]
    # Of a container that was skipped, what it runs as is not told.
    return [*live, *(LiveContainer(s.ref, labels.of(s.ref), None) for s in report.skipped)]


def judge_change(
    report: Report, config: Config, base: str, head: str, said: ClusterLabels | None = None
) -> list[Judgement]:
    """How the requests and limits that change from `base` to `head` fit what was measured.

    What others have changed on `base` meanwhile is no part of it. The checkout stays as it is.
    """
    with checkout(config) as root:
        parting = parting_of(root, base, head)
        with snapshot(root, parting) as old, snapshot(root, head) as new:
            before, after = index_of(old, config), index_of(new, config)
            return judge(report, live_of(report, said), before, after)


def examine_git(config: Config) -> list[Check]:
    """What is wrong with the configured repository, and with the way to ask the cluster."""
    with checkout(config) as root:
        checks = examine_repository(root, entry=config.git.entry, tools=tools_of(config))
    if not config.kubernetes.ask:
        return checks
    try:
        answer = owners(
            find_way(config.asked_context, config.kubernetes.kubeconfig), config.namespaces
        )
    except ClusterError as err:
        return [*checks, Check("cluster", WARNING, str(err), "labels come from the metrics alone")]
    told = f"{len(answer.labels)} workloads tell their owner"
    problems = [
        Check("cluster", WARNING, problem, "grant the right to list them")
        for problem in answer.problems
    ]
    return [*checks, Check("cluster", OK, told), *problems]


def _desired(recommendation: Recommendation, said: ClusterLabels) -> DesiredChange:
    """What has to be written: the targets that change, and no others."""
    targets = changed_targets(recommendation)
    new = {target: getattr(recommendation.proposed, target) for target in targets}
    gone = [row.field for row in ROWS if row.attribute in new and new[row.attribute] is None]
    return DesiredChange(
        ref=recommendation.ref,
        current=recommendation.current,
        proposed=Resources(**new),
        labels={**recommendation.labels, **said.of(recommendation.ref)},
        container_type=recommendation.container_type,
        remove=frozenset(gone),
        companions=recommendation.companions,
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
        reasons=reasons(recommendation),
        numbers=numbers,
        risk=_risk_text(recommendation),
        notes=(*_movements(recommendation), *_other_notes(recommendation)),
        queries=_queries(recommendation.ref),
    )


def _other_notes(recommendation: Recommendation) -> tuple[str, ...]:
    """The notes that are not among the reasons already."""
    said = {one.reason for one in recommendation.companions}
    return tuple(note for note in recommendation.notes if note not in said)


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
    if isinstance(outcome, Edited):
        besides = tuple(
            LandedBeside(
                one.title, one.file, shown_path(one.address), one.before, str(one.value), one.unit
            )
            for one in outcome.besides
        )
        return replace(landing, status="edited", proven=outcome.proof, besides=besides)
    if isinstance(outcome, Advice):
        return replace(landing, status="advice", reason=outcome.reason)
    return landing
