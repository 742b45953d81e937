"""Edits as a person reviews them: one proposal per application, with a title, a body and a diff.

Titles, bodies and branch names carry names that come from a cluster's labels. They are made plain
before they reach git or Markdown: one line, no control characters, nothing that would open a link,
an HTML tag or a code span.
"""

from __future__ import annotations

import hashlib
import re
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analyzer.escape import code, markdown, markdown_table, one_line
from analyzer.gitops.land.changes import texts_after, written_by
from analyzer.gitops.land.diff import Author, mail_series, unified_diff
from analyzer.gitops.land.outcome import ChangePlan, Edited
from analyzer.gitops.text.address import Address
from analyzer.gitops.text.resources import ROWS
from analyzer.kinds import kind_of
from analyzer.quantity import Cpu, Memory, Resources
from analyzer.workload import ContainerRef, slug

Grouping = Literal["application", "workload", "namespace", "team", "all"]
Direction = Literal["increase", "decrease", "mixed"]
_LABELS = {"cpu_request": "cpu", "memory_request": "memory"}
_WAYS: Mapping[Direction, str] = {
    "increase": " up",
    "decrease": " down",
    "mixed": " up and down",
}
_MOST_QUERIED = 3
_MOST_REASONED = 5
_HASH = "<!-- rightsize:{digest} -->"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a reviewer wants to know about one container, in words and numbers ready to show.

    `numbers` are columns of the table by heading, such as ``p95`` or ``OOM kills``. `queries` are
    PromQL that shows the same usage on the reviewer's own server.
    """

    numbers: Mapping[str, str] = field(default_factory=dict)
    risk: str = ""
    notes: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """A plain sentence for every amount that changes."""
    harm: str = ""
    """What the last change of it was followed by, where that was harm."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer is told beside the edits: evidence by container, the policy's record.

    The record is what the backtest says of the policy, in one sentence; it stands in every body.
    """

    evidence: Mapping[ContainerRef, Evidence] = field(default_factory=dict)
    record: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One set of edits that is reviewed and merged as a whole.

    `edits` maps each file to its text before and after, on the base the plan was made from.
    `digest` names the content: it changes exactly when the proposed values or places do.
    """

    branch: str
    title: str
    body: str
    edits: Mapping[str, tuple[str, str]]
    changes: tuple[Edited, ...]
    digest: str
    reasons: Mapping[ContainerRef, tuple[str, ...]] = field(default_factory=dict)
    """By container a plain sentence for every amount that changes."""

    @property
    def direction(self) -> Direction:
        """Whether it raises, lowers or does both."""
        return direction_of(self.changes)

    def diff(self) -> str:
        """The unified diff of this proposal alone, which applies to the base."""
        return unified_diff(self.edits)


def proposals(
    plan: ChangePlan,
    *,
    grouping: Grouping = "application",
    split_directions: bool = False,
    review: Review | None = None,
    team: Callable[[Edited], str | None] = lambda _edited: None,
    stage: Callable[[Edited], str] = lambda _edited: "",
) -> list[Proposal]:
    """Group the edits of `plan` for review, sorted by branch.

    `team` tells whose a change is where it is grouped by team; what is nobody's goes by namespace.
    `stage` names the stage that it lies in: what is not in the same one is never grouped together.
    With `split_directions` raises and reductions never share a proposal: what must not wait is
    then not held up by what needs thought.
    """
    groups: dict[tuple[str, ...], list[Edited]] = {}
    for together in _inseparable(plan.edited):
        key = _group(together[0], grouping, team, stage)
        if split_directions:
            key = (*key, direction_of(together))
        groups.setdefault(key, []).extend(together)
    return [
        _proposal(
            plan,
            key,
            sorted(group, key=lambda e: e.ref),
            split_directions,
            review or Review(),
        )
        for key, group in sorted(groups.items())
    ]


def _inseparable(edits: Iterable[Edited]) -> list[list[Edited]]:
    """The edits by what they write in common, in order of their first.

    Two containers of one place are one edit, and so are those of one autoscaler's target.
    """
    found: list[list[Edited]] = []
    homes_of: list[set[tuple[str, Address]]] = []
    at: dict[tuple[str, Address], int] = {}
    for edited in edits:
        homes = {
            (edited.place.file, edited.place.address),
            *((one.file, one.address) for one in edited.besides),
        }
        known = sorted({at[home] for home in homes if home in at}) or [len(found)]
        if known[0] == len(found):
            found.append([])
            homes_of.append(set())
        found[known[0]].append(edited)
        for other in known[1:]:
            found[known[0]] += found[other]
            homes |= homes_of[other]
            found[other] = []
        homes_of[known[0]] |= homes
        at |= dict.fromkeys(homes, known[0])
    return [together for together in found if together]


def direction_of(changes: Iterable[Edited]) -> Direction:
    """Whether the changes raise what is in force, lower it, or do both.

    A request that was defaulted counts with the amount it was defaulted to.
    """
    found: set[Direction] = set()
    for edited in changes:
        found |= _directions(edited, [row.attribute for row in ROWS])
    return found.pop() if len(found) == 1 else "mixed"


def _directions(edited: Edited, targets: Collection[str]) -> set[Direction]:
    """Which ways the amounts of `targets` go."""
    before, after = edited.before.effective(), edited.after.effective()
    found: set[Direction] = set()
    for row in ROWS:
        name, old, new = row.attribute, row.of(before), row.of(after)
        if name not in targets:
            continue
        if old is not None and new is not None and old != new:
            found.add("increase" if new > old else "decrease")
        elif (old is None) != (new is None):
            # A limit that goes is more room; a request that comes is a bigger claim.
            gone = new is None
            found.add("increase" if gone == name.endswith("limit") else "decrease")
    return found


def apart(found: Iterable[Proposal]) -> list[bool]:
    """For each proposal whether none before it writes into a file of its own.

    On top of those it is then the same edit as on the base alone.
    """
    seen: set[str] = set()
    answers = []
    for proposal in found:
        files = {write.file for change in proposal.changes for write in change.writes}
        files |= {one.file for change in proposal.changes for one in change.besides}
        answers.append(seen.isdisjoint(files))
        seen |= files
    return answers


def mails(
    found: Sequence[Proposal], plan: ChangePlan, author: Author | None = None
) -> dict[str, str]:
    """The proposals as `git format-patch` would write them, by file name, for `git am` in order.

    Each one stands on top of those before it, so that two may touch the same file.
    """
    steps: list[tuple[str, str, Mapping[str, tuple[str, str]]]] = []
    moved: dict[str, str] = {}
    texts = ChainMap(moved, dict(plan.index.texts))
    for proposal, alone in zip(found, apart(found), strict=True):
        edits = proposal.edits
        if not alone:
            after = written_by(texts, proposal.changes)
            edits = {f: (texts[f], text) for f, text in after.items() if texts[f] != text}
        steps.append((proposal.title, commit_body(proposal), edits))
        moved |= {file: text for file, (_, text) in edits.items()}
    series = mail_series(steps, author or Author())
    return {
        f"{number:04d}-{slug_of(proposal.title)}.patch": text
        for number, (proposal, text) in enumerate(zip(found, series, strict=True), start=1)
        if text
    }


def _group(
    edited: Edited,
    grouping: Grouping,
    team: Callable[[Edited], str | None],
    stage: Callable[[Edited], str],
) -> tuple[str, ...]:
    whose = team(edited) if grouping == "team" else None
    staged = (found,) if (found := stage(edited)) else ()
    if whose is not None:
        return (*staged, "team", whose)
    if grouping == "all":
        return ("all", *staged)
    if grouping in ("namespace", "team"):
        return (*staged, edited.ref.namespace)
    if grouping == "workload":
        return (edited.ref.namespace, edited.ref.kind.lower(), edited.ref.workload)
    owner = edited.place.owner
    return (edited.ref.namespace, owner.release or owner.name)


def _proposal(
    plan: ChangePlan,
    key: tuple[str, ...],
    changes: Sequence[Edited],
    split: bool,
    review: Review,
) -> Proposal:
    after = texts_after(plan.index, changes)
    files = plan.index.repository.files
    edits = {
        file: (files[file].text, text)
        for file, text in sorted(after.items())
        if files[file].text != text
    }
    digest = content_digest(changes)
    cluster = changes[0].ref.cluster
    name = key[:-1] if split else key
    branch = branch_name(cluster, name, key[-1] if split else None)
    body = body_text(changes, review, digest)
    reasons = {c.ref: review.evidence[c.ref].reasons for c in changes if c.ref in review.evidence}
    title = title_text(changes, name)
    return Proposal(branch, title, body, edits, tuple(changes), digest, reasons)


def content_digest(changes: Iterable[Edited]) -> str:
    """A name for what is proposed and where, the same for the same decisions on any day."""
    lines = sorted(
        f"{c.ref.cluster} {c.ref} {c.place.file} {c.place.address} "
        + " ".join(f"{name}={getattr(c.after, name)}" for name in (row.attribute for row in ROWS))
        + "".join(f" {one.where}={one.value}" for one in c.besides)
        for c in changes
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def branch_name(cluster: str, parts: Sequence[str], direction: str | None = None) -> str:
    """``rightsize/<cluster>/<ns>--<app>``, with only what git allows in a branch.

    No other names give the same: of ``a`` and ``b-c`` it is another than of ``a-b`` and ``c``.
    """
    tail = _ref_safe(slug(*parts))
    return f"{branch_prefix(cluster)}{tail}" + (f"-{direction}" if direction else "")


def branch_prefix(cluster: str) -> str:
    """What all branches of a cluster start with."""
    return f"rightsize/{cluster_part(cluster)}/"


def cluster_part(cluster: str) -> str:
    """The name of a cluster as a part of a branch."""
    return _ref_safe(slug(cluster or "cluster"))


def _ref_safe(text: str) -> str:
    """`text`, made another where git forbids it: two dots, a final ``.lock``, a dot at an end."""
    safe = re.sub(r"\.{2,}|\.lock$", "-", text).strip(".")
    if safe == text:
        return text
    return f"{safe}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def title_text(changes: Sequence[Edited], group: Sequence[str] = ()) -> str:
    """``fix(resources): media/sonarr memory 2Gi -> 900Mi``, shorter where much changes at once.

    Without amounts it says up or down; of several applications it names the `group`.
    """
    first, way = changes[0], _WAYS[direction_of(changes)]
    owner = first.place.owner
    application = one_line(f"{first.ref.namespace}/{owner.release or owner.name}", 80)
    if len({(c.ref.namespace, c.place.owner.release or c.place.owner.name) for c in changes}) > 1:
        whose = "" if group in ((), ("all",)) else f"{one_line(group[-1], 80)}, "
        return f"fix(resources): {whose}{len(changes)} containers{way}"
    steps = [step for change in changes for step in _steps(change)]
    if len(changes) == 1 and 1 <= len(steps) <= 2:
        return f"fix(resources): {application} {', '.join(steps)}"
    if len(changes) == 1:
        return f"fix(resources): {application} {_resource_ways(first)}"
    return f"fix(resources): {application}, {len(changes)} containers{way}"


def _steps(edited: Edited) -> list[str]:
    """What changes in one container, in a few words each."""
    before, after = edited.before.effective(), edited.after.effective()
    steps = []
    for name in ("cpu_request", "memory_request", "cpu_limit", "memory_limit"):
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        label = _LABELS.get(name) or name.replace("_", " ")
        steps.append(f"{label} {_shown(old)} -> {_shown(new)}")
    return steps


def _resource_ways(edited: Edited) -> str:
    """``cpu and memory down``, ``cpu up, memory down``: which way each resource goes."""
    ways = {}
    for resource in ("cpu", "memory"):
        targets = [row.attribute for row in ROWS if row.attribute.startswith(resource)]
        found = _directions(edited, targets)
        if found:
            ways[resource] = _WAYS[found.pop() if len(found) == 1 else "mixed"]
    if len(set(ways.values())) == 1:
        return " and ".join(ways) + next(iter(ways.values()))
    return ", ".join(f"{resource}{way}" for resource, way in ways.items())


def _shown(amount: Cpu | Memory | None) -> str:
    return "none" if amount is None else str(amount)


# --- the body ---------------------------------------------------------------------------------


def body_text(changes: Sequence[Edited], review: Review, digest: str) -> str:
    """The description of a proposal, in Markdown: why and what first, the rest folded."""
    record = markdown(review.record) if review.record else ""
    sections = [
        _harm(changes, review.evidence),
        _reasons(changes, review.evidence),
        _table(changes),
        _together(changes),
        _consequences(changes),
        _folded("What it rests on", _evidence(changes, review.evidence)),
        _folded("What this policy would have done before", record),
        _folded("See for yourself", _queries(changes, review.evidence)),
        _folded("Where, and how it was checked", _proofs(changes)),
    ]
    return "\n\n".join([*filter(None, sections), _HASH.format(digest=digest)]) + "\n"


def _folded(heading: str, text: str) -> str:
    """A part that opens on a click; the blank lines let Markdown in it be read as such."""
    if not text:
        return ""
    return f"<details><summary>{heading}</summary>\n\n{text}\n\n</details>"


def _harm(changes: Sequence[Edited], evidence: Mapping[ContainerRef, Evidence]) -> str:
    """What earlier changes were followed by; that this answers it is why it comes first."""
    lines = [
        f"**{markdown(str(change.ref))} {markdown(found.harm)}.** This answers it; reverting that "
        "change would too."
        for change in changes
        if (found := evidence.get(change.ref)) is not None and found.harm
    ]
    return "\n\n".join(lines)


def _reasons(changes: Sequence[Edited], evidence: Mapping[ContainerRef, Evidence]) -> str:
    """Why each amount changes; of many containers the first few, the table has the rest."""
    known = [c for c in changes if c.ref in evidence and evidence[c.ref].reasons]
    alone = len(changes) == 1  # its name stands in the table right below
    lines = [
        f"- {'' if alone else f'**{markdown(str(change.ref))}**: '}{markdown(reason)}"
        for change in known[:_MOST_REASONED]
        for reason in evidence[change.ref].reasons
    ]
    more = len(known) - _MOST_REASONED
    return "\n".join([*lines, *([f"- … and {more} more containers"] if more > 0 else [])])


def _queries(changes: Sequence[Edited], evidence: Mapping[ContainerRef, Evidence]) -> str:
    """PromQL for the first few containers, in a block that no name can end."""
    lines = [
        one_line(query, 1000).replace("`", "'")
        for change in changes[:_MOST_QUERIED]
        if change.ref in evidence
        for query in evidence[change.ref].queries
    ]
    if not lines:
        return ""
    return "\n".join(["```promql", *lines, "```"])


def _table(changes: Sequence[Edited]) -> str:
    rows = [
        [
            markdown(str(change.ref)),
            _pair(change.before, change.after, "cpu_request"),
            _pair(change.before, change.after, "cpu_limit"),
            _pair(change.before, change.after, "memory_request"),
            _pair(change.before, change.after, "memory_limit"),
        ]
        for change in changes
    ]
    return markdown_table(
        ["Container", "CPU request", "CPU limit", "Memory request", "Memory limit"], rows
    )


def _together(changes: Sequence[Edited]) -> str:
    """What the same commit writes beside the amounts; merged without it they would be wrong."""
    besides = dict.fromkeys(one for change in changes for one in change.besides)
    lines = [
        f"- {markdown(one.title)}: {markdown(one.before + one.unit)} → "
        f"**{markdown(f'{one.value}{one.unit}')}** ({code(one.where)})"
        for one in besides
    ]
    return "\n".join(
        ["**In the same commit**, for one is wrong without the other:", "", *lines]
    ) * (bool(lines))


def _pair(before: Resources, after: Resources, name: str) -> str:
    """``now → proposed``, with the effective amount where Kubernetes defaults a request."""
    old, new = _effective(before, name), _effective(after, name)
    return old if old == new else f"{old} → **{new}**"


def _effective(stated: Resources, name: str) -> str:
    own, in_force = getattr(stated, name), getattr(stated.effective(), name)
    if own is None and in_force is not None:
        return f"{in_force} (from the limit)"
    return _shown(own)


def _evidence(changes: Sequence[Edited], evidence: Mapping[ContainerRef, Evidence]) -> str:
    known = [(change.ref, evidence[change.ref]) for change in changes if change.ref in evidence]
    if not known:
        return ""
    headings = list(dict.fromkeys(name for _, found in known for name in found.numbers))
    parts = []
    if headings:
        rows = [
            [markdown(str(ref)), *(markdown(found.numbers.get(name, "")) for name in headings)]
            for ref, found in known
        ]
        parts.append(markdown_table(["Container", *map(markdown, headings)], rows))
    lines = [
        f"- {markdown(str(ref))}: {markdown(line)}"
        for ref, found in known
        for line in (found.risk, *found.notes)
        if line
    ]
    if lines:
        parts.append("\n".join(lines))
    # The blank line ends the table, or the list would be more rows of it.
    return "\n\n".join(parts)


def _proofs(changes: Sequence[Edited]) -> str:
    lines = []
    for change in changes:
        lines.append(
            f"- {code(change.place.where)}: {markdown(str(change.proof))}. "
            f"Found because {markdown(change.trace.reason)}."
        )
    return "\n".join(dict.fromkeys(lines))


def _consequences(changes: Sequence[Edited]) -> str:
    """What merging does to the pods that run, by kind of workload, and the way back."""
    fates = _fates(changes)
    back = "To roll back, revert the merge commit: nothing else was changed."
    if len(fates) == 1:
        (fate,) = fates
        each = "" if len(fates[fate]) == 1 else f" in each of {len(fates[fate])} workloads"
        return f"**Once it is merged{each}, {markdown(fate)}.** {back}"
    lines = [f"- {markdown(', '.join(names))}: {markdown(fate)}" for fate, names in fates.items()]
    return "\n".join(["**Once it is merged:**", "", *lines, "", back])


def _fates(changes: Sequence[Edited]) -> dict[str, list[str]]:
    """What happens to the pods that run, with the workloads that it happens to."""
    found: dict[str, list[str]] = {}
    for workload in dict.fromkeys(change.ref.workload_ref for change in changes):
        kind = kind_of(workload.kind)
        fate = kind.on_change if kind is not None else "its pods start anew"
        name = f"{workload.namespace}/{workload.kind}/{workload.name}"
        found.setdefault(fate, []).append(name)
    return found


def commit_body(proposal: Proposal) -> str:
    """What a commit message says below its title: what changes in which container, and why."""
    lines = []
    for change in proposal.changes:
        lines.append(f"{one_line(str(change.ref))}: {', '.join(_steps(change)) or 'written out'}")
        lines += [
            f"  {one_line(f'{one.title}: {one.before}{one.unit} -> {one.value}{one.unit}')}"
            for one in change.besides
        ]
        why = proposal.reasons.get(change.ref, ())
        lines += [f"  {one_line(s)}" for s in (*why, change.proof.text, change.proof.rendering)]
    fates = ", or ".join(_fates(proposal.changes))
    return "\n".join([*lines, "", f"Once merged, {fates}. To roll back, revert this commit."])


def slug_of(title: str) -> str:
    """A title as part of a file name, as `git format-patch` makes it."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", title).strip("-.")[:52].rstrip("-.") or "patch"


__all__ = [
    "Evidence",
    "Grouping",
    "Proposal",
    "Review",
    "body_text",
    "branch_name",
    "branch_prefix",
    "commit_body",
    "content_digest",
    "direction_of",
    "mails",
    "proposals",
    "title_text",
]
