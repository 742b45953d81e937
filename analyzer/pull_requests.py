"""Pull requests of one run: what its report and plan want to be proposed, and delivering it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from analyzer.config import Config
from analyzer.errors import AnalyzerError
from analyzer.forge.act import Desk
from analyzer.forge.cycle import Sight, Wanted
from analyzer.forge.delivery import Delivery, Past, deliver
from analyzer.forge.forges import kind_of, open_forge, token_of
from analyzer.forge.promise import Promise, hidden, key_of, promised
from analyzer.forge.protocol import Request, Text, keep_comment
from analyzer.forge.remote import Remote
from analyzer.gitops.index.trace import trace
from analyzer.gitops.land.outcome import ChangePlan
from analyzer.gitops.land.proposal import Proposal, commit_body
from analyzer.gitops.land.stand_in import shadow
from analyzer.landing import Grouped, live_of, propose
from analyzer.ledger import Ledger, decided
from analyzer.ledger.table import amounts_of, ref_of
from analyzer.published import publish, remote_of
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.recommend import TARGETS, Recommendation
from analyzer.report import Report
from analyzer.rollout import Known, held_back, know
from analyzer.sources.window import Progress, silent
from analyzer.workload import ContainerRef


@dataclass(frozen=True)
class Delivered:
    """What became of a run's proposals, and the calls that changed (or would change) the forge."""

    delivery: Delivery
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a run found: its report, the plan of what to change in Git, the folder of its charts."""

    report: Report
    plan: ChangePlan
    charts: Path | None = None


def deliver_found(
    run: Found,
    config: Config,
    environment: Mapping[str, str],
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Delivered:
    """Open, refresh and close pull requests for what a run would change, in its checkout's remote.

    A partial run, or one of some namespaces only, closes nothing. With `dry_run` nothing is pushed
    and nothing sent, the checkout gets no object and no ref, and `requests` holds what would be.
    """
    report, plan, settings = run.report, run.plan, config.forge
    how = Grouped.of(settings)
    proposals = propose(report, plan, how)
    wanted = wanted_of(report, proposals, run.charts)
    partial = report.warnings or report.meta.warnings or config.namespaces
    past = Past(report.meta.end, report.outcomes, report.instead)
    root = plan.index.root
    with shadow(root) if dry_run else nullcontext(root) as place:
        desk = _desk(place, config, environment, dry_run=dry_run)
        desk = replace(desk, progress=progress)
        if settings.stages:
            known = _known(report, plan, config, desk.remote)
            wanted = _staged(zip(proposals, wanted, strict=True), known)
        found = deliver(
            wanted,
            report.meta.cluster,
            desk,
            past,
            Sight(not partial, settled_by(report), _left_by(plan)),
        )
        if settings.publish and not dry_run:
            found = _published(report, desk, found)
    rest = getattr(desk.forge, "rest", None)
    return Delivered(found, tuple(rest.sent) if rest is not None else ())


def _staged(pairs: Iterable[tuple[Proposal, Wanted]], known: Known) -> list[Wanted]:
    """What is wanted, with the reason why it waits; what was killed or throttled never does."""
    found = []
    for proposal, one in pairs:
        places = [(change.ref, change.place.file) for change in proposal.changes]
        reason = held_back(places, known) if one.urgency[0] > 0 else None
        found.append(replace(one, held=reason or ""))
    return found


def _known(report: Report, plan: ChangePlan, config: Config, remote: Remote) -> Known:
    """What is known of the stages, of this cluster and of others."""
    files = {t.ref: t.place.file if t.place else "" for t in trace(live_of(report), plan.index)}
    known = know(report, files, config.forge.stages, remote)
    if config.ledger_folder is not None:
        return known
    unseen = "no ledger is kept; set ledger to a folder"
    return replace(known, missing={stage.name: unseen for stage in known.stages})


def _published(report: Report, desk: Desk, delivery: Delivery) -> Delivery:
    """`delivery` once the run's results are published, or with the reason why they are not."""
    try:
        publish(report, desk.remote)
    except AnalyzerError as error:
        problems = (*delivery.problems, f"the results are not published: {error}")
        return replace(delivery, problems=problems)
    return delivery


def _left_by(plan: ChangePlan) -> tuple[tuple[str, str], ...]:
    """The containers whose change is for a person to make, and why; the same ones in one order."""
    return tuple(sorted((str(advice.ref), advice.reason) for advice in plan.advice))


def settled_by(report: Report) -> Callable[[Promise], bool]:
    """Whether a report knows that nothing is to change any more in a container.

    It does not where it saw nothing of the namespace (it may be about other ones), where it skipped
    the container, and where a change is due that could not be made in Git this time.
    """
    namespaces = {ref.namespace for ref in report.refs}
    due = [*(r.ref for r in report.changed), *(s.ref for s in report.skipped)]
    unsettled = {(ref.namespace, ref.kind, ref.workload, ref.container) for ref in due}
    return lambda one: one.namespace in namespaces and key_of(one) not in unsettled


def refusals(
    delivery: Delivery, cluster: str, until: datetime, ledger: Ledger
) -> list[pd.DataFrame]:
    """Rows for `ledger` about what persons closed, each once; at `until` where no date is told."""
    told = {(ref_of(row), amounts_of(row, "proposed")) for row in ledger.decisions}
    rows = []
    for move in (outcome.move for outcome in delivery.outcomes):
        last = move.request
        if move.verb != "held" or last is None or last.state != "closed":
            continue
        by = f"pull request {last.number} closed" if last.url else "branch deleted"
        for promise in promised(last.text.body):
            ref, proposed = ContainerRef(cluster, *key_of(promise)), _resources(promise.after)
            if (ref, proposed) not in told:
                rows.append(decided(ref, "closed", last.ended or until, by, proposed))
    return rows


def _resources(amounts: Mapping[str, int]) -> Resources:
    """The amounts of a promise; what it says of targets that are not known here is passed over."""
    found = Resources()
    for target in TARGETS:
        if target in amounts:
            kind = Cpu if target.startswith("cpu") else Memory
            found = found.with_amount(target, kind(amounts[target]))
    return found


def put_comment(
    root: Path, config: Config, environment: Mapping[str, str], number: int, text: tuple[str, str]
) -> None:
    """Let the pull request `number` of the checkout's remote have one comment: marker and text."""
    keep_comment(_desk(root, config, environment, dry_run=False).forge, number, *text)


def _desk(root: Path, config: Config, environment: Mapping[str, str], *, dry_run: bool) -> Desk:
    settings = config.forge
    remote = remote_of(root, config, environment)
    url = remote.url()
    token = token_of(settings, kind_of(settings, url), environment, url)
    return Desk(open_forge(settings, remote, token, dry_run=dry_run), remote, settings, dry_run)


def wanted_of(
    report: Report, proposals: Sequence[Proposal], charts: Path | None = None
) -> list[Wanted]:
    """The pull requests that a report's proposals ask for, with what the folder `charts` has."""
    known, harmed = {r.ref: r for r in report.recommendations}, report.harmed
    found = []
    for one in proposals:
        about = [known[change.ref] for change in one.changes if change.ref in known]
        found.append(_wanted(one, about, report.meta.cluster, harmed))
    if charts is None:
        return found
    return [
        replace(one, pictures=_pictures(proposal, charts))
        for one, proposal in zip(found, proposals, strict=True)
    ]


def _pictures(proposal: Proposal, charts: Path) -> tuple[Path, ...]:
    paths = (charts / f"{change.ref.slug()}.png" for change in proposal.changes)
    return tuple(path for path in paths if path.is_file())


def _wanted(
    one: Proposal,
    about: Sequence[Recommendation],
    cluster: str,
    harmed: Collection[ContainerRef],
) -> Wanted:
    promises = tuple(promise_of(r) for r in about)
    return Wanted(
        branch=one.branch,
        text=Text(one.title, f"{one.body.rstrip()}\n{hidden(cluster, promises)}\n"),
        message=f"{one.title}\n\n{commit_body(one)}",
        digest=one.digest,
        edits=one.edits,
        promises=promises,
        urgency=urgency(one, about, harmed),
    )


def promise_of(recommendation: Recommendation) -> Promise:
    """What is promised of one container: amounts, the risks stated for them, predicted usage."""
    ref = recommendation.ref
    return Promise(
        namespace=ref.namespace,
        kind=ref.kind,
        workload=ref.workload,
        container=ref.container,
        before=_amounts(recommendation.current),
        after=_amounts(recommendation.proposed),
        risk=dict(recommendation.stated_risk),
        predicted={str(k): float(f"{v:.4g}") for k, v in recommendation.predicted.items()},
    )


def _amounts(resources: Resources) -> dict[str, int]:
    """Millicores and bytes by target, where there are any."""
    stated = {str(target): getattr(resources, target) for target in TARGETS}
    return {target: amount.units for target, amount in stated.items() if amount is not None}


def urgency(
    proposal: Proposal, about: Sequence[Recommendation], harmed: Collection[ContainerRef]
) -> tuple[float, ...]:
    """Its place in the queue: first what answers a change that `harmed`.

    Then what was killed or throttled, then raises, then large reductions.
    """
    hurt = any(r.evidence.oom_kills or r.evidence.throttled for r in about)
    rank = 0 if hurt and proposal.direction != "decrease" else _RANKS[proposal.direction]
    if any(r.ref in harmed for r in about):
        rank = -1
    return (rank, -sum(r.weight for r in about))


_RANKS = {"increase": 1, "mixed": 2, "decrease": 3}
