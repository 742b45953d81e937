"""Settings that change together with amounts: found anew in the repository, both or none.

What was decided is held against what the repository states now: a target that somebody has moved
since, or moved already, is a case for a person. Containers that share a setting share its fate.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.gitops.index.place import Expectation
from analyzer.gitops.index.repository_index import RepositoryIndex
from analyzer.gitops.index.runtime_setting import RuntimeSetting
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
        unit=companion.unit,
    )
    problem = _unwritable(found, index)
    return f"{title} changes with it: {problem}" if problem else found


def setting_beside(companion: Companion, mine: Expectation, index: RepositoryIndex) -> Beside | str:
    """The edit of a runtime setting of a container, or why there is none."""
    title = companion.title
    found = [setting for setting in mine.settings if setting.name == title]
    if len(found) != 1:
        return f"{title} changes with it, and is not found in the repository"
    setting = found[0]
    if setting.amount not in (companion.before, companion.after):
        return (
            f"{title} changes with it: {setting.file} states {setting.amount}, while "
            f"{companion.before} was there when this was decided; decide anew"
        )
    problem = why_kept(setting, mine, index)
    return (
        f"{title} changes with it: {problem}"
        if problem
        else _written(setting, mine, companion.after)
    )


def why_kept(setting: RuntimeSetting, mine: Expectation, index: RepositoryIndex) -> str:
    """Why a runtime setting of a container cannot be edited; empty where it can."""
    if setting.problem:
        return setting.problem
    for other in index.told_by.get((setting.file, setting.address), ()):
        alike = (other.identity, other.route.entry) == (mine.identity, mine.route.entry)
        if not alike and other.route.reachable is not False:
            who = "/".join(other.identity)
            return f"its place also decides for {who} by way of {other.route.entry}"
    return _unwritable(_written(setting, mine, f"1{setting.amount}"), index)


def _written(setting: RuntimeSetting, mine: Expectation, amount: str) -> Beside:
    return Beside(
        setting.name,
        setting.file,
        setting.address,
        setting.text,
        setting.with_amount(amount),
        setting.object,
        setting.path,
        mine.place.owner,
        (mine.route,),
        "memory limit",
    )


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
    has, lacks = ("it", f"the {one.along}") if edited else (f"the {one.along}", "it")
    return (
        f"{one.title} changes with the {one.along}: in {one.file} {has} is as proposed already and "
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
