"""Nodes and groups of nodes as tables: the same rows in the summary, the page and the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.placement import GroupUse, NodeUse, Packing
from analyzer.plots.text import counted, level_text
from analyzer.report import Report
from analyzer.writers.section import Section

_NAMED = 5
"""So many nodes are named in a text; the others are counted."""


def groups(report: Report) -> Section | None:
    """What each group of nodes holds before and after, by where its pods are now."""
    packing = report.packing
    if packing is None:
        return None
    priced = any(group.freed is not None for group in packing.groups)
    head = ["Nodes", "Count", "CPU requested", "Memory requested", "Fewest that hold all"]
    head += ["Without the fullest", *(["Freed a month", "Saved a month"] if priced else [])]
    rows = [
        [
            group.name,
            _count(group),
            _filled(group.cpu_now, group.cpu_after, group.cpu_cores),
            _filled(group.memory_now, group.memory_after, group.memory_bytes),
            "all: control plane" if group.stays else f"{group.needed_now} → {group.needed_after}",
            _without(group.nodes, group.homeless),
            *([_money(group.freed), _money(group.saved)] if priced else []),
        ]
        for group in packing.groups
    ]
    return Section("Groups of nodes", _text(packing, priced), head, rows, list(_minds(packing)))


def nodes(report: Report) -> Section | None:
    """What each node holds before and after, and which could go; None where none is known."""
    packing = report.packing
    if packing is None or not packing.nodes:
        return None
    head = ["Node", "Group", "Pods", "CPU requested", "Of", "Memory requested", "Of"]
    head += ["Others requested", "After"]
    rows = [
        [
            node.name,
            node.group,
            str(node.pods),
            _filled(node.cpu_now, node.cpu_after, node.cpu_cores),
            level_text("cpu", node.cpu_cores),
            _filled(node.memory_now, node.memory_after, node.memory_bytes),
            level_text("memory", node.memory_bytes),
            ", ".join(_scarce(node)) or "–",
            _state(node),
        ]
        for node in packing.nodes
    ]
    text = (
        "Requests of the pods where they run now, as a share of what each node can give. A node "
        "can go when its pods find room on the others that they may use, after the nodes before it."
    )
    return Section("Nodes", text, head, rows)


def unplaced(report: Report) -> Section | None:
    """The pods that find no place on the nodes that they may use; None where all do."""
    packing = report.packing
    if packing is None or not packing.unplaced:
        return None
    head = ["Workload", "Pods", "CPU of each", "Memory of each", "Nodes it may use", "Why"]
    rows = [
        [
            one.workload,
            str(one.pods),
            level_text("cpu", one.cpu_cores),
            level_text("memory", one.memory_bytes),
            one.where,
            one.reason,
        ]
        for one in packing.unplaced
    ]
    return Section("Pods without a place", "Once everything proposed is in force.", head, rows)


def _count(group: GroupUse) -> str:
    """How many nodes there are, and were over the window where some came or went."""
    of = group.numbers
    if of is None or of.fewest == of.most:
        return str(group.nodes)
    return f"{group.nodes} ({of.fewest} to {of.most}, {of.mean:.1f} on average)"


def _text(packing: Packing, priced: bool) -> str:
    text = (
        f"{_verdict(packing)} Below are the requests of the pods where they run, as a share of "
        "what the nodes have, now and with everything proposed in force. Fewest: without the nodes "
        "whose pods find room on the others that they may use, the emptiest taken away first."
    )
    if packing.spare:
        text += f" Room for the loss of {counted(packing.spare, 'node')} is kept (spare_nodes)."
    if any(group.numbers for group in packing.groups):
        text += " In brackets: how many nodes there were over the window."
    if priced:
        text += " Freed is what is no longer asked for; saved are only whole nodes that can go."
    if packing.unknown:
        text += f" Of {counted(packing.unknown, 'pod')} no requests are known."
    return text


def _verdict(packing: Packing) -> str:
    """How few nodes would do, and which could go, in a sentence or two."""
    now, after = packing.needed_now, packing.needed_after
    held = f"{now} hold" if now > 1 else "1 holds"
    told = f"Of {counted(packing.count, 'node')}, {held} all pods by what is requested now, "
    told += "and as many" if after == now else f"and {after}"
    return " ".join(filter(None, (f"{told} by what is proposed.", which_could_go(packing))))


def which_could_go(packing: Packing) -> str:
    """The nodes that could go, in a sentence; empty where none can."""
    going = [node.name for node in packing.nodes if node.can_go]
    return f"Could go once all is in force: {_listed(going)}." if going else ""


def _minds(packing: Packing) -> Iterator[str]:
    """What is short, in one sentence each."""
    for one in packing.unplaced[:_NAMED]:
        asked = f"{level_text('cpu', one.cpu_cores)}, {level_text('memory', one.memory_bytes)}"
        yield (
            f"{counted(one.pods, 'pod')} of {one.workload} ({asked} each) on {one.where}: "
            f"{one.reason}"
        )
    if len(packing.unplaced) > _NAMED:
        more = counted(len(packing.unplaced) - _NAMED, "more workload")
        yield f"{more} without a place, see rightsize nodes"
    over = [node.name for node in packing.nodes if node.short]
    if over:
        yield (
            f"pods of {_listed(over)} would ask for more than the node has where they stand; the "
            "scheduler puts those elsewhere that are made anew"
        )


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _without(nodes: int, homeless: int) -> str:
    if not homeless:
        return "fits"
    if nodes == 1:
        return "the only one"
    return f"{counted(homeless, 'pod')} without room"


def _scarce(node: NodeUse) -> Iterator[str]:
    """The further resources that pods of the node ask for."""
    for name, (has, asked) in sorted(node.others.items()):
        if asked:
            yield f"{name} {_amount(name, asked)} of {_amount(name, has)}"


def _amount(name: str, value: float) -> str:
    """An amount of a further resource: bytes of what is memory or disk, else a count."""
    bytes_ = name.startswith(("ephemeral", "hugepages"))
    return level_text("memory", value) if bytes_ else f"{value:g}"


def _state(node: NodeUse) -> str:
    if node.short:
        return f"short of {', '.join(node.short)}"
    return "can go" if node.can_go else "stays"


def _filled(now: float, after: float, of: float) -> str:
    return f"{now / of:.0%} → {after / of:.0%}"


def _money(amount: float | None) -> str:
    return "–" if amount is None else f"{amount:,.2f}"
