"""From desired requests and limits to proven edits of a repository, or to advice.

`plan_changes` is the whole line in one call: index the repository, trace each container, edit the
text in memory, prove each edit. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from analyzer.gitops.index.repository_index import RepositoryIndex, index_repository
from analyzer.gitops.index.trace import LiveContainer, trace
from analyzer.gitops.land.companion import both_or_none
from analyzer.gitops.land.judgement import Verdict
from analyzer.gitops.land.keep import keeping
from analyzer.gitops.land.outcome import Advice, ChangePlan, DesiredChange, Edited, Outcome
from analyzer.gitops.land.planner import Planner
from analyzer.gitops.land.proof import Prover
from analyzer.gitops.land.writes import written
from analyzer.gitops.render.program import Tools
from analyzer.workload import ContainerRef


def plan_changes(
    root: Path,
    desired: Sequence[DesiredChange],
    *,
    tools: Tools | None = None,
    entry: str | None = None,
    live: Collection[ContainerRef] | None = None,
    post_renderers: bool = True,
) -> ChangePlan:
    """Trace, edit and prove every desired change in the repository at `root`, in memory.

    `tools` names the programs and chart folders for the proof by rendering; without it the proof
    rests on the text and on what is known of the charts. `entry` is the cluster's folder where a
    repository holds several clusters. `live` are all containers that run, those without a desired
    change included: a place that also decides for one of these is not edited. Where it is not
    given, every container that the repository foretells counts as running. `post_renderers` says
    whether a container that its chart offers no value for may get a patch of what the chart makes.

    Every change has one outcome, in the order given. Raises `GitOpsError` when the repository
    cannot be read; everything else that stands in the way of an edit becomes `Advice`.
    """
    index = index_repository(root, entry=entry, tools=tools)
    return plan_on(index, desired, tools=tools, live=live, post_renderers=post_renderers)


def plan_on(
    index: RepositoryIndex,
    desired: Sequence[DesiredChange],
    *,
    tools: Tools | None = None,
    live: Collection[ContainerRef] | None = None,
    post_renderers: bool = True,
) -> ChangePlan:
    """As `plan_changes`, on an index that is there already."""
    traces = trace([_live(change) for change in desired], index)
    outcomes = Planner(index, live, post_renderers).outcomes(
        list(zip(desired, traces, strict=True))
    )
    outcomes = both_or_none(_proven(index, both_or_none(outcomes), tools or Tools()))
    edited = [outcome for outcome in outcomes if isinstance(outcome, Edited)]
    files = index.repository.files
    edits = {
        file: (files[file].text, text)
        for file, text in sorted(texts_after(index, edited).items())
        if files[file].text != text
    }
    return ChangePlan(index, tuple(outcomes), edits)


def texts_after(index: RepositoryIndex, changes: Iterable[Edited]) -> dict[str, str]:
    """The files that `changes` touch, with these changes made and no others."""
    return written_by(index.texts, changes)


def written_by(texts: Mapping[str, str], changes: Iterable[Edited]) -> dict[str, str]:
    """The files of `texts` that `changes` touch, with these changes made."""
    made = list(changes)
    besides = dict.fromkeys(one for edited in made for one in edited.besides)
    writes = [write for edited in made for write in edited.writes]
    return written(texts, writes, besides, [kept for edited in made for kept in edited.keeps])


def _proven(index: RepositoryIndex, outcomes: Sequence[Outcome], tools: Tools) -> list[Outcome]:
    """The outcomes with what rendering says added; an edit it contradicts becomes advice.

    One that only takes away what its chart gave is tried once more, with that written out.
    """
    edited = [outcome for outcome in outcomes if isinstance(outcome, Edited)]
    besides = list(dict.fromkeys(one for each in edited for one in each.besides))
    prover = Prover(index, tools)
    verdicts = prover.verdicts([*edited, *besides])
    kept = [
        keeping(each, verdict.lost, index.texts)
        for each, verdict in zip(edited, verdicts, strict=False)
    ]
    if kept != edited:
        fuller = iter(kept)
        outcomes = [next(fuller) if isinstance(one, Edited) else one for one in outcomes]
        verdicts = prover.verdicts([*kept, *besides])
    own, along = (
        iter(verdicts[: len(edited)]),
        dict(zip(besides, verdicts[len(edited) :], strict=True)),
    )
    return [
        _judged(outcome, next(own), [along[one] for one in outcome.besides])
        if isinstance(outcome, Edited)
        else outcome
        for outcome in outcomes
    ]


def _judged(edited: Edited, verdict: Verdict, along: Sequence[Verdict]) -> Outcome:
    """An edit with the proof of it, and of what is written with it."""
    for one in (verdict, *along):
        if one.holds is False:
            reason = f"the edit could not be proven: {one.reason}"
            return Advice(edited.change, edited.trace, reason)
    apart = next((write.apart for write in edited.writes if write.apart is not None), None)
    if apart is not None and not (verdict.holds or verdict.handed_on):
        reason = f"{apart.why}; a patch of its own could not be proven: {verdict.reason}"
        return Advice(edited.change, edited.trace, reason)
    if not verdict.holds and any(write.in_post_renderer for write in edited.writes):
        reason = f"{edited.trace.reason}, and that could not be proven: {verdict.reason}"
        return Advice(edited.change, edited.trace, reason)
    kept = (one.title for one in edited.keeps)
    beside = (one.title for one in edited.besides)
    proof = verdict.proof((*edited.proof.fields, *kept, *beside))
    otherwise = tuple(
        f"{other.title}: {one.reason}"
        for other, one in zip(edited.besides, along, strict=True)
        if not one.holds and one.reason != verdict.reason
    )
    return replace(edited, proof=replace(proof, along=otherwise))


def _live(change: DesiredChange) -> LiveContainer:
    return LiveContainer(change.ref, change.labels, change.container_type, change.current)
