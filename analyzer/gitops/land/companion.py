"""Settings that change together with amounts: found anew in the repository, both or none.

What was decided is held against what the repository states now: a target that somebody has moved
since, or moved already, is a case for a person. Containers that share a setting share its fate.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.index.scaler import Scaler, Target
from analyzer.gitops.land.outcome import Advice, Edited, Outcome
from analyzer.gitops.land.writes import Beside
from analyzer.gitops.text.edit import set_values
from analyzer.gitops.text.refusal import EditRefusedError
from analyzer.gitops.text.tree import YamlError
from analyzer.gitops.text.verify import prove_text
from analyzer.recommend.recommendation import Companion
from analyzer.workload import ContainerRef


def beside_of(companion: Companion, ref: ContainerRef, index: RepositoryIndex) -> Beside | str:
    """The edit of a companion of a container's amounts, or why there is none."""
    workload = (ref.namespace, ref.kind, ref.workload)
    pairs = [
        (scaler, target)
        for scaler in index.scalers_of.get(workload, ())
        for target in scaler.targets
        if target.leaf.resource == companion.resource
        and target.leaf.container == companion.container
    ]
    title = companion.title
    if not pairs:
        return f"{title} changes with it, and is not found in the repository"
    if len({(target.file, target.address) for _, target in pairs}) > 1:
        return f"{title} changes with it, and stands in {len(pairs)} places of the repository"
    scaler, target = pairs[0]
    problem = target.problem or _moved(companion, target) or _feeds_others(scaler, target, index)
    if problem:
        return f"{title} changes with it: {problem}"
    found = Beside(
        title,
        target.file,
        target.address,
        target.leaf.text,
        int(companion.after),
        (scaler.kind, scaler.name),
        target.leaf.path,
        scaler.owner,
        tuple(each.route for each, _ in pairs),
    )
    problem = _unwritable(found, index)
    return f"{title} changes with it: {problem}" if problem else found


def _moved(companion: Companion, target: Target) -> str:
    """What to say of a target that is neither what it was nor what it is to be."""
    if target.leaf.text in (companion.before, companion.after):
        return ""
    return (
        f"{target.file} states {target.leaf.text}, while {companion.before} ran when this was "
        "decided: somebody has changed it since; decide anew"
    )


def half_done(one: Beside, edited: bool) -> str:
    """What to say where one of both is in place already: somebody has changed it since."""
    has, lacks = ("it", "the request") if edited else ("the request", "it")
    return (
        f"{one.title} changes with the request: in {one.file} {has} is as proposed already and "
        f"{lacks} is not, so that somebody has changed one of both since; decide anew"
    )


def _feeds_others(scaler: Scaler, target: Target, index: RepositoryIndex) -> str:
    """Which other autoscaler the same text decides for; empty where none does."""
    for other in index.scalers:
        shares = any((t.file, t.address) == (target.file, target.address) for t in other.targets)
        alike = (other.identity, other.route.entry) == (scaler.identity, scaler.route.entry)
        if shares and not alike:
            who = "/".join(other.identity)
            return f"its place also decides for {who} by way of {other.route.entry}"
    return ""


def _unwritable(one: Beside, index: RepositoryIndex) -> str:
    """Why the text cannot be edited, or the edit not be proven on it; empty where it can."""
    before = index.texts[one.file]
    try:
        proof = prove_text(
            before,
            set_values(before, [(one.address, one.value)]),
            [(one.address, one.value)],
        )
    except (EditRefusedError, YamlError) as err:
        return str(err)
    return f"the edit could not be proven: {proof.problem}" if proof.problem else ""


def both_or_none(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, where edits that belong together are all made, or none of them is."""
    found = list(outcomes)
    while True:
        edited = {str(one.ref) for one in found if isinstance(one, Edited)}
        apart = {
            number: missing
            for number, one in enumerate(found)
            if isinstance(one, Edited) and (missing := _missing(one, edited))
        }
        if not apart:
            return found
        for number, missing in apart.items():
            one = found[number]
            reason = (
                f"its change goes together with that of {missing}, which is not made here: "
                "they are one sum to the autoscaler"
            )
            found[number] = Advice(one.change, one.trace, reason)


def _missing(one: Edited, edited: set[str]) -> str:
    """A container whose change belongs to this one and is not made; empty where all are."""
    along = (ref for companion in one.change.companions for ref in companion.along)
    return next((ref for ref in along if ref not in edited), "")
