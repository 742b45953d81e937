"""Staged roll-out: what waits until the same workload has lived through a good week elsewhere.

A change of a later stage is proposed once its counterparts in every earlier one (the containers of
the same name in a workload of the same name) want no change themselves and have held what was
merged there for a week without harm, as the ledger tells. What is not known holds it back as well.
What was killed or throttled waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from analyzer.errors import AnalyzerError, OutputError
from analyzer.forge.remote import Remote
from analyzer.forge.settings import Stage
from analyzer.forge.verdict import harm_text, has_lived
from analyzer.gitops.land.proposal import cluster_part
from analyzer.ledger.outcome import Outcome
from analyzer.published import published_clusters, read_published
from analyzer.report import Report
from analyzer.workload import ContainerRef

_FRESH = timedelta(days=10)
"""So old may results of another cluster be: weekly runs and some days."""


@dataclass(frozen=True)
class Standing:
    """How a container stands: whether a change of it is due, and what came of the last one.

    `file` declares it; empty where nothing does, None where that is not known.
    """

    ref: ContainerRef
    file: str | None
    due: bool
    outcome: Outcome | None


@dataclass(frozen=True)
class Known:
    """What is known of all stages, and in one sentence each what is not known of one by name."""

    stages: Sequence[Stage]
    standings: Sequence[Standing]
    missing: Mapping[str, str] = field(default_factory=dict)

    def stage_of(self, ref: ContainerRef, file: str | None) -> int:
        """The place of the first stage that takes a container; behind all where none does."""
        for place, stage in enumerate(self.stages):
            if stage.holds(ref.cluster, ref.namespace, file):
                return place
        return len(self.stages)


def standings_of(report: Report, files: Mapping[ContainerRef, str | None]) -> list[Standing]:
    """How each container of `report` stands, as declared in `files`."""
    due = {r.ref for r in report.changed}
    outcomes = {outcome.ref: outcome for outcome in report.outcomes}
    return [Standing(ref, files.get(ref), ref in due, outcomes.get(ref)) for ref in report.refs]


def know(
    report: Report,
    files: Mapping[ContainerRef, str | None],
    stages: Sequence[Stage],
    remote: Remote,
) -> Known:
    """What is known of `stages`: from `report` of this cluster, and what others have published.

    `files` declare this cluster's containers; of other clusters that is not known.
    """
    own = report.meta.cluster
    standings, missing, seen = standings_of(report, files), {}, {cluster_part(own)}
    wanted = [(s, pattern) for s in stages[:-1] for pattern in s.clusters]
    names = published_clusters(remote) if wanted else []
    for stage, pattern in wanted:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found and not fnmatchcase(own, pattern):
            missing[stage.name] = f"no run of {pattern} has published its results"
        for name in found:
            try:
                other = _fresh(remote, name, report.meta.end)
            except AnalyzerError as error:
                missing[stage.name] = str(error)
            else:
                standings += [] if name in seen else standings_of(other, {})
                seen.add(name)
    return Known(stages, standings, missing)


def _fresh(remote: Remote, cluster: str, now: datetime) -> Report:
    """The last results of another cluster. Raises `OutputError` where they are old."""
    report = read_published(remote, cluster)
    if report.meta.end < now - _FRESH:
        raise OutputError(f"the last results of {cluster} are of {report.meta.end:%Y-%m-%d}")
    return report


def held_back(places: Iterable[tuple[ContainerRef, str]], known: Known) -> str | None:
    """Why changes wait for an earlier stage; None where none does.

    `places` are the containers and the files that declare them.
    """
    for ref, file in places:
        place = known.stage_of(ref, file)
        for stage in known.stages[:place] if place < len(known.stages) else ():
            reason = _held_by(stage, ref, known)
            if reason is not None:
                return reason
    return None


def _held_by(stage: Stage, ref: ContainerRef, known: Known) -> str | None:
    if stage.name in known.missing:
        return f"{stage.name} comes first, and nothing is known of it: {known.missing[stage.name]}"
    place = known.stages.index(stage)
    there = [one for one in known.standings if known.stage_of(one.ref, one.file) == place]
    if not there:
        return (
            f"{stage.name} comes first, and no container of it is known; "
            "check its patterns in forge.stages, and name its clusters there"
        )
    alike = [one for one in there if _name(one.ref) == _name(ref)]
    same = [one for one in alike if one.ref.namespace == ref.namespace]
    return next(filter(None, (_held_by_one(stage, one) for one in same or alike)), None)


def _name(ref: ContainerRef) -> tuple[str, str, str]:
    return ref.kind, ref.workload, ref.container


def _held_by_one(stage: Stage, one: Standing) -> str | None:
    """Why a counterpart holds it back: harmed, due for a change itself, or changed of late."""
    outcome = one.outcome
    if outcome is not None and outcome.harmed:
        return f"{stage.name} comes first, and there {one.ref} was {harm_text(outcome)}"
    if one.due:
        return f"{stage.name} comes first, and there {one.ref} is to change itself"
    if outcome is not None and not has_lived(outcome, 1):
        days = f"{outcome.weeks * 7:.0f} days"
        return f"{stage.name} comes first: {one.ref} has had its change for {days} of a week"
    return None
